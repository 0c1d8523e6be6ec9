/* canvas.c: cairo behind names of our own.
 *
 * Until pare_canvas_begin the context belongs to an image of one pixel, which is good for measuring
 * text: with hinting off, a text is as wide there as in SVG and in PNG at any scale. */
#include "plot/canvas.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <cairo-svg.h>
#include <cairo.h>

#include "core/library_guard.h"
#include "core/memory.h"

static const double most_pixels = 16e6;
static const double smallest_shrink = 0.75; /* of a text's size, before it is cut */

struct pare_canvas {
    pare_canvas_format format;
    pare_text *out;
    cairo_t *cairo;
    cairo_status_t measured; /* what the context before the page's came to */
};

/* ---- The page ---- */

/* Takes over the surface. Fonts are drawn as their designer made them: hinting would fit each size
 * to a grid of pixels, and widths would differ between SVG and PNG. */
static void use_surface(pare_canvas *canvas, cairo_surface_t *surface)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    if (canvas->cairo) {
        canvas->measured = cairo_status(canvas->cairo);
        cairo_destroy(canvas->cairo);
    }
    canvas->cairo = cairo_create(surface);
    cairo_surface_destroy(surface); /* the context holds it */
    cairo_set_font_options(canvas->cairo, options);
    cairo_font_options_destroy(options);
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
}

pare_canvas *pare_canvas_new(pare_canvas_format format, pare_text *out)
{
    pare_canvas *canvas = pare_calloc(1, sizeof *canvas);
    if (!canvas)
        return NULL;
    canvas->format = format;
    canvas->out = out;
    pare_library_enter("cairo", "a chart");
    use_surface(canvas, cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1));
    return canvas;
}

/* Called by cairo for each piece of the file. */
static cairo_status_t take_bytes(void *out, const unsigned char *bytes, unsigned n)
{
    pare_text_add(out, (const char *)bytes, n);
    return pare_text_status(out) == PARE_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static void begin_svg(pare_canvas *canvas, double width, double height)
{
    cairo_surface_t *page =
        cairo_svg_surface_create_for_stream(take_bytes, canvas->out, width, height);
    cairo_svg_surface_set_document_unit(page, CAIRO_SVG_UNIT_PX);
    use_surface(canvas, page);
}

/* Without alpha: pages are white, and the files smaller. */
static void begin_png(pare_canvas *canvas, double width, double height, double scale)
{
    scale = fmin(scale, sqrt(most_pixels / (width * height)));
    use_surface(canvas, cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width * scale),
                                                   (int)ceil(height * scale)));
    cairo_scale(canvas->cairo, scale, scale);
}

void pare_canvas_begin(pare_canvas *canvas, double width, double height, double scale)
{
    width = ceil(width), height = ceil(height);
    if (canvas->format == PARE_CANVAS_SVG)
        begin_svg(canvas, width, height);
    else
        begin_png(canvas, width, height, scale);
    pare_canvas_rectangle(canvas, 0, 0, width, height, pare_white, (pare_stroke){0});
}

/* ---- Lines and shapes ---- */

static void use_color(cairo_t *cairo, pare_color c)
{
    cairo_set_source_rgba(cairo, c.r, c.g, c.b, c.a);
}

/* Draws along the path, and forgets it. */
static void stroke_path(cairo_t *cairo, pare_stroke stroke)
{
    static const double dashes[] = {6, 4};
    if (stroke.width > 0) {
        use_color(cairo, stroke.color);
        cairo_set_line_width(cairo, stroke.width);
        cairo_set_dash(cairo, dashes, stroke.dashed ? 2 : 0, 0);
        cairo_stroke(cairo);
    }
    cairo_new_path(cairo);
}

/* Fills and outlines the path, and forgets it. */
static void fill_path(cairo_t *cairo, pare_color fill, pare_stroke outline)
{
    if (fill.a > 0) {
        use_color(cairo, fill);
        cairo_fill_preserve(cairo);
    }
    stroke_path(cairo, outline);
}

void pare_canvas_line(pare_canvas *canvas, double x0, double y0, double x1, double y1,
                      pare_stroke stroke)
{
    cairo_move_to(canvas->cairo, x0, y0);
    cairo_line_to(canvas->cairo, x1, y1);
    stroke_path(canvas->cairo, stroke);
}

void pare_canvas_rectangle(pare_canvas *canvas, double x, double y, double width, double height,
                           pare_color fill, pare_stroke outline)
{
    cairo_rectangle(canvas->cairo, x, y, width, height);
    fill_path(canvas->cairo, fill, outline);
}

void pare_canvas_circle(pare_canvas *canvas, double x, double y, double radius, pare_color fill,
                        pare_stroke outline)
{
    cairo_arc(canvas->cairo, x, y, radius, 0, 2 * M_PI);
    fill_path(canvas->cairo, fill, outline);
}

void pare_canvas_polygon(pare_canvas *canvas, const pare_point *corners, int64_t n,
                         pare_color fill, pare_stroke outline)
{
    for (int64_t i = 0; i < n; i++)
        cairo_line_to(canvas->cairo, corners[i].x, corners[i].y);
    cairo_close_path(canvas->cairo);
    fill_path(canvas->cairo, fill, outline);
}

