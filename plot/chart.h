/* chart.h: charts as SVG and PNG, with their numbers as TSV beside them.
 *
 *   const pare_chart_series heads = {.n = 144, .y = accuracy, .labels = names};   // "3.11", ...
 *   pare_chart chart = {
 *       .kind = PARE_CHART_SORTED,
 *       .title = "SST-2 without one head",
 *       .x_label = "layer.head",
 *       .y_label = "accuracy (%)",
 *       .series = &heads,
 *       .n_series = 1,
 *       .baseline = 92.7,
 *       .baseline_label = "all heads: 92.7",
 *   };
 *   PARE_TRY(pare_chart_write(&chart, "out/sst2-heads"));     // .tsv, .svg and .png
 *
 * What the kinds take; a kind is a row of plot/kinds.def:
 *
 *   SORTED    one series of y with labels: its points in ascending order, hung from the baseline
 *   SCATTER   series of (x, y): points; .line adds y = x or the least-squares line of all points
 *   HEAT_MAP  .matrix: cells coloured around a centre, each with its number; correlations, ranks
 *   LINES     series of (x, y) in order of x, with bars of +-error where there are errors
 *   BOXES     series of y: median, quartiles, whiskers within 1.5 of the box's height, every point
 *
 * Values that are not finite are left out of the drawing, or shown as "-" in a heat map; the TSV
 * has them as nan, inf and -inf. A page is 800 x 520 pixels; where many labels need more, it grows.
 * The same chart gives the same bytes, as long as the machine's fonts are the same. */
#ifndef PARE_PLOT_CHART_H
#define PARE_PLOT_CHART_H

#include "core/status.h"

typedef enum pare_chart_kind {
#define KIND(NAME, draw, tsv) PARE_CHART_##NAME,
#include "plot/kinds.def"
#undef KIND
    PARE_CHART_KINDS
} pare_chart_kind;

/* n points; arrays that a kind does not use may be NULL. */
typedef struct pare_chart_series {
    const char *name; /* in the legend, or under its box; NULL: none */
    int64_t n;
    const double *x, *y, *error;
    const char *const *labels; /* of the points */
} pare_chart_series;

/* At most 200 rows and 200 columns. */
typedef struct pare_chart_matrix {
    int64_t rows, columns;
    const double *values;                           /* [rows, columns] */
    const char *const *row_labels, *const *column_labels; /* NULL: 1, 2, 3, ... */
    const char *value_label; /* what the colours mean, with its unit; NULL: none */
    double centre;           /* the value that is white */
    double low, high;        /* the ends of the colours, as -1 and 1; equal: those of the values */
} pare_chart_matrix;

typedef enum pare_chart_line { PARE_LINE_NONE, PARE_LINE_DIAGONAL, PARE_LINE_FIT } pare_chart_line;

/* Everything is the caller's and is only read. What is zero is left out, or a default. */
typedef struct pare_chart {
    pare_chart_kind kind;
    const char *title, *x_label, *y_label; /* labels of axes with their units */
    const char *note; /* under the title, as "Pearson 0.42, Spearman 0.40, n 72" */
    const pare_chart_series *series;
    int64_t n_series;
    const char *baseline_label; /* a dashed red line at y = baseline, if this is given */
    double baseline;
    pare_chart_line line;       /* SCATTER */
    pare_chart_matrix matrix;   /* HEAT_MAP */
    double width, height;       /* the page; 0 = 800 x 520 */
    double png_scale;           /* pixels of the PNG per pixel of the page; 0 = 2 */
} pare_chart;

/* Writes path_stem.tsv, path_stem.svg and path_stem.png. All three are made in memory before the
 * first is stored, and each is replaced atomically. PARE_INPUT: there is no value to draw. */
pare_status pare_chart_write(const pare_chart *chart, const char *path_stem);

#endif
