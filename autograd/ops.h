/* ops.h: the ops of the tape: shapes, formulas, what each keeps for its gradient.
 *
 * T = tokens of the batch, S = sentences, H = hidden size. Every op returns its output in the step
 * arena; NULL in gives NULL out (autograd/tape.h). Tensors that need no gradient cost nothing in
 * the backward pass. */
#ifndef PARE_AUTOGRAD_OPS_H
#define PARE_AUTOGRAD_OPS_H

#include "autograd/tape.h"
#include "core/kernels.h"
#include "core/packed.h"

/* Where dropout stands, and how strong it is. `site` tells sites of one model apart:
 * layer | place << 8. Off where probability is 0 or the tape is not training. */
typedef struct pare_dropout_site {
    uint32_t site;
    double probability;
} pare_dropout_site;

/* x[T,H] = dropout(LayerNorm(word[id] + position[place] + type[segment])). A row that a table lacks
 * is PARE_INPUT. The row `padding` of word gets no gradient, as in transformers; -1: there is no
 * such row. */
pare_tensor *pare_embed(pare_tape *t, const pare_packed *batch, pare_tensor *word, int64_t padding,
                        pare_tensor *position, pare_tensor *type, pare_tensor *gamma,
                        pare_tensor *beta, double eps, pare_dropout_site dropout);

/* y[n,out] = act(x)[n,in]·Wᵀ + b, w[out,in], b[1,out] (b may be NULL). The activation stands on
 * the input side, so that act(x) need not be kept: its gradient computes a large one again. */
pare_tensor *pare_linear(pare_tape *t, pare_tensor *x, pare_activation act, pare_tensor *w,
                         pare_tensor *b);

/* y[i] = x[n,in]·W_iᵀ + b_i for some maps of one shape: the same bits as one by one, but the
 * products have x packed once for all. On failure every y[i] is NULL. y[0] must be used where the
 * others are. */
enum { PARE_MAPS_MAX = 3 };
typedef struct pare_linear_map {
    pare_tensor *w, *b; /* [out,in], [1,out] or NULL */
} pare_linear_map;
void pare_linears(pare_tape *t, pare_tensor *x, const pare_linear_map *maps, int n,
                  pare_tensor **y);

/* y[n,out] = ((act(x)[n,in]·Pᵀ) ⊙ z)·Qᵀ + b: a factorised map with a gate a rank, p[rank,in],
 * z[1,rank] (NULL: no gates), q[out,rank], b[1,out] (Wang et al. 2019, arXiv 1910.04732). Keeps
 * act(x)·Pᵀ. A gate that is exactly 0 gets no gradient, and its rank costs nothing. */
pare_tensor *pare_gated_linear(pare_tape *t, pare_tensor *x, pare_activation act, pare_tensor *p,
                               pare_tensor *z, pare_tensor *q, pare_tensor *b);

/* z[1,n] = clamp(1.2 s - 0.1, 0, 1), s = sigmoid((log u - log(1 - u) + log_alpha) / beta): hard
 * concrete gates (Louizos et al. 2018, arXiv 1712.01312) of the uniform numbers u[n] in (0, 1),
 * which stay where they are until the gradient is taken. */
pare_tensor *pare_hard_concrete(pare_tape *t, pare_tensor *log_alpha, const double *u,
                                double beta);

/* context[T, heads * size]: softmax(q·kᵀ / sqrt(size)) with dropout, times v, in each sentence and
 * head (Vaswani et al. 2017). With first_only, q and the context have one row a sentence: [CLS].
 * Keeps nothing but q, k, v: the gradient computes the probabilities again. q, k and v must be
 * three tensors: their gradients are written side by side. is_operand: only linear and gated_linear
 * will read the context. */
pare_tensor *pare_attention(pare_tape *t, pare_tensor *q, pare_tensor *k, pare_tensor *v,
                            const pare_packed *batch, int64_t heads, bool first_only,
                            pare_dropout_site dropout, bool is_operand);

/* y[n, heads * size] = x, each head's columns times its gate: gates[1,heads] for all rows, or
 * gates[n,heads]. Gates of 0 switch heads off (Michel et al. 2019); the gradient of gates of 1 is
 * each head's part in the loss. */
pare_tensor *pare_gate_heads(pare_tape *t, pare_tensor *x, pare_tensor *gates);

/* y[n,H] = LayerNorm(residual + dropout(a)). a's content is overwritten by the sum: a must come
 * from an op whose gradient does not read its output (linear). */
pare_tensor *pare_add_norm(pare_tape *t, pare_tensor *a, pare_tensor *residual, pare_tensor *gamma,
                           pare_tensor *beta, double eps, const pare_rows *rows,
                           pare_dropout_site dropout);

/* y[S,H]: each sentence's first row of x[T,H]. */
pare_tensor *pare_first_rows(pare_tape *t, pare_tensor *x, const pare_packed *batch);

/* y = act(x), and y = x with dropout. */
pare_tensor *pare_activate(pare_tape *t, pare_tensor *x, pare_activation act);
pare_tensor *pare_dropout(pare_tape *t, pare_tensor *x, const pare_rows *rows,
                          pare_dropout_site dropout);

/* loss[1,1] = weight * sum over rows of -probabilities · log softmax(logits), both [S,C] (Hinton et
 * al. 2015, arXiv 1503.02531). The probabilities must live as long as the tape's step. */
pare_tensor *pare_soft_cross_entropy(pare_tape *t, pare_tensor *logits,
                                     const double *probabilities, double weight);

/* The same with a probability of 1 for each row's label, in [0, C). */
pare_tensor *pare_cross_entropy(pare_tape *t, pare_tensor *logits, const int32_t *labels,
                                double weight);

/* loss[1,1] = weight * sum over rows of (scores[S,1] - target)^2. */
pare_tensor *pare_squared_error(pare_tape *t, pare_tensor *scores, const double *targets,
                                double weight);

#endif
