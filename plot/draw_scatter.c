/* draw_scatter.c: points of two variables, and a line through them. */
#include "plot/draw.h"
#include "plot/frame.h"
#include "plot/legend.h"
#include "plot/marker.h"
#include "plot/series.h"

/* ---- The least-squares line ---- */

/* What one walk over the points adds up; the second walk has the means of the first. */
typedef struct sums {
    double n, x, y, xx, xy;
} sums;

static sums walk(const pare_chart *chart, double mean_x, double mean_y)
{
    sums sum = {0};
    for (int64_t s = 0; s < chart->n_series; s++) {
        const pare_chart_series *one = &chart->series[s];
        for (int64_t i = 0; i < one->n; i++) {
            if (!pare_series_has_point(one, i))
                continue;
            double dx = one->x[i] - mean_x, dy = one->y[i] - mean_y;
            sum.n++;
            sum.x += dx;
            sum.y += dy;
            sum.xx += dx * dx;
            sum.xy += dx * dy;
        }
    }
    return sum;
}

bool pare_fit(const pare_chart *chart, double *intercept, double *slope)
{
    sums first = walk(chart, 0, 0);
    double mean_x = first.x / first.n, mean_y = first.y / first.n;
    sums centred = walk(chart, mean_x, mean_y);
    *slope = centred.xy / centred.xx;
    *intercept = mean_y - *slope * mean_x;
    return isfinite(*slope) && isfinite(*intercept);
}

/* ---- Drawing ---- */

/* The two ends of the chart's line; false where it has none, or it misses the plot area. */
static bool line_ends(const pare_chart *chart, pare_range x, pare_range y, pare_point ends[2])
{
    double intercept = 0, slope = 1;
    if (chart->line == PARE_LINE_NONE)
        return false;
    if (chart->line == PARE_LINE_FIT && !pare_fit(chart, &intercept, &slope))
        return false;
    if (chart->line == PARE_LINE_DIAGONAL)
        x = (pare_range){fmax(x.low, y.low), fmin(x.high, y.high)};
    ends[0] = (pare_point){x.low, intercept + slope * x.low};
    ends[1] = (pare_point){x.high, intercept + slope * x.high};
    return !pare_range_is_empty(x);
}

static pare_range tick_range(const pare_axis *axis)
{
    return (pare_range){pare_ticks_low(&axis->ticks), pare_ticks_high(&axis->ticks)};
}

static void draw_line(const pare_chart *chart, const pare_frame *frame, pare_canvas *canvas)
{
    pare_point ends[2];
    pare_range x = chart->line == PARE_LINE_FIT ? frame->x.range : tick_range(&frame->x);
    if (line_ends(chart, x, tick_range(&frame->y), ends))
        pare_canvas_line(canvas, pare_frame_x(frame, ends[0].x), pare_frame_y(frame, ends[0].y),
                         pare_frame_x(frame, ends[1].x), pare_frame_y(frame, ends[1].y),
                         pare_fit_stroke);
}

pare_status pare_draw_scatter(const pare_chart *chart, pare_arena *scratch, pare_canvas *canvas)
{
    (void)scratch;
    PARE_TRY(pare_series_check(chart, true));
    pare_frame frame = {
        .x.range = pare_series_x_range(chart),
        .y.range = pare_series_y_range(chart),
    };
    pare_point ends[2];
    bool fit = chart->line == PARE_LINE_FIT;
    for (int i = 0; i < 2; i++) /* a fitted line stays within the plot area */
        if (fit && line_ends(chart, frame.x.range, frame.y.range, ends))
            pare_range_add(&frame.y.range, ends[i].y);
    pare_frame_begin(&frame, canvas, chart);
    pare_frame_baseline(&frame, canvas, chart);
    for (int64_t s = 0; s < chart->n_series; s++) {
        const pare_chart_series *one = &chart->series[s];
        for (int64_t i = 0; i < one->n; i++)
            if (pare_series_has_point(one, i))
                pare_marker_draw(canvas, s, pare_frame_x(&frame, one->x[i]),
                                 pare_frame_y(&frame, one->y[i]), 4, 0.8);
    }
    draw_line(chart, &frame, canvas);
    return PARE_OK;
}
