/* packed.h: a batch whose sentences lie end to end, so that padding never exists. */
#ifndef PARE_CORE_PACKED_H
#define PARE_CORE_PACKED_H

#include <stdint.h>

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
    const uint32_t *example; /* [n_sentences] number in the data set */
} pare_packed;

#endif
