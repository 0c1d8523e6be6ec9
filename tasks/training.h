/* training.h: what a training run holds while it lasts: for setup.c, trainer.c and methods. */
#ifndef PARE_TASKS_TRAINING_H
#define PARE_TASKS_TRAINING_H

#include "core/clock.h"
#include "models/bert.h"
#include "tasks/checkpoint.h"
#include "tasks/evaluate.h"
#include "tasks/run_folder.h"
#include "tasks/trainer.h"

typedef struct pare_training {
    const pare_train_options *options;
    pare_arena *arena;          /* lives as long as the run */
    pare_arena *step, *scratch; /* of one update */
    pare_run_folder run;
    pare_model *model;
    pare_tokenizer *tokenizer;
    pare_dataset *dataset;      /* training examples; freed once they are encoded */
    const pare_task *task;
    int64_t n_labels;
    pare_encoded encoded;
    pare_eval_set dev;          /* n == 0: there is none */
    int64_t max_length;
    double dropout;             /* of every pass that is trained on; < 0: as the config says */
    const double *answers;      /* [encoded.n, n_labels] the teacher's; NULL: there is none */
    pare_optimizer *optimizer;
    pare_progress_state state;
    pare_checkpoint_text text;
    int64_t steps_per_epoch, total_steps, warmup_steps;
    int64_t *order;             /* [encoded.n] of epoch order_epoch */
    int64_t order_epoch;        /* -1: none yet */
    const char *best_metric;    /* name, or "loss" (smaller is better) */
    double session_start;       /* pare_seconds() */
    double earlier_seconds;     /* of the run before this session */
} pare_training;

/* What a way of pruning adds to fine-tuning, called with the run and options->method_state. Members
 * that it has no use for are NULL. Its own state lives in the model's parameters and is a function
 * of them and of state.step, so that a checkpoint holds it. */
typedef struct pare_method {
    pare_status (*open)(pare_training *t);  /* the model is there, its optimiser is not */
    /* what else the bits depend on */
    void (*recipe)(const pare_training *t, pare_json *recipe);
    /* before each forward pass that is trained on */
    pare_status (*forward)(pare_training *t, pare_bert_pass *pass);
    /* gradients are there, the update is not: adds its own, sets learning rates */
    pare_status (*update)(pare_training *t, double rates[PARE_GROUPS]);
    /* After the update, which state.step counts (rows of embeddings: see pare_optimizer_settle). */
    pare_status (*updated)(pare_training *t);
    pare_status (*evaluate)(pare_training *t);  /* before the dev set is */
    void (*log)(const pare_training *t, pare_json *record); /* into the step's record */
} pare_method;

/* Opens everything: model, data, run folder, optimiser, the newest good checkpoint. On failure
 * what was opened is still to be closed. */
pare_status pare_training_open(pare_training *t, const pare_train_options *options);
void pare_training_close(pare_training *t);

/* A split of the data that the options name. */
pare_data_options pare_train_data(const pare_train_options *options, const char *split);

/* t->order becomes that of the epoch: a function of the seed and the epoch. */
pare_status pare_training_order(pare_training *t, int64_t epoch);

/* A line to whoever watches. */
void pare_training_note(const pare_training *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
