/* marker.c: a table of regular polygons and stars. */
#include "plot/marker.h"

#include <math.h>

enum { SHAPES = 8, MOST_CORNERS = 12 };

/* A star of n points, the first at `turn` (in circles, 0 to the right, growing downwards), its
 * inner corners at `inner` radii; inner 0: a polygon. Factors make the areas look alike. */
static const struct {
    int n;
    double turn, inner, factor;
} shapes[SHAPES] = {
    {0, 0, 0, 1},           /* a circle */
    {4, 0.125, 0, 1.25},    /* a square */
    {3, -0.25, 0, 1.4},     /* a triangle */
    {4, 0, 0, 1.35},        /* a diamond */
    {3, 0.25, 0, 1.4},      /* a triangle on its tip */
    {5, -0.25, 0.42, 1.6},  /* a star */
    {4, 0.125, 0.34, 1.6},  /* a cross */
    {6, -0.25, 0, 1.15},    /* a hexagon */
};

void pare_marker_draw(pare_canvas *canvas, int64_t index, double x, double y, double radius,
                      double alpha)
{
    int64_t shape = (index + index / PARE_PALETTE_COLORS) % SHAPES;
    pare_color fill = pare_color_fade(pare_palette(index), alpha);
    pare_stroke edge = {pare_color_fade(pare_white, alpha), 0.8, false};
    int n = shapes[shape].n;
    double r = radius * shapes[shape].factor;
    if (n == 0) {
        pare_canvas_circle(canvas, x, y, r, fill, edge);
        return;
    }
    bool star = shapes[shape].inner > 0;
    pare_point corners[MOST_CORNERS];
    int n_corners = star ? 2 * n : n;
    for (int i = 0; i < n_corners; i++) {
        double angle = 2 * M_PI * (shapes[shape].turn + (double)i / n_corners);
        double reach = star && i % 2 ? r * shapes[shape].inner : r;
        corners[i] = (pare_point){x + reach * cos(angle), y + reach * sin(angle)};
    }
    pare_canvas_polygon(canvas, corners, n_corners, fill, edge);
}
