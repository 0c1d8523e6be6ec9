/* gemm_template.h: the kernels of gemm_kernels.h, written once. Each core/cpu/gemm_<isa>.c says
 *
 *   VECTOR_BYTES          the size of a register
 *   TILE_ROWS             rows of a tile; its columns are two registers
 *   STEP(sum, x, v)       sum += x * v, x a number, v and sum vectors, fused or not
 *   KERNELS               the name of the table to define
 *   ROUNDED               the same, of products whose operands are rounded to bf16
 *
 * and includes this file. With PAIRS defined there is no ROUNDED: x and v hold pairs of bf16, and
 * STEP adds both products of a pair. Registers in use: 2 * TILE_ROWS sums, two of B, the rest hold
 * A's. */
#include <stdalign.h>

#include "core/cpu/gemm_pack.h"

#define TILE_COLUMNS (2 * LANES)
#define TASK 128 /* x 768 floats are 3/8 of a L2 cache of 1 MiB */
#define B_AHEAD 8 /* steps by which reading B is announced: it streams from the L2 cache */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* ---- The tile ---- */

INLINE void tile_store(int rows, const vector *left, const vector *right, const pare_gemm_tile *t)
{
    vector bias_left = {0}, bias_right = {0};
    if (t->bias) {
        bias_left = *(const loose *)t->bias;
        bias_right = *(const loose *)(t->bias + LANES);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        loose *c = (loose *)(t->c + i * t->ldc), *d = (loose *)(t->c + i * t->ldc + LANES);
        vector x = left[i], y = right[i];
        if (t->bias) {
            x = x + bias_left;
            y = y + bias_right;
        }
        if (t->add) {
            x = *c + x;
            y = *d + y;
        }
        *c = x;
        *d = y;
    }
}

/* `rows` and `direct` are constants wherever this is inlined, so that all sums are registers. Three
 * rows of A that is not packed share a register, as addresses have room for a base, a stride and
 * its double. */
INLINE void tile_run(int rows, bool direct, const pare_gemm_tile *t)
{
    const real *restrict a = t->a, *restrict b = t->b;
    const char *ahead = t->ahead;
    int64_t ahead_step = t->ahead_step, lda = t->lda;
    const real *third[(TILE_ROWS + 2) / 3];
    vector left[TILE_ROWS], right[TILE_ROWS];
    UNROLL for (int i = 0; i < rows; i += 3)
        third[i / 3] = a + i * lda;
    UNROLL for (int i = 0; i < rows; i++) {
        left[i] = right[i] = (vector){0};
        __builtin_prefetch(t->c + i * t->ldc, 1);
        __builtin_prefetch(t->c + i * t->ldc + LANES, 1);
    }
    for (int64_t p = t->depth; p > 0; p--, a += TILE_ROWS, b += TILE_COLUMNS) {
        vector b_left = *(const vector *)b, b_right = *(const vector *)(b + LANES);
        __builtin_prefetch(b + B_AHEAD * TILE_COLUMNS);
        __builtin_prefetch(b + B_AHEAD * TILE_COLUMNS + LANES);
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        UNROLL for (int i = 0; i < rows; i++) {
            const real x = direct ? third[i / 3][i % 3 * lda] : a[i];
            STEP(left[i], x, b_left);
            STEP(right[i], x, b_right);
        }
        UNROLL for (int i = 0; direct && i < rows; i += 3)
            third[i / 3]++;
    }
    tile_store(rows, left, right, t);
}

/* A function each: side by side in one, they are merged again by some compilers. */
#define TILE(rows)                                                                                 \
    static __attribute__((noinline)) void tile_##rows(const pare_gemm_tile *t)                     \
    {                                                                                              \
        tile_run(rows, false, t);                                                                  \
    }                                                                                              \
    static __attribute__((noinline)) void direct_##rows(const pare_gemm_tile *t)                   \
    {                                                                                              \
        tile_run(rows, true, t);                                                                   \
    }
TILE(1) TILE(2) TILE(3) TILE(4)
#if TILE_ROWS > 4
TILE(5) TILE(6)
#endif
#if TILE_ROWS > 6
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
#if TILE_ROWS > 12
TILE(13) TILE(14)
#endif

