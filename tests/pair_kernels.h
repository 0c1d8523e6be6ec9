/* tests/pair_kernels.h: product kernels that no path of this CPU may reach, called by themselves.
 *
 *   check_kernels(&pare_gemm_emulated);
 *
 * packs whole matrices, runs every tile, and compares with sums in double of operands that are
 * rounded to bf16, or not, where these are sums of several. */
#ifndef PARE_TESTS_PAIR_KERNELS_H
#define PARE_TESTS_PAIR_KERNELS_H

#include "tests/harness.h"

#include <math.h>

#include "core/gemm_path.h"

enum { MOST_ROWS = 80, LDC = 96, MOST_DEPTH = PARE_GEMM_DEPTH_MAX, PANELS = 2 * 96 * MOST_DEPTH };

/* One operand: its elements in memory, rounded, and packed. */
typedef struct operand {
    float from[MOST_ROWS * MOST_DEPTH];
    pare_half half[MOST_ROWS * MOST_DEPTH];
    double rounded[MOST_ROWS][MOST_DEPTH];
    float panels[PANELS] __attribute__((aligned(64)));
} operand;

/* By the definition: the nearest float whose lower 16 bits are 0; of two, the one with an even
 * 17th. */
static double nearest_bf16(float x)
{
    int exponent;
    const double mantissa = frexp(x, &exponent); /* in [0.5, 1): 8 bits of it are kept */
    return ldexp(nearbyint(ldexp(mantissa, 8)), exponent - 8);
}

static void make(operand *o, int64_t count, int64_t depth, bool along, bool whole, uint32_t seed)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t p = 0; p < depth; p++) {
            seed = seed * 1664525u + 1013904223u;
            const float x = (float)(seed >> 8) / (1 << 23) - 1;
            const int64_t at = along ? i * depth + p : p * count + i;
            o->from[at] = x;
            o->half[at] = pare_half_from(x);
            o->rounded[i][p] = whole ? (double)x : nearest_bf16(x);
        }
    for (int64_t i = 0; i < PANELS; i++)
        o->panels[i] = NAN; /* what packing leaves out would be seen */
}

/* An element against its sum in double, of terms whose sizes add up to `size`. */
static void expect_sum(float got, double sum, double size, const int64_t shape[3], bool x, bool y,
                       int64_t i, int64_t j)
{
    if (!(fabs(got - sum) <= 0x1p-22 * size * sqrt((double)shape[2] + 1)))
        fail_msg("m=%d n=%d k=%d (%d%d) [%d,%d]: %g, not %g", (int)shape[0], (int)shape[1],
                 (int)shape[2], x, y, (int)i, (int)j, got, sum);
}

enum way { BIAS, ADD, FAR, FAR_IN_LINES, WAYS };

/* At once, or, where kernels do that, in chunks of the depth. */
static void run_chunks(const pare_gemm_kernels *with, pare_gemm_tile tile)
{
    static float sums[32 * 32] __attribute__((aligned(64)));
    const int64_t depth = tile.depth;
    const bool halved = with->chunk && depth >= 2 * with->step;
    const int64_t chunk = halved ? depth / 2 / with->step * with->step : depth;
    for (int64_t start = 0; start < depth; start += chunk) {
        pare_gemm_tile part = tile;
        part.a += start * with->rows;
        part.b += start * with->columns;
        part.depth = depth - start < chunk ? depth - start : chunk;
        part.sums = sums;
        part.resumed = start > 0;
        part.more = start + part.depth < depth;
        with->run(&part);
    }
}

static void check_product(const pare_gemm_kernels *with, int64_t m, int64_t n, int64_t k,
                          bool a_along, bool b_along, enum way way)
{
    static operand a, b;
    static float c[MOST_ROWS * LDC] __attribute__((aligned(64))), bias[MOST_ROWS];
    const int64_t depth = pare_gemm_packed_depth(with, k), ldc = way == FAR_IN_LINES ? LDC : n + 1;
    make(&a, m, k, a_along, with->terms > 1, 1);
    make(&b, n, k, b_along, with->terms > 1, 2);
    for (int64_t i = 0; i < m * ldc; i++)
        c[i] = (float)i;
    for (int64_t j = 0; j < n; j++)
        bias[j] = (float)j / 4;
    const bool halves = way == ADD && with->terms == 1;
    with->pack_a(a.panels, halves ? (pare_numbers){a.half, true} : pare_reals(a.from),
                 a_along ? k : m, a_along, m, k);
    with->pack_b(b.panels, halves ? (pare_numbers){b.half, true} : pare_reals(b.from),
                 b_along ? k : n, b_along, n, k);
    if (with->begin)
        with->begin();
    for (int64_t i = 0; i < m; i += with->rows)
        for (int64_t j = 0; j < n; j += with->columns)
            run_chunks(with, (pare_gemm_tile){
                                 .c = c + i * ldc + j, .ldc = ldc, .a = a.panels + i * depth,
                                 .b = b.panels + j * depth, .depth = depth,
                                 .rows = m - i < with->rows ? m - i : with->rows,
                                 .columns = n - j < with->columns ? n - j : with->columns,
                                 .next_c = c, .bias = way == BIAS ? bias + j : NULL,
                                 .add = way == ADD, .far = way >= FAR,
                                 .ahead = (const char *)a.panels});
    if (with->end)
        with->end();
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = way == ADD    ? (double)(i * ldc + j)
                         : way == BIAS ? (double)j / 4
                                       : 0;
            double size = fabs(sum);
            for (int64_t p = 0; p < k; p++) {
                sum += a.rounded[i][p] * b.rounded[j][p];
                size += fabs(a.rounded[i][p] * b.rounded[j][p]);
            }
            expect_sum(c[i * ldc + j], sum, size, (int64_t[]){m, n, k}, a_along, b_along, i, j);
        }
        for (int64_t j = n; j < ldc; j++)
            assert_true(c[i * ldc + j] == (float)(i * ldc + j)); /* beside C */
    }
}

TEST_UNUSED static void check_kernels(const pare_gemm_kernels *with)
{
    static const int64_t sizes[] = {1, 2, 11, 12, 13, 16, 17, 31, 32, 33, 48, 65, MOST_ROWS};
    static const int64_t depths[] = {1, 2, 3, 15, 16, 31, 32, 33, 63, 65, 384, 767, MOST_DEPTH};
    for (int round = 0; round < 13 * 13; round++) {
        const int64_t m = sizes[round % 13], n = sizes[round / 13];
        check_product(with, m, n, depths[(round + round / 13) % 13], round & 1, round & 2,
                      (enum way)(round / 4 % WAYS));
    }
}

#endif
