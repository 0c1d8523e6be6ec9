/* blis.c: sets BLIS up for this CPU and calls it with one thread. */
#include "core/blis.h"

#include <blis.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/cpu.h"

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void start(void)
{
    /* Numbers of BLIS's arch_t: skx is 0 and haswell 3 in every release since 0.6. */
    static const char *const types[PARE_ISA_COUNT] = {NULL, "3", "0"};
    pare_isa isa = PARE_ISA_AVX512;
    while (isa > PARE_ISA_PORTABLE && !pare_cpu_supports(isa))
        isa--;
    if (types[isa])
        setenv("BLIS_ARCH_TYPE", types[isa], 0);
    bli_init();
}

void pare_blis_start(void)
{
    pthread_once(&started, start);
}

const char *pare_blis_architecture(void)
{
    pare_blis_start();
    return bli_arch_string(bli_arch_query_id());
}

void pare_blis_gemm(real *c, int64_t ldc, const real *a, int64_t lda, bool a_transposed,
                    const real *b, int64_t ldb, bool b_transposed, int64_t m, int64_t n, int64_t k,
                    bool accumulate)
{
    trans_t op_a = a_transposed ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE;
    trans_t op_b = b_transposed ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE;
    real one = 1, beta = accumulate;
    rntm_t threads;
    pare_blis_start();
    bli_rntm_init_from_global(&threads);
    bli_rntm_set_num_threads(1, &threads);
    bli_rntm_disable_l3_sup(&threads);
    /* BLIS takes pointers to its operands without const, and does not write to A and B. */
#ifdef PARE_DOUBLE
    bli_dgemm_ex(op_a, op_b, m, n, k, &one, (real *)(uintptr_t)a, lda, 1, (real *)(uintptr_t)b,
                 ldb, 1, &beta, c, ldc, 1, NULL, &threads);
#else
    bli_sgemm_ex(op_a, op_b, m, n, k, &one, (real *)(uintptr_t)a, lda, 1, (real *)(uintptr_t)b,
                 ldb, 1, &beta, c, ldc, 1, NULL, &threads);
#endif
}
