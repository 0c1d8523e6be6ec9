/* draw_heat_map.c: a matrix as coloured cells with their numbers, and the bar of its colours. */
#include "plot/draw.h"

#include <string.h>

#include "plot/frame.h"
#include "plot/series.h"

enum { MOST = 200 }; /* rows, columns */
enum { BAR_GAP = 22, BAR_WIDTH = 16, BAR_STEPS = 128, BAR_TICK = 8, BAR_LABEL = 24 };
static const double least_cell_width = 22, cell_height = 22, tallest_cell = 56, padding = 5;
static const double value_size = 11, smallest_value = 8;

static pare_status check(const pare_chart *chart)
{
    const pare_chart_matrix *m = &chart->matrix;
    int64_t finite = 0;
    if (m->rows > MOST || m->columns > MOST)
        return pare_fail(PARE_INPUT, "chart \"%s\": %lld x %lld cells, where %d x %d are the most",
                         chart->title, (long long)m->rows, (long long)m->columns, MOST, MOST);
    if (m->rows > 0 && m->columns > 0 && !m->values)
        return pare_fail(PARE_INTERNAL, "chart \"%s\": the matrix lacks its values", chart->title);
    for (int64_t i = 0; i < m->rows * m->columns; i++)
        finite += isfinite(m->values[i]);
    if (finite > 0)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "chart \"%s\": there is no value to draw", chart->title),
                     "see that the results it is made from hold finite numbers");
}

/* ---- Colours ---- */

/* The ends of the colours; the centre lies at one of them, or between. */
static pare_range color_range(const pare_chart_matrix *m)
{
    pare_range range = PARE_RANGE_EMPTY;
    pare_range_add(&range, m->centre);
    if (m->low != m->high) {
        pare_range_add(&range, m->low);
        pare_range_add(&range, m->high);
    } else {
        for (int64_t i = 0; i < m->rows * m->columns; i++)
            pare_range_add(&range, m->values[i]);
    }
    if (range.low == range.high)
        range = (pare_range){range.low - 1, range.high + 1};
    return range;
}

/* Equal distances from the centre have equally strong colours. */
static pare_color color_of(const pare_chart_matrix *m, pare_range range, double value)
{
    double extent = fmax(range.high - m->centre, m->centre - range.low);
    return pare_diverging((value - m->centre) / extent);
}

/* As many numbers as the bar has room for. */
static pare_ticks bar_ticks(const pare_chart_matrix *m)
{
    int most = (int)fmin(10, fmax(3, (double)m->rows * cell_height / 25));
    return pare_ticks_choose(color_range(m), most);
}

/* What the bar needs beside the cells. */
static double bar_room(pare_canvas *canvas, const pare_chart_matrix *m)
{
    pare_ticks ticks = bar_ticks(m);
    double numbers = BAR_TICK + pare_frame_ticks_width(canvas, &ticks);
    return BAR_GAP + BAR_WIDTH + numbers + (m->value_label ? BAR_LABEL : 0) - 10;
}

/* From low below to high above; each step is drawn a little too high, against seams. */
static void draw_colors(const pare_frame *frame, pare_canvas *canvas, const pare_chart_matrix *m,
                        double x)
{
    pare_range range = color_range(m);
    double height = frame->bottom - frame->top, step = height / BAR_STEPS;
    for (int i = BAR_STEPS - 1; i >= 0; i--) {
        double part = (i + 0.5) / BAR_STEPS, bottom = frame->bottom - i * step;
        double top = fmax(bottom - step - 0.6, frame->top);
        pare_color color = color_of(m, range, range.low + part * (range.high - range.low));
        pare_canvas_rectangle(canvas, x, top, BAR_WIDTH, bottom - top, color, (pare_stroke){0});
    }
    pare_canvas_rectangle(canvas, x, frame->top, BAR_WIDTH, height, (pare_color){0},
                          (pare_stroke){pare_ink, 0.8, false});
}

