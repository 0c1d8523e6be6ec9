/* frame.c: measures the margins, makes the page and draws what stands around the data. */
#include "plot/frame.h"

#include "plot/legend.h"

/* Sizes of text, and distances, in pixels. */
enum { TITLE = 16, NOTE = 12, LABEL = 13, TICK = 11 };
enum { EDGE = 12, TITLE_ROW = 40, NOTE_ROW = 20, LABEL_ROW = 20, LEGEND_GAP = 8, TICK_LENGTH = 5 };
enum { LONGEST_NAME = 170, SPACE_OF_TICK_Y = 40 };
static const double default_width = 800, default_height = 520;
static const double least_area = 120;      /* the plot area keeps this much, whatever the margins */
static const double line_height = 1.1;     /* of names written upwards, side by side */
static const double smallest_name = 7.5;

pare_font pare_frame_font(double size, pare_align align, double room)
{
    return (pare_font){.size = size, .color = pare_ink, .align = align, .room = room};
}

/* ---- Measuring ---- */

/* Longer names are shortened when they are drawn. */
static double widest_name(pare_canvas *canvas, const pare_axis *axis, double size)
{
    double widest = 0;
    for (int64_t i = 0; i < axis->n_names; i++)
        widest = fmax(widest, pare_canvas_text_width(canvas, axis->names[i], size, false));
    return fmin(widest, LONGEST_NAME);
}

double pare_frame_ticks_width(pare_canvas *canvas, const pare_ticks *ticks)
{
    double widest = 0;
    for (int i = 0; i < ticks->n; i++) {
        char text[PARE_NUMBER_SIZE];
        pare_ticks_text(ticks, i, text);
        widest = fmax(widest, pare_canvas_text_width(canvas, text, TICK, false));
    }
    return widest;
}

/* The pixels of one name along its axis. */
static double slot(const pare_frame *frame, const pare_axis *axis)
{
    double length = axis == &frame->x ? frame->right - frame->left : frame->bottom - frame->top;
    return length / (double)axis->n_names;
}

/* The size at which names of x fit beside each other. */
static double x_name_size(const pare_frame *frame)
{
    double pitch = slot(frame, &frame->x) * frame->x.tiers / line_height;
    return frame->x.upwards ? fmin(TICK, fmax(pitch, smallest_name)) : TICK;
}

/* left and right: a page that is too narrow for its plot area becomes wider. */
static void measure_width(pare_frame *frame, pare_canvas *canvas, const pare_chart *chart)
{
    frame->width = chart->width > 0 ? chart->width : default_width;
    double names = frame->y.names ? widest_name(canvas, &frame->y, TICK)
                                  : pare_frame_ticks_width(canvas, &frame->y.ticks);
    frame->left = EDGE + (chart->y_label ? LABEL_ROW : 0) + names + TICK_LENGTH + 4;
    double right = EDGE + 10 + frame->right_room;
    double least = fmax(least_area, frame->least_width);
    frame->width = fmax(frame->width, frame->left + least + right);
    frame->right = frame->width - right;
}

/* As many ticks of x as have room for their numbers; half the last number stands to the right of
 * the plot area. */
static void choose_x_ticks(pare_frame *frame, pare_canvas *canvas)
{
    double widest = 0;
    for (int most = 11; most >= 3; most--) {
        frame->x.ticks = pare_ticks_choose(frame->x.range, most);
        widest = pare_frame_ticks_width(canvas, &frame->x.ticks);
        if ((widest + 16) * frame->x.ticks.n <= frame->right - frame->left)
            break;
    }
    frame->right = fmin(frame->right, frame->width - widest / 2 - 6);
}

/* How names of x are written; returns the height that they, or numbers, take. */
static double measure_x_names(pare_frame *frame, pare_canvas *canvas)
{
    pare_axis *x = &frame->x;
    x->tiers = 1;
    if (!x->names)
        return TICK_LENGTH + TICK + 6;
    double each = slot(frame, x);
    x->upwards = widest_name(canvas, x, TICK) > each - 6;
    if (x->upwards && each < smallest_name * line_height)
        x->tiers = 2;
    if (!x->upwards)
        return TICK_LENGTH + TICK + 6;
    x->longest = widest_name(canvas, x, x_name_size(frame));
    return x->tiers * (x->longest + TICK_LENGTH + 3) + 3;
}

