/* blis.h: products by BLIS (the only user of its header), for the kernel path "blis".
 *
 * BLIS never threads here: core/gemm.c cuts the work into tiles and calls this from many threads.
 * Its small-matrix code is off, because there an element's bits depend on the matrix's size. */
#ifndef PARE_CORE_BLIS_H
#define PARE_CORE_BLIS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/real.h"

/* Makes BLIS ready, and on the first call tells it the CPU unless the environment's BLIS_ARCH_TYPE
 * does: its own detection takes several AVX-512 machines for lesser ones. Takes milliseconds. */
void pare_blis_start(void);

/* Its name for the kernels in use ("skx", "haswell", ...). */
const char *pare_blis_architecture(void);

/* C[m,n] = op(A)[m,k] op(B)[k,n], or += that, on the calling thread; as pare_gemm otherwise. */
void pare_blis_gemm(real *c, int64_t ldc, const real *a, int64_t lda, bool a_transposed,
                    const real *b, int64_t ldb, bool b_transposed, int64_t m, int64_t n, int64_t k,
                    bool accumulate);

#endif
