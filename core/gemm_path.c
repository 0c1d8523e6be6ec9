/* gemm_path.c: the choice of kernels, their name, and how fast they are. */
#include "core/gemm_path.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "core/blis.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "core/gemm.h"
#include "core/memory.h"
#include "core/threads.h"

/* The kernels of bf16 in use; NULL: products are of floats. */
static const pare_gemm_kernels *bf16_kernels;

const pare_gemm_kernels *pare_gemm_kernels_get(void)
{
    static const pare_gemm_kernels *const table[PARE_ISA_COUNT] = {
        &pare_gemm_portable,
#if defined(__x86_64__)
        &pare_gemm_avx2, &pare_gemm_avx512
#endif
    };
    return bf16_kernels ? bf16_kernels : table[pare_cpu_isa()];
}

/* BLIS has no bf16. */
bool pare_gemm_by_blis(void)
{
    return pare_kernels_blis() && !bf16_kernels;
}

/* ---- Precision ---- */

pare_precision pare_gemm_precision(void)
{
    return bf16_kernels ? PARE_PRECISION_BF16 : PARE_PRECISION_FP32;
}

#ifdef PARE_DOUBLE
pare_status pare_gemm_precision_set(pare_precision precision)
{
    return precision == PARE_PRECISION_FP32 ? PARE_OK
                                  : pare_fail(PARE_USAGE, "products of doubles have no bf16");
}
#else
enum { TRY_M = 35, TRY_N = 41, TRY_K = 71 };

/* A product of small whole numbers, which bf16 and sums in float hold exactly. */
static pare_status multiplies_right(const pare_gemm_kernels *with, bool *right)
{
    static real a[TRY_M * TRY_K], b[TRY_K * TRY_N], c[TRY_M * TRY_N];
    bf16_kernels = with;
    void *workspace = pare_malloc(pare_gemm_workspace(TRY_M, TRY_N, TRY_K));
    if (!workspace)
        return PARE_MEMORY;
    for (int i = 0; i < TRY_M * TRY_K; i++)
        a[i] = (real)(i % 11 - 5);
    for (int i = 0; i < TRY_K * TRY_N; i++)
        b[i] = (real)(i % 7 - 3);
    pare_gemm(c, TRY_N, a, TRY_K, false, b, TRY_N, false, TRY_M, TRY_N, TRY_K, false, NULL,
              workspace);
    pare_free(workspace);
    *right = true;
    for (int i = 0; i < TRY_M; i++)
        for (int j = 0; j < TRY_N; j++) {
            int sum = 0;
            for (int q = 0; q < TRY_K; q++)
                sum += ((i * TRY_K + q) % 11 - 5) * ((q * TRY_N + j) % 7 - 3);
            *right = *right && c[i * TRY_N + j] == (real)sum;
        }
    return PARE_OK;
}

/* The best for the kernel path that computes what it should: this is the only test that AMX gets
 * on a machine that nobody has tried. */
pare_status pare_gemm_precision_set(pare_precision precision)
{
    static const pare_gemm_kernels *const rounding[PARE_ISA_COUNT] = {
        &pare_gemm_portable_bf16,
#if defined(__x86_64__)
        &pare_gemm_avx2_bf16, &pare_gemm_avx512_bf16
#endif
    };
    static const pare_gemm_kernels *const pairs[PARE_BF16_COUNT] = {
        NULL,
#if defined(__x86_64__)
        &pare_gemm_avx512bf16, &pare_gemm_amx
#endif
    };
    bool right = false;
    bf16_kernels = NULL;
    if (precision == PARE_PRECISION_FP32)
        return PARE_OK;
    const pare_gemm_kernels *best = pairs[pare_cpu_bf16()];
    if (best)
        PARE_TRY(multiplies_right(best, &right));
    bf16_kernels = right ? best : rounding[pare_cpu_isa()];
    assert(bf16_kernels); /* or --precision bf16 would compute in fp32, unsaid */
    return PARE_OK;
}
#endif

/* ---- What it does ---- */

/* "bf16-amx"; what rounds to bf16 and multiplies floats, "bf16-avx512". */
static const char *path_of_bf16(void)
{
    return bf16_kernels->pair > 1 ? pare_bf16_name(pare_cpu_bf16()) : pare_isa_name(pare_cpu_isa());
}

const char *pare_gemm_path(void)
{
    static _Thread_local char text[64];
    const char *precision = sizeof(real) == 8 ? "fp64" : "fp32";
    const char *blis = pare_gemm_by_blis() ? pare_blis_architecture() : NULL;
    if (bf16_kernels)
        snprintf(text, sizeof text, "bf16-%s", path_of_bf16());
    else
        snprintf(text, sizeof text, "%s%s%s-%s", precision, blis ? "-blis-" : "", blis ? blis : "",
                 pare_isa_name(pare_cpu_isa()));
    return text;
}

enum { PEAK_ROUNDS = 100000 };

static void peak_tile(void *context, int64_t tile)
{
    const pare_gemm_kernels *with = context;
    (void)tile;
    with->peak(PEAK_ROUNDS);
}

double pare_gemm_peak(void)
{
    const pare_gemm_kernels *with = pare_gemm_kernels_get();
    int threads = pare_threads();
    double start = pare_seconds();
    pare_parallel(threads, peak_tile, (void *)(uintptr_t)with);
    return 1e-9 * PEAK_ROUNDS * (double)with->peak_operations * threads / (pare_seconds() - start);
}

/* a holds A[m,k], B[n,k] and C[m,n]. */
static void measure(real *a, int64_t m, int64_t n, int64_t k, void *workspace, double *gflops,
                    double *peak)
{
    real *b = a + m * k, *c = b + n * k;
    for (int64_t i = 0; i < (m + n) * k; i++)
        a[i] = (real)(i % 7 - 3);
    for (int run = 0; run < 30; run++) {
        double start = pare_seconds();
        pare_gemm(c, n, a, k, false, b, k, true, m, n, k, false, NULL, workspace);
        double end = pare_seconds();
        *gflops = fmax(*gflops, 2e-9 * (double)m * (double)n * (double)k / (end - start));
        *peak = fmax(*peak, pare_gemm_peak());
    }
}

pare_status pare_gemm_measure(int64_t m, int64_t n, int64_t k, double *gflops, double *peak)
{
    *gflops = *peak = 0;
    pare_arena *arena = pare_arena_new("products"); /* as in training: in large pages */
    if (!arena)
        return PARE_MEMORY;
    real *matrices = pare_arena_alloc(arena, (size_t)(m * k + n * k + m * n) * sizeof(real));
    void *workspace = pare_arena_alloc(arena, pare_gemm_workspace(m, n, k));
    const bool made = matrices && workspace;
    if (made)
        measure(matrices, m, n, k, workspace, gflops, peak);
    pare_arena_free(arena);
    return made ? PARE_OK : PARE_MEMORY;
}
