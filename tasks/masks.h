/* masks.h: gates that learn, while a model is fine-tuned, which ranks of its matrices stay.
 *
 * A method of the trainer, under an augmented Lagrangian (Wang et al. 2019, arXiv 1910.04732):
 *
 *   pare_masks masks = {.options = {...}};
 *   train.method = &pare_masks_method, train.method_state = &masks;
 *   PARE_TRY(pare_finetune(&train, &result));      // writes a compacted model at each target
 *
 * Targets are reached one after the other, in equal parts of the run: a staircase. In each part the
 * target for the expected sparsity rises in a straight line from the last one's (at first: from
 * what the gates begin with) for options.ramp of it, and then stays. At its end the model is
 * compacted to the target and saved, and training goes on. */
#ifndef PARE_TASKS_MASKS_H
#define PARE_TASKS_MASKS_H

#include "prune/flop.h"
#include "tasks/training.h"

enum { PARE_MAX_TARGETS = 32 };

typedef struct pare_mask_options {
    const double *targets; /* [n_targets] rising: the share of the encoder's weights that goes */
    char *const *files;    /* [n_targets] where the models go */
    int n_targets;
    double encoder;        /* weights of all the encoder's matrices while they were dense */
    double initial;        /* pare_flop_sparsity of the model at the run's start */
    double temperature;    /* beta */
    double learning_rate;  /* of the weights, constant after the warm-up; 0: they are frozen */
    double gate_learning_rate;       /* 0: max(0.05, 150 / steps) */
    double multiplier_learning_rate; /* 0: 300 / steps */
    const char *gate_schedule;       /* "constant" or "noam": of gates and multipliers */
    int64_t noam_warmup;
    double noam_dimension;
    double ramp;           /* the part of a stair in which its target rises, 0 ... 1 */
    const char *mask_rule; /* "topk" or "stretch": the gates at evaluation and compaction */
    const char *guard;     /* "always", "held" (after the ramp) or "never": shift the gates where
                            * the expected sparsity is more than 0.005 from its target */
    const char *fold;      /* "size" or "time": pare_flop_fold */
    bool projection;       /* compact to the target exactly; else to what the mask leaves */
    double regularization_scale; /* adds scale * w to the gradients of all factors */
} pare_mask_options;

/* A mask training; options are the caller's, the rest is made by the method. */
typedef struct pare_masks {
    pare_mask_options options;
    pare_flop_list list;
    pare_flop_terms terms;   /* of the last update */
    double rates[PARE_GROUPS];
    double guard;            /* what the guard added to the gates in the last update */
    double regularization;   /* scale / 2 * sum of squares, if there is a scale */
} pare_masks;

extern const pare_method pare_masks_method;

/* Adds to `recipe` every number of the method that a user may choose, but for the targets. */
void pare_masks_recipe(const pare_mask_options *options, pare_json *recipe);

/* The pare_flop_mask rule and the pare_flop_fold of that name. */
pare_flop_rule pare_mask_rule(const char *name);
pare_flop_fold pare_mask_fold(const char *name);

/* What of the dense encoder's weights is gone if the factorised ones cost so much. */
double pare_masks_gone(const pare_flop_list *list, double encoder, double cost);

/* The model compacted to `target`. Its history tells, under "flop masks": target, expected and
 * realised sparsity before the projection, against both sizes, and the share of undecided gates.
 * The first examples of `encoded` (NULL: none) are answered by both models: logits that differ by
 * more than 1e-4 of their size are PARE_INTERNAL. Leaves the masks that were kept in force. */
pare_status pare_masks_compact(pare_masks *masks, pare_model *model, double target,
                               const pare_encoded *encoded, pare_model **out);

#endif
