/* vmath.h: exp, the normal distribution and tanh of vectors.
 *
 * In float: polynomials from fit_polynomials.py, whose errors tests/test_vmath.c measures (at most
 * 4 ulp). In the double build, lane by lane through the C library: it checks gradients. */
#ifndef PARE_CPU_VMATH_H
#define PARE_CPU_VMATH_H

#include <math.h>

#include "core/cpu/vec.h"

#ifdef PARE_DOUBLE

#define LANEWISE(name, function)                                                                   \
    static inline vreal name(vreal x)                                                              \
    {                                                                                              \
        for (int i = 0; i < VL; i++)                                                               \
            x[i] = function(x[i]);                                                                 \
        return x;                                                                                  \
    }
LANEWISE(v_exp, exp)
LANEWISE(v_exp2_below, exp2)
LANEWISE(v_tanh, tanh)
#undef LANEWISE

static inline vreal v_normal(vreal x)
{
    for (int i = 0; i < VL; i++)
        x[i] = 0.5 * erfc(-x[i] * M_SQRT1_2);
    return x;
}

#else

/* exp(x) = 2^n e^r with n = round(x / log 2), for -87.3 <= x <= 88.7. 2^n in two factors, as n may
 * be 128, which no exponent holds. */
static inline vreal v_exp_within(vreal x)
{
    const vreal magic = v_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    vreal rounded = x * 1.44269504f + magic;
    vreal n = rounded - magic;
    vreal r = x - n * 0.693359375f; /* log 2 in two parts: the first has 9 bits, exact */
    r = r - n * -2.12194440e-4f;
    vreal p = r * 0.001395047961f + 0.008368882227f;
    p = p * r + 0.04166620597f;
    p = p * r + 0.166665189f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    const vint whole = (vint)rounded - 0x4B400000, half = whole >> 1;
    return p * (vreal)((half + 127) << 23) * (vreal)((whole - half + 127) << 23);
}

/* 2^x for -126 <= x <= 0. */
static inline vreal v_exp2_below(vreal x)
{
    const vreal magic = v_set(12582912.0f);
    vreal rounded = x + magic, f = x - (rounded - magic);
    vreal p = f * 0.0001547630244f + 0.001340026963f;
    p = p * f + 0.009618003882f;
    p = p * f + 0.05550327791f;
    p = p * f + 0.2402265135f;
    p = p * f + 0.6931472062f;
    p = p * f + 1.0f;
    return (vreal)((vint)p + ((vint)rounded << 23)); /* magic's bits are shifted out */
}

/* exp of any x. Below -87.3 the result is 0, above 88.7 infinity. */
static inline vreal v_exp(vreal x)
{
    vint is_small = x < -87.33654f, is_large = x > 88.72283f, is_nan = x != x;
    vreal y = v_exp_within(v_min(v_max(x, v_set(-87.33654f)), v_set(88.72283f)));
    y = v_select(is_small, v_set(0.0f), y);
    y = v_select(is_large, v_set(INFINITY), y);
    return v_select(is_nan, x, y);
}

/* The normal distribution, (1 + erf(x / sqrt 2)) / 2: of both tails, 2^(-t p(t)) for t = |x|, it
 * has one or lacks one. Tails behind 6 are 1e-9, and count as 0. Below -1/2 the error is at most
 * 2^-23 (about what 1 + erf would leave there), not 4 ulp. */
static inline vreal v_normal(vreal x)
{
    const vint sign_bit = (vint){0} + INT32_MIN;
    const vreal t = (vreal)((vint)x & ~sign_bit), near = v_min(t, v_set(6.0f));
    vreal p = near * -1.757243254e-7f + 4.333475159e-6f;
    p = p * near - 4.22599024e-5f;
    p = p * near + 0.0001780680544f;
    p = p * near + 0.0001774591294f;
    p = p * near - 0.007125542106f;
    p = p * near + 0.0525385082f;
    p = p * near + 0.4591959481f;
    p = p * near + 1.151106305f;
    vreal tail = v_exp2_below(-(p * near) - 1.0f);
    tail = v_select(t > 6.0f, v_set(0.0f), tail);
    return v_select(x < 0.0f, tail, 1.0f - tail);
}

static inline vreal v_tanh(vreal x)
{
    const vint sign_bit = (vint){0} + INT32_MIN;
    vreal t = (vreal)((vint)x & ~sign_bit), s = x * x;
    vreal p = s * -0.005717045478f + 0.0206505877f;
    p = p * s - 0.05374349821f;
    p = p * s + 0.1333149129f;
    p = p * s - 0.3333328393f;
    vreal small = p * s * x + x;
    vreal large = 1.0f - 2.0f / (v_exp_within(v_min(t, v_set(10.0f)) * 2.0f) + 1.0f);
    vreal y = v_select((vint)(t > 0.625f) & (vint)(x == x), large, small);
    return (vreal)((vint)y | ((vint)x & sign_bit)); /* of -0 too, where small is +0 */
}

#endif

#endif
