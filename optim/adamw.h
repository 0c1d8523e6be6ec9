/* adamw.h: AdamW (Loshchilov and Hutter 2019, algorithm 2) over a list of parameters.
 *
 *   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
 *   w = w (1 - lr decay) - lr m' / (sqrt(v') + epsilon)
 *
 * "adamw": m' = m / (1 - b1^t), v' = v / (1 - b2^t), epsilon 1e-8, as PyTorch does;
 * "bert": m' = m, v' = v, epsilon 1e-6, as BERT's own training code does. (Gates and multipliers
 * are always updated as by "adamw".)
 * b1 = 0.9, b2 = 0.999. Decay touches matrices only (pare_param.decay). A parameter whose tensor
 * got no gradient counts as having a zero one: its moments go on. Frozen ones have no state.
 *
 * Of tables of embeddings only the rows that a step touched have a gradient. The others' updates
 * wait until the row is read (pare_late_rows) or pare_optimizer_settle, and are then made one by
 * one, so with the same bits: in the cache, instead of a pass over the table in every step. A row
 * that no step touched so far has no moments: with m = v = g = 0 the update is w (1 - lr decay).
 *
 * Parameters are cut into fixed chunks, so sums and results do not depend on threads. */
#ifndef PARE_OPTIM_ADAMW_H
#define PARE_OPTIM_ADAMW_H

#include "core/status.h"
#include "core/tensor.h"

typedef struct pare_optimizer_chunk {
    int slot;       /* index into params[] */
    int64_t start, size;
} pare_optimizer_chunk;

enum { PARE_LATE_UPDATES = 64 }; /* so many wait at most */

/* What all parameters have in common in an update. */
typedef struct pare_optimizer_update {
    double learning_rate[PARE_GROUPS];
    double clip;
    double correction1, correction2; /* of the moments' bias */
} pare_optimizer_update;

typedef struct pare_optimizer {
    pare_param **params; /* [n] the trained ones, in the model's order */
    real **m, **v;       /* [n] moments, of each tensor's shape */
    int n;
    int64_t updates;     /* t: how many there have been */
    int64_t settled;     /* up to this one every row has had all */
    pare_optimizer_update latest[PARE_LATE_UPDATES]; /* update t is at t % PARE_LATE_UPDATES */
    double beta1, beta2, epsilon, weight_decay;
    bool bias_correction;
    pare_optimizer_chunk *chunks;
    double *chunk_squares;
    const real *zeros; /* a row's gradient where it has none */
    int64_t n_chunks;
    int64_t n_weights; /* of all trained tensors */
} pare_optimizer;

/* Takes the parameters of params[n] that are not frozen, gives each a gradient buffer and zero
 * moments in `arena`, and marks its tensor as needing gradients (frozen ones as not needing). The
 * tensors refer to these: no op may see them once the arena is gone.
 * variant is "adamw" or "bert". */
pare_status pare_optimizer_new(pare_arena *arena, pare_param *const *params, int n,
                               const char *variant, double weight_decay, pare_optimizer **out);

/* To be called when m, v and updates were read from elsewhere. */
void pare_optimizer_moments_changed(pare_optimizer *optimizer);

/* Makes all updates that wait: to be called before weights or moments are read in another way than
 * by an op, and before several threads read embeddings. */
void pare_optimizer_settle(pare_optimizer *optimizer);

/* The global norm of the weights' gradients (pare_group). A value of any group that is not finite
 * is PARE_DIVERGED, naming the tensor. */
pare_status pare_optimizer_norm(pare_optimizer *optimizer, double *norm);

/* One update at each group's learning rate, with the weights' gradients times `clip`; the gradients
 * are used up. Rows of tables that have none may wait (pare_optimizer_settle). */
void pare_optimizer_step(pare_optimizer *optimizer, const double learning_rate[PARE_GROUPS],
                         double clip);

/* PyTorch's clip_grad_norm_: min(1, limit / (norm + 1e-6)); limit 0 = no clipping. */
double pare_clip_factor(double norm, double limit);

#endif
