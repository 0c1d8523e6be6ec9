/* student.c: the incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8),
 * evaluated by Lentz's method. */
#include "tasks/student.h"

#include <math.h>

#include "core/elementary.h"

enum { MOST_TERMS = 10000 };

/* A denominator that is 0 becomes tiny instead, as Lentz's method wants. */
static double not_zero(double x)
{
    return fabs(x) < 1e-300 ? 1e-300 : x;
}

/* The continued fraction; it converges fast for x < (a + 1) / (a + b + 2). */
static double fraction(double a, double b, double x)
{
    double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), value = d;
    for (int m = 1; m < MOST_TERMS; m++) {
        const double terms[] = {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                                -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))};
        double factor = 1;
        for (int i = 0; i < 2; i++) {
            d = 1 / not_zero(1 + terms[i] * d);
            c = not_zero(1 + terms[i] / c);
            factor = c * d;
            value *= factor;
        }
        if (fabs(factor - 1) < 1e-16)
            break;
    }
    return value;
}

/* I(x; a, b) for 0 <= x <= 1, given y = 1 - x as exactly as it is known. */
static double incomplete_beta(double a, double b, double x, double y)
{
    if (x <= 0 || y <= 0)
        return x <= 0 ? 0 : 1;
    const double front =
        pare_exp(pare_log_gamma(a + b) - pare_log_gamma(a) - pare_log_gamma(b) +
                 a * pare_log(x) + b * pare_log(y));
    if (x < (a + 1) / (a + b + 2))
        return front * fraction(a, b, x) / a;
    return 1 - front * fraction(b, a, y) / b;
}

double pare_correlation_p(double r, int64_t n)
{
    if (n < 3 || isnan(r))
        return NAN;
    const double square = r * r < 1 ? r * r : 1;
    return incomplete_beta((double)n / 2 - 1, 0.5, (1 - fabs(r)) * (1 + fabs(r)), square);
}
