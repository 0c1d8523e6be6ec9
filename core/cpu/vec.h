/* vec.h: vectors of reals as wide as the file's instruction set, by the compilers' vector types.
 *
 * Each kernel file is compiled for one instruction set and includes this header: the same source
 * becomes SSE, AVX2 or AVX-512 code. A vreal holds VL lanes; loads and stores need no alignment. */
#ifndef PARE_CPU_VEC_H
#define PARE_CPU_VEC_H

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "core/real.h"

#ifdef PARE_DOUBLE
typedef int64_t lane_int;
#define V_TYPE(name) name##_pd
#else
typedef int32_t lane_int;
#define V_TYPE(name) name##_ps
#endif

/* V_X86(max) names the instruction for vreals; other machines do without. */
#if defined(__AVX512F__)
#define VEC_BYTES 64
#define V_X86(name) V_TYPE(_mm512_##name)
#elif defined(__AVX2__)
#define VEC_BYTES 32
#define V_X86(name) V_TYPE(_mm256_##name)
#elif defined(__SSE2__)
#define VEC_BYTES 16
#define V_X86(name) V_TYPE(_mm_##name)
#else
#define VEC_BYTES 16
#endif
enum { VL = VEC_BYTES / sizeof(real) };

typedef real vreal __attribute__((vector_size(VEC_BYTES)));
typedef lane_int vint __attribute__((vector_size(VEC_BYTES)));
typedef real vreal_loose __attribute__((vector_size(VEC_BYTES), aligned(sizeof(real)), may_alias));

static inline vreal v_load(const real *p)
{
    return *(const vreal_loose *)p;
}

static inline void v_store(real *p, vreal x)
{
    *(vreal_loose *)p = x;
}

/* All ones in the first n lanes, zeros in the others. */
static inline vint v_first(int64_t n)
{
    static const lane_int number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vint lane;
    memcpy(&lane, number, sizeof lane);
    return lane < (lane_int)n;
}

/* The first n <= VL lanes; the others are 0 and are not touched in memory. */
static inline vreal v_load_part(const real *p, int64_t n)
{
#if defined(__AVX512F__)
    return (vreal)V_X86(maskz_loadu)((1u << n) - 1, p);
#elif defined(__AVX2__)
    return (vreal)V_X86(maskload)(p, (__m256i)v_first(n));
#else
    vreal x = {0};
    for (int64_t l = 0; l < n; l++)
        x[l] = p[l];
    return x;
#endif
}

static inline void v_store_part(real *p, vreal x, int64_t n)
{
#if defined(__AVX512F__)
    V_X86(mask_storeu)(p, (1u << n) - 1, x);
#elif defined(__AVX2__)
    V_X86(maskstore)(p, (__m256i)v_first(n), x);
#else
    for (int64_t l = 0; l < n; l++)
        p[l] = x[l];
#endif
}

static inline vreal v_set(real x)
{
    vreal zero = {0};
    return x - zero; /* not zero + x: that would turn -0 into 0 and costs an addition */
}

/* mask (all ones or zeros a lane) ? a : b */
static inline vreal v_select(vint mask, vreal a, vreal b)
{
    return (vreal)((mask & (vint)a) | (~mask & (vint)b));
}

/* The first n lanes of x, 0 in the others. */
static inline vreal v_keep(vreal x, int64_t n)
{
    return (vreal)((vint)x & v_first(n));
}

/* a > b ? a : b, so that b comes back where one is no number; and the same for the least. */
static inline vreal v_max(vreal a, vreal b)
{
#ifdef V_X86
    return (vreal)V_X86(max)(a, b);
#else
    return v_select(a > b, a, b);
#endif
}

static inline vreal v_min(vreal a, vreal b)
{
#ifdef V_X86
    return (vreal)V_X86(min)(a, b);
#else
    return v_select(a < b, a, b);
#endif
}

static inline vreal v_sqrt(vreal x)
{
#ifdef V_X86
    return (vreal)V_X86(sqrt)(x);
#else
    for (int l = 0; l < VL; l++)
        x[l] = (real)__builtin_sqrt((double)x[l]); /* rounded once: a double holds enough */
    return x;
#endif
}

/* Sums and the like over lanes join the lower and the upper half, then its halves, until one
 * lane is left: one fixed order for each width. */
typedef real v16b __attribute__((vector_size(16)));
#ifdef PARE_DOUBLE
#define V_LOW_256(x) _mm512_castpd512_pd256(x)
#define V_HIGH_256(x) _mm512_extractf64x4_pd(x, 1)
#define V_LOW_128(x) _mm256_castpd256_pd128(x)
#define V_HIGH_128(x) _mm256_extractf128_pd(x, 1)
#define V_JOIN_16(x, JOIN) return JOIN(x[0], x[1])
#else
#define V_LOW_256(x) _mm512_castps512_ps256(x)
#define V_HIGH_256(x) _mm512_extractf32x8_ps(x, 1)
#define V_LOW_128(x) _mm256_castps256_ps128(x)
#define V_HIGH_128(x) _mm256_extractf128_ps(x, 1)
#define V_JOIN_16(x, JOIN) return JOIN(JOIN(x[0], x[2]), JOIN(x[1], x[3]))
#endif

static inline real v_sum(vreal x)
{
#define PLUS(a, b) ((a) + (b))
#if VEC_BYTES == 64
    __auto_type half = V_LOW_256(x) + V_HIGH_256(x);
#elif VEC_BYTES == 32
    vreal half = x;
#endif
#if VEC_BYTES > 16
    v16b rest = V_LOW_128(half) + V_HIGH_128(half);
#else
    v16b rest = x;
#endif
    V_JOIN_16(rest, PLUS);
#undef PLUS
}

static inline real v_largest(vreal x)
{
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#if VEC_BYTES == 64
    __auto_type half = V_TYPE(_mm256_max)(V_LOW_256(x), V_HIGH_256(x));
#elif VEC_BYTES == 32
    vreal half = x;
#endif
#if VEC_BYTES > 16
    v16b rest = V_TYPE(_mm_max)(V_LOW_128(half), V_HIGH_128(half));
#else
    v16b rest = x;
#endif
    V_JOIN_16(rest, LARGER);
#undef LARGER
}

#endif
