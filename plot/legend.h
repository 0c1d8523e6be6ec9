/* legend.h: which line or marker means what, in rows above the plot area, where no data can lie. */
#ifndef PARE_PLOT_LEGEND_H
#define PARE_PLOT_LEGEND_H

#include "plot/canvas.h"
#include "plot/chart.h"

/* How the chart draws its lines. */
extern const pare_stroke pare_baseline_stroke, pare_fit_stroke;
pare_stroke pare_series_stroke(int64_t index);

/* The height of the legend over `width` pixels; 0 where there is nothing to explain. */
double pare_legend_height(pare_canvas *canvas, const pare_chart *chart, double width);
/* Draws it with its upper left corner at (x, y). */
void pare_legend_draw(pare_canvas *canvas, const pare_chart *chart, double x, double y,
                      double width);

#endif
