/* glue.h: the tasks pare knows: one row each, and a user's own files by column.
 *
 * A row tells where the files lie, which columns hold what, how labels are numbered (GLUE's
 * processors' order) and which metrics judge the task. Adding a task is adding a row in glue.c. */
#ifndef PARE_TASKS_GLUE_H
#define PARE_TASKS_GLUE_H

#include "tasks/metrics.h"

enum { PARE_MAX_LABELS = 64, PARE_MAX_TASK_METRICS = 4 };

/* Where an official file holds what, 0-based; PARE_NO_COLUMN and PARE_LAST_COLUMN of table.h. */
typedef struct pare_glue_columns {
    int text, pair, label;
    bool header;
} pare_glue_columns;

typedef struct pare_task {
    const char *name;          /* "CoLA"; any case and "sst2" for "SST-2" find it */
    bool regression;
    int n_labels;              /* 0 for regression and for a user's file (known after reading) */
    const char *labels[4];     /* as the files write them, in the order of their ids */
    const char *meanings[4];   /* what those stand for, as models' label names say; or NULL */
    /* NULL-ended; the first one picks the best. For "classify" see pare_task_metrics. */
    const char *metrics[PARE_MAX_TASK_METRICS + 1];
    const char *submission;    /* "MRPC.tsv": file name in a GLUE submission; NULL: not GLUE's */
    bool two_dev_sets;         /* MNLI */
    bool own_files;            /* "classify", "regress": columns are named by the user */
    bool msr_originals;        /* MRPC: see msr.h */
    pare_glue_columns train, test; /* train: dev too. Private to dataset.c and glue.c */
} pare_task;

/* "CoLA", "cola", "sst2", "STS-B", "stsb", ...; NULL if unknown ("classify" and "regress" give the
 * rows for a user's own file). */
const pare_task *pare_task_find(const char *name);
/* The same; a name that is none is PARE_USAGE with the list of those that are. */
pare_status pare_task_named(const char *name, const pare_task **out);
size_t pare_task_count(void);
const pare_task *pare_task_at(size_t index);

/* Whether two names of a task or its folder are the same but for case, '-', '_' and blanks. */
bool pare_task_name_equal(const char *a, const char *b);

/* The names of the metrics that judge a task with n_labels labels, NULL-ended, and their count:
 * the task's own, but "classify" has accuracy and f1 for two labels, else accuracy and macro_f1.
 * The first one picks the best. */
int pare_task_metrics(const pare_task *task, int n_labels,
                      const char *names[PARE_MAX_TASK_METRICS + 1]);

/* Whether `metric` can pick the best model of that task: one of those (of MNLI's second dev set
 * too: "accuracy_mismatched"), or "loss". PARE_USAGE naming them. */
pare_status pare_task_check_metric(const pare_task *task, int n_labels, const char *metric);

/* The file's name in a GLUE submission: "MRPC.tsv"; MNLI has "MNLI-m.tsv", with the split
 * "test_mismatched" (or "dev_mismatched") "MNLI-mm.tsv", with "ax" "AX.tsv". NULL: not GLUE's. */
const char *pare_task_submission(const pare_task *task, const char *split);

#endif
