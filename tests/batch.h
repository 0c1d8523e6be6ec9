/* tests/batch.h: packed batches from sentences, for tests of ops and models. */
#ifndef PARE_TESTS_BATCH_H
#define PARE_TESTS_BATCH_H

#include "core/packed.h"
#include "core/philox.h"
#include "core/tensor.h"
#include "models/bert.h"
#include "tests/harness.h"

typedef struct test_sentence {
    int64_t n;
    const int32_t *ids, *types; /* [n] */
    uint32_t example;           /* number in the data set: keys the dropout masks */
} test_sentence;

TEST_UNUSED static void *test_alloc(pare_arena *arena, int64_t n, size_t size)
{
    void *memory = pare_arena_zalloc(arena, (size_t)n * size);
    assert_non_null(memory);
    return memory;
}

/* Writes sentence s behind the batch's last one; the arrays have room for it. */
TEST_UNUSED static void test_pack_one(pare_packed *b, const test_sentence *s)
{
    const int64_t first = b->n_tokens, index = b->n_sentences;
    for (int64_t i = 0; i < s->n; i++) {
        ((int32_t *)(uintptr_t)b->ids)[first + i] = s->ids[i];
        ((int32_t *)(uintptr_t)b->types)[first + i] = s->types[i];
        ((int32_t *)(uintptr_t)b->positions)[first + i] = (int32_t)i;
        ((uint32_t *)(uintptr_t)b->tokens.example)[first + i] = s->example;
    }
    ((uint32_t *)(uintptr_t)b->firsts.example)[index] = s->example;
    b->n_tokens += s->n;
    b->n_sentences++;
    ((int64_t *)(uintptr_t)b->offset)[b->n_sentences] = b->n_tokens;
    b->longest = s->n > b->longest ? s->n : b->longest;
}

TEST_UNUSED static pare_packed *test_pack(pare_arena *arena, const test_sentence *sentences,
                                          int64_t n)
{
    int64_t total = 0;
    for (int64_t i = 0; i < n; i++)
        total += sentences[i].n;
    pare_packed *b = test_alloc(arena, 1, sizeof *b);
    b->offset = test_alloc(arena, n + 1, sizeof *b->offset);
    b->ids = test_alloc(arena, total, sizeof *b->ids);
    b->types = test_alloc(arena, total, sizeof *b->types);
    b->positions = test_alloc(arena, total, sizeof *b->positions);
    b->tokens.example = test_alloc(arena, total, sizeof *b->tokens.example);
    b->firsts.example = test_alloc(arena, n, sizeof *b->firsts.example);
    for (int64_t i = 0; i < n; i++)
        test_pack_one(b, &sentences[i]);
    b->tokens.n = total;
    b->tokens.position = b->positions;
    b->firsts.n = n;
    return b;
}

/* Uniform in [-1, 1), the same on every machine. */
TEST_UNUSED static real test_random(uint64_t stream, int64_t index)
{
    return (real)(2 * pare_random_uniform(7, PARE_RANDOM_DATA, stream, (uint64_t)index) - 1);
}

/* Random words, the second half of segment 1; `stream` tells batches apart. */
TEST_UNUSED static test_sentence *test_sentences(pare_arena *arena, const int64_t *lengths,
                                                 int64_t n, int32_t vocabulary, uint64_t stream)
{
    test_sentence *s = test_alloc(arena, n, sizeof *s);
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t *ids = test_alloc(arena, lengths[i], sizeof *ids);
        int32_t *types = test_alloc(arena, lengths[i], sizeof *types);
        for (int64_t k = 0; k < lengths[i]; k++) {
            ids[k] = (int32_t)((double)(test_random(stream, at++) + 1) / 2 * vocabulary);
            types[k] = k > lengths[i] / 2;
        }
        s[i] = (test_sentence){lengths[i], ids, types, (uint32_t)(100 + i)};
    }
    return s;
}

/* A whole forward pass with this dropout (< 0: the model's own). */
TEST_UNUSED static pare_tensor *test_logits(pare_tape *t, const pare_model *model,
                                            const pare_packed *batch, double dropout)
{
    const pare_bert_pass pass = {t, model, batch, dropout, NULL, NULL};
    return pare_bert_logits(&pass);
}

#endif
