/* clock.c: the monotonic clock, and qsort. */
#include "core/clock.h"

#include <stdlib.h>
#include <time.h>

double pare_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double pare_seconds_left(double limit, double began)
{
    const double left = limit - (pare_seconds() - began), least = 1e-9;
    return limit <= 0 ? 0 : left > least ? left : least;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void pare_sort_doubles(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, rising);
}

double pare_quantile(const double *values, int64_t n, double q)
{
    const double place = q * (double)(n - 1);
    const int64_t below = (int64_t)place, above = below + 1 < n ? below + 1 : below;
    return values[below] + (place - (double)below) * (values[above] - values[below]);
}
