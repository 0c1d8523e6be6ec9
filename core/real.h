/* real.h: the one floating type of activations, weights and gradients.
 *
 * float, or double in a build with -DPARE_DOUBLE: the same sources then check gradients and golden
 * numbers to 1e-9. Hyper-parameters, sums over a whole tensor and metrics are always double. */
#ifndef PARE_CORE_REAL_H
#define PARE_CORE_REAL_H

#ifdef PARE_DOUBLE
typedef double real;
#define PARE_REAL_NAME "F64"
#else
typedef float real;
#define PARE_REAL_NAME "F32"
#endif

#endif
