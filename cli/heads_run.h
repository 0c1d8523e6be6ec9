/* heads_run.h: heads pruned, the rest fine-tuned, and both compared: one resumable run. */
#ifndef PARE_CLI_HEADS_RUN_H
#define PARE_CLI_HEADS_RUN_H

#include "cli/options.h"
#include "tasks/head_study.h"

/* In the folder --output: pruned.h5 and heads.json (the result of pare_head_prune), then finetuned/
 * (a run folder), then run.json: {"task", "removed", "parameters_before", "parameters",
 * "metrics": {"before", "pruned", "after"}}. What is there already is not made again, so repeating
 * the command goes on. Other pruning options than the folder was begun with are PARE_USAGE. */
pare_status pare_heads_run(const pare_options *options, const pare_head_prune_options *prune,
                           const pare_progress *progress, pare_json **result);

#endif
