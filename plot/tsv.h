/* tsv.h: a chart's numbers as tab-separated text, exact to the last bit.
 *
 * Series: a row a point, with the columns series, label, x, y and error as far as they are given;
 * the baseline comes last, under its label as the series. A matrix: a row a row, after a header of
 * the columns' labels. Tabs and line ends within labels become spaces. */
#ifndef PARE_PLOT_TSV_H
#define PARE_PLOT_TSV_H

#include "core/memory.h"
#include "core/text.h"
#include "plot/chart.h"

/* A function of plot/kinds.def; what it adds to `out` is complete unless out says otherwise. */
typedef pare_status pare_tsv_function(const pare_chart *chart, pare_arena *scratch,
                                      pare_text *out);

#define KIND(NAME, draw, tsv) pare_tsv_function pare_tsv_##tsv;
#include "plot/kinds.def"
#undef KIND

#endif
