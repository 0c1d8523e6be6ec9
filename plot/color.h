/* color.h: colours that most colour-blind readers tell apart, and where each is used.
 *
 *   pare_color blue = pare_palette(0);                  // series 0, 1, 2, ...
 *   pare_color cell = pare_diverging(-0.4);             // -1 blue, 0 white, 1 orange
 *   pare_color text = pare_contrasting(cell);           // black or white, whichever reads better
 *
 * The palette is that of Okabe and Ito (2008). Components are sRGB, 0 to 1. */
#ifndef PARE_PLOT_COLOR_H
#define PARE_PLOT_COLOR_H

#include <stdint.h>

/* a: 0 is invisible, 1 opaque. */
typedef struct pare_color {
    double r, g, b, a;
} pare_color;

extern const pare_color pare_black, pare_white;
extern const pare_color pare_ink;  /* text and frames */
extern const pare_color pare_dim;  /* notes, and values that are missing */
extern const pare_color pare_faint; /* grid lines */

/* The colour of series `index`; after eight they come again. */
enum { PARE_PALETTE_COLORS = 8 };
pare_color pare_palette(int64_t index);

/* From blue through white at 0 to orange; t beyond -1 or 1 is taken as that end. Each component
 * falls, or stays, with the distance from 0. */
pare_color pare_diverging(double t);

pare_color pare_contrasting(pare_color background);

/* The same colour, seen through: alpha is multiplied. */
pare_color pare_color_fade(pare_color color, double alpha);

#endif
