/* answer.c: see answer.h. */
#include "models/answer.h"

#include <math.h>
#include <string.h>

#include "core/threads.h"
#include "models/bert.h"

enum {
    GROUP_TOKENS = 512, /* of the sentences that one thread takes at a time, at most */
    /* Fewer tokens are not worth that each thread reads all weights, ... */
    LEAST_TOKENS = 64,
    LEAST_TOKENS_FAR = 192, /* ... if they come from memory, */
    NEAR_BYTES = 100 << 20  /* not from a cache that all cores share */
};

struct pare_answerer {
    int members;
    bool lent; /* the first member's arenas are the caller's */
    struct {
        pare_arena *step, *scratch;
    } of[]; /* [members] */
};

static pare_status make_arenas(pare_answerer *a)
{
    for (int i = a->lent; i < a->members; i++) {
        a->of[i].step = pare_arena_new("answers");
        a->of[i].scratch = pare_arena_new("answers' scratch");
        if (!a->of[i].step || !a->of[i].scratch)
            return PARE_MEMORY;
    }
    return PARE_OK;
}

pare_status pare_answerer_new(pare_arena *step, pare_arena *scratch, pare_answerer **out)
{
    const int members = pare_threads();
    pare_answerer *a = pare_calloc(1, sizeof *a + (size_t)members * sizeof a->of[0]);
    *out = a;
    if (!a)
        return PARE_MEMORY;
    a->members = members;
    a->lent = step;
    a->of[0].step = step;
    a->of[0].scratch = scratch;
    const pare_status status = make_arenas(a);
    if (status != PARE_OK) {
        pare_answerer_free(a);
        *out = NULL;
    }
    return status;
}

void pare_answerer_free(pare_answerer *a)
{
    for (int i = a ? a->lent : 0; a && i < a->members; i++) {
        pare_arena_free(a->of[i].scratch);
        pare_arena_free(a->of[i].step);
    }
    pare_free(a);
}

/* ---- groups of neighbouring sentences ---- */

typedef struct work {
    pare_answerer *answerer;
    const pare_model *model;
    const pare_packed *batch;
    real *logits;
    int64_t groups;
} work;

/* The first sentence of a group: groups are cut where their share of the tokens begins. */
static int64_t group_start(const work *w, int64_t group)
{
    const pare_packed *b = w->batch;
    int64_t low = 0, high = b->n_sentences;
    while (low < high) { /* the first that begins at or behind the cut */
        const int64_t middle = (low + high) / 2;
        if (b->offset[middle] * w->groups < group * b->n_tokens)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Sentences first <= s < end as a batch of their own. */
static pare_status part_of(const pare_packed *b, int64_t first, int64_t end, pare_arena *arena,
                           pare_packed *out)
{
    const int64_t n = end - first, t = b->offset[first];
    int64_t *offset = pare_arena_alloc(arena, (size_t)(n + 1) * sizeof *offset);
    if (!offset)
        return PARE_MEMORY;
    for (int64_t s = 0; s <= n; s++)
        offset[s] = b->offset[first + s] - t;
    *out = (pare_packed){
        .n_sentences = n, .n_tokens = offset[n], .longest = b->longest, .offset = offset,
        .ids = b->ids + t, .types = b->types + t, .positions = b->positions + t,
        .tokens = {offset[n], b->tokens.example + t, b->tokens.position + t},
        .firsts = {n, b->firsts.example + first, NULL}};
    return PARE_OK;
}

static pare_status forward(const work *w, const pare_packed *batch, pare_arena *step,
                           pare_arena *scratch, real *logits)
{
    pare_tape tape;
    pare_tape_begin(&tape, step, scratch, &(pare_tape_mode){0});
    const pare_bert_pass pass = {.tape = &tape, .model = w->model, .batch = batch, .dropout = -1};
    const pare_tensor *out = pare_bert_logits(&pass);
    if (out)
        memcpy(logits, out->data, (size_t)pare_tensor_size(out) * sizeof *logits);
    return pare_tape_status(&tape);
}

static pare_status answer_group(void *context, int64_t group)
{
    const work *w = context;
    pare_arena *step = w->answerer->of[pare_thread_index()].step;
    const int64_t first = group_start(w, group), end = group_start(w, group + 1);
    if (first == end) /* a long sentence before it has taken its share */
        return PARE_OK;
    const pare_mark mark = pare_arena_mark(step);
    pare_packed part;
    pare_status status = part_of(w->batch, first, end, step, &part);
    if (status == PARE_OK)
        status = forward(w, &part, step, w->answerer->of[pare_thread_index()].scratch,
                         w->logits + first * w->model->n_labels);
    pare_arena_release(step, mark);
    return status;
}

/* As many for each thread; 1: the whole team takes the batch together. */
static int64_t count_groups(const work *w)
{
    const int64_t threads = pare_threads(), tokens = w->batch->n_tokens;
    const int64_t rounds = (tokens + threads * GROUP_TOKENS - 1) / (threads * GROUP_TOKENS);
    const int64_t groups = threads * rounds;
    if (!w->model->packed || w->answerer->members < threads)
        return 1;
    const bool near = pare_arena_used(w->model->packed) <= NEAR_BYTES;
    const bool few = tokens < groups * (near ? LEAST_TOKENS : LEAST_TOKENS_FAR);
    return few || w->batch->longest * groups > 2 * tokens ? 1 : groups;
}

pare_status pare_answer(pare_answerer *answerer, const pare_model *model, const pare_packed *batch,
                        real *logits)
{
    work w = {answerer, model, batch, logits, 1};
    w.groups = count_groups(&w);
    return pare_parallel_try(w.groups, INFINITY, answer_group, &w);
}
