/* encoded.h: a data set as token ids, and batches packed out of it.
 *
 *   pare_encoded encoded;
 *   PARE_TRY(pare_encode(arena, tokenizer, dataset, 128, &encoded));
 *   pare_packed batch;
 *   PARE_TRY(pare_pack(step, &encoded, order, 32, &batch));   // examples order[0..31] */
#ifndef PARE_TASKS_ENCODED_H
#define PARE_TASKS_ENCODED_H

#include "core/packed.h"
#include "models/config.h"
#include "tasks/dataset.h"
#include "tasks/tokenizer.h"

typedef struct pare_encoded {
    int64_t n;              /* examples */
    const int64_t *offset;  /* [n + 1] */
    const int32_t *ids;     /* [offset[n]] */
    const uint8_t *types;
    const int32_t *labels;  /* [n]; -1: none */
    const double *targets;  /* [n] */
} pare_encoded;

/* Tokenises every example, in parallel, cut to max_length tokens. Owned by the arena. */
pare_status pare_encode(pare_arena *arena, const pare_tokenizer *tokenizer,
                        const pare_dataset *dataset, int64_t max_length, pare_encoded *out);

/* The same of n texts without labels; pairs[i] may be NULL, and so may `pairs`. */
pare_status pare_encode_texts(pare_arena *arena, const pare_tokenizer *tokenizer,
                              const char *const *texts, const char *const *pairs, int64_t n,
                              int64_t max_length, pare_encoded *out);

/* The n examples order[0..n) end to end, in the arena. Example numbers are their indices. */
pare_status pare_pack(pare_arena *arena, const pare_encoded *encoded, const int64_t *order,
                      int64_t n, pare_packed *out);

/* Sorts order[0..n) by falling length (equal ones stay in their order): batches of like
 * length waste no time and the longest come first. */
pare_status pare_order_by_length(const pare_encoded *encoded, int64_t *order, int64_t n);

/* PARE_INPUT naming the model's file where it has no embedding of a second text. */
pare_status pare_encoded_fits(const pare_encoded *encoded, const pare_config *config,
                              const char *path);

/* CRC-32 over ids, boundaries, types and labels: whether two runs see the same data. */
uint32_t pare_encoded_crc(const pare_encoded *encoded);

#endif
