/* gemm_template.h: the kernels of gemm_kernels.h, written once. Each core/cpu/gemm_<isa>.c says
 *
 *   VECTOR_BYTES          the size of a register
 *   TILE_ROWS             rows of a tile; its columns are two registers
 *   STEP(sum, x, v)       sum += x * v, x a number, v and sum vectors, fused or not
 *   KERNELS               the name of the table to define
 *
 * and includes this file. Registers in use: 2 * TILE_ROWS sums, two of B, the rest hold A's. */
#include <stdalign.h>
#include <string.h>

#include "core/cpu/gemm_kernels.h"

#ifdef PARE_DOUBLE
#define LANES (VECTOR_BYTES / 8)
#else
#define LANES (VECTOR_BYTES / 4)
#endif
#define TILE_COLUMNS (2 * LANES)
#define ACROSS_GROUP 4 /* panels packed side by side */
#define ACROSS_AHEAD 16 /* rows */
#define B_AHEAD 8 /* steps by which reading B is announced: it streams from the L2 cache */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

/* Vectors in packed panels, and anywhere in C. */
typedef real vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef real loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

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

/* `rows` is a constant wherever this is inlined, so that all sums are registers. */
INLINE void tile_run(int rows, const pare_gemm_tile *t)
{
    const real *restrict a = t->a, *restrict b = t->b;
    const char *ahead = t->ahead;
    int64_t ahead_step = t->ahead_step;
    vector left[TILE_ROWS], right[TILE_ROWS];
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
            STEP(left[i], a[i], b_left);
            STEP(right[i], a[i], b_right);
        }
    }
    tile_store(rows, left, right, t);
}

/* A function each: side by side in one, they are merged again by some compilers. */
#define TILE(rows)                                                                                 \
    static __attribute__((noinline)) void tile_##rows(const pare_gemm_tile *t)                     \
    {                                                                                              \
        tile_run(rows, t);                                                                         \
    }
TILE(1) TILE(2) TILE(3) TILE(4)
#if TILE_ROWS > 4
TILE(5) TILE(6)
#endif
#if TILE_ROWS > 6
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif

static void tile_run_rows(const pare_gemm_tile *t)
{
    static void (*const by_rows[])(const pare_gemm_tile *) = {
        NULL, tile_1, tile_2, tile_3, tile_4,
#if TILE_ROWS > 4
        tile_5, tile_6,
#endif
#if TILE_ROWS > 6
        tile_7, tile_8, tile_9, tile_10, tile_11, tile_12,
#endif
    };
    by_rows[t->rows](t);
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

/* ---- Packing, along: panel[p][i] = from[i][p], a transpose ---- */

/* Any count and depth from `start` on, one element at a time: the edges. */
INLINE void pack_along_edge(real *panel, int64_t width, const real *from, int64_t stride,
                            int64_t count, int64_t start, int64_t depth)
{
    for (int64_t p = start; p < depth; p++)
        for (int64_t i = 0; i < width; i++)
            panel[p * width + i] = i < count ? from[i * stride + p] : 0;
}

#if LANES == 16
#define JOIN(r) JOIN8(JOIN4(QUAD(r), QUAD(r + 4)), JOIN4(QUAD(r + 8), QUAD(r + 12)))
#define LOW(x, y)                                                                                  \
    __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH(x, y)                                                                                 \
    __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW2(x, y)                                                                                 \
    __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH2(x, y)                                                                                \
    __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#elif LANES == 8
#define JOIN(r) JOIN4(QUAD(r), QUAD(r + 4))
#define LOW(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(x, y) __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW2(x, y) __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH2(x, y) __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15)
#elif LANES == 4
#define JOIN(r) QUAD(r)
#define LOW(x, y) __builtin_shufflevector(x, y, 0, 4, 1, 5)
#define HIGH(x, y) __builtin_shufflevector(x, y, 2, 6, 3, 7)
#define LOW2(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5)
#define HIGH2(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7)
#endif
#define JOIN4(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7)
#define JOIN8(x, y)                                                                                \
    __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

#ifdef JOIN
typedef real four __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));

/* LANES rows of a whole panel, four steps of depth at a time: each vector joins the same four
 * steps of rows r, r + 4, ..., so that 4 x 4 transposes inside its quarters finish the work. A
 * panel narrower than a vector gets its surplus lanes overwritten by what comes next; so the last
 * steps are left to the caller. Returns the steps done. */
