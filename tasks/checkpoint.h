/* checkpoint.h: a training state as one file: the model, the optimiser's moments, the counters.
 *
 * The file is a model file too (docs/checkpoint.md): its extra arrays are "training/m/<name>" and
 * "training/v/<name>", its extra attributes "training.<counter>". Random numbers need no state:
 * they are functions of the seed and the step. */
#ifndef PARE_TASKS_CHECKPOINT_H
#define PARE_TASKS_CHECKPOINT_H

#include "models/model.h"
#include "optim/adamw.h"

/* The counters of a run. Everything that a resumed run needs beside tensors. */
typedef struct pare_progress_state {
    int64_t step;            /* updates made */
    int64_t best_step;       /* 0: nothing evaluated yet */
    double best_score;
    int64_t bad_evaluations; /* since the best one */
    int64_t evaluated_step;  /* the last step that was evaluated; 0: none */
    int64_t examples, tokens; /* trained on so far */
    int64_t skipped;         /* steps without an update, as they were not finite */
    double train_seconds;    /* in training steps, over all sessions */
    double run_seconds;      /* of the whole run, over all sessions */
} pare_progress_state;

/* What the file says beside the state, to compare with what the user asks for now. */
typedef struct pare_checkpoint_text {
    char *recipe;   /* JSON object: every option that the resulting bits depend on */
    char *kernels;  /* kernel path, as pare_gemm_path names it */
    char *metrics;  /* JSON object: the last evaluation's metrics; "" before one */
    char *best_metrics;
} pare_checkpoint_text;

pare_status pare_checkpoint_save(const char *path, const pare_model *model,
                                 const pare_optimizer *optimizer,
                                 const pare_progress_state *state,
                                 const pare_checkpoint_text *text);

/* Reads the file's counters and texts (owned by the arena), and its model, into a new model. */
pare_status pare_checkpoint_open(const char *path, pare_arena *arena, pare_model **model,
                                 pare_progress_state *state, pare_checkpoint_text *text);

/* Fills the moments of an optimiser that was made for the model of that file. */
pare_status pare_checkpoint_moments(const char *path, pare_optimizer *optimizer);

/* Bytes that a checkpoint of these will take. */
pare_status pare_checkpoint_estimate(const pare_model *model, const pare_optimizer *optimizer,
                                     uint64_t *bytes);

#endif
