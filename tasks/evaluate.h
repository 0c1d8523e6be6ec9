/* evaluate.h: a model's answers to a data set, and what the task's metrics say of them. */
#ifndef PARE_TASKS_EVALUATE_H
#define PARE_TASKS_EVALUATE_H

#include "core/json.h"
#include "models/model.h"
#include "tasks/encoded.h"
#include "tasks/progress.h"

/* The arenas that inference works in, given back as they were; NULL: its own. A training run lends
 * those of its steps. */
typedef struct pare_infer_space {
    pare_arena *step, *scratch;
} pare_infer_space;

/* Called with each batch: its sentences are the data set's examples[batch->n_sentences]. What it
 * takes from the arenas is given back afterwards. */
typedef pare_status pare_batch_function(void *context, const pare_packed *batch,
                                        const int64_t *examples, const pare_infer_space *space);

/* Runs `function` over the whole data set, in batches of batch_size examples of like length; `what`
 * is the progress line's word. Stops at the first failure. */
pare_status pare_each_batch(const pare_encoded *encoded, int64_t batch_size,
                            const pare_infer_space *space, const pare_progress *progress,
                            const char *what, pare_batch_function *function, void *context);

/* logits[encoded->n, model->n_labels], in the data set's order, whatever the batches. A value
 * that is not finite is PARE_DIVERGED. */
pare_status pare_infer(const pare_model *model, const pare_encoded *encoded, int64_t batch_size,
                       const pare_infer_space *space, const pare_progress *progress, real *logits);

/* A batch's logits to their examples' places in logits[n, n_labels]; PARE_DIVERGED as above. */
pare_status pare_logits_store(const pare_tensor *from, const int64_t *examples, real *logits);

/* A judged data set. */
typedef struct pare_evaluation {
    int64_t examples;
    double loss;        /* mean over the examples: cross entropy, or the squared error */
    pare_json *metrics; /* {"accuracy": ...}, to be given to pare_json_free */
    double binary[4];   /* of two labels: accuracy, precision, recall, F1 of label 1; else NAN */
} pare_evaluation;

/* The names of pare_evaluation.binary. */
extern const char *const pare_binary_metrics[4];

/* Judges logits [n, n_labels], or scores [n, 1] of a regression, by the task's metrics. */
pare_status pare_judge(const pare_task *task, int64_t n_labels, const pare_encoded *encoded,
                       const real *logits, pare_evaluation *out);

/* The data set's split(s) of a task as the model reads them: tokenised once, evaluated often. A
 * task with two dev sets (MNLI) has two, the second one's metrics named "..._mismatched". */
typedef struct pare_eval_set {
    pare_dataset *dataset[2];
    pare_encoded encoded[2];
    int n;
} pare_eval_set;

/* `options.split` "dev" of MNLI opens both. The arena owns the encodings. */
pare_status pare_eval_set_open(pare_arena *arena, const pare_tokenizer *tokenizer,
                               const pare_data_options *options, int64_t max_length,
                               pare_eval_set *out);
void pare_eval_set_close(pare_eval_set *set);
pare_status pare_eval_set_run(const pare_eval_set *set, const pare_model *model,
                              int64_t batch_size, const pare_infer_space *space,
                              const pare_progress *progress, pare_evaluation *out);

/* What is judged, and on what. */
typedef struct pare_evaluate_options {
    const char *model;       /* a model file, or NULL with predictions */
    const char *predictions; /* a file in GLUE's submission format, or NULL */
    pare_data_options data;
    int64_t max_seq_length;  /* 0: the model's trained length, else 128 */
    int64_t batch_size;
} pare_evaluate_options;

/* A model with a head for the task, opened beside the task's data. Close it whatever opening
 * returned. */
typedef struct pare_eval_session {
    pare_arena *arena;
    pare_model *model;
    pare_tokenizer *tokenizer;
    pare_eval_set set;
} pare_eval_session;
pare_status pare_eval_session_open(const pare_evaluate_options *options, pare_eval_session *out);
void pare_eval_session_close(pare_eval_session *session);

/* `pare evaluate`: {"task", "split", "examples", "loss", "metrics": {...}}. */
pare_status pare_evaluate(const pare_evaluate_options *options, const pare_progress *progress,
                          pare_json **result);

/* The length that texts are cut to: `asked`, or the model's trained length, or 128; never above its
 * position embeddings. */
int64_t pare_sequence_length(const pare_model *model, int64_t asked);

#endif
