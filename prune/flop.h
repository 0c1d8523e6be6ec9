/* flop.h: factorised matrices whose ranks are learnt, under a target for their size (FLOP: Wang et
 * al. 2019, arXiv 1910.04732; hard concrete gates: Louizos et al. 2018, arXiv 1712.01312).
 *
 *   PARE_TRY(pare_flop_factorize(model, which, true, &factorised)); // P·Q by singular values
 *   PARE_TRY(pare_flop_list_new(arena, factorised, &list));
 *   PARE_TRY(pare_flop_sample(&tape, &list, beta, gates));         // z of this step
 *   pass.rank_gates = gates; ...                                   // forward, backward
 *   pare_flop_lagrangian(&list, model->lambda, &terms);            // adds its gradients
 *
 * Sizes count the factorised matrices only: (in + out) a rank. */
#ifndef PARE_PRUNE_FLOP_H
#define PARE_PRUNE_FLOP_H

#include "models/bert.h"

/* One factorised matrix of a model. */
typedef struct pare_flop_matrix {
    int64_t layer;
    pare_matrix matrix;
    pare_weight *weight;
    int64_t in, out, rank;
} pare_flop_matrix;

typedef struct pare_flop_list {
    int64_t n;
    pare_flop_matrix *at;  /* [n] layer by layer, in the order of pare_matrix */
    double prunable;       /* sum of (in + out) rank */
    double dense;          /* sum of in * out: what they were before */
} pare_flop_list;
pare_status pare_flop_list_new(pare_arena *arena, pare_model *model, pare_flop_list *out);

/* in * out of all the encoder's matrices, whatever they are factorised into. */
double pare_flop_dense_size(const pare_model *model);

/* ---- factorising ---- */

/* The model with every matrix m of each layer for which which[m] is set replaced by the factors of
 * its thin singular value decomposition, W = U S Vᵀ: P = U √S, Q = √S Vᵀ, of rank min(in, out): the
 * same function, to rounding. A layer without heads has no attention matrices. PARE_INPUT for a
 * model that is factorised already. With `gated`, every rank has a gate to be trained,
 * log_alpha 0. `old` stays as it is; the history tells. */
pare_status pare_flop_factorize(const pare_model *old, const bool which[PARE_MATRICES],
                                bool gated, pare_model **out);

/* What pare_flop_project drops last, when nothing was learnt: truncated decompositions. */
typedef enum pare_flop_order {
    PARE_FLOP_UNIFORM,        /* the same share of every matrix's ranks */
    PARE_FLOP_SINGULAR_VALUES /* the largest singular values of all matrices */
} pare_flop_order;

/* Writes that order into the gates' log_alpha. Ranks must be as pare_flop_factorize left them. */
void pare_flop_rank_by(const pare_flop_list *list, pare_flop_order order);

/* Which matrices are multiplied back to dense: those that are smaller so, or those that are faster,
 * too, by a measurement at 800 rows: not the same on every machine, and larger than the target. */
typedef enum pare_flop_fold { PARE_FLOP_FOLD_SIZE, PARE_FLOP_FOLD_TIME } pare_flop_fold;

/* ---- gates ---- */

/* How likely a gate is to be open: sigmoid(log_alpha - beta log(0.1 / 1.1)). */
double pare_flop_open(double log_alpha, double beta);

/* The expected number of open gates: the sum of that. */
double pare_flop_expected(const real *log_alpha, int64_t n, double beta);

typedef enum pare_flop_rule {
    PARE_FLOP_TOPK,   /* round(n - expected) gates with the lowest log_alpha are shut, the others
                       * are sigmoid(0.8 log_alpha / beta) */
    PARE_FLOP_STRETCH /* clamp(1.2 sigmoid(log_alpha) - 0.1, 0, 1) */
} pare_flop_rule;

/* What an open gate is under PARE_FLOP_TOPK. */
double pare_flop_soft(double log_alpha, double beta);

/* z[n]: the gates that are used at evaluation. */
pare_status pare_flop_mask(pare_flop_rule rule, const real *log_alpha, int64_t n, double beta,
                           real *z);

/* Room for model->masks, gates that are in force from then on wherever a pass names none, and that
 * live as long as the model; nothing where it has been made. Their values are the caller's. */
pare_status pare_flop_make_masks(pare_model *model, const pare_flop_list *list);

/* The masks are made, and follow log_alpha as it is now. */
pare_status pare_flop_set_masks(pare_model *model, const pare_flop_list *list,
                                pare_flop_rule rule, double beta);

/* gates[num_hidden_layers * PARE_MATRICES] for pare_bert_pass: a sample a matrix, the same for the
 * whole batch, keyed by the tape's seed and step. */
pare_status pare_flop_sample(pare_tape *tape, const pare_flop_list *list, double beta,
                             pare_tensor **gates);

