/* flop_run.h: FLOP pruning, from a dense model to a smaller, fine-tuned one, in one resumable run.
 *
 *   phase      makes, in the run's folder
 *   dense      dense/            a fine-tuned model, if the one at hand has no head for the task
 *   factorise  factorised.h5     every matrix as P·Q, with gates            (method flop)
 *   masks      masks/            gates trained; compact-X.h5 at each target (method flop)
 *   truncate   compact-X.h5      by singular values                    (methods svd, svd-global)
 *   finetune   finetuned-X/      each of them fine-tuned, with the dense model as its teacher
 *   measure    eval_results.json, eval_results.txt, info.txt, last.h5, best.h5
 *
 * What is there already is not made again, and a phase that was interrupted goes on from its
 * checkpoint: the models are the same bits. Method svd has as many steps in all as flop has. */
#ifndef PARE_TASKS_FLOP_RUN_H
#define PARE_TASKS_FLOP_RUN_H

#include "tasks/masks.h"
#include "tasks/trainer.h"

typedef struct pare_flop_options {
    pare_train_options train;  /* of every phase; output is the run's folder */
    pare_mask_options masks;   /* but for targets, files, n_targets, encoder, initial */
    const char *method;        /* "flop", "svd" or "svd-global" */
    bool which[PARE_MATRICES]; /* the matrices that are factorised */
    double target;             /* < 0: the last of `targets` */
    double targets[PARE_MAX_TARGETS]; /* [n_targets] rising: snapshots */
    int n_targets;
    bool of_factorised;        /* targets are shares of the factorised size */
    double mask_epochs;        /* 0: as many as train.epochs, but 1,000 steps at least */
    pare_flop_start start;
    double gate_mean, gate_spread;
    double final_epochs;       /* of the last fine-tuning */
    double final_learning_rate; /* 0: train.learning_rate */
    bool distill;
    double max_score_drop;     /* < 0: the main target's model is the result; else the smallest
                                * whose score is at most so much lower */
} pare_flop_options;

/* The result, to be freed: {"task", "method", "target", "sparsity": {"factorised": {"expected",
 * "realised"}, "dense": {...}}, "miss_before_projection", "undecided_gates", "parameters":
 * {"before", "after", "encoder_before", "encoder_after"}, "metrics": {"before", "after"},
 * "bytes", "memory_bytes", "eval_seconds": {"before", "after"}, "train_seconds",
 * "latency_ms": {"before": {"1", "8", "32"}, "after"}, "missed", "score_missed", "models": [the
 * same for each target]}. `missed`: a realised size is more than 0.01 from its target;
 * `score_missed`: no score is within max_score_drop, and the result is the largest model. */
pare_status pare_flop_run(const pare_flop_options *options, pare_json **result);

/* The phase "masks" by itself, on a model that has gates: train.output becomes an ordinary run
 * folder with compact-X.h5 for each target in it. The result is pare_finetune's, and "missed" as
 * above. */
pare_status pare_flop_train(const pare_flop_options *options, pare_json **result);

/* A dense model, its matrices truncated to the first target by the method: "svd-global", or any
 * other as svd. *missed is set: the size is more than 0.01 from the target. */
pare_status pare_flop_truncate_model(const pare_flop_options *options, pare_model *dense,
                                     pare_model **out, bool *missed);

/* A model with gates, compacted to the first target; train.model is its name in messages. Its
 * history tells, under "flop masks", what was gone before the projection. */
pare_status pare_flop_compact_gated(const pare_flop_options *options, pare_model *gated,
                                    pare_model **out, bool *missed);

/* ---- between flop_run.c, flop_targets.c and flop_report.c ---- */

/* The model of one target. */
typedef struct pare_flop_model {
    double asked;             /* as the user gave it */
    double gone;              /* the share of the dense encoder that this is */
    char *compact, *folder;   /* compact-X.h5, finetuned-X */
    char *last;               /* finetuned-X/last.h5 */
} pare_flop_model;

typedef struct pare_flop_state {
    const pare_flop_options *options;
    pare_arena *arena;
    pare_run_folder run;
    bool headed;              /* the model at hand has a head for the data */
    double began;             /* pare_seconds(), for train.max_seconds of all phases */
    const char *dense;        /* the model that is pruned, with a head */
    double encoder;           /* weights of all its matrices, dense */
    double factorised, rest;  /* of full-rank factors, and of the matrices that have none */
    uint32_t data_crc;        /* of the training data */
    double least;             /* what they cost at the least: one block of ranks each */
    pare_flop_model *models;  /* [n] */
    int n, main;
    int64_t mask_steps, steps_per_epoch;
} pare_flop_state;

/* Makes models and n of the options' targets, which rise, lie between 0 and 1 and have the main one
 * among them: PARE_USAGE where they don't. */
pare_status pare_flop_list_targets(pare_flop_state *s);

/* The sizes of a model's matrices, of those that have factors (`gated`) or of a dense one's that
 * will have, and what the targets are of them: PARE_USAGE for one that would need no pruning at
 * all, or is beyond reach. */
pare_status pare_flop_aim(pare_flop_state *s, const pare_model *m, bool gated);

/* Whether an encoder of so many weights is more than 0.01 from the i-th target. */
bool pare_flop_missed(const pare_flop_state *s, int i, int64_t encoder);

/* Measures all models and writes the result's files. */
pare_status pare_flop_report(pare_flop_state *s, pare_json **result);

#endif
