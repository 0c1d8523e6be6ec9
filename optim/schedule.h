/* schedule.h: learning rates over a run. */
#ifndef PARE_OPTIM_SCHEDULE_H
#define PARE_OPTIM_SCHEDULE_H

#include <stdint.h>

/* The rate of update k (from 0) of n: base k/w while k < w, then base (n - k)/(n - w): linear
 * warm-up and decay to 0, as transformers' get_linear_schedule_with_warmup. */
double pare_linear_schedule(double base, int64_t k, int64_t w, int64_t n);

/* Noam's, of update k (from 0): base d^-0.5 min(s^-0.5, s w^-1.5) with s = k + 1 (Vaswani et al.
 * 2017, section 5.3): linear warm-up over w updates, then falling as 1 / sqrt(s). */
double pare_noam_schedule(double base, int64_t k, int64_t w, double d);

#endif