INLINE int64_t pack_along_lanes(real *to, int64_t width, int64_t used, const real *from,
                                int64_t stride, int64_t depth)
{
    int64_t p = 0, end = used < LANES ? depth - 4 : depth;
#define QUAD(r) (*(const four *)(from + ((r) < used ? (r) : 0) * stride + p))
    for (; p + 4 <= end; p += 4, to += 4 * width) {
        vector r0 = JOIN(0), r1 = JOIN(1), r2 = JOIN(2), r3 = JOIN(3);
        vector low01 = LOW(r0, r1), low23 = LOW(r2, r3);
        vector high01 = HIGH(r0, r1), high23 = HIGH(r2, r3);
        *(loose *)to = LOW2(low01, low23);
        *(loose *)(to + width) = HIGH2(low01, low23);
        *(loose *)(to + 2 * width) = LOW2(high01, high23);
        *(loose *)(to + 3 * width) = HIGH2(high01, high23);
    }
#undef QUAD
    return p;
}

INLINE int64_t pack_along_whole(real *panel, int64_t width, const real *from, int64_t stride,
                                int64_t depth)
{
    int64_t last = (width - 1) / LANES * LANES; /* first, for its surplus lanes */
    int64_t done = pack_along_lanes(panel + last, width, width - last, from + last * stride,
                                    stride, depth);
    for (int64_t i = 0; i < last; i += LANES)
        pack_along_lanes(panel + i, width, LANES, from + i * stride, stride, depth);
    return done;
}
#else /* vectors of two doubles */
INLINE int64_t pack_along_whole(real *panel, int64_t width, const real *from, int64_t stride,
                                int64_t depth)
{
    (void)panel, (void)width, (void)from, (void)stride, (void)depth;
    return 0;
}
#endif

/* ---- Packing, across: panel[p][i] = from[p][i], a copy ---- */

/* A few panels side by side, so that rows are read in whole cache lines and few streams written:
 * every stream is a page of its own. Rows lie far apart, so the next ones are fetched ahead. */
INLINE void pack_across_group(real *panels, int64_t width, const real *from, int64_t stride,
                              int64_t group, int64_t depth)
{
    for (int64_t p = 0; p < depth; p++, from += stride) {
        real *to = panels + p * width;
        for (int64_t i = 0; i < group * width; i += 64 / (int64_t)sizeof(real))
            __builtin_prefetch(from + ACROSS_AHEAD * stride + i);
        for (int64_t j = 0; j < group; j++, to += depth * width)
            memcpy(to, from + j * width, (size_t)width * sizeof(real));
    }
}

INLINE void pack_across(real *panels, int64_t width, const real *from, int64_t stride,
                        int64_t count, int64_t depth)
{
    int64_t whole = count / width, rest = count % width;
    for (int64_t j = 0; j < whole; j += ACROSS_GROUP) {
        int64_t group = whole - j < ACROSS_GROUP ? whole - j : ACROSS_GROUP;
        pack_across_group(panels + j * depth * width, width, from + j * width, stride, group,
                          depth);
    }
    real *to = panels + whole * depth * width;
    for (int64_t p = 0; rest && p < depth; p++, from += stride)
        for (int64_t i = 0; i < width; i++)
            *to++ = i < rest ? from[whole * width + i] : 0;
}

INLINE void pack(real *panels, int64_t width, const real *from, int64_t stride, bool along,
                 int64_t count, int64_t depth)
{
    if (!along) {
        pack_across(panels, width, from, stride, count, depth);
        return;
    }
    for (int64_t i = 0; i < count; i += width, panels += depth * width) {
        int64_t done = 0;
        if (count - i >= width)
            done = pack_along_whole(panels, width, from + i * stride, stride, depth);
        pack_along_edge(panels, width, from + i * stride, stride, count - i, done, depth);
    }
}

static void pack_a(real *panels, const real *from, int64_t stride, bool along, int64_t count,
                   int64_t depth)
{
    pack(panels, TILE_ROWS, from, stride, along, count, depth);
}

static void pack_b(real *panels, const real *from, int64_t stride, bool along, int64_t count,
                   int64_t depth)
{
    pack(panels, TILE_COLUMNS, from, stride, along, count, depth);
}

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
    TILE_ROWS, TILE_COLUMNS, run, pack_a, pack_b, peak, 2 * LANES * PEAK_CHAINS};
