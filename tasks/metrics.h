/* metrics.h: GLUE's metrics, as scikit-learn and scipy compute them, in double.
 *
 * Undefined cases: F1 and Matthews are 0 (zero_division=0); a correlation with a constant, or of
 * fewer than two points, is NaN, which JSON shows as null. */
#ifndef PARE_TASKS_METRICS_H
#define PARE_TASKS_METRICS_H

#include <stdint.h>

#include "core/status.h"

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
    const char *name; /* "accuracy", "f1", "macro_f1", "matthews", "pearson", "spearman" */
    bool regression;
    pare_metric_function *compute;
} pare_metric;

/* NULL if there is no metric of that name. */
const pare_metric *pare_metric_find(const char *name);

#endif
