/* color.c: the palette, the scale around a centre, and the text that can be read upon it. */
#include "plot/color.h"

#include <math.h>

const pare_color pare_black = {0, 0, 0, 1};
const pare_color pare_white = {1, 1, 1, 1};
const pare_color pare_ink = {0.13, 0.13, 0.13, 1};
const pare_color pare_dim = {0.42, 0.42, 0.42, 1};
const pare_color pare_faint = {0.90, 0.90, 0.90, 1};

pare_color pare_palette(int64_t index)
{
    /* Okabe and Ito's, the strongest on white first. */
    static const unsigned palette[PARE_PALETTE_COLORS] = {
        0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x000000, 0xf0e442,
    };
    unsigned rgb = palette[index % PARE_PALETTE_COLORS];
    return (pare_color){(rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0, 1};
}

pare_color pare_diverging(double t)
{
    /* Five stops at -1, -1/2, 0, 1/2 and 1, joined by straight lines. */
    static const pare_color stops[] = {
        {0.03, 0.32, 0.61, 1}, {0.42, 0.68, 0.84, 1}, {1, 1, 1, 1},
        {0.99, 0.68, 0.42, 1}, {0.70, 0.28, 0.00, 1},
    };
    double at = 2 * (fmin(fmax(t, -1), 1) + 1);
    int left = at < 3 ? (int)at : 3;
    double part = at - left;
    const pare_color *a = &stops[left], *b = a + 1;
    return (pare_color){a->r + part * (b->r - a->r), a->g + part * (b->g - a->g),
                        a->b + part * (b->b - a->b), 1};
}

/* An sRGB component as an amount of light (IEC 61966-2-1). */
static double linear(double component)
{
    return component <= 0.04045 ? component / 12.92 : pow((component + 0.055) / 1.055, 2.4);
}

/* Contrast as WCAG 2 has it: (lighter + 0.05) / (darker + 0.05) of the luminances. Black reads
 * better than white where (L + 0.05) / 0.05 > 1.05 / (L + 0.05). */
pare_color pare_contrasting(pare_color c)
{
    double light = 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b) + 0.05;
    return light * light > 1.05 * 0.05 ? pare_black : pare_white;
}

pare_color pare_color_fade(pare_color color, double alpha)
{
    color.a *= alpha;
    return color;
}
