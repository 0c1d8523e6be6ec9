/* draw_boxes.c: groups of values as boxes with whiskers, and every value as a point. */
#include "core/clock.h"
#include "plot/draw.h"
#include "plot/frame.h"
#include "plot/series.h"

static const double widest_box = 70, box_part = 0.5; /* of its slot */
static const double widest_page = 4000, least_slot = 24;

/* ---- What a box shows ---- */

pare_box pare_box_of(const double *sorted, int64_t n)
{
    pare_box box = {.q1 = pare_quantile(sorted, n, 0.25),
                    .median = pare_quantile(sorted, n, 0.5),
                    .q3 = pare_quantile(sorted, n, 0.75)};
    double reach = 1.5 * (box.q3 - box.q1);
    int64_t low = 0, high = n - 1;
    while (sorted[low] < box.q1 - reach)
        low++;
    while (sorted[high] > box.q3 + reach)
        high--;
    /* Where the values next to a quartile are outliers, a whisker ends at the box. */
    box.low_whisker = fmin(sorted[low], box.q1);
    box.high_whisker = fmax(sorted[high], box.q3);
    return box;
}

/* ---- Drawing ---- */

/* A whisker from the box at y0 to its end at y1. */
static void draw_whisker(pare_canvas *canvas, double x, double half, double y0, double y1,
                         pare_stroke stroke)
{
    pare_canvas_line(canvas, x, y0, x, y1, stroke);
    pare_canvas_line(canvas, x - half / 2, y1, x + half / 2, y1, stroke);
}

/* The box reaches from the first to the third quartile, a thick line across it is the median. */
static void draw_box(const pare_frame *frame, pare_canvas *canvas, pare_box box, double x,
                     double half, pare_color color)
{
    pare_stroke edge = {color, 1.5, false};
    double q1 = pare_frame_y(frame, box.q1), q3 = pare_frame_y(frame, box.q3);
    double median = pare_frame_y(frame, box.median);
    pare_canvas_rectangle(canvas, x - half, q3, 2 * half, q1 - q3, pare_color_fade(color, 0.15),
                          edge);
    draw_whisker(canvas, x, half, q1, pare_frame_y(frame, box.low_whisker), edge);
    draw_whisker(canvas, x, half, q3, pare_frame_y(frame, box.high_whisker), edge);
    pare_canvas_line(canvas, x - half, median, x + half, median, (pare_stroke){color, 3, false});
}

/* Points are spread over the box's width by multiples of the golden ratio: neighbours lie far
 * apart, and the same values always lie in the same places. */
static void draw_values(const pare_frame *frame, pare_canvas *canvas, const double *sorted,
                        int64_t n, double x, double half)
{
    static const double golden = 0.6180339887498949;
    pare_color fill = pare_color_fade(pare_black, 0.55);
    for (int64_t i = 0; i < n; i++) {
        double at = n == 1 ? 0.5 : fmod((double)(i + 1) * golden, 1);
        pare_canvas_circle(canvas, x + (2 * at - 1) * 0.8 * half, pare_frame_y(frame, sorted[i]),
                           2.2, fill, (pare_stroke){pare_white, 0.4, false});
    }
}

/* A group without a finite value leaves its place empty. */
static pare_status draw_group(const pare_frame *frame, pare_canvas *canvas,
                              const pare_chart *chart, int64_t index, pare_arena *scratch)
{
    pare_chart_series sorted;
    PARE_TRY(pare_series_sort(&chart->series[index], scratch, &sorted));
    while (sorted.n > 0 && !isfinite(sorted.y[sorted.n - 1]))
        sorted.n--;
    if (sorted.n == 0)
        return PARE_OK;
    double slot = (frame->right - frame->left) / (double)chart->n_series;
    double x = pare_frame_x(frame, (double)index + 0.5);
    double half = fmin(widest_box, slot * box_part) / 2;
    pare_box box = pare_box_of(sorted.y, sorted.n);
    draw_box(frame, canvas, box, x, half, pare_palette(index));
    draw_values(frame, canvas, sorted.y, sorted.n, x, half);
    return PARE_OK;
}

pare_status pare_draw_boxes(const pare_chart *chart, pare_arena *scratch, pare_canvas *canvas)
{
    PARE_TRY(pare_series_check(chart, false));
    const char **names = pare_arena_alloc(scratch, (size_t)chart->n_series * sizeof *names);
    if (!names)
        return PARE_MEMORY;
    for (int64_t s = 0; s < chart->n_series; s++)
        names[s] = chart->series[s].name ? chart->series[s].name : "";
    pare_frame frame = {
        .x = {.names = names, .n_names = chart->n_series},
        .y.range = pare_series_y_range(chart),
        .least_width = fmin(least_slot * (double)chart->n_series, widest_page),
    };
    pare_frame_begin(&frame, canvas, chart);
    pare_frame_baseline(&frame, canvas, chart);
    for (int64_t s = 0; s < chart->n_series; s++)
        PARE_TRY(draw_group(&frame, canvas, chart, s, scratch));
    return PARE_OK;
}
