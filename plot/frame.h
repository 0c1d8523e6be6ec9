/* frame.h: the page around a chart's data: title, note, legend, axes.
 *
 *   pare_frame frame = {.x.ticks = pare_ticks_choose(x_range, 10), ...};   // or .x.names
 *   pare_frame_begin(&frame, canvas, chart);      // measures, makes the page, draws all around
 *   pare_marker_draw(canvas, 0, pare_frame_x(&frame, x[i]), pare_frame_y(&frame, y[i]), 4, 1);
 *
 * From above: title, note, legend, plot area, names of the ticks, the axis' label. Each has its
 * height measured before the page is made, so that nothing can lie on something else. */
#ifndef PARE_PLOT_FRAME_H
#define PARE_PLOT_FRAME_H

#include "plot/canvas.h"
#include "plot/chart.h"
#include "plot/scale.h"

/* An axis of numbers, or of names, each in the middle of its slot: 0.5, 1.5, ... Names of y stand
 * from above to below. */
typedef struct pare_axis {
    pare_range range; /* of numbers: ticks are chosen from it */
    pare_ticks ticks;
    const char *const *names;
    int64_t n_names;
    /* Made by pare_frame_begin: names of x that do not fit beside each other are written upwards,
     * in two tiers where they are too many for one; `longest` is the length of the longest. */
    bool upwards;
    int tiers;
    double longest;
} pare_axis;

typedef struct pare_frame {
    /* Given by the caller. */
    pare_axis x, y;
    double least_width, least_height; /* the plot area's; 0: what the page leaves */
    double most_height;               /* a page with less in it is lower; 0: no limit */
    double right_room;                /* kept free beside the plot area, for a colour bar */
    bool bare;                        /* no grid and no axis lines */
    /* Made by pare_frame_begin: the page, and the plot area within it. */
    double width, height, left, right, top, bottom;
} pare_frame;

void pare_frame_begin(pare_frame *frame, pare_canvas *canvas, const pare_chart *chart);

/* Where a number, or the middle of slot i as i + 0.5, lies on the page. */
double pare_frame_x(const pare_frame *frame, double value);
double pare_frame_y(const pare_frame *frame, double value);

/* The dashed line across the plot area, if the chart has one. */
void pare_frame_baseline(const pare_frame *frame, pare_canvas *canvas, const pare_chart *chart);

/* Upwards beside the plot area, about its middle: labels of y, and of colours. */
pare_font pare_frame_label_font(const pare_frame *frame);

/* The width of the widest number of these ticks, at the size in which axes have them. */
double pare_frame_ticks_width(pare_canvas *canvas, const pare_ticks *ticks);

/* Small text on the page: names of ticks, values. */
pare_font pare_frame_font(double size, pare_align align, double room);

#endif
