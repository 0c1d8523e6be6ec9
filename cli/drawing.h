/* drawing.h: the memory and the folder of charts under way.
 *
 *   static pare_status plot(pare_drawing *d, pare_json *const *results, ...);
 *   PARE_TRY(pare_drawing_run(plot, results, names, n, to));
 *
 * An allocation that failed is remembered, and pare_drawing_write returns PARE_MEMORY then; until
 * there, NULL must not be written to. */
#ifndef PARE_CLI_DRAWING_H
#define PARE_CLI_DRAWING_H

#include "core/json.h"
#include "core/memory.h"
#include "plot/chart.h"

/* Where charts go, and the paths of those that are there, as a JSON array of strings. */
typedef struct pare_plots {
    const char *folder;
    pare_json *charts;
} pare_plots;

typedef struct pare_drawing {
    pare_arena *arena;
    const pare_plots *to;
    bool failed;
} pare_drawing;

typedef pare_status pare_drawing_function(pare_drawing *drawing, pare_json *const *results,
                                          const char *const *names, int n);

/* Calls the function with a drawing of its own, whose memory ends with it. */
pare_status pare_drawing_run(pare_drawing_function *function, pare_json *const *results,
                             const char *const *names, int n, const pare_plots *to);

double *pare_drawing_numbers(pare_drawing *drawing, int64_t n);
/* As printf; cut to 511 bytes. */
const char *pare_drawing_text(pare_drawing *drawing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The chart as FOLDER/STEM.svg, .png and .tsv; the first joins the list. */
pare_status pare_drawing_write(const pare_drawing *drawing, const pare_chart *chart,
                               const char *stem);

#endif
