/* submission.h: predictions as GLUE takes them: "index<TAB>prediction" under a header.
 *
 *   index   prediction
 *   0       not_entailment
 *
 * The index is the row's number in the split's file, from 0 (pare_example.row). Predictions are
 * written as the task's files write labels (0 and 1, or entailment ...), regression's as numbers;
 * where they are read, a label's id serves too, if no label bears that name. */
#ifndef PARE_TASKS_SUBMISSION_H
#define PARE_TASKS_SUBMISSION_H

#include "tasks/dataset.h"

/* Reads a prediction for every example of the data set, in any order: prediction[n] for
 * classification, score[n] for regression (the other may be NULL). A header is not needed, and
 * rows that the data set skipped may be there. A bad line, an index twice, past the file's rows,
 * or missing is PARE_INPUT. The data set must have been read without a limit. */
pare_status pare_submission_read(const char *path, const pare_dataset *dataset,
                                 int32_t *prediction, double *score);

/* The file's text for all examples, to be given to pare_free: prediction[n] or score[n] as above.
 * A score that is not finite is PARE_DIVERGED. */
pare_status pare_submission_text(const pare_dataset *dataset, const int32_t *prediction,
                                 const double *score, char **text, size_t *size);

/* The same as a file, replaced atomically. */
pare_status pare_submission_write(const char *path, const pare_dataset *dataset,
                                  const int32_t *prediction, const double *score);

#endif