/* top and bottom: the plot area has what the rest of the page leaves, within its limits. */
static void measure_height(pare_frame *frame, pare_canvas *canvas, const pare_chart *chart)
{
    double width = frame->right - frame->left;
    double legend = pare_legend_height(canvas, chart, width);
    frame->top = TITLE_ROW + (chart->note ? NOTE_ROW : 0) + legend + LEGEND_GAP;
    double below = measure_x_names(frame, canvas) + (chart->x_label ? LABEL_ROW : 0) + EDGE;
    frame->height = chart->height > 0 ? chart->height : default_height;
    double area = frame->height - frame->top - below;
    if (frame->most_height > 0)
        area = fmin(area, frame->most_height);
    area = fmax(area, fmax(least_area, frame->least_height));
    frame->bottom = frame->top + area;
    frame->height = frame->bottom + below;
}

/* ---- Drawing ---- */

/* Differences of huge numbers pass the largest double: each is divided by the extent before. */
double pare_frame_x(const pare_frame *frame, double value)
{
    const pare_axis *x = &frame->x;
    double low = x->names ? 0 : pare_ticks_low(&x->ticks);
    double high = x->names ? (double)x->n_names : pare_ticks_high(&x->ticks);
    return frame->left + (frame->right - frame->left) * (value / (high - low) - low / (high - low));
}

double pare_frame_y(const pare_frame *frame, double value)
{
    const pare_axis *y = &frame->y;
    double height = frame->bottom - frame->top;
    if (y->names)
        return frame->top + height * value / (double)y->n_names;
    double low = pare_ticks_low(&y->ticks), extent = pare_ticks_high(&y->ticks) - low;
    return frame->bottom - height * (value / extent - low / extent);
}

/* The room of a text that is centred on a place of a page of this length. */
static double room_around(double place, double length)
{
    return 2 * fmin(place, length - place) - EDGE;
}

pare_font pare_frame_label_font(const pare_frame *frame)
{
    pare_font font = pare_frame_font(LABEL, PARE_ALIGN_CENTER, 0);
    font.upwards = true;
    font.room = room_around((frame->top + frame->bottom) / 2, frame->height);
    return font;
}

static void draw_titles(const pare_frame *frame, pare_canvas *canvas, const pare_chart *chart)
{
    double room = frame->width - 2 * EDGE, middle = (frame->left + frame->right) / 2;
    pare_font title = pare_frame_font(TITLE, PARE_ALIGN_START, room);
    title.bold = true;
    pare_canvas_text(canvas, EDGE, 24, chart->title, title);
    pare_font note = pare_frame_font(NOTE, PARE_ALIGN_START, room);
    note.color = pare_dim;
    if (chart->note)
        pare_canvas_text(canvas, EDGE, TITLE_ROW + 6, chart->note, note);
    if (chart->x_label)
        pare_canvas_text(canvas, middle, frame->height - EDGE - 6, chart->x_label,
                         pare_frame_font(LABEL, PARE_ALIGN_CENTER,
                                         room_around(middle, frame->width)));
    if (chart->y_label)
        pare_canvas_text(canvas, EDGE + 6, (frame->top + frame->bottom) / 2, chart->y_label,
                         pare_frame_label_font(frame));
}

/* A name at x, in the row of its tier; a thin line leads down to the second tier. */
static void draw_x_name(const pare_frame *frame, pare_canvas *canvas, double x, const char *name,
                        int tier)
{
    double size = x_name_size(frame), y = frame->bottom + TICK_LENGTH + 3;
    if (!frame->x.upwards) {
        pare_canvas_text(canvas, x, y + TICK / 2.0, name,
                         pare_frame_font(size, PARE_ALIGN_CENTER, 0));
        return;
    }
    y += tier * (frame->x.longest + TICK_LENGTH + 3);
    if (tier > 0)
        pare_canvas_line(canvas, x, frame->bottom, x, y - 3, (pare_stroke){pare_faint, 0.8, false});
    pare_font font = pare_frame_font(size, PARE_ALIGN_END, LONGEST_NAME);
    font.upwards = true;
    pare_canvas_text(canvas, x, y, name, font);
}

