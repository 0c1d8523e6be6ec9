/* scale.c: where an axis has its ticks (after Heckbert's "nice numbers", Graphics Gems 1990). */
#include "plot/scale.h"

#include <stdio.h>
#include <string.h>

#define MINUS "\xe2\x88\x92" /* U+2212 */

static const double largest = 1e300, tiny = 1e-290;
static const double least_extent = 1e-9; /* of the magnitude: below it, doubles lie too far apart */
static const double rounding = 1e-9;     /* of a step: a tick so near an end is at that end */

void pare_range_add(pare_range *range, double value)
{
    if (!isfinite(value))
        return;
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

bool pare_range_is_empty(pare_range range)
{
    return !(range.low <= range.high);
}

/* ---- Ticks ---- */

/* The same range with an extent that ticks can divide. */
static pare_range widen(pare_range range)
{
    if (pare_range_is_empty(range))
        return (pare_range){0, 1};
    range.low = fmin(fmax(range.low, -largest), largest);
    range.high = fmin(fmax(range.high, -largest), largest);
    double magnitude = fmax(fabs(range.low), fabs(range.high));
    if (magnitude < tiny)
        return (pare_range){-1, 1};
    if (range.high - range.low > least_extent * magnitude)
        return range;
    return (pare_range){range.low - 0.1 * magnitude, range.high + 0.1 * magnitude};
}

/* k * 10^exponent; dividing by a power that is exact rounds once only: 3 / 10 is 0.3. */
static double times_power(double k, int exponent)
{
    return exponent < 0 ? k / pow(10, -exponent) : k * pow(10, exponent);
}

/* True if the ticks of this step that cover the range are few enough. */
static bool fit(pare_ticks *ticks, pare_range range, int most)
{
    double step = times_power(ticks->digit, ticks->exponent);
    double first = floor(range.low / step + rounding), last = ceil(range.high / step - rounding);
    if (last - first + 1 > most)
        return false;
    ticks->first = (int64_t)first;
    ticks->n = (int)(last - first) + 1;
    return true;
}

pare_ticks pare_ticks_choose(pare_range range, int most)
{
    static const int next[] = {[1] = 2, [2] = 5, [5] = 1};
    if (most < 3) /* -s, 0 and s are needed around zero, whatever the step */
        most = 3;
    range = widen(range);
    pare_ticks ticks = {.digit = 1};
    ticks.exponent = (int)floor(log10((range.high - range.low) / most));
    while (!fit(&ticks, range, most)) {
        ticks.exponent += ticks.digit == 5;
        ticks.digit = next[ticks.digit];
    }
    return ticks;
}

double pare_ticks_at(const pare_ticks *ticks, int index)
{
    return times_power((double)((ticks->first + index) * ticks->digit), ticks->exponent);
}

double pare_ticks_low(const pare_ticks *ticks)
{
    return pare_ticks_at(ticks, 0);
}

double pare_ticks_high(const pare_ticks *ticks)
{
    return pare_ticks_at(ticks, ticks->n - 1);
}

/* ---- Numbers as text ---- */

/* "1.5e+07" becomes "1.5e7", "1e-05" "1e-5" with a true minus. */
static void shorten_exponent(char *text)
{
    char *e = strchr(text, 'e'), rest[PARE_NUMBER_SIZE];
    if (!e)
        return;
    const char *sign = e[1] == '-' ? MINUS : "", *digits = e + 2;
    while (*digits == '0')
        digits++;
    snprintf(rest, sizeof rest, "%s%s", sign, digits);
    memcpy(e + 1, rest, strlen(rest) + 1);
}

/* Plain digits up to a million, and beyond it where there are decimals; else as many significant
 * digits as the decimals ask for. */
void pare_number_text(double value, int decimals, char text[PARE_NUMBER_SIZE])
{
    char digits[PARE_NUMBER_SIZE / 2];
    double size = fabs(value);
    int significant = (size > 0 ? (int)floor(log10(size)) + 1 : 1) + decimals;
    if (size < 1e6 ? decimals <= 6 : decimals > 0 && significant <= 15)
        snprintf(digits, sizeof digits, "%.*f", decimals < 0 ? 0 : decimals, size);
    else
        snprintf(digits, sizeof digits, "%.*g",
                 significant < 1 ? 1 : significant > 12 ? 12 : significant, size);
    bool zero = strspn(digits, "0.") == strlen(digits);
    snprintf(text, PARE_NUMBER_SIZE, "%s%s", value < 0 && !zero ? MINUS : "", digits);
    shorten_exponent(text);
}

void pare_ticks_text(const pare_ticks *ticks, int index, char text[PARE_NUMBER_SIZE])
{
    pare_number_text(pare_ticks_at(ticks, index), -ticks->exponent, text);
}

int pare_decimals(const double *values, int64_t n)
{
    double most = 0;
    bool whole = true;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        most = fmax(most, fabs(values[i]));
        whole = whole && values[i] == floor(values[i]);
    }
    if (whole)
        return 0;
    int decimals = 2 - (int)floor(log10(most) + 0.35); /* 0.5 counts as 1: two decimals */
    return decimals < 1 ? 1 : decimals;
}
