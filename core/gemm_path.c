/* gemm_path.c: the choice of kernels, their name, and how fast they are. */
#include "core/gemm_path.h"

#include <math.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/blis.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "core/gemm.h"
#include "core/memory.h"
#include "core/threads.h"

static pare_precision precision = PARE_PRECISION_FP32;

/* ---- Tables ---- */

enum { PRECISIONS = 2 };

/* By the instruction set alone. Those of bf16 round and multiply floats. */
static const pare_gemm_kernels *const by_isa[PRECISIONS][PARE_ISA_COUNT] = {
    {&pare_gemm_portable,
#if defined(__x86_64__)
     &pare_gemm_avx2, &pare_gemm_avx512
#endif
    },
#ifndef PARE_DOUBLE
    {&pare_gemm_portable_bf16,
#if defined(__x86_64__)
     &pare_gemm_avx2_bf16, &pare_gemm_avx512_bf16
#endif
    },
#endif
};

/* By instructions that multiply bf16. AMX does floats too, as sums of three. */
static const pare_gemm_kernels *const by_bf16[PRECISIONS][PARE_BF16_COUNT] = {
#if defined(__x86_64__) && !defined(PARE_DOUBLE)
    {NULL, NULL, &pare_gemm_amx_fp32}, {NULL, &pare_gemm_avx512bf16, &pare_gemm_amx}
#else
    {NULL}
#endif
};

/* ---- The choice ---- */

enum { TRY_DEPTH = 71, TRY_PANEL = 32 * 144 };

/* One tile of numbers whose products and sums floats hold exactly: so a machine that claims these
 * instructions and does something else is found out. Of the terms of 1 + 2^-12, bf16 keeps one. */
static bool multiplies_right(const pare_gemm_kernels *with)
{
    const real part = with->terms > 1 ? (real)0x1p-12 : 0, whole = 1 + part;
    alignas(64) real packed_a[TRY_PANEL], packed_b[TRY_PANEL];
    real a[32 * TRY_DEPTH], b[32 * TRY_DEPTH], c[32 * 32];
    for (int i = 0; i < 32 * TRY_DEPTH; i++) {
        a[i] = (real)(i % 11 - 5) * whole;
        b[i] = (real)(i % 7 - 3);
    }
    with->pack_a(packed_a, pare_reals(a), TRY_DEPTH, true, with->rows, TRY_DEPTH);
    with->pack_b(packed_b, pare_reals(b), TRY_DEPTH, true, with->columns, TRY_DEPTH);
    if (with->begin)
        with->begin();
    with->run(&(pare_gemm_tile){.c = c, .ldc = with->columns, .a = packed_a, .b = packed_b,
                                .depth = pare_gemm_packed_depth(with, TRY_DEPTH),
                                .rows = with->rows, .columns = with->columns, .next_c = c,
                                .ahead = (const char *)packed_a});
    if (with->end)
        with->end();
    bool right = true;
    for (int64_t i = 0; i < with->rows; i++)
        for (int64_t j = 0; j < with->columns; j++) {
            real sum = 0;
            for (int64_t q = 0; q < TRY_DEPTH; q++)
                sum += a[i * TRY_DEPTH + q] * b[j * TRY_DEPTH + q];
            right = right && c[i * with->columns + j] == sum;
        }
    return right;
}

/* Tried once. */
static bool is_right(const pare_gemm_kernels *with)
{
    static atomic_char tried[PRECISIONS][PARE_BF16_COUNT]; /* 0: not yet, 1: right, 2: wrong */
    atomic_char *verdict = &tried[precision][pare_cpu_bf16()];
    if (!atomic_load_explicit(verdict, memory_order_relaxed))
        atomic_store(verdict, multiplies_right(with) ? 1 : 2);
    return atomic_load_explicit(verdict, memory_order_relaxed) == 1;
}

const pare_gemm_kernels *pare_gemm_kernels_get(void)
{
    const pare_gemm_kernels *best = by_bf16[precision][pare_cpu_bf16()];
    return best && is_right(best) ? best : by_isa[precision][pare_cpu_isa()];
}

/* BLIS has no bf16. */
bool pare_gemm_by_blis(void)
{
    return pare_kernels_blis() && precision == PARE_PRECISION_FP32;
}

pare_precision pare_gemm_precision(void)
{
    return precision;
}

bool pare_gemm_takes_halves(void)
{
    return precision == PARE_PRECISION_BF16;
}

pare_status pare_gemm_precision_set(pare_precision wanted)
{
    if (sizeof(real) == 8 && wanted == PARE_PRECISION_BF16)
        return pare_fail(PARE_USAGE, "products of doubles have no bf16");
    precision = wanted;
    return PARE_OK;
}

/* ---- What it does ---- */

const char *pare_gemm_path(void)
{
    static _Thread_local char text[64];
    const char *number = precision == PARE_PRECISION_BF16 ? "bf16"
                         : sizeof(real) == 8              ? "fp64"
                                                          : "fp32";
    const char *isa = pare_isa_name(pare_cpu_isa());
    if (pare_gemm_by_blis())
        snprintf(text, sizeof text, "%s-blis-%s-%s", number, pare_blis_architecture(), isa);
    else
        snprintf(text, sizeof text, "%s-%s", number,
                 pare_gemm_kernels_get() == by_isa[precision][pare_cpu_isa()]
                     ? isa
                     : pare_bf16_name(pare_cpu_bf16()));
    return text;
}

enum { PEAK_ROUNDS = 100000 };

static void peak_tile(void *context, int64_t tile)
{
    const pare_gemm_kernels *with = context;
    (void)tile;
    with->peak(PEAK_ROUNDS);
}

/* Of floats, that of the instruction set's own products, which AMX is measured by as well. */
double pare_gemm_peak(void)
{
    const pare_gemm_kernels *with = precision == PARE_PRECISION_BF16 ? pare_gemm_kernels_get()
                                                                     : by_isa[0][pare_cpu_isa()];
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