/* All names, or each second, third, ... where not even two tiers can hold them. */
static void draw_x_names(const pare_frame *frame, pare_canvas *canvas)
{
    const pare_axis *axis = &frame->x;
    double pitch = slot(frame, axis) * axis->tiers / line_height;
    int64_t skip = axis->upwards ? (int64_t)ceil(smallest_name * 0.9 / pitch) : 1;
    for (int64_t i = 0; i < axis->n_names; i += skip)
        draw_x_name(frame, canvas, pare_frame_x(frame, (double)i + 0.5), axis->names[i],
                    (int)(i / skip % axis->tiers));
}

static void draw_x_numbers(const pare_frame *frame, pare_canvas *canvas)
{
    const pare_axis *axis = &frame->x;
    const pare_stroke ink = {pare_ink, 1, false}, grid = {pare_faint, 1, false};
    for (int i = 0; i < axis->ticks.n; i++) {
        char text[PARE_NUMBER_SIZE];
        double x = pare_frame_x(frame, pare_ticks_at(&axis->ticks, i));
        pare_ticks_text(&axis->ticks, i, text);
        pare_canvas_line(canvas, x, frame->top, x, frame->bottom, grid);
        pare_canvas_line(canvas, x, frame->bottom, x, frame->bottom + TICK_LENGTH, ink);
        draw_x_name(frame, canvas, x, text, 0);
    }
}

static void draw_y_names(const pare_frame *frame, pare_canvas *canvas)
{
    double x = frame->left - TICK_LENGTH - 4;
    for (int64_t i = 0; i < frame->y.n_names; i++)
        pare_canvas_text(canvas, x, pare_frame_y(frame, (double)i + 0.5), frame->y.names[i],
                         pare_frame_font(TICK, PARE_ALIGN_END, LONGEST_NAME));
}

static void draw_y_numbers(const pare_frame *frame, pare_canvas *canvas)
{
    const pare_axis *axis = &frame->y;
    const pare_stroke ink = {pare_ink, 1, false}, grid = {pare_faint, 1, false};
    double x = frame->left - TICK_LENGTH - 4;
    for (int i = 0; i < axis->ticks.n; i++) {
        char text[PARE_NUMBER_SIZE];
        double y = pare_frame_y(frame, pare_ticks_at(&axis->ticks, i));
        pare_ticks_text(&axis->ticks, i, text);
        pare_canvas_line(canvas, frame->left, y, frame->right, y, grid);
        pare_canvas_line(canvas, frame->left - TICK_LENGTH, y, frame->left, y, ink);
        pare_canvas_text(canvas, x, y, text, pare_frame_font(TICK, PARE_ALIGN_END, 0));
    }
}

static void draw_axes(const pare_frame *frame, pare_canvas *canvas)
{
    const pare_stroke ink = {pare_ink, 1, false};
    if (frame->x.names)
        draw_x_names(frame, canvas);
    else
        draw_x_numbers(frame, canvas);
    if (frame->y.names)
        draw_y_names(frame, canvas);
    else
        draw_y_numbers(frame, canvas);
    if (frame->bare)
        return;
    pare_canvas_line(canvas, frame->left, frame->top, frame->left, frame->bottom, ink);
    pare_canvas_line(canvas, frame->left, frame->bottom, frame->right, frame->bottom, ink);
}

void pare_frame_begin(pare_frame *frame, pare_canvas *canvas, const pare_chart *chart)
{
    int most = (int)((chart->height > 0 ? chart->height : default_height) / SPACE_OF_TICK_Y);
    if (!frame->y.names)
        frame->y.ticks = pare_ticks_choose(frame->y.range, most < 10 ? most : 10);
    measure_width(frame, canvas, chart);
    if (!frame->x.names)
        choose_x_ticks(frame, canvas);
    measure_height(frame, canvas, chart);
    pare_canvas_begin(canvas, frame->width, frame->height,
                      chart->png_scale > 0 ? chart->png_scale : 2);
    draw_titles(frame, canvas, chart);
    double width = frame->right - frame->left;
    double legend_top = frame->top - LEGEND_GAP - pare_legend_height(canvas, chart, width);
    pare_legend_draw(canvas, chart, frame->left, legend_top, width);
    draw_axes(frame, canvas);
}

void pare_frame_baseline(const pare_frame *frame, pare_canvas *canvas, const pare_chart *chart)
{
    if (!chart->baseline_label || !isfinite(chart->baseline))
        return;
    double y = pare_frame_y(frame, chart->baseline);
    pare_canvas_line(canvas, frame->left, y, frame->right, y, pare_baseline_stroke);
}
