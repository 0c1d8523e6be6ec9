/* encoded.c: see encoded.h. */
#include "tasks/encoded.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/checksum.h"
#include "core/threads.h"

enum { TILE_EXAMPLES = 64 };

/* ---- tokenising ---- */

typedef struct encode_job {
    const pare_tokenizer *tokenizer;
    const char *const *texts, *const *pairs;
    int64_t n, max_length;
    pare_encoding *encodings; /* [n] */
} encode_job;

static pare_status encode_tile(void *context, int64_t tile)
{
    encode_job *job = context;
    for (int64_t i = tile * TILE_EXAMPLES; i < job->n && i < (tile + 1) * TILE_EXAMPLES; i++) {
        const char *text = job->texts[i], *pair = job->pairs ? job->pairs[i] : NULL;
        pare_encoding_free(&job->encodings[i]); /* of an earlier try */
        PARE_TRY(pare_tokenizer_encode(job->tokenizer, text, strlen(text), pair,
                                       pair ? strlen(pair) : 0, job->max_length,
                                       &job->encodings[i]));
    }
    return PARE_OK;
}

/* Lays the encodings end to end in the arena. */
static pare_status gather(pare_arena *arena, const pare_encoding *encodings, int64_t n,
                          pare_encoded *out)
{
    int64_t *offset = pare_arena_alloc(arena, (size_t)(n + 1) * sizeof *offset);
    if (!offset)
        return PARE_MEMORY;
    offset[0] = 0;
    for (int64_t i = 0; i < n; i++)
        offset[i + 1] = offset[i] + encodings[i].n;
    int32_t *ids = pare_arena_alloc(arena, (size_t)offset[n] * sizeof *ids);
    uint8_t *types = pare_arena_alloc(arena, (size_t)offset[n] * sizeof *types);
    if (!ids || !types)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        memcpy(ids + offset[i], encodings[i].ids, (size_t)encodings[i].n * sizeof *ids);
        memcpy(types + offset[i], encodings[i].types, (size_t)encodings[i].n);
    }
    *out = (pare_encoded){.n = n, .offset = offset, .ids = ids, .types = types};
    return PARE_OK;
}

pare_status pare_encode_texts(pare_arena *arena, const pare_tokenizer *tokenizer,
                              const char *const *texts, const char *const *pairs, int64_t n,
                              int64_t max_length, pare_encoded *out)
{
    encode_job job = {tokenizer, texts, pairs, n, max_length,
                      pare_calloc((size_t)n, sizeof *job.encodings)};
    if (!job.encodings)
        return PARE_MEMORY;
    pare_status status = pare_parallel_try((n + TILE_EXAMPLES - 1) / TILE_EXAMPLES,
                                           INFINITY, encode_tile, &job);
    if (status == PARE_OK)
        status = gather(arena, job.encodings, n, out);
    for (int64_t i = 0; i < n; i++)
        pare_encoding_free(&job.encodings[i]);
    pare_free(job.encodings);
    return status;
}

pare_status pare_encode(pare_arena *arena, const pare_tokenizer *tokenizer,
                        const pare_dataset *dataset, int64_t max_length, pare_encoded *out)
{
    const int64_t n = dataset->n;
    const char **texts = pare_arena_alloc(arena, (size_t)n * sizeof *texts);
    const char **pairs = pare_arena_alloc(arena, (size_t)n * sizeof *pairs);
    int32_t *labels = pare_arena_alloc(arena, (size_t)n * sizeof *labels);
    double *targets = pare_arena_alloc(arena, (size_t)n * sizeof *targets);
    if (!texts || !pairs || !labels || !targets)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        const pare_example *e = &dataset->examples[i];
        texts[i] = e->text;
        pairs[i] = e->pair;
        labels[i] = e->label;
        targets[i] = e->target;
    }
    PARE_TRY(pare_encode_texts(arena, tokenizer, texts, pairs, n, max_length, out));
    out->labels = labels;
    out->targets = targets;
    return PARE_OK;
}

