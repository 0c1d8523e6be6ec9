/* draw_lines.c: several series as lines with markers and error bars. */
#include "plot/draw.h"
#include "plot/frame.h"
#include "plot/legend.h"
#include "plot/marker.h"
#include "plot/series.h"

enum { CAP = 4 }; /* half the width of an error bar's ends */

/* From each point to the next one that there is: a missing point does not break the line. */
static void draw_line(const pare_frame *frame, pare_canvas *canvas, const pare_chart_series *one,
                      pare_stroke stroke)
{
    int64_t before = -1;
    for (int64_t i = 0; i < one->n; i++) {
        if (!pare_series_has_point(one, i))
            continue;
        if (before >= 0)
            pare_canvas_line(canvas, pare_frame_x(frame, one->x[before]),
                             pare_frame_y(frame, one->y[before]), pare_frame_x(frame, one->x[i]),
                             pare_frame_y(frame, one->y[i]), stroke);
        before = i;
    }
}

/* A bar from low to high with short strokes at its ends. */
static void draw_error(const pare_frame *frame, pare_canvas *canvas, double x, double low,
                       double high, pare_stroke stroke)
{
    double y0 = pare_frame_y(frame, low), y1 = pare_frame_y(frame, high);
    x = pare_frame_x(frame, x);
    pare_canvas_line(canvas, x, y0, x, y1, stroke);
    pare_canvas_line(canvas, x - CAP, y0, x + CAP, y0, stroke);
    pare_canvas_line(canvas, x - CAP, y1, x + CAP, y1, stroke);
}

/* Markers stand on all lines and bars of their series. */
static void draw_points(const pare_frame *frame, pare_canvas *canvas, const pare_chart *chart,
                        int64_t index)
{
    const pare_chart_series *one = &chart->series[index];
    pare_stroke bar = pare_series_stroke(index);
    bar.width = 1.2;
    for (int64_t i = 0; i < one->n; i++) {
        if (!pare_series_has_point(one, i))
            continue;
        if (one->error && isfinite(one->error[i]))
            draw_error(frame, canvas, one->x[i], one->y[i] - one->error[i],
                       one->y[i] + one->error[i], bar);
        pare_marker_draw(canvas, index, pare_frame_x(frame, one->x[i]),
                         pare_frame_y(frame, one->y[i]), 4.5, 1);
    }
}

pare_status pare_draw_lines(const pare_chart *chart, pare_arena *scratch, pare_canvas *canvas)
{
    (void)scratch;
    PARE_TRY(pare_series_check(chart, true));
    pare_frame frame = {
        .x.range = pare_series_x_range(chart),
        .y.range = pare_series_y_range(chart),
    };
    pare_frame_begin(&frame, canvas, chart);
    pare_frame_baseline(&frame, canvas, chart);
    for (int64_t s = 0; s < chart->n_series; s++)
        draw_line(&frame, canvas, &chart->series[s], pare_series_stroke(s));
    for (int64_t s = 0; s < chart->n_series; s++)
        draw_points(&frame, canvas, chart, s);
    return PARE_OK;
}
