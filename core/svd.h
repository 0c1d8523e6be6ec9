/* svd.h: the singular value decomposition, the same bits on any machine. */
#ifndef PARE_CORE_SVD_H
#define PARE_CORE_SVD_H

#include <stdint.h>

#include "core/status.h"

/* The thin decomposition a[m,n] = u[m,k] diag(s[k]) vt[k,n], k = min(m, n), all row-major, s from
 * large to small. On one thread, with sums and products in double only: no kernel path, library or
 * thread count shows in the bits.
 *
 * Singular values below 1e-15 s[0] count as 0: their rows of vt and columns of u are zeros. The
 * others' are orthonormal to rounding on the shorter side (vt where m >= n); on the longer side
 * rounding grows by s[0] / s[i]. PARE_DIVERGED where a holds a value that is not finite. */
pare_status pare_svd(const double *a, int64_t m, int64_t n, double *u, double *s, double *vt);

#endif
