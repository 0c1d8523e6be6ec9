/* draw_sorted.c: points in ascending order, hung from the baseline. */
#include "plot/draw.h"
#include "plot/frame.h"
#include "plot/legend.h"
#include "plot/marker.h"
#include "plot/series.h"

/* A slot of this width has a name that can be read; a page wider than this is none. */
static const double least_slot = 5, widest_area = 4000;

static pare_status check(const pare_chart *chart)
{
    if (chart->n_series != 1)
        return pare_fail(PARE_INTERNAL, "chart \"%s\": sorted values are one series, not %lld",
                         chart->title, (long long)chart->n_series);
    return pare_series_check(chart, false);
}

pare_status pare_draw_sorted(const pare_chart *chart, pare_arena *scratch, pare_canvas *canvas)
{
    pare_chart_series sorted;
    PARE_TRY(check(chart));
    PARE_TRY(pare_series_sort(&chart->series[0], scratch, &sorted));
    while (!isfinite(sorted.y[sorted.n - 1]))
        sorted.n--;
    pare_frame frame = {
        .x = {.names = sorted.labels, .n_names = sorted.n},
        .y.range = pare_series_y_range(chart),
        .least_width = fmin(least_slot * (double)sorted.n, widest_area),
    };
    pare_frame_begin(&frame, canvas, chart);
    bool hung = chart->baseline_label && isfinite(chart->baseline);
    double radius = fmin(4, fmax(1.5, 0.45 * (frame.right - frame.left) / (double)sorted.n));
    pare_stroke stem = {pare_color_fade(pare_palette(0), 0.45), fmin(1.5, radius / 1.5), false};
    for (int64_t i = 0; i < sorted.n; i++) {
        double x = pare_frame_x(&frame, (double)i + 0.5), y = pare_frame_y(&frame, sorted.y[i]);
        if (hung)
            pare_canvas_line(canvas, x, pare_frame_y(&frame, chart->baseline), x, y, stem);
        pare_marker_draw(canvas, 0, x, y, radius, 1);
    }
    pare_frame_baseline(&frame, canvas, chart);
    return PARE_OK;
}
