/* scale.h: ranges of numbers, round numbers to mark them with, and numbers as text.
 *
 *   pare_range range = PARE_RANGE_EMPTY;
 *   for (int64_t i = 0; i < n; i++)
 *       pare_range_add(&range, y[i]);                     // what is not finite is passed over
 *   pare_ticks ticks = pare_ticks_choose(range, 8);       // e.g. 0.2 0.4 0.6 0.8
 *   for (int i = 0; i < ticks.n; i++) {
 *       char text[PARE_NUMBER_SIZE];
 *       pare_ticks_text(&ticks, i, text);
 *   } */
#ifndef PARE_PLOT_SCALE_H
#define PARE_PLOT_SCALE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* From the smallest to the largest value seen; low > high: none yet. */
typedef struct pare_range {
    double low, high;
} pare_range;
#define PARE_RANGE_EMPTY {INFINITY, -INFINITY}

void pare_range_add(pare_range *range, double value);
bool pare_range_is_empty(pare_range range);

/* n multiples of a step that is 1, 2 or 5 times a power of ten. */
typedef struct pare_ticks {
    int64_t first;           /* the first tick, in steps */
    int n, digit, exponent;  /* the step is digit * 10^exponent */
} pare_ticks;

/* The smallest step whose ticks, at most `most` (3 or more) of them, begin at or below the range
 * and end at or above it. A range without extent is widened, an empty one is 0 to 1; magnitudes
 * beyond 1e300 are taken for that. */
pare_ticks pare_ticks_choose(pare_range range, int most);
double pare_ticks_at(const pare_ticks *ticks, int index);
double pare_ticks_low(const pare_ticks *ticks);
double pare_ticks_high(const pare_ticks *ticks);

/* Numbers for people: a true minus sign, no sign at zero, "1.5e7" where many digits would come. */
enum { PARE_NUMBER_SIZE = 40 };
void pare_number_text(double value, int decimals, char text[PARE_NUMBER_SIZE]);
void pare_ticks_text(const pare_ticks *ticks, int index, char text[PARE_NUMBER_SIZE]);
/* The decimals that tell values of this range apart: none where all are whole, else three or so
 * digits of the largest. */
int pare_decimals(const double *values, int64_t n);

#endif
