/* factors.h: a factorised matrix as the dense one that it stands for. */
#ifndef PARE_MODELS_FACTORS_H
#define PARE_MODELS_FACTORS_H

#include "models/model.h"

/* The rows and columns of `to` that `from` has become Q·diag(z)·P over the ranks with keep[rank],
 * summed in double; z[rank] and keep[rank] may be NULL: all 1, all kept. `from` has factors, `to`
 * is as large or larger. PARE_MEMORY. */
pare_status pare_factors_multiply(const pare_weight *from, const real *z, const bool *keep,
                                  pare_tensor *to);

#endif
