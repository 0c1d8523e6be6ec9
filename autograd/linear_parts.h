/* linear_parts.h: the products of a linear map and of its gradients.
 *
 * Between op_linear.c and op_gated_linear.c only. Scratch that they take is given back by the
 * caller. Failures are noted on the tape, and what is NULL makes nothing. */
#ifndef PARE_AUTOGRAD_LINEAR_PARTS_H
#define PARE_AUTOGRAD_LINEAR_PARTS_H

#include "autograd/tape.h"
#include "core/kernels.h"

/* The rows of act(x), for products: x itself, or a copy in scratch. */
pare_numbers pare_activated(pare_tape *t, const pare_tensor *x, pare_activation act);

/* y[rows,out] = x·wᵀ + bias, w[out,in], bias NULL or [out]. */
void pare_product(pare_tape *t, real *y, pare_numbers x, const pare_tensor *w, const real *bias,
                  int64_t rows);

/* dw[out,in] (+)= dyᵀ·a for a[rows,in], dy[rows,out]. */
void pare_weight_grad(pare_tape *t, pare_tensor *w, pare_numbers dy, pare_numbers a, int64_t rows);

/* da[rows,in] = or += dy·w for dy[rows,out]. */
void pare_input_product(pare_tape *t, real *da, pare_numbers dy, const pare_tensor *w, int64_t rows,
                        bool add);

/* dx (+)= (dy·w) act'(x). */
void pare_input_grad(pare_tape *t, pare_tensor *x, pare_activation act, pare_numbers dy,
                     const pare_tensor *w);

/* db (+)= the sum of dy's rows; b may be NULL. */
void pare_bias_grad(pare_tape *t, pare_tensor *b, pare_numbers dy, int64_t rows);

#endif
