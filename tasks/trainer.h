/* trainer.h: fine-tuning: a loop over phases, resumable to the bit. */
#ifndef PARE_TASKS_TRAINER_H
#define PARE_TASKS_TRAINER_H

#include "tasks/dataset.h"

/* Every training option, named as on the command line (with underscores) and in config.ini.
 * Filled from cli/options.def. Strings are borrowed. */
typedef struct pare_train_options {
    const char *model, *task, *data, *output;
    const char *text_column, *pair_column, *label_column;
    double epochs;
    int64_t max_steps;   /* 0: by epochs */
    double max_seconds;  /* 0: no limit */
    int64_t batch_size, eval_batch_size, grad_accumulation;
    double learning_rate, warmup_ratio, weight_decay, max_grad_norm;
    const char *optimizer; /* "adamw" or "bert" */
    double dropout;      /* < 0: the model's config */
    int64_t max_seq_length; /* 0: the model's trained length, else 128 */
    bool shuffle;
    bool group_by_length;
    int64_t seed;
    const char *freeze;  /* "embeddings,0-3" or "" */
    const char *metric_for_best;
    int64_t patience;    /* evaluations without a better score; 0: never stop early */
    int64_t eval_steps;  /* 0: at each epoch's end */
    int64_t save_steps, keep;
    int64_t train_examples; /* first N; 0: all */
    const char *precision; /* "fp32" */
    int64_t threads;     /* 0: all */
    bool strict, resume, overwrite, dry_run, quiet;
} pare_train_options;

#endif