static void tile_run_rows(const pare_gemm_tile *t)
{
    static void (*const by_rows[][2])(const pare_gemm_tile *) = {
#define ROWS(rows) {tile_##rows, direct_##rows},
        {NULL, NULL}, ROWS(1) ROWS(2) ROWS(3) ROWS(4)
#if TILE_ROWS > 4
        ROWS(5) ROWS(6)
#endif
#if TILE_ROWS > 6
        ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#endif
#if TILE_ROWS > 12
        ROWS(13) ROWS(14)
#endif
#undef ROWS
    };
    by_rows[t->rows][t->lda != 0](t);
}

/* A tile over C's right edge: computed whole beside C, then what belongs to C is moved there with
 * the same additions in the same order as tile_store's. */
static void tile_run_edge(const pare_gemm_tile *t)
{
    alignas(64) real whole[TILE_ROWS * TILE_COLUMNS];
    pare_gemm_tile beside = *t;
    beside.c = whole;
    beside.ldc = TILE_COLUMNS;
    beside.bias = NULL;
    beside.add = false;
    tile_run_rows(&beside);
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t j = 0; j < t->columns; j++) {
            real x = whole[i * TILE_COLUMNS + j], *c = t->c + i * t->ldc + j;
            if (t->bias)
                x = x + t->bias[j];
            *c = t->add ? *c + x : x;
        }
}

static void run(const pare_gemm_tile *t)
{
    if (t->columns < TILE_COLUMNS)
        tile_run_edge(t);
    else
        tile_run_rows(t);
}

/* ---- Packing ---- */

/* Panels of A or B, by one of gemm_pack.h's ways. */
#define PACK(name, width, WAY)                                                                     \
    static void name(real *panels, pare_numbers from, int64_t stride, bool along, int64_t count,   \
                     int64_t depth)                                                                \
    {                                                                                              \
        WAY(panels, width, from, stride, along, count, depth);                                     \
    }

#ifdef PAIRS
enum { PAIR = 2 };
#define WAY(panels, width, from, stride, along, count, depth)                                      \
    pack_pairs(panels, width, from, stride, along, count, depth, (depth + 1) / 2)
#else
enum { PAIR = 1 };
#define WAY(panels, width, from, stride, along, count, depth)                                      \
    pack(panels, width, from.data, stride, along, count, depth)
#endif
PACK(pack_a, TILE_ROWS, WAY)
PACK(pack_b, TILE_COLUMNS, WAY)
#ifdef ROUNDED
PACK(pack_a_rounded, TILE_ROWS, pack_rounded)
PACK(pack_b_rounded, TILE_COLUMNS, pack_rounded)
#endif

/* ---- The ceiling ---- */

enum { PEAK_CHAINS = 12 }; /* independent sums, enough to hide the latency of one step */

static void peak(int64_t rounds)
{
    vector sums[PEAK_CHAINS], v = {0};
    real x = (real)1e-3;
    v = v + x;
    for (int j = 0; j < PEAK_CHAINS; j++)
        sums[j] = v;
    for (int64_t r = 0; r < rounds; r++) {
        UNROLL for (int j = 0; j < PEAK_CHAINS; j++)
            STEP(sums[j], x, v);
    }
    for (int j = 0; j < PEAK_CHAINS; j++) {
        volatile vector kept = sums[j]; /* or the loop would be left out */
        (void)kept;
    }
}

const pare_gemm_kernels KERNELS = {
    .rows = TILE_ROWS, .columns = TILE_COLUMNS, .pair = PAIR, .step = 1, .terms = 1,
    .task = TASK,
    .direct = PAIR == 1, .run = run, .pack_a = pack_a, .pack_b = pack_b,
    .peak = peak, .peak_operations = 2 * PAIR * LANES * PEAK_CHAINS};
#ifdef ROUNDED
const pare_gemm_kernels ROUNDED = {
    .rows = TILE_ROWS, .columns = TILE_COLUMNS, .pair = 1, .step = 1, .terms = 1,
    .task = TASK,
    .run = run, .pack_a = pack_a_rounded, .pack_b = pack_b_rounded,
    .peak = peak, .peak_operations = 2 * LANES * PEAK_CHAINS};
#endif
