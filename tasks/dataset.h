/* dataset.h: examples read from a task's files.
 *
 * A row with too few columns, an unknown label or a target that is no number is skipped, reported
 * on stderr with file:line (the first few) and counted; with strict it is PARE_INPUT. Invalid UTF-8
 * becomes U+FFFD. A file without a single usable row is PARE_INPUT. */
#ifndef PARE_TASKS_DATASET_H
#define PARE_TASKS_DATASET_H

#include "core/memory.h"
#include "tasks/glue.h"

typedef struct pare_example {
    const char *text, *pair; /* UTF-8, NUL-ended, NULs inside dropped; pair NULL for single texts */
    int32_t label;           /* -1: none (test files) */
    double target;           /* regression */
    int64_t line;            /* 1-based, in its file */
} pare_example;

typedef struct pare_dataset {
    pare_arena *arena; /* owns everything below */
    const pare_task *task;
    char *path;             /* of the file that was read */
    pare_example *examples; /* [n] in the file's order */
    int64_t n;
    int64_t skipped;
    const char **label_names; /* [n_labels] by id; NULL for regression */
    int n_labels;
} pare_dataset;

typedef struct pare_data_options {
    const char *task;         /* a GLUE name, or "classify", "regress" */
    const char *data;         /* GLUE: the folder of folders or the task's own; else a file, or a
                                 folder with train/dev/test .tsv, .csv or .jsonl */
    const char *split;        /* "train", "dev", "test", "dev_matched", "dev_mismatched" */
    const char *text_column;  /* user's files: by name or 0-based number; NULL for GLUE */
    const char *pair_column;
    const char *label_column;
    bool strict;
    int64_t limit;            /* the first N usable rows; 0 = all */
    const char *const *label_names; /* numbering to keep for a user's file (a trained model's); or NULL */
    int n_labels;
} pare_data_options;

/* MNLI's "dev" is read as dev_matched. MRPC's official files missing, MSR's originals are used
 * (msr_paraphrase_train.txt with dev_ids.tsv, msr_paraphrase_test.txt). */
pare_status pare_dataset_read(const pare_data_options *options, pare_dataset **out);
void pare_dataset_free(pare_dataset *dataset); /* NULL is allowed */

#endif
