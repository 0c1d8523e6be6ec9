/* metrics.h: GLUE's metrics, as scikit-learn and scipy compute them, in double.
 *
 *   double f1;
 *   PARE_TRY(pare_metric_compute(pare_metric_find("f1"), &outcomes, &f1));
 *
 * Undefined cases: F1 and Matthews are 0 (zero_division=0); accuracy of nothing is NaN, and so is
 * a correlation with a constant, of fewer than two points or with a value that is not finite;
 * JSON shows NaN as null. "f1", "precision" and "recall" are those of label 1 of two: with other
 * labels they are NaN. */
#ifndef PARE_TASKS_METRICS_H
#define PARE_TASKS_METRICS_H

#include <stdint.h>

#include "core/status.h"

/* Label ids that F1 and Matthews can count lie below this; they are NaN where one does not. */
enum { PARE_METRIC_CLASSES = 1024 };

/* What was predicted for each of n examples. Classification fills label and prediction,
 * regression target and score. */
typedef struct pare_outcomes {
    int64_t n;
    const int32_t *label, *prediction;
    const double *target, *score;
} pare_outcomes;

typedef double pare_metric_function(const pare_outcomes *outcomes);

/* One row a metric; adding one is adding a row in metrics.c. */
typedef struct pare_metric {
    const char *name; /* "accuracy", "f1", "macro_f1", "matthews", "pearson", "spearman", ... */
    bool regression;
    pare_metric_function *compute;
} pare_metric;

/* PARE_MEMORY where ranks found no room; the row's own function then gives NaN. */
pare_status pare_metric_compute(const pare_metric *metric, const pare_outcomes *outcomes,
                                double *value);

/* NULL if there is no metric of that name. */
const pare_metric *pare_metric_find(const char *name);
size_t pare_metric_count(void);
const pare_metric *pare_metric_at(size_t index);

#endif
