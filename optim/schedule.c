/* schedule.c: see schedule.h. */
#include "optim/schedule.h"

#include <math.h>

double pare_linear_schedule(double base, int64_t k, int64_t w, int64_t n)
{
    if (k < w)
        return base * ((double)k / (double)w);
    if (k >= n)
        return 0;
    return base * ((double)(n - k) / (double)(n - w));
}

double pare_noam_schedule(double base, int64_t k, int64_t w, double d)
{
    const double s = (double)(k + 1);
    return base / sqrt(d) * fmin(1 / sqrt(s), s / ((double)w * sqrt((double)w)));
}
