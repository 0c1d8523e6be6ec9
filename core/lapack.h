/* lapack.h: the singular value decomposition, by LAPACK (the only user of its header). */
#ifndef PARE_CORE_LAPACK_H
#define PARE_CORE_LAPACK_H

#include <stdint.h>

#include "core/status.h"

/* The thin decomposition a[m,n] = u[m,k] diag(s[k]) vt[k,n], k = min(m, n), all row-major, s from
 * large to small (dgesdd). a is overwritten. PARE_DIVERGED where a holds a value that is not finite
 * or LAPACK does not converge. */
pare_status pare_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *vt);

#endif
