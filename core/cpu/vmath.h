/* vmath.h: exp, erf and tanh of vectors.
 *
 * In float: polynomials from fit_polynomials.py, whose errors tests/test_kernels.c measures (at
 * most 4 ulp). In the double build, lane by lane through the C library: it checks gradients. */
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
LANEWISE(v_exp_below, exp)
LANEWISE(v_erf, erf)
LANEWISE(v_tanh, tanh)
#undef LANEWISE

#else

/* exp(x) = 2^n e^r with n = round(x / log 2), for -87.3 <= x <= 88.7: returns e^r, and n. */
static inline vreal v_exp_reduced(vreal x, vint *n_out)
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
    *n_out = (vint)rounded - 0x4B400000;
    return p * (r * r) + r + 1.0f;
}

/* For -87.3 <= x <= 88.7; 2^n in two factors, as n may be 128, which no exponent holds. */
static inline vreal v_exp_within(vreal x)
{
    vint n;
    const vreal p = v_exp_reduced(x, &n);
    vint half = n >> 1;
    return p * (vreal)((half + 127) << 23) * (vreal)((n - half + 127) << 23);
}

/* For -87.3 <= x <= 0. */
static inline vreal v_exp_below(vreal x)
{
    vint n;
    const vreal p = v_exp_reduced(x, &n);
    return p * (vreal)((n + 127) << 23);
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

/* An odd polynomial up to 1, 1 - exp(-t p(t)) above; 1 to rounding from 4 on. */
static inline vreal v_erf(vreal x)
{
    const vint sign_bit = (vint){0} + INT32_MIN;
    vreal t = (vreal)((vint)x & ~sign_bit), s = x * x;
    vreal p = s * 7.889123246e-5f - 0.0008020842332f;
    p = p * s + 0.005189535449f;
    p = p * s - 0.02685444464f;
    p = p * s + 0.1128360018f;
    p = p * s - 0.3761262714f;
    p = p * s + 0.1283791659f;
    vreal small = p * x + x;
    const vint is_large = t > 1.0f; /* not where x is no number */
    t = v_min(t, v_set(4.0f));
    vreal q = t * 3.557042478e-6f - 2.843581818e-5f;
    q = q * t - 0.0001387473382f;
    q = q * t + 0.003182008969f;
    q = q * t - 0.0230916311f;
    q = q * t + 0.1056690504f;
    q = q * t + 0.6354101243f;
    q = q * t + 1.128599584f;
    vreal large = 1.0f - v_exp_below(-(q * t));
    large = (vreal)((vint)large | ((vint)x & sign_bit));
    return v_select(is_large, large, small);
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
