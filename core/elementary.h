/* elementary.h: exp, log and their kin in double, the same bits on any machine.
 *
 * The C library picks its own by the CPU (glibc: with or without fused multiply-add), and their
 * last bits differ. Whatever a weight, a mask or a metric depends on calls these instead, on every
 * kernel path; vectors of reals have core/cpu/vmath.h. They are sums and products in double, which
 * IEEE 754 defines to the bit, compiled without contraction; sqrt, floor, ldexp and the like are
 * exact by themselves. tests/test_elementary.c measures their errors, here in units in the last
 * place. */
#ifndef PARE_CORE_ELEMENTARY_H
#define PARE_CORE_ELEMENTARY_H

#include <stdint.h>

/* e^x, within 1 ulp: 0 below -745.2, infinity above 709.8. */
double pare_exp(double x);

/* The natural logarithm, within 1 ulp: -infinity of 0, NaN of less. */
double pare_log(double x);

/* log |Gamma(x)| for x > 0, within 2e-14 of the larger of it and 1. */
double pare_log_gamma(double x);

/* x^n for n >= 0 by squaring, within n ulp: exact for n = 1. */
double pare_power(double x, int64_t n);

/* cos(2 pi t) and sin(2 pi t) for |t| < 2^50, within 2 ulp. */
void pare_circle(double t, double *cosine, double *sine);

#endif
