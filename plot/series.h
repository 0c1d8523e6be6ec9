/* series.h: what several kinds of charts ask of their series. */
#ifndef PARE_PLOT_SERIES_H
#define PARE_PLOT_SERIES_H

#include "core/memory.h"
#include "plot/chart.h"
#include "plot/scale.h"

/* Arrays that the kind needs are there (else PARE_INTERNAL), and a point to draw (PARE_INPUT). */
pare_status pare_series_check(const pare_chart *chart, bool needs_x);

/* A point with its x, where the series has one, and its y: both are finite. */
bool pare_series_has_point(const pare_chart_series *series, int64_t i);

/* Over the points of all series; y holds the ends of error bars and the baseline, too. */
pare_range pare_series_x_range(const pare_chart *chart);
pare_range pare_series_y_range(const pare_chart *chart);

/* The series in ascending order of y, equal values in their old order, what is not finite last.
 * It gets labels where it had none. */
pare_status pare_series_sort(const pare_chart_series *series, pare_arena *scratch,
                             pare_chart_series *out);

/* labels[n] itself, or "1", "2", ... where it is NULL. NULL: PARE_MEMORY is set. */
const char *const *pare_labels_or_numbers(const char *const *labels, int64_t n,
                                          pare_arena *scratch);

#endif
