/* speed.h: what this machine makes of a model: products, passes, a training step, answers.
 *
 *   const pare_speed_plan plan = {.batch = 32, .length = 13, .rounds = 10};
 *   pare_speed speed;
 *   PARE_TRY(pare_speed_measure(model, &plan, &speed));
 *   speed.step.ms;
 *
 * Sentences are made of random tokens, all of one length. Products stand beside the peak of the
 * registers, passes beside the memory's triad (McCalpin 1995), the rest beside a limit made of
 * both, all measured in the same run: what else the machine does slows them alike. */
#ifndef PARE_TASKS_SPEED_H
#define PARE_TASKS_SPEED_H

#include "models/model.h"

enum { PARE_SPEED_PRODUCTS = 3, PARE_SPEED_PASSES = 4 };

typedef struct pare_speed_plan {
    int64_t batch, length; /* sentences, and tokens of each, in [1, max_position_embeddings] */
    int64_t rounds;        /* of each; medians are taken */
} pare_speed_plan;

/* y[m,n] = x[m,k] w[n,k]^T */
typedef struct pare_speed_product {
    const char *name; /* the matrix of a layer */
    int64_t m, n, k;
    double gflops, peak; /* the fastest run, and the registers' in GFLOP/s */
} pare_speed_product;

typedef struct pare_speed_pass {
    const char *name;
    double ms, gb_per_second; /* of what it must read and write once */
} pare_speed_pass;

/* What work takes, in milliseconds, and what it cannot take less than: 2 operations for each token
 * and weight of the encoder's matrices (a training step: 6) at 0.9 of the registers' peak; added to
 * them for a training step AdamW's 28 bytes a weight at the triad's speed. For one sentence it is
 * the longer of the operations and the reading of the weights. */
typedef struct pare_speed_work {
    double ms, limit_ms;
    double peak; /* of the registers between its runs: GFLOP/s, mean */
} pare_speed_work;

typedef struct pare_speed {
    int64_t tokens; /* batch * length */
    pare_speed_product products[PARE_SPEED_PRODUCTS];
    pare_speed_pass passes[PARE_SPEED_PASSES];
    double triad_gb_per_second;
    pare_speed_work step;    /* forward, backward, norm, clip, AdamW, with dropout */
    pare_speed_work forward; /* one batch without gradients */
    pare_speed_work answer;  /* one sentence */
} pare_speed;

/* The model needs a head with labels; its weights change. PARE_USAGE if the length is beyond its
 * positions. */
pare_status pare_speed_measure(pare_model *model, const pare_speed_plan *plan, pare_speed *out);

/* BERT-base (Devlin et al. 2019) with random weights and two labels. */
pare_status pare_speed_bert_base(pare_model **out);

#endif
