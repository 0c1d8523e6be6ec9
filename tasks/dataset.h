/* dataset.h: examples read from a task's files.
 *
 *   pare_data_options options = {.task = "MRPC", .data = "glue", .split = "dev"};
 *   pare_dataset *dev = NULL;
 *   PARE_TRY(pare_dataset_read(&options, &dev));
 *   for (int64_t i = 0; i < dev->n; i++)
 *       use(dev->examples[i].text, dev->examples[i].pair, dev->examples[i].label);
 *   pare_dataset_free(dev);
 *
 * GLUE's files are read by the official columns' places, whatever their header says. A user's
 * columns are named by the header or JSON key, or numbered from 0. Where all are numbers a TSV or
 * CSV need not have a header: the first row is passed over as one if its label is no number and
 * all other labels are, or all others occur twice and it never again ("regress": if its target is
 * no number; label names given: if it is none of them). A note on stderr says so.
 *
 * A user's labels are collected from the train split (from the file that is read, where there is
 * none), all of it whatever the limit, and numbered from 0: by value if every one is a number,
 * else by their bytes. Blanks around a label do not count.
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
    double target;           /* regression; NaN: none */
    int64_t line;            /* 1-based, in its file */
    int64_t row;             /* 0-based among the split's rows, skipped ones too: GLUE's index */
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
    const char *split;        /* "train", "dev" (also for NULL), "test", ...: see source.h */
    const char *text_column;  /* user's files: by name or 0-based number; NULL for GLUE */
    const char *pair_column;
    const char *label_column;
    bool strict;
    int64_t limit;            /* the first N usable rows; 0 = all */
    const char *const *label_names; /* numbering to keep for a user's file; or NULL */
    int n_labels;
} pare_data_options;

/* MNLI's "dev" is read as dev_matched. MRPC's official files missing, MSR's originals are used
 * (msr_paraphrase_train.txt with dev_ids.tsv, msr_paraphrase_test.txt). */
pare_status pare_dataset_read(const pare_data_options *options, pare_dataset **out);
void pare_dataset_free(pare_dataset *dataset); /* NULL is allowed */

/* CRC-32 over texts, labels and targets: whether two runs see the same data. */
uint32_t pare_dataset_crc(const pare_dataset *dataset);

#endif
