/* clock.h: seconds that only go forward, and numbers in order: what timing asks for. */
#ifndef PARE_CORE_CLOCK_H
#define PARE_CORE_CLOCK_H

#include <stdint.h>

/* Seconds since some moment, by the system's monotonic clock. */
double pare_seconds(void);

/* values[n] become rising; without NaN. */
void pare_sort_doubles(double *values, int64_t n);

#endif
