/* sweep_report.h: what a sweep found, as JSON, as a table, and in words. */
#ifndef PARE_CLI_SWEEP_REPORT_H
#define PARE_CLI_SWEEP_REPORT_H

#include "cli/sweep_summary.h"
#include "core/text.h"

/* All that is reported. */
typedef struct pare_sweep_findings {
    const pare_sweep_grid *grid;
    pare_json *const *results;      /* [n_cells] */
    const pare_sweep_score *scores; /* [n_points] */
    const pare_sweep_pick *picks;   /* [n_picks] */
    int n_picks;
    double tolerate;
} pare_sweep_findings;

/* {"cells": [...], "summary": [...], "picks": [...], "timing": {...}}: docs/sweep.md. All but
 * "timing" is the same whether or not the sweep was ever interrupted. NULL: out of memory. */
pare_json *pare_sweep_json(const pare_sweep_findings *findings);

/* A row a point, cells ended by TABs; `full`: all digits and all columns. Columns of times come
 * last. */
void pare_sweep_rows(const pare_sweep_findings *findings, bool full, pare_text *out);

/* Which point is best, and which is the smallest that is good enough: a line or two a group. */
void pare_sweep_words(const pare_sweep_findings *findings, pare_text *out);

#endif
