/* vec.h: vectors of reals as wide as the file's instruction set, by the compilers' vector types.
 *
 * Each kernel file is compiled for one instruction set and includes this header: the same source
 * becomes SSE, AVX2 or AVX-512 code. A vreal holds VL lanes; loads and stores need no alignment. */
#ifndef PARE_CPU_VEC_H
#define PARE_CPU_VEC_H

#include <stdint.h>
#include <string.h>

#include "core/real.h"

#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX2__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
enum { VL = VEC_BYTES / sizeof(real) };

#ifdef PARE_DOUBLE
typedef int64_t lane_int;
#else
typedef int32_t lane_int;
#endif
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

/* The first n < VL lanes; the others are 0 and are not touched in memory. */
static inline vreal v_load_part(const real *p, int64_t n)
{
    vreal x = {0};
    memcpy(&x, p, (size_t)n * sizeof(real));
    return x;
}

static inline void v_store_part(real *p, vreal x, int64_t n)
{
    memcpy(p, &x, (size_t)n * sizeof(real));
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

static inline vreal v_max(vreal a, vreal b)
{
    return v_select(a > b, a, b);
}

static inline vreal v_min(vreal a, vreal b)
{
    return v_select(a < b, a, b);
}

/* Lanes are added in pairs of halves: one fixed order for each width. */
static inline real v_sum(vreal x)
{
    real lane[VL];
    memcpy(lane, &x, sizeof lane);
    for (int half = VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static inline real v_largest(vreal x)
{
    real lane[VL];
    memcpy(lane, &x, sizeof lane);
    real largest = lane[0];
    for (int i = 1; i < VL; i++)
        largest = lane[i] > largest ? lane[i] : largest;
    return largest;
}

#endif
