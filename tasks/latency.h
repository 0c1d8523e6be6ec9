/* latency.h: how long models take to answer: forward passes, timed in turn.
 *
 *   const int64_t sizes[] = {1, 32};
 *   const pare_latency_plan plan = {.batch_sizes = sizes, .n_batch_sizes = 2};
 *   const pare_latency_entry entries[] = {{big, &encoded}, {small, &encoded}};
 *   pare_latency results[2 * 2];
 *   PARE_TRY(pare_latency_measure(&plan, entries, 2, NULL, results));
 *   results[2].ratio;          // small's first size: its time over big's
 *
 * Machines have other things to do, so models are not timed one after the other: in each turn every
 * model answers the same batch once, another one beginning each time, and times are compared within
 * a turn. Tokenising and packing are not timed. Turn t's batch of b is the data set's examples t·b
 * to t·b + b - 1; behind the last example comes the first again. */
#ifndef PARE_TASKS_LATENCY_H
#define PARE_TASKS_LATENCY_H

#include "core/json.h"
#include "tasks/encoded.h"
#include "tasks/progress.h"

enum { PARE_LATENCY_MOST_SIZES = 16, PARE_LATENCY_MOST_TURNS = 10000 };

typedef struct pare_latency_plan {
    const int64_t *batch_sizes; /* [n_batch_sizes], each at least 1 */
    int n_batch_sizes;
    int64_t length; /* every sentence repeated or cut to so many tokens; 0: as they are */
    int64_t turns;  /* of each batch size; 0: 100, or fewer (but 10) where that takes long */
} pare_latency_plan;

/* A model with a head (of any task), and the sentences as its own tokenizer cuts them. */
typedef struct pare_latency_entry {
    const pare_model *model;
    const pare_encoded *encoded;
} pare_latency_entry;

/* One model at one batch size. */
typedef struct pare_latency {
    int64_t batch, passes;        /* sentences a batch; batches timed */
    double tokens;                /* a batch, mean */
    double ms_median, ms_p95;     /* of a batch */
    double examples_per_second;   /* of all passes together */
    double ratio;                 /* to the first model: median over the turns */
    double ratio_low, ratio_high; /* its 95 % interval, by 1,000 bootstrap resamples of turns */
} pare_latency;

/* out[model * plan->n_batch_sizes + size]. All entries must have the same number of examples, one
 * at least. PARE_USAGE if plan->length is beyond a model's positions. */
pare_status pare_latency_measure(const pare_latency_plan *plan, const pare_latency_entry *entries,
                                 int n_entries, const pare_progress *progress, pare_latency *out);

/* The same of model files, on the examples of `data`. Texts are cut to max_seq_length (0: what the
 * model was trained at), for all models to the least that one of them takes. A file without a head
 * is PARE_INPUT. */
pare_status pare_latency_files(const pare_latency_plan *plan, const char *const *files, int n_files,
                               const pare_data_options *data, int64_t max_seq_length,
                               const pare_progress *progress, pare_latency *out);

/* "batch", "passes", "tokens_per_batch", "ms_median", ... into an object. */
void pare_latency_report(const pare_latency *latency, pare_json *object);

#endif
