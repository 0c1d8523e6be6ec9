/* legend.c: items that flow from left to right, and on the next row where they do not fit. */
#include "plot/legend.h"

#include <math.h>

#include "plot/marker.h"

const pare_stroke pare_baseline_stroke = {{0.80, 0.08, 0.10, 1}, 1.6, true};
const pare_stroke pare_fit_stroke = {{0.35, 0.35, 0.35, 1}, 1.4, true};

enum { ROW = 20, SAMPLE = 26, GAP = 6, BETWEEN = 18, TEXT = 12 };

pare_stroke pare_series_stroke(int64_t index)
{
    return (pare_stroke){pare_palette(index), 1.8, false};
}

typedef struct item {
    const char *text;
    int64_t marker; /* a series, or -1 */
    pare_stroke line; /* of no width: none */
} item;

/* Item i, counted over everything that may be explained; false where there is nothing to say. */
static bool get_item(const pare_chart *chart, int64_t i, item *out)
{
    if (i < chart->n_series) {
        *out = (item){.text = chart->series[i].name, .marker = i};
        if (chart->kind == PARE_CHART_LINES)
            out->line = pare_series_stroke(i);
        return out->text && chart->kind != PARE_CHART_BOXES; /* boxes are named on their axis */
    }
    if (i == chart->n_series) {
        bool fit = chart->line == PARE_LINE_FIT;
        *out = (item){fit ? "least squares" : "y = x", -1, pare_fit_stroke};
        return chart->kind == PARE_CHART_SCATTER && chart->line != PARE_LINE_NONE;
    }
    *out = (item){chart->baseline_label, -1, pare_baseline_stroke};
    return chart->baseline_label != NULL;
}

/* How many items get_item is asked for. */
static int64_t count(const pare_chart *chart)
{
    return chart->kind == PARE_CHART_HEAT_MAP ? 0 : chart->n_series + 2;
}

/* A sample of the line, the marker in its middle, and the text to the right of it. */
static void draw_item(pare_canvas *canvas, const item *one, double x, double y, double room)
{
    if (one->line.width > 0)
        pare_canvas_line(canvas, x, y, x + SAMPLE, y, one->line);
    if (one->marker >= 0)
        pare_marker_draw(canvas, one->marker, x + SAMPLE / 2.0, y, 4.5, 1);
    pare_canvas_text(canvas, x + SAMPLE + GAP, y, one->text,
                     (pare_font){TEXT, pare_ink, PARE_ALIGN_START, .room = room});
}

/* Walks the items; draws them where `y` is a number. Returns the height. */
static double walk(pare_canvas *canvas, const pare_chart *chart, double x, double y, double width)
{
    double at = 0, row = 0, room = width - SAMPLE - GAP;
    bool any = false;
    for (int64_t i = 0; i < count(chart); i++) {
        item one;
        if (!get_item(chart, i, &one))
            continue;
        double text = fmin(pare_canvas_text_width(canvas, one.text, TEXT, false), room);
        double needs = SAMPLE + GAP + text;
        if (at > 0 && at + needs > width)
            at = 0, row += ROW;
        if (!isnan(y))
            draw_item(canvas, &one, x + at, y + row + ROW / 2.0, room);
        at += needs + BETWEEN;
        any = true;
    }
    return any ? row + ROW : 0;
}

double pare_legend_height(pare_canvas *canvas, const pare_chart *chart, double width)
{
    return walk(canvas, chart, 0, NAN, width);
}

void pare_legend_draw(pare_canvas *canvas, const pare_chart *chart, double x, double y,
                      double width)
{
    walk(canvas, chart, x, y, width);
}
