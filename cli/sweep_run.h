/* sweep_run.h: the cells of a sweep as child processes, each a `pare finetune` or `flop run`.
 *
 * In the sweep's folder a cell NAME has NAME.ini (its options), NAME/ (its run folder), NAME.log
 * (what it said) and NAME.json. The last one is written in one piece when the run is over: a cell
 * that has it is never run again, one that has not goes on from its newest checkpoint. So a sweep
 * may be killed at any moment and repeated. */
#ifndef PARE_CLI_SWEEP_RUN_H
#define PARE_CLI_SWEEP_RUN_H

#include "cli/sweep_grid.h"

typedef struct pare_sweep_plan {
    const pare_sweep_grid *grid;
    const char *folder;
    int64_t jobs;    /* runs at once */
    int64_t threads; /* of each run */
    bool slim;       /* of a finished run keep best.h5 and its records alone */
    double began;       /* pare_seconds(), for max_seconds */
    double max_seconds; /* of the whole sweep; then as SIGTERM; 0: no limit */
} pare_sweep_plan;

/* Runs what is not finished yet. results[n_cells], all NULL before, becomes the content of
 * NAME.json of each cell that is run, to be given to pare_json_free:
 *   {"name", "options", "seed", "metrics", "best_metrics", "loss", "steps", "best_step",
 *    "parameters", "layers", "timing": {"train_seconds", ...}}
 *   {"name", "options", "seed", "diverged": true}    where the loss was not finite
 *
 * SIGTERM and SIGINT are passed on: the runs save, and the status is PARE_STOPPED, unless all of
 * them are done by then. SIGUSR1 is passed on too: they save and go on. Where a run fails the
 * others go on; the status is then that of the first failure. */
pare_status pare_sweep_run(const pare_sweep_plan *plan, pare_json **results);

/* Whether a signal or the clock asks the sweep to stop. */
bool pare_sweep_must_stop(const pare_sweep_plan *plan);

/* FOLDER/NAME + ending (".json"; "/best.h5"), to be given to pare_free; NULL: out of memory. */
char *pare_sweep_path(const pare_sweep_plan *plan, const pare_sweep_cell *cell, const char *ending);

#endif
