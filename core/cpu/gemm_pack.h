/* gemm_pack.h: packing for gemm_kernels.h, written once. A file that includes it defines
 *
 *   VECTOR_BYTES          the size of a register
 *
 * and gets pack and, of floats or halves, pack_pairs and pack_rounded: panels of `width` rows of A
 * or columns of B, the last one filled up with zeros. */
#include <string.h>

#include "core/cpu/gemm_kernels.h"

#ifdef PARE_DOUBLE
#define LANES (VECTOR_BYTES / 8)
#else
#define LANES (VECTOR_BYTES / 4)
#endif
#define ACROSS_GROUP 4 /* panels packed side by side */
#define ACROSS_AHEAD 16 /* rows */
#define WIDEST 32 /* rows or columns of a panel, at most */
#define INLINE static inline __attribute__((always_inline))

/* Vectors in packed panels, and anywhere. */
typedef real vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef real loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

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

#ifndef PARE_DOUBLE
/* ---- Pairs: two neighbours in depth, rounded to bf16, in the place of one float ---- */

typedef uint32_t word __attribute__((may_alias)); /* a float's bits, or a pair */

/* Element i of reals or halves, as a half. */
INLINE word half_at(pare_numbers from, int64_t i)
{
    return from.half ? ((const pare_half *)from.data)[i]
                     : pare_half_of(((const word *)from.data)[i]);
}

/* pairs[j] = (from[2 j], from[2 j + 1]); what lies behind depth is 0. */
INLINE void join_along(word *pairs, pare_numbers from, int64_t depth, int64_t n_pairs)
{
    for (int64_t j = 0; j < depth / 2; j++)
        pairs[j] = half_at(from, 2 * j) | half_at(from, 2 * j + 1) << 16;
    for (int64_t j = depth / 2; j < n_pairs; j++)
        pairs[j] = 2 * j < depth ? half_at(from, 2 * j) : 0;
}

/* pairs[i] = (even[i], odd[i]); odd.data may be NULL, for zeros. */
INLINE void join_across(word *pairs, pare_numbers even, pare_numbers odd, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        pairs[i] = half_at(even, i) | (odd.data ? half_at(odd, i) << 16 : 0);
}

/* One panel's rows (or columns) as pairs: along, [count][n_pairs]; else [n_pairs][count]. */
INLINE void join_panel(word *pairs, pare_numbers from, int64_t stride, bool along, int64_t count,
                       int64_t depth, int64_t n_pairs)
{
    const pare_numbers none = {NULL, from.half};
    if (along) {
        for (int64_t i = 0; i < count; i++)
            join_along(pairs + i * n_pairs, pare_numbers_at(from, i * stride), depth, n_pairs);
        return;
    }
    for (int64_t j = 0; 2 * j < depth; j++)
        join_across(pairs + j * count, pare_numbers_at(from, 2 * j * stride),
                    2 * j + 1 < depth ? pare_numbers_at(from, (2 * j + 1) * stride) : none, count);
    const int64_t done = (depth + 1) / 2;
    memset(pairs + done * count, 0, (size_t)((n_pairs - done) * count) * sizeof *pairs);
}

/* As pack, of pairs: n_pairs of them, at most PARE_GEMM_DEPTH_MAX / 2, cover the depth. */
INLINE void pack_pairs_of(real *panels, int64_t width, pare_numbers from, int64_t stride,
                          bool along, int64_t count, int64_t depth, int64_t n_pairs)
{
    word pairs[WIDEST * PARE_GEMM_DEPTH_MAX / 2];
    for (int64_t i = 0; i < count; i += width, panels += n_pairs * width) {
        const int64_t rows = count - i < width ? count - i : width;
        const pare_numbers at = pare_numbers_at(from, i * (along ? stride : 1));
        join_panel(pairs, at, stride, along, rows, depth, n_pairs);
        pack(panels, width, (const real *)pairs, along ? n_pairs : rows, along, rows, n_pairs);
    }
}

/* A loop each for reals and for halves. */
INLINE void pack_pairs(real *panels, int64_t width, pare_numbers from, int64_t stride, bool along,
                       int64_t count, int64_t depth, int64_t n_pairs)
{
    if (from.half)
        pack_pairs_of(panels, width, (pare_numbers){from.data, true}, stride, along, count, depth,
                      n_pairs);
    else
        pack_pairs_of(panels, width, (pare_numbers){from.data, false}, stride, along, count, depth,
                      n_pairs);
}

/* Halves, a panel's lines at a time, as floats: for instruction sets without bf16. */
INLINE void pack_halves(real *panels, int64_t width, const pare_half *from, int64_t stride,
                        bool along, int64_t count, int64_t depth)
{
    real floats[WIDEST * PARE_GEMM_DEPTH_MAX];
    word *bits = (word *)floats;
    for (int64_t i = 0; i < count; i += width, panels += depth * width) {
        const int64_t rows = count - i < width ? count - i : width;
        const int64_t lines = along ? rows : depth, length = along ? depth : rows;
        const pare_half *at = from + i * (along ? stride : 1);
        for (int64_t l = 0; l < lines; l++, at += stride)
            for (int64_t j = 0; j < length; j++)
                bits[l * length + j] = (word)at[j] << 16;
        pack(panels, width, floats, length, along, rows, depth);
    }
}

/* As pack, of what is rounded to bf16 but stays a float. */
INLINE void pack_rounded(real *panels, int64_t width, pare_numbers from, int64_t stride,
                         bool along, int64_t count, int64_t depth)
{
    if (from.half) {
        pack_halves(panels, width, from.data, stride, along, count, depth);
        return;
    }
    pack(panels, width, from.data, stride, along, count, depth);
    word *bits = (word *)panels;
    for (int64_t i = 0; i < (count + width - 1) / width * width * depth; i++)
        bits[i] = pare_half_of(bits[i]) << 16;
}
#endif
