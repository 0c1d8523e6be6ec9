/* plot_results.h: charts of what the other commands' JSON files say.
 *
 *   pare_json *const results[] = {...};        // of pare heads sweep, a metrics.jsonl, ...
 *   const pare_plots to = {"plots", pare_json_new_array()};
 *   PARE_TRY(pare_plot_heads(results, names, n, &to));
 *
 * names[n] tell the files apart: titles, legends and file names begin with them. A function draws
 * the results that it knows and passes over the others. */
#ifndef PARE_CLI_PLOT_RESULTS_H
#define PARE_CLI_PLOT_RESULTS_H

#include "cli/drawing.h"

/* Results of pare heads sweep: the metric without each head, sorted; the differences by layer and
 * head; and of every two the differences side by side. Of pare heads prune --step: the score as
 * heads go, all files of a task and metric in one chart, those of random order as their mean and
 * deviation. Of pare heads correlate: both matrices. */
pare_status pare_plot_heads(pare_json *const *results, const char *const *names, int n,
                            const pare_plots *to);

/* Results of pare sweep, all together, by task: score and forward time against layers dropped, a
 * line a strategy, and the scores of all seeds. */
pare_status pare_plot_sweep(pare_json *const *results, const char *const *names, int n,
                            const pare_plots *to);

/* Results of pare flop run: a model's ranks by layer and matrix; all together, by task: scores
 * against parameters and forward time, a line a method, with bars over seeds. */
pare_status pare_plot_flop(pare_json *const *results, const char *const *names, int n,
                           const pare_plots *to);

/* Logs of training runs, as arrays of their lines: loss and score over the steps; of masks also
 * the sparsity beside its target, and the multipliers. */
pare_status pare_plot_training(pare_json *const *results, const char *const *names, int n,
                               const pare_plots *to);

#endif
