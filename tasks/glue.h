/* glue.h: the tasks pare knows: one row each, and a user's own files by column.
 *
 * A row tells where the files lie, which columns hold what, how labels are numbered (GLUE's
 * processors' order) and which metrics judge the task. Adding a task is adding a row in glue.c. */
#ifndef PARE_TASKS_GLUE_H
#define PARE_TASKS_GLUE_H

#include "tasks/metrics.h"

enum { PARE_MAX_LABELS = 64, PARE_MAX_TASK_METRICS = 4 };

typedef struct pare_task {
    const char *name;          /* "CoLA"; any case and "sst2" for "SST-2" find it */
    bool regression;
    int n_labels;              /* 0 for regression and for a user's file (known after reading) */
    const char *labels[4];     /* as the files write them, in the order of their ids */
    const char *metrics[PARE_MAX_TASK_METRICS + 1]; /* NULL-ended; the first one picks the best */
    const char *submission;    /* "MRPC.tsv": file name in a GLUE submission */
    bool two_dev_sets;         /* MNLI */
    /* columns, headers and file names: private to glue.c and dataset.c, add what is needed */
    int text_column, pair_column, label_column;                 /* 0-based; pair -1: single text */
    int test_text_column, test_pair_column;
    bool train_has_header, test_has_header;
    bool quoted;               /* fields may be quoted (none of GLUE's are) */
} pare_task;

/* "CoLA", "cola", "sst2", "STS-B", "stsb", ...; NULL if unknown ("classify" and "regress" give the
 * rows for a user's own file). */
const pare_task *pare_task_find(const char *name);
size_t pare_task_count(void);
const pare_task *pare_task_at(size_t index);

#endif
