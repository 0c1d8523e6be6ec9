/* sweep_time.h: how fast the models of a sweep answer, in batches of 32 of their task's dev set. */
#ifndef PARE_CLI_SWEEP_TIME_H
#define PARE_CLI_SWEEP_TIME_H

#include "cli/sweep_run.h"
#include "cli/sweep_summary.h"

/* Fills the latency of each score that has a model. Each model is timed in turn with the group's
 * first undropped one (its first of all, if every point drops layers): that is what its ratio is
 * to. Models of a group with as many layers and parameters take as long: one of them is timed.
 *
 * What was timed is kept in FOLDER/latency.json, and not timed again. PARE_STOPPED if a signal or
 * the clock asked for it before all was. */
pare_status pare_sweep_time(const pare_sweep_plan *plan, pare_sweep_score *scores);

#endif
