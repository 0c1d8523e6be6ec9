/* sweep_summary.h: what a sweep found: each point's scores over its seeds, and the points to pick.
 *
 *   PARE_TRY(pare_sweep_scores(&grid, results, scores));
 *   n = pare_sweep_picks(&grid, scores, 0.02, picks);
 *   scores[picks[0].smallest].mean ...
 *
 * Points are compared within a group: those of the same task, data and model. */
#ifndef PARE_CLI_SWEEP_SUMMARY_H
#define PARE_CLI_SWEEP_SUMMARY_H

#include "cli/sweep_grid.h"
#include "tasks/latency.h"

/* One point of the grid. */
typedef struct pare_sweep_score {
    const char *metric;         /* the main one: --metric-for-best, else the task's first; NULL:
                                   nothing was evaluated */
    int n, n_diverged;          /* runs that have a score; that ended without one */
    double mean, sd;            /* of the main metric; sd by n - 1. NAN: unknown */
    double kept;                /* mean over that of the point that differs in keeping all layers
                                   alone; NAN: the grid has none */
    int cell;                   /* the first that has a model; -1: none */
    int64_t parameters, layers; /* of that model */
    double train_seconds;       /* mean */
    pare_latency latency;       /* passes 0: not timed; see sweep_time.h */
} pare_sweep_score;

/* scores[n_points] from results[n_cells], as pare_sweep_run leaves them; borrows their names. */
void pare_sweep_scores(const pare_sweep_grid *grid, pare_json *const *results,
                       pare_sweep_score *scores);

/* The result of a cell, or of the one that was run for it. */
const pare_json *pare_sweep_result(const pare_sweep_grid *grid, pare_json *const *results,
                                   int cell);

/* Mean and standard deviation of a metric over a point's seeds. */
typedef struct pare_sweep_mean {
    int n;
    double mean, sd;
} pare_sweep_mean;
pare_sweep_mean pare_sweep_metric(const pare_sweep_grid *grid, pare_json *const *results,
                                  int point, const char *metric);

/* The first point of a point's group. */
int pare_sweep_group(const pare_sweep_grid *grid, int point);

/* Of one group: points. */
typedef struct pare_sweep_pick {
    int group;      /* its first point */
    int best;       /* highest mean */
    int reference;  /* the best of those that keep all layers; the best of all, if none does */
    bool undropped; /* whether the reference keeps all layers */
    int smallest;   /* of those with a mean of the reference's - tolerate at least, the one with the
                       fewest parameters; of equals the better */
} pare_sweep_pick;

/* The groups that have a score, into picks[n_points]; their number. */
int pare_sweep_picks(const pare_sweep_grid *grid, const pare_sweep_score *scores, double tolerate,
                     pare_sweep_pick *picks);

#endif
