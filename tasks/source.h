/* source.h: which file holds a split of a task, and how it is laid out.
 *
 * `data` is the folder of GLUE's folders (data/MRPC/train.tsv; "mrpc" and "SST2" are found too),
 * the task's own folder (data/train.tsv), or one file, which then is whatever split is asked for.
 * Official files come before MSR's originals of MRPC. A user's folder holds train, dev (or
 * validation, valid, val) and test with one of the endings .tsv, .csv, .jsonl, .ndjson, .json and
 * .txt, looked for in this order. */
#ifndef PARE_TASKS_SOURCE_H
#define PARE_TASKS_SOURCE_H

#include "tasks/glue.h"

typedef struct pare_source {
    char *path;
    char *dev_ids;             /* MSR's original training file: what splits it; else NULL */
    bool dev;                  /* with dev_ids: the pairs named there, or all others */
    pare_glue_columns columns; /* not of a user's files */
} pare_source;

/* split: "train", "dev", "test"; for MNLI also "dev_matched" (what "dev" means there),
 * "dev_mismatched", "test_matched", "test_mismatched" and "ax" (diagnostic/diagnostic.tsv).
 * Another one is PARE_USAGE; a missing file is PARE_IO, naming where it was looked for. */
pare_status pare_source_find(const pare_task *task, const char *data, const char *split,
                             pare_source *out);
/* The same, but a missing file is no failure: out->path is NULL then. */
pare_status pare_source_look(const pare_task *task, const char *data, const char *split,
                             pare_source *out);
void pare_source_free(pare_source *source); /* its strings */

/* Whether there is a dev set beside the training data: a single file of a user's is all for
 * training. */
pare_status pare_source_has_dev(const pare_task *task, const char *data, bool *has);

#endif
