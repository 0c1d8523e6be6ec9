/* canvas.h: lines, shapes and text on a page that becomes SVG or PNG (the only user of cairo).
 *
 *   pare_canvas *canvas = pare_canvas_new(PARE_CANVAS_SVG, &bytes);   // a pare_text takes the file
 *   double w = pare_canvas_text_width(canvas, "0.25", 11, false);     // measuring needs no page
 *   pare_canvas_begin(canvas, 800, 520, 1);                           // a white page
 *   pare_canvas_line(canvas, 10, 10, 90, 10, (pare_stroke){pare_ink, 1.5, true});
 *   pare_canvas_text(canvas, 50, 40, "0.25", (pare_font){.size = 11, .color = pare_ink});
 *   return pare_canvas_finish(canvas, PARE_OK);                       // frees it in any case
 *
 * Lengths are in pixels at scale 1; y grows downwards. Errors are remembered until the
 * finish. The same calls give the same bytes, as long as the machine's fonts are the same. */
#ifndef PARE_PLOT_CANVAS_H
#define PARE_PLOT_CANVAS_H

#include "core/text.h"
#include "plot/color.h"

typedef enum pare_canvas_format { PARE_CANVAS_SVG, PARE_CANVAS_PNG } pare_canvas_format;

typedef struct pare_stroke {
    pare_color color;
    double width;
    bool dashed;
} pare_stroke;

/* Which point of a text's box stands at the place that is given. */
typedef enum pare_align { PARE_ALIGN_CENTER, PARE_ALIGN_START, PARE_ALIGN_END } pare_align;

typedef struct pare_font {
    double size;
    pare_color color;
    pare_align align; /* along the line of text; across it, the middle of a digit's height */
    bool bold;
    bool upwards;     /* turned to read from below to above, about the given place */
    double room;      /* a longer text is shrunk a little, then cut with "..."; 0 = no limit */
} pare_font;

typedef struct pare_point {
    double x, y;
} pare_point;

typedef struct pare_canvas pare_canvas;
/* NULL on failure, with PARE_MEMORY set. */
pare_canvas *pare_canvas_new(pare_canvas_format format, pare_text *out);
/* Makes the page; to be called once, before anything is drawn. A PNG has width x scale columns;
 * one that would pass 16 million pixels gets a smaller scale. */
void pare_canvas_begin(pare_canvas *canvas, double width, double height, double scale);

void pare_canvas_line(pare_canvas *canvas, double x0, double y0, double x1, double y1,
                      pare_stroke stroke);
/* Filled, then outlined; a width of 0 draws no outline. */
void pare_canvas_rectangle(pare_canvas *canvas, double x, double y, double width, double height,
                           pare_color fill, pare_stroke outline);
void pare_canvas_circle(pare_canvas *canvas, double x, double y, double radius, pare_color fill,
                        pare_stroke outline);
void pare_canvas_polygon(pare_canvas *canvas, const pare_point *corners, int64_t n,
                         pare_color fill, pare_stroke outline);
void pare_canvas_text(pare_canvas *canvas, double x, double y, const char *text, pare_font font);
double pare_canvas_text_width(pare_canvas *canvas, const char *text, double size, bool bold);

/* Ends the page and frees the canvas. `drawn` is what the drawing came to: a failure is handed on,
 * and there is no page then. PARE_INPUT: a text was no valid UTF-8. */
pare_status pare_canvas_finish(pare_canvas *canvas, pare_status drawn);

#endif
