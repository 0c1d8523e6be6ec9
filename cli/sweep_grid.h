/* sweep_grid.h: what a sweep runs: every combination of the grid's values, with every seed.
 *
 *   pare_sweep_grid grid;
 *   PARE_TRY(pare_sweep_grid_open(options, &grid));     // all is checked, nothing is written
 *   for (int i = 0; i < grid.n_cells; i++)
 *       grid.cells[i].options ...                       // as what is run takes them
 *   pare_sweep_grid_close(&grid);
 *
 * A point is one combination of values, a cell is a point with one seed. Cells that train the same
 * are run once: the resolved options are the same ("2e-5" and "0.00002"), or what drop_layers says
 * drops the same layers of that model (which cannot be known before the run of contribution). */
#ifndef PARE_CLI_SWEEP_GRID_H
#define PARE_CLI_SWEEP_GRID_H

#include "cli/options.h"

enum { PARE_SWEEP_MOST_AXES = 16, PARE_SWEEP_MOST_CELLS = 10000 };

/* One --grid KEY=V,V. */
typedef struct pare_sweep_axis {
    const pare_option *row; /* of what is run */
    const char **values;    /* [n] as typed */
    int n;
} pare_sweep_axis;

typedef struct pare_sweep_cell {
    const char *name; /* "task=MRPC,drop-layers=top-2,seed=1": a file's name, unlike all others */
    int point;
    pare_options options; /* of pare finetune or flop, all but output and threads */
    int same_as;          /* the first cell that trains the same; this one's own index: none does */
} pare_sweep_cell;

typedef struct pare_sweep_grid {
    pare_arena *arena; /* owns all below */
    pare_sweep_axis axes[PARE_SWEEP_MOST_AXES];
    int n_axes;
    int64_t *seeds;
    int n_seeds, n_points, n_cells;
    pare_sweep_cell *cells; /* [n_points * n_seeds], a point's seeds side by side */
} pare_sweep_grid;

/* Reads --grid and --seeds and checks every cell: values, tasks, data, models and the layers that
 * are to go. Close it whatever opening returned. */
pare_status pare_sweep_grid_open(const pare_options *options, pare_sweep_grid *out);
void pare_sweep_grid_close(pare_sweep_grid *grid);

/* The value of an axis at a point. The last axis changes fastest. */
const char *pare_sweep_value(const pare_sweep_grid *grid, int point, int axis);

/* The first cell of a point. */
const pare_sweep_cell *pare_sweep_point(const pare_sweep_grid *grid, int point);

/* {"task": "MRPC", "drop_layers": "top:2"}: what the grid says of a point. */
pare_json *pare_sweep_options(const pare_sweep_grid *grid, int point);

/* Whether a cell keeps all layers. */
bool pare_sweep_undropped(const pare_sweep_cell *cell);

#endif
