/* elementary.c: arguments are reduced exactly or nearly so, then come Taylor series. */
#include "core/elementary.h"

#include <math.h>

/* log 2 in two parts: the first has 32 bits, so that whole multiples of it are exact. */
#define LOG2_HIGH 0x1.62e42feep-1
#define LOG2_LOW 0x1.a39ef35793c76p-33

/* x = n log 2 + r, |r| <= log(2) / 2; e^r = 1 + r + r^2 (1/2! + r/3! + ... + r^11/13!). */
double pare_exp(double x)
{
    static const double terms[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,       1.0 / 120,
                                   1.0 / 720,     1.0 / 5040,     1.0 / 40320,    1.0 / 362880,
                                   1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600,
                                   1.0 / 6227020800};
    if (!(x > -746 && x < 710)) /* and what is no number stays that */
        return x < 0 ? 0 : x > 0 ? INFINITY : x;
    const double n = rint(x * 1.4426950408889634);
    const double high = x - n * LOG2_HIGH, low = n * LOG2_LOW, r = high - low;
    double series = 0;
    for (int k = 11; k >= 0; k--)
        series = series * r + terms[k];
    return ldexp(1 + (high + (r * r * series - low)), (int)n);
}

/* x = 2^n (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); with s = f / (2 + f),
 * log(1 + f) = 2 (s + s^3/3 + s^5/5 + ...) = f - f^2/2 + s (f^2/2 + 2 s^2/3 + 2 s^4/5 + ...). */
double pare_log(double x)
{
    int n;
    if (!(x > 0 && x < INFINITY))
        return x == 0 ? -INFINITY : x < 0 ? NAN : x;
    double m = frexp(x, &n);
    if (m < 0.70710678118654752440) {
        m *= 2;
        n--;
    }
    const double f = m - 1, half_square = 0.5 * f * f, s = f / (2 + f), squared = s * s;
    double series = 0;
    for (int k = 23; k >= 3; k -= 2)
        series = (series + 2.0 / k) * squared;
    return n * LOG2_HIGH - ((half_square - (s * (half_square + series) + n * LOG2_LOW)) - f);
}

/* Stirling's series from 12 on (Abramowitz and Stegun 6.1.41); below, Gamma(x) is
 * Gamma(x + 1) / x. */
double pare_log_gamma(double x)
{
    static const double terms[] = {1.0 / 12,    -1.0 / 360, 1.0 / 1260,
                                   -1.0 / 1680, 1.0 / 1188, -691.0 / 360360};
    double product = 1, series = 0;
    while (x < 12)
        product *= x++;
    for (int k = 5; k >= 0; k--)
        series = series / (x * x) + terms[k];
    return (x - 0.5) * pare_log(x) - x + 0.91893853320467274178 + series / x - pare_log(product);
}

double pare_power(double x, int64_t n)
{
    double result = 1;
    while (n > 0) {
        if (n & 1)
            result *= x;
        n >>= 1;
        x *= x;
    }
    return result;
}

/* t = q/4 + f exactly, |f| <= 1/8; sine and cosine of a = 2 pi f by their series, then turned by q
 * quarters. */
void pare_circle(double t, double *cosine, double *sine)
{
    const double quarters = rint(4 * t), a = 6.283185307179586 * (t - 0.25 * quarters);
    double sine_tail = 0, cosine_tail = 0;
    for (int k = 16; k >= 2; k -= 2) {
        cosine_tail = (1 - cosine_tail) * (a * a / ((k - 1) * k));
        sine_tail = (1 - sine_tail) * (a * a / (k * (k + 1)));
    }
    const double c = 1 - cosine_tail, s = a - a * sine_tail;
    const int turn = (int)((int64_t)quarters & 3);
    *cosine = turn == 0 ? c : turn == 1 ? -s : turn == 2 ? -c : s;
    *sine = turn == 0 ? s : turn == 1 ? c : turn == 2 ? -s : -c;
}
