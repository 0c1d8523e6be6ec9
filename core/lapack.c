/* lapack.c: dgesdd, on one thread: main pins the BLAS behind it. */
#include "core/lapack.h"

#include <lapacke.h>
#include <math.h>

pare_status pare_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *vt)
{
    const int64_t k = m < n ? m : n;
    if (m > INT32_MAX || n > INT32_MAX)
        return pare_fail(PARE_INPUT, "a matrix of %lld x %lld is too large for LAPACK",
                         (long long)m, (long long)n);
    for (int64_t i = 0; i < m * n; i++)
        if (!isfinite(a[i]))
            return pare_fail(PARE_DIVERGED, "element %lld is not finite", (long long)i);
    const lapack_int info = LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', (lapack_int)m, (lapack_int)n, a,
                                           (lapack_int)n, s, u, (lapack_int)k, vt, (lapack_int)n);
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return pare_fail(PARE_MEMORY, "out of memory in LAPACK's dgesdd");
    if (info != 0)
        return pare_fail(PARE_DIVERGED, "LAPACK's dgesdd did not converge (%d)", (int)info);
    return PARE_OK;
}
