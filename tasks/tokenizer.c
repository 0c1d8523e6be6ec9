/* tokenizer.c: special tokens, the two texts of a pair, and truncation. */
#include "tasks/tokenizer.h"

#include <string.h>

#include "core/memory.h"
#include "models/vocabulary.h"
#include "tasks/wordpiece.h"

struct pare_tokenizer {
    pare_wordpiece *pieces;
    pare_word_rules rules;
    int32_t special[PARE_SPECIAL_TOKENS]; /* ids; -1: not in the vocabulary, and ordinary text */
};

/* [UNK], [CLS] and [SEP] must be there. [PAD] and [MASK] may be missing: nothing is ever padded. */
static pare_status find_special(pare_tokenizer *t)
{
    for (int i = 0; i < PARE_SPECIAL_TOKENS; i++) {
        t->special[i] = pare_wordpiece_find(t->pieces, pare_special_tokens[i]);
        if (t->special[i] < 0 && i != PARE_TOKEN_PAD && i != PARE_TOKEN_MASK)
            return pare_hint(pare_fail(PARE_INPUT, "the vocabulary of %d lines has no %s",
                                       pare_wordpiece_size(t->pieces), pare_special_tokens[i]),
                             "it must be BERT's vocab.txt: one token a line");
    }
    return PARE_OK;
}

static pare_status build(const pare_vocabulary_spec *spec, pare_tokenizer *t)
{
    if (!spec->text)
        return pare_hint(pare_fail(PARE_INPUT, "the model has no vocabulary"),
                         "import it again from a directory with vocab.txt or tokenizer.json");
    t->rules = pare_word_rules_of(spec);
    PARE_TRY(pare_wordpiece_new(spec->text, &t->pieces));
    return find_special(t);
}

pare_status pare_tokenizer_new(const pare_vocabulary_spec *spec, pare_tokenizer **out)
{
    pare_tokenizer *t = pare_calloc(1, sizeof *t);
    if (!t)
        return PARE_MEMORY;
    pare_status status = build(spec, t);
    if (status == PARE_OK)
        *out = t;
    else
        pare_tokenizer_free(t);
    return status;
}

void pare_tokenizer_free(pare_tokenizer *t)
{
    if (!t)
        return;
    pare_wordpiece_free(t->pieces);
    pare_free(t);
}

int32_t pare_tokenizer_vocabulary_size(const pare_tokenizer *t)
{
    return pare_wordpiece_size(t->pieces);
}

/* Ids of one text while they are found. Every id stands for at least one byte of the text, so that
 * the room is known beforehand. */
typedef struct id_list {
    const pare_tokenizer *tokenizer;
    int32_t *ids;
    size_t n;
} id_list;

static pare_status add_word(void *context, const char *word, size_t length)
{
    id_list *list = context;
    const pare_tokenizer *t = list->tokenizer;
    size_t n = word ? pare_wordpiece_split(t->pieces, word, length, list->ids + list->n) : 0;
    if (n == 0)
        list->ids[list->n] = t->special[PARE_TOKEN_UNK];
    list->n += n > 0 ? n : 1;
    return PARE_OK;
}

/* Which special token stands at text[0..length), or -1. None is the beginning of another. */
static int special_at(const pare_tokenizer *t, const char *text, size_t length)
{
    for (int i = 0; i < PARE_SPECIAL_TOKENS; i++) {
        size_t n = strlen(pare_special_tokens[i]);
        if (t->special[i] >= 0 && n <= length && memcmp(text, pare_special_tokens[i], n) == 0)
            return i;
    }
    return -1;
}

/* Appends the ids of text, without [CLS] and [SEP]. What lies between two special tokens is
 * normalized on its own. */
static pare_status add_text(id_list *list, const char *text, size_t length)
{
    const pare_tokenizer *t = list->tokenizer;
    size_t begin = 0, at = 0;
    while (at < length) {
        const char *bracket = memchr(text + at, '[', length - at);
        at = bracket ? (size_t)(bracket - text) : length;
        int special = special_at(t, text + at, length - at);
        if (special < 0) {
            at += at < length;
            continue;
        }
        PARE_TRY(pare_words_each(&t->rules, text + begin, at - begin, add_word, list));
        list->ids[list->n++] = t->special[special];
        begin = at += strlen(pare_special_tokens[special]);
    }
    return pare_words_each(&t->rules, text + begin, length - begin, add_word, list);
}

