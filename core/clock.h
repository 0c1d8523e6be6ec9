/* clock.h: seconds that only go forward, and numbers in order: what timing asks for. */
#ifndef PARE_CORE_CLOCK_H
#define PARE_CORE_CLOCK_H

#include <stdint.h>

/* Seconds since some moment, by the system's monotonic clock. */
double pare_seconds(void);

/* What is left of a limit that runs since `began`: a billionth at least, as 0 is no limit. */
double pare_seconds_left(double limit, double began);

/* values[n] become rising; without NaN. */
void pare_sort_doubles(double *values, int64_t n);

/* The q-th part of values[n], which are sorted; between two of them a straight line. */
double pare_quantile(const double *values, int64_t n, double q);

#endif