/* ---- the augmented Lagrangian ---- */

/* L = lambda1 (s - t) + lambda2 (s - t)^2, s = 1 - expected / prunable. */
typedef struct pare_flop_terms {
    double lambda1, lambda2, target, beta; /* given */
    double sparsity, value;                /* s and L */
    double grad_lambda1, grad_lambda2;     /* of L */
} pare_flop_terms;

/* Computes s, L and the gradients, and adds that of log_alpha to each matrix's log_alpha.grad. An
 * optimiser goes down gradients and the multipliers go up: lambda.grad, unless lambda is NULL,
 * becomes minus theirs. */
void pare_flop_lagrangian(const pare_flop_list *list, pare_param *lambda, pare_flop_terms *terms);

/* s alone. */
double pare_flop_sparsity(const pare_flop_list *list, double beta);

/* ---- steering (flop_control.c) ---- */

/* Where gates begin: log_alpha = mean + spread * standardised log singular value, the values
 * standardised over all matrices of the list, or over each matrix's own ranks; or the same mean for
 * all, with normal noise of deviation 0.01 (keyed by the seed). Ranks must be as
 * pare_flop_factorize left them. */
typedef enum pare_flop_start {
    PARE_FLOP_START_EQUAL,
    PARE_FLOP_START_MATRIX,
    PARE_FLOP_START_GLOBAL
} pare_flop_start;
void pare_flop_begin(const pare_flop_list *list, pare_flop_start start, double mean, double spread,
                     uint64_t seed);

/* Factorised with gates that begin so. */
pare_status pare_flop_gated(const pare_model *dense, const bool which[PARE_MATRICES],
                            pare_flop_start start, double mean, double spread, uint64_t seed,
                            pare_model **out);

/* Adds one number to every log_alpha, so that s becomes `target`, which must lie in (0, 1); returns
 * it. */
double pare_flop_shift(const pare_flop_list *list, double beta, double target);

/* The share of gates whose probability to be open is within 0.1 ... 0.9. */
double pare_flop_undecided(const pare_flop_list *list, double beta);

/* ---- what is left ---- */

/* Of every matrix of a list which ranks stay, and their gates. */
typedef struct pare_flop_choice {
    bool **keep; /* [list->n][rank] */
    real **z;    /* [list->n][rank] */
} pare_flop_choice;

/* Flags that are not set yet, and gates of 1, in the arena. */
pare_status pare_flop_choice_new(pare_arena *arena, const pare_flop_list *list,
                                 pare_flop_choice *out);

/* What rank r of in x out costs: r (in + out), or in * out where multiplying back is smaller. */
double pare_flop_cost(const pare_flop_matrix *matrix, int64_t rank);

/* One global order of all ranks, by log_alpha (of equals the earlier layer, matrix, rank first):
 * keep[k][i], of list->at[k]'s rank i, is set from the top in blocks of `block` ranks of a matrix
 * as long as the kept ranks' cost is `budget` at most, and then once more where one block comes
 * nearer to it; every matrix keeps its best block. *cost is what they cost; blocks that cost too
 * much by themselves are PARE_USAGE. keep has list->n arrays of each matrix's rank. */
pare_status pare_flop_project(const pare_flop_list *list, double budget, int64_t block,
                              bool *const *keep, double *cost);

/* Ranks that products like of a matrix of so many: 32 of 256 and more, else 1; and of a list: what
 * suits its smallest matrix. */
int64_t pare_flop_rank_block(int64_t rank);
int64_t pare_flop_block(const pare_flop_list *list);

/* Whether y = x·W is faster than y = (x·P)·Q of that rank here and now, at 800 rows: by the median
 * of several turns; false without memory. */
bool pare_flop_dense_is_faster(int64_t in, int64_t out, int64_t rank);

/* Factorised and truncated without learning: ranks go by that order until `target` of all the
 * encoder's weights are gone. A target that the matrices cannot reach is PARE_USAGE. */
pare_status pare_flop_truncate(const pare_model *dense, const bool which[PARE_MATRICES],
                               double target, pare_flop_order order, pare_flop_fold fold,
                               pare_model **out);

/* What the list's matrices may cost, so that `target` of the dense encoder's weights goes;
 * PARE_USAGE if they are too few. */
pare_status pare_flop_budget(const pare_flop_list *list, double encoder, double target,
                             double *budget);

/* The model with the kept ranks only, their gates z[k][i] folded into the factors; a matrix that
 * `fold` says is better multiplied back becomes dense. No gates are left. The history tells. */
pare_status pare_flop_compact(const pare_model *old, const pare_flop_list *list,
                              bool *const *keep, real *const *z, pare_flop_fold fold,
                              pare_model **out);

#endif
