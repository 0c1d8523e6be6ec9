/* training.h: what a training run holds while it lasts: between setup.c and trainer.c only. */
#ifndef PARE_TASKS_TRAINING_H
#define PARE_TASKS_TRAINING_H

#include "autograd/tape.h"
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

/* Opens everything: model, data, run folder, optimiser, the newest good checkpoint. On failure
 * what was opened is still to be closed. */
pare_status pare_training_open(pare_training *t, const pare_train_options *options);
void pare_training_close(pare_training *t);

/* t->order becomes that of the epoch: a function of the seed and the epoch. */
pare_status pare_training_order(pare_training *t, int64_t epoch);

/* Seconds of a clock that only goes forward. */
double pare_seconds(void);

/* A line to whoever watches. */
void pare_training_note(const pare_training *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
