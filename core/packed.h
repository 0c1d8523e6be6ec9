/* packed.h: a batch whose sentences lie end to end, so that padding never exists. */
#ifndef PARE_CORE_PACKED_H
#define PARE_CORE_PACKED_H

#include <stdint.h>

/* Which token each row of a matrix belongs to: what keys its dropout mask. */
typedef struct pare_rows {
    int64_t n;
    const uint32_t *example;  /* [n] example's number in the data set */
    const int32_t *position;  /* [n] place in the sentence; NULL: all 0 ([CLS] rows) */
} pare_rows;

/* Sentence s has the tokens offset[s] <= t < offset[s + 1]; its first token is [CLS]. The example
 * numbers key the dropout masks: order, batching and sharding cannot change a sentence's masks. */
typedef struct pare_packed {
    int64_t n_sentences;
    int64_t n_tokens;
    int64_t longest;         /* tokens of the longest sentence */
    const int64_t *offset;   /* [n_sentences + 1] */
    const int32_t *ids;      /* [n_tokens] rows of the word embeddings */
    const int32_t *types;    /* [n_tokens] segment 0 or 1 */
    const int32_t *positions; /* [n_tokens] place in the sentence, from 0 */
    pare_rows tokens;         /* [n_tokens] all rows */
    pare_rows firsts;         /* [n_sentences] the [CLS] rows */
} pare_packed;

#endif
