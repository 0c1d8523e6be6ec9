/* draw.h: one function a kind of chart, named by plot/kinds.def.
 *
 * A function checks the chart's data, fills a pare_frame, begins it, and draws its data into the
 * frame's plot area. Scratch is given back by the caller. */
#ifndef PARE_PLOT_DRAW_H
#define PARE_PLOT_DRAW_H

#include "core/memory.h"
#include "plot/canvas.h"
#include "plot/chart.h"

typedef pare_status pare_draw_function(const pare_chart *chart, pare_arena *scratch,
                                       pare_canvas *canvas);

#define KIND(NAME, draw, tsv) pare_draw_function pare_draw_##draw;
#include "plot/kinds.def"
#undef KIND

/* What a box shows of n values in ascending order. Quartiles lie between two values as numpy's
 * do by default; whiskers are the outermost values within 1.5 (q3 - q1) of the box. */
typedef struct pare_box {
    double low_whisker, q1, median, q3, high_whisker;
} pare_box;
pare_box pare_box_of(const double *sorted, int64_t n);

/* The least-squares line y = intercept + slope x over the points of all series; false where it is
 * not defined: fewer than two different x. */
bool pare_fit(const pare_chart *chart, double *intercept, double *slope);

#endif
