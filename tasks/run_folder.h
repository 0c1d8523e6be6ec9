/* run_folder.h: the folder of one training run: its lock, its log and its checkpoints' names.
 *
 *   config.ini  metrics.jsonl  eval_results.json  eval_results.txt  run.lock
 *   checkpoint-N.h5 (state after step N)  best.h5 (weights alone)  last.h5 (the last checkpoint) */
#ifndef PARE_TASKS_RUN_FOLDER_H
#define PARE_TASKS_RUN_FOLDER_H

#include "core/json.h"

typedef struct pare_run_folder {
    char *path;
    int lock; /* handle; -1: not held */
} pare_run_folder;

/* Makes the folder where it is missing, takes its lock, and removes what a killed run left of an
 * unfinished save. One that holds anything else is PARE_USAGE, with `otherwise` as the next step,
 * unless it has the file `mark` (NULL: no file is one). otherwise NULL: it may hold anything. */
pare_status pare_run_open(const char *path, const char *mark, const char *otherwise,
                          pare_run_folder *out);
void pare_run_close(pare_run_folder *run);

/* Removes pare's own files from it: for a run that starts over, once it is known that it can. */
pare_status pare_run_clear(pare_run_folder *run);

/* "RUN/name", to be given to pare_free; NULL with PARE_MEMORY set. */
char *pare_run_file(const pare_run_folder *run, const char *name);
char *pare_run_checkpoint(const pare_run_folder *run, int64_t step);

/* The steps of all checkpoint-N.h5, falling, to be given to pare_free. */
pare_status pare_run_checkpoints(const pare_run_folder *run, int64_t **steps, size_t *n);

/* Removes all checkpoints up to `step`, which is whole, but the newest `keep`. (Those of later
 * steps are there only where the run went on from an earlier one, as they are damaged: they do not
 * count, and give way when their step is reached again.) */
pare_status pare_run_prune(const pare_run_folder *run, int64_t step, int64_t keep);

/* Appends a line to metrics.jsonl; takes `record` over. digits: of its reals (9 or 17). */
pare_status pare_run_log(const pare_run_folder *run, pare_json *record, int digits);

/* Its lines are on the disk, whatever happens: before a checkpoint that lies behind them. */
pare_status pare_run_sync_log(const pare_run_folder *run);

/* Cuts metrics.jsonl back to what stood there at `step`: records of later steps go. */
pare_status pare_run_rewind(const pare_run_folder *run, int64_t step);

/* Replaces a text file of the folder. */
pare_status pare_run_write(const pare_run_folder *run, const char *name, const char *text);

#endif
