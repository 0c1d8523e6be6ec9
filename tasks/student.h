/* student.h: how likely a correlation is by chance. */
#ifndef PARE_TASKS_STUDENT_H
#define PARE_TASKS_STUDENT_H

#include <stdint.h>

/* Two-sided p-value of a correlation r of n pairs, as scipy's pearsonr has it: of
 * t = r sqrt((n - 2) / (1 - r^2)) under Student's t with n - 2 degrees of freedom, which is
 * I(1 - r^2; n/2 - 1, 1/2), the regularised incomplete beta function. NaN for n < 3. */
double pare_correlation_p(double r, int64_t n);

#endif