/* ---- Text ---- */

static void use_font(cairo_t *cairo, double size, bool bold)
{
    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, size);
}

/* How far the pen moves, in the font that is in use. */
static double advance(cairo_t *cairo, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(cairo, text, &extents);
    return extents.x_advance;
}

double pare_canvas_text_width(pare_canvas *canvas, const char *text, double size, bool bold)
{
    use_font(canvas->cairo, size, bold);
    return advance(canvas->cairo, text);
}

/* buffer[size] = as much of the text as fits the room with "..." behind it, cut between
 * characters of UTF-8. */
static void cut(cairo_t *cairo, const char *text, double room, char *buffer, size_t size)
{
    static const char dots[] = "\xe2\x80\xa6";
    size_t n = strlen(text);
    if (n > size - sizeof dots)
        n = size - sizeof dots;
    for (;;) {
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
        memcpy(buffer, text, n);
        memcpy(buffer + n, dots, sizeof dots);
        if (n == 0 || advance(cairo, buffer) <= room)
            return;
        n--;
    }
}

/* Draws at (0, 0) of the moved and turned page. */
static void show(cairo_t *cairo, const char *text, pare_font font)
{
    char buffer[512];
    use_font(cairo, font.size, font.bold);
    double width = advance(cairo, text);
    if (font.room > 0 && width > font.room) {
        use_font(cairo, font.size * fmax(font.room / width, smallest_shrink), font.bold);
        width = advance(cairo, text);
        if (width > font.room * 1.001) {
            cut(cairo, text, font.room, buffer, sizeof buffer);
            text = buffer;
            width = advance(cairo, text);
        }
    }
    cairo_text_extents_t digit;
    cairo_text_extents(cairo, "0", &digit);
    double start = font.align == PARE_ALIGN_START ? 0 : font.align == PARE_ALIGN_END ? 1 : 0.5;
    cairo_move_to(cairo, -start * width, digit.height / 2);
    use_color(cairo, font.color);
    cairo_show_text(cairo, text);
    cairo_new_path(cairo);
}

void pare_canvas_text(pare_canvas *canvas, double x, double y, const char *text, pare_font font)
{
    cairo_save(canvas->cairo);
    cairo_translate(canvas->cairo, x, y);
    if (font.upwards)
        cairo_rotate(canvas->cairo, -M_PI / 2);
    show(canvas->cairo, text, font);
    cairo_restore(canvas->cairo);
}

/* ---- The end ---- */

/* cairo numbers its surfaces in the order in which a program makes them, and writes the number as
 * an SVG group's name: taken out, as the same chart is to be the same bytes. */
static void drop_surface_number(pare_text *out)
{
    static const char id[] = " id=\"surface";
    char *start = out->bytes ? strstr(out->bytes, id) : NULL;
    char *end = start ? strchr(start + strlen(id), '"') : NULL;
    if (!end)
        return;
    end++;
    memmove(start, end, out->n - (size_t)(end - out->bytes) + 1);
    out->n -= (size_t)(end - start);
}

static pare_status fail_cairo(cairo_status_t status)
{
    if (status == CAIRO_STATUS_NO_MEMORY || status == CAIRO_STATUS_WRITE_ERROR)
        return pare_fail(PARE_MEMORY, "out of memory while drawing a chart");
    if (status == CAIRO_STATUS_INVALID_STRING)
        return pare_hint(pare_fail(PARE_INPUT, "a text of the chart is no valid UTF-8"),
                         "convert the labels to UTF-8");
    return pare_fail(PARE_INTERNAL, "drawing a chart: %s", cairo_status_to_string(status));
}

/* The surface writes an SVG's text when it is finished, a PNG's when it is asked to. */
static cairo_status_t write_page(pare_canvas *canvas)
{
    cairo_surface_t *page = cairo_surface_reference(cairo_get_target(canvas->cairo));
    cairo_status_t status = canvas->measured ? canvas->measured : cairo_status(canvas->cairo);
    if (status == CAIRO_STATUS_SUCCESS && canvas->format == PARE_CANVAS_PNG)
        status = cairo_surface_write_to_png_stream(page, take_bytes, canvas->out);
    cairo_destroy(canvas->cairo);
    cairo_surface_finish(page);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(page);
    cairo_surface_destroy(page);
    return status;
}

pare_status pare_canvas_finish(pare_canvas *canvas, pare_status drawn)
{
    bool svg = canvas->format == PARE_CANVAS_SVG;
    pare_text *out = canvas->out;
    cairo_status_t status = CAIRO_STATUS_SUCCESS;
    if (drawn == PARE_OK)
        status = write_page(canvas);
    else
        cairo_destroy(canvas->cairo);
    if (errno == ENOMEM) /* which may look like success, with a shape left out */
        status = CAIRO_STATUS_NO_MEMORY;
    pare_library_leave();
    pare_free(canvas);
    if (drawn != PARE_OK)
        return drawn;
    if (status != CAIRO_STATUS_SUCCESS)
        return fail_cairo(status);
    if (svg)
        drop_surface_number(out);
    return pare_text_status(out);
}