/* longest_first as the reference computes it: how many of n[0] and n[1] tokens stay when there is
 * room for `room`. The shorter (the first, on a tie) is cut only if both exceed half the room. */
static void truncate_pair(size_t room, size_t n[2])
{
    int shorter = n[0] <= n[1] ? 0 : 1;
    if (n[0] + n[1] <= room)
        return;
    if (n[shorter] > room / 2)
        n[shorter] = room / 2;
    n[1 - shorter] = room - n[shorter];
}

/* [CLS] first [SEP], or [CLS] first [SEP] second [SEP] with type 1 from the second text on. */
static pare_status assemble(const pare_tokenizer *t, const int32_t *first, const int32_t *second,
                            const size_t n[2], pare_encoding *out)
{
    size_t n_first = n[0] + 2, total = n_first + (second ? n[1] + 1 : 0);
    int32_t *ids = pare_malloc(total * sizeof *ids);
    uint8_t *types = pare_calloc(total, 1);
    if (!ids || !types) {
        pare_free(ids);
        pare_free(types);
        return PARE_MEMORY;
    }
    ids[0] = t->special[PARE_TOKEN_CLS];
    memcpy(ids + 1, first, n[0] * sizeof *ids);
    ids[n_first - 1] = t->special[PARE_TOKEN_SEP];
    if (second) {
        memcpy(ids + n_first, second, n[1] * sizeof *ids);
        ids[total - 1] = t->special[PARE_TOKEN_SEP];
        memset(types + n_first, 1, total - n_first);
    }
    *out = (pare_encoding){ids, types, (int64_t)total};
    return PARE_OK;
}

/* Encodes with room for all ids in `ids`. */
static pare_status encode(const pare_tokenizer *t, const char *text, size_t length,
                          const char *pair, size_t pair_length, int64_t max_length, int32_t *ids,
                          pare_encoding *out)
{
    id_list list = {t, ids, 0};
    PARE_TRY(add_text(&list, text, length));
    size_t n[2] = {list.n, 0};
    if (pair) {
        PARE_TRY(add_text(&list, pair, pair_length));
        n[1] = list.n - n[0];
    }
    const int32_t *second = pair ? ids + n[0] : NULL;
    size_t room = (size_t)max_length - (pair ? 3 : 2);
    if (max_length > 0 && pair)
        truncate_pair(room, n);
    else if (max_length > 0 && n[0] > room)
        n[0] = room;
    return assemble(t, ids, second, n, out);
}

pare_status pare_tokenizer_encode(const pare_tokenizer *t, const char *text, size_t length,
                                  const char *pair, size_t pair_length, int64_t max_length,
                                  pare_encoding *out)
{
    int least = pair ? 3 : 2;
    if (max_length != 0 && max_length < least)
        return pare_hint(pare_fail(PARE_USAGE, "a length of %lld tokens has no room for %s",
                                   (long long)max_length,
                                   pair ? "[CLS], [SEP] and the pair's [SEP]" : "[CLS] and [SEP]"),
                         "give a length of at least %d", least);
    if (!pair)
        pair_length = 0;
    if (length > PTRDIFF_MAX / 8 || pair_length > PTRDIFF_MAX / 8)
        return pare_fail(PARE_MEMORY, "a text of %zu bytes is too long",
                         length > pair_length ? length : pair_length);
    int32_t *ids = pare_malloc((length + pair_length) * sizeof *ids);
    if (!ids)
        return PARE_MEMORY;
    pare_status status = encode(t, text, length, pair, pair_length, max_length, ids, out);
    pare_free(ids);
    return status;
}

void pare_encoding_free(pare_encoding *encoding)
{
    pare_free(encoding->ids);
    pare_free(encoding->types);
    *encoding = (pare_encoding){NULL, NULL, 0};
}