/* The colours with their numbers and meaning. */
static void draw_bar(const pare_frame *frame, pare_canvas *canvas, const pare_chart_matrix *m)
{
    pare_range range = color_range(m);
    pare_ticks ticks = bar_ticks(m);
    double left = frame->right + BAR_GAP, right = left + BAR_WIDTH, slack = 1e-9;
    draw_colors(frame, canvas, m, left);
    for (int i = 0; i < ticks.n; i++) {
        char text[PARE_NUMBER_SIZE];
        double part = (pare_ticks_at(&ticks, i) - range.low) / (range.high - range.low);
        if (part < -slack || part > 1 + slack)
            continue; /* ticks cover the range, and may pass its ends */
        double y = frame->bottom - part * (frame->bottom - frame->top);
        pare_ticks_text(&ticks, i, text);
        pare_canvas_line(canvas, right, y, right + 4, y, (pare_stroke){pare_ink, 0.8, false});
        pare_canvas_text(canvas, right + BAR_TICK, y, text,
                         pare_frame_font(value_size, PARE_ALIGN_START, 0));
    }
    right += BAR_TICK + pare_frame_ticks_width(canvas, &ticks) + BAR_LABEL / 2.0 + 2;
    if (m->value_label)
        pare_canvas_text(canvas, right, (frame->top + frame->bottom) / 2, m->value_label,
                         pare_frame_label_font(frame));
}

/* ---- Cells ---- */

static void value_text(double value, int decimals, char text[PARE_NUMBER_SIZE])
{
    if (isfinite(value))
        pare_number_text(value, decimals, text);
    else
        memcpy(text, "-", 2);
}

/* In pixels: it decides how wide cells are, and how large their numbers. */
static double widest_value(pare_canvas *canvas, const pare_chart_matrix *m, double size)
{
    int decimals = pare_decimals(m->values, m->rows * m->columns);
    double widest = 1;
    for (int64_t i = 0; i < m->rows * m->columns; i++) {
        char text[PARE_NUMBER_SIZE];
        value_text(m->values[i], decimals, text);
        widest = fmax(widest, pare_canvas_text_width(canvas, text, size, false));
    }
    return widest;
}

/* Each cell in its colour, with its number in black or white. */
static void draw_cells(const pare_frame *frame, pare_canvas *canvas, const pare_chart_matrix *m)
{
    pare_range range = color_range(m);
    int decimals = pare_decimals(m->values, m->rows * m->columns);
    double width = (frame->right - frame->left) / (double)m->columns;
    double height = (frame->bottom - frame->top) / (double)m->rows;
    double room = (width - padding) / widest_value(canvas, m, value_size);
    double size = fmin(value_size, value_size * room); /* one for all */
    for (int64_t i = 0; i < m->rows * m->columns; i++) {
        double value = m->values[i];
        int64_t row = i / m->columns, column = i % m->columns;
        double x = pare_frame_x(frame, (double)column), y = pare_frame_y(frame, (double)row);
        pare_color fill = isfinite(value) ? color_of(m, range, value) : pare_white;
        pare_font font = pare_frame_font(size, PARE_ALIGN_CENTER, 0);
        font.color = isfinite(value) ? pare_contrasting(fill) : pare_dim;
        char text[PARE_NUMBER_SIZE];
        value_text(value, decimals, text);
        pare_canvas_rectangle(canvas, x, y, width, height, fill,
                              (pare_stroke){pare_faint, 0.8, false});
        pare_canvas_text(canvas, x + width / 2, y + height / 2, text, font);
    }
}

pare_status pare_draw_heat_map(const pare_chart *chart, pare_arena *scratch, pare_canvas *canvas)
{
    const pare_chart_matrix *m = &chart->matrix;
    PARE_TRY(check(chart));
    double cell = fmax(least_cell_width, widest_value(canvas, m, smallest_value) + padding);
    pare_frame frame = {
        .x = {.names = pare_labels_or_numbers(m->column_labels, m->columns, scratch),
              .n_names = m->columns},
        .y = {.names = pare_labels_or_numbers(m->row_labels, m->rows, scratch),
              .n_names = m->rows},
        .least_width = cell * (double)m->columns,
        .least_height = cell_height * (double)m->rows,
        .most_height = tallest_cell * (double)m->rows,
        .right_room = bar_room(canvas, m),
        .bare = true,
    };
    if (!frame.x.names || !frame.y.names)
        return PARE_MEMORY;
    pare_frame_begin(&frame, canvas, chart);
    draw_cells(&frame, canvas, m);
    draw_bar(&frame, canvas, m);
    return PARE_OK;
}
