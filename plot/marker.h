/* marker.h: the signs that tell series apart without colour. */
#ifndef PARE_PLOT_MARKER_H
#define PARE_PLOT_MARKER_H

#include "plot/canvas.h"

/* The marker of series `index` in its palette colour; after eight the shapes move on by one, so
 * that shape and colour together name 64 series. */
void pare_marker_draw(pare_canvas *canvas, int64_t index, double x, double y, double radius,
                      double alpha);

#endif
