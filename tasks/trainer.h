/* trainer.h: fine-tuning, resumable to the bit. */
#ifndef PARE_TASKS_TRAINER_H
#define PARE_TASKS_TRAINER_H

#include "core/json.h"
#include "tasks/dataset.h"
#include "tasks/progress.h"

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
    int64_t warmup_steps; /* 0: by warmup_ratio */
    const char *optimizer; /* "adamw" or "bert" */
    double dropout;      /* < 0: the model's config */
    double attention_dropout; /* < 0: as dropout; else it becomes the model's config, and so does
                               * dropout */
    int64_t max_seq_length; /* 0: the model's trained length, else 128 */
    bool shuffle;
    bool group_by_length;
    int64_t seed;
    const char *drop_layers; /* as pare_layers_parse reads it; NULL or "none": all stay */
    const char *freeze;  /* "embeddings,0-3" or "" */
    const char *metric_for_best;
    int64_t patience;    /* evaluations without a better score; 0: never stop early */
    int64_t eval_steps;  /* 0: at each epoch's end */
    int64_t save_steps, keep;
    const char *on_nan;  /* "stop", or "skip": a step that is not finite updates nothing */
    int64_t train_examples; /* first N; 0: all */
    const char *precision; /* "fp32" */
    int64_t threads;     /* 0: all */
    bool strict, resume, overwrite, dry_run, quiet;
    const char *teacher;   /* model file whose answers are a second target; or NULL */
    double distill_weight; /* its share of the loss, beside the labels' */

    /* What is no option of a user's. */
    const pare_progress *progress; /* who watches; or NULL */
    const char *config_text;       /* becomes the run's config.ini; or NULL */
    bool has_overwrite;            /* the command has that option: for hints */
    const char *answers;           /* file that keeps the teacher's answers; NULL: none does */
    const struct pare_method *method; /* what is trained beside the weights; NULL: nothing */
    void *method_state;            /* the method's own */
} pare_train_options;

/* Freezes the weights (gates stay free) of "embeddings,0-3": embeddings, layers and ranges of them;
 * NULL or "": none. A part that the model has not is PARE_USAGE. */
pare_status pare_train_freeze(pare_model *model, const char *parts);

/* Trains options->model on options->task and fills the run folder options->output. *result is the
 * caller's: {"task", "steps", "best_step", "metrics": {of the last weights}, "best_metrics",
 * "train_seconds", "tokens_per_second", "examples_per_second", "output"}.
 *
 * The same options give the same bits at any thread count, with any interruption and --resume.
 * Stopped by a signal or max_seconds: PARE_STOPPED, with a checkpoint. A loss or gradient that is
 * not finite: PARE_DIVERGED, naming the step and the tensor; nothing of it is saved. */
pare_status pare_finetune(const pare_train_options *options, pare_json **result);

#endif