/* ---- batches ---- */

static int64_t length_of(const pare_encoded *e, int64_t i)
{
    return e->offset[i + 1] - e->offset[i];
}

pare_status pare_pack(pare_arena *arena, const pare_encoded *encoded, const int64_t *order,
                      int64_t n, pare_packed *out)
{
    int64_t tokens = 0, longest = 0;
    for (int64_t s = 0; s < n; s++) {
        const int64_t length = length_of(encoded, order[s]);
        tokens += length;
        longest = length > longest ? length : longest;
    }
    int64_t *offset = pare_arena_alloc(arena, (size_t)(n + 1) * sizeof *offset);
    int32_t *ids = pare_arena_alloc(arena, (size_t)tokens * sizeof *ids);
    int32_t *types = pare_arena_alloc(arena, (size_t)tokens * sizeof *types);
    int32_t *positions = pare_arena_alloc(arena, (size_t)tokens * sizeof *positions);
    uint32_t *example = pare_arena_alloc(arena, (size_t)tokens * sizeof *example);
    uint32_t *firsts = pare_arena_alloc(arena, (size_t)n * sizeof *firsts);
    if (!offset || !ids || !types || !positions || !example || !firsts)
        return PARE_MEMORY;
    offset[0] = 0;
    for (int64_t s = 0; s < n; s++) {
        const int64_t from = encoded->offset[order[s]], length = length_of(encoded, order[s]);
        for (int64_t i = 0; i < length; i++) {
            const int64_t t = offset[s] + i;
            ids[t] = encoded->ids[from + i];
            types[t] = encoded->types[from + i];
            positions[t] = (int32_t)i;
            example[t] = (uint32_t)order[s];
        }
        firsts[s] = (uint32_t)order[s];
        offset[s + 1] = offset[s] + length;
    }
    *out = (pare_packed){.n_sentences = n, .n_tokens = tokens, .longest = longest,
                         .offset = offset, .ids = ids, .types = types, .positions = positions,
                         .tokens = {tokens, example, positions}, .firsts = {n, firsts, NULL}};
    return PARE_OK;
}

typedef struct length_key {
    int64_t length, place, example;
} length_key;

static int by_falling_length(const void *a, const void *b)
{
    const length_key *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return x->place < y->place ? -1 : 1;
}

pare_status pare_order_by_length(const pare_encoded *encoded, int64_t *order, int64_t n)
{
    length_key *keys = pare_malloc((size_t)n * sizeof *keys);
    if (!keys)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++)
        keys[i] = (length_key){length_of(encoded, order[i]), i, order[i]};
    qsort(keys, (size_t)n, sizeof *keys, by_falling_length);
    for (int64_t i = 0; i < n; i++)
        order[i] = keys[i].example;
    pare_free(keys);
    return PARE_OK;
}

pare_status pare_encoded_fits(const pare_encoded *encoded, const pare_config *config,
                              const char *path)
{
    for (int64_t i = 0; i < encoded->offset[encoded->n]; i++)
        if (encoded->types[i] >= config->type_vocab_size)
            return pare_hint(pare_fail(PARE_INPUT, "%s reads one text, these are pairs: its "
                                       "type_vocab_size is %lld", path,
                                       (long long)config->type_vocab_size),
                             "take a model that was trained on pairs");
    return PARE_OK;
}

uint32_t pare_encoded_crc(const pare_encoded *e)
{
    uint32_t crc = pare_crc32(0, e->offset, (size_t)(e->n + 1) * sizeof *e->offset);
    crc = pare_crc32(crc, e->ids, (size_t)e->offset[e->n] * sizeof *e->ids);
    crc = pare_crc32(crc, e->types, (size_t)e->offset[e->n]);
    if (e->labels)
        crc = pare_crc32(crc, e->labels, (size_t)e->n * sizeof *e->labels);
    if (e->targets)
        crc = pare_crc32(crc, e->targets, (size_t)e->n * sizeof *e->targets);
    return crc;
}
