/* metrics.c: one function a metric, and the table that names them.
 *
 * Counts are exact integers. Correlations are taken from centred values whose sums carry their
 * rounding errors along, so that targets near 1e8 lose nothing against small ones. */
#include "tasks/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* ---- Classification ---- */

/* How often each class is true, predicted, and both at once: all that F1 and Matthews need. */
typedef struct counts {
    int64_t actual[PARE_METRIC_CLASSES], predicted[PARE_METRIC_CLASSES], hits[PARE_METRIC_CLASSES];
    int32_t n_classes; /* the largest id that occurs, plus one */
} counts;

/* False where an id cannot be counted. */
static bool count(counts *c, const pare_outcomes *o)
{
    memset(c, 0, sizeof *c);
    for (int64_t i = 0; i < o->n; i++) {
        int32_t y = o->label[i], p = o->prediction[i];
        if (y < 0 || p < 0 || y >= PARE_METRIC_CLASSES || p >= PARE_METRIC_CLASSES)
            return false;
        int32_t larger = y > p ? y : p;
        c->n_classes = larger < c->n_classes ? c->n_classes : larger + 1;
        c->actual[y]++;
        c->predicted[p]++;
        c->hits[y] += y == p;
    }
    return true;
}

static double accuracy(const pare_outcomes *o)
{
    int64_t hits = 0;
    for (int64_t i = 0; i < o->n; i++)
        hits += o->label[i] == o->prediction[i];
    return o->n > 0 ? (double)hits / (double)o->n : NAN;
}

/* 2 tp / (2 tp + fp + fn): 0 for a class that neither occurs nor is predicted. */
static double f1_of(const counts *c, int32_t k)
{
    int64_t all = c->actual[k] + c->predicted[k];
    return all > 0 ? 2.0 * (double)c->hits[k] / (double)all : 0.0;
}

static double f1(const pare_outcomes *o)
{
    counts c;
    if (!count(&c, o) || c.n_classes > 2)
        return NAN;
    return f1_of(&c, 1);
}

/* Of those that were predicted to be 1, the share that is; of those that are, the share that was
 * found: 0 where there are none. */
static double precision(const pare_outcomes *o)
{
    counts c;
    if (!count(&c, o) || c.n_classes > 2)
        return NAN;
    return c.predicted[1] > 0 ? (double)c.hits[1] / (double)c.predicted[1] : 0.0;
}

static double recall(const pare_outcomes *o)
{
    counts c;
    if (!count(&c, o) || c.n_classes > 2)
        return NAN;
    return c.actual[1] > 0 ? (double)c.hits[1] / (double)c.actual[1] : 0.0;
}

/* The mean over the classes that occur or are predicted. */
static double macro_f1(const pare_outcomes *o)
{
    counts c;
    if (!count(&c, o))
        return NAN;
    double sum = 0;
    int32_t classes = 0;
    for (int32_t k = 0; k < c.n_classes; k++) {
        if (c.actual[k] + c.predicted[k] == 0)
            continue;
        sum += f1_of(&c, k);
        classes++;
    }
    return classes > 0 ? sum / classes : 0.0;
}

/* Matthews' correlation for any number of classes (Gorodkin 2004), as scikit-learn writes it:
 * cov(y,p) / sqrt(cov(y,y) cov(p,p)) of the counts. n^2 passes 2^53 from 10^8 examples on, and
 * what is left of the differences may be small: hence 128-bit integers. */
static double matthews(const pare_outcomes *o)
{
    __extension__ typedef __int128 wide;
    counts c;
    if (!count(&c, o))
        return NAN;
    wide hits = 0, n = o->n, yy = n * n, pp = n * n, yp = 0;
    for (int32_t k = 0; k < c.n_classes; k++) {
        hits += c.hits[k];
        yp -= (wide)c.actual[k] * c.predicted[k];
        yy -= (wide)c.actual[k] * c.actual[k];
        pp -= (wide)c.predicted[k] * c.predicted[k];
    }
    yp += hits * n;
    if (yy == 0 || pp == 0)
        return 0.0;
    return (double)yp / sqrt((double)yy * (double)pp);
}

/* ---- Regression ---- */

/* A sum that keeps what rounding drops (Neumaier 1974). */
typedef struct sum {
    double value, lost;
} sum;

static void sum_add(sum *s, double x)
{
    double next = s->value + x;
    s->lost += fabs(s->value) >= fabs(x) ? (s->value - next) + x : (x - next) + s->value;
    s->value = next;
}

/* How x[n] is read: (x[i] scaled by 2^-exponent) - mean, of magnitude near 1, so that no square
 * over- or underflows. Scaling by a power of two rounds nothing. */
typedef struct centred {
    const double *x;
    int exponent;
    double mean, mean_low; /* the mean and what its rounding dropped */
} centred;

static double centred_at(const centred *c, int64_t i)
{
    return (ldexp(c->x[i], -c->exponent) - c->mean) - c->mean_low;
}

/* False where a correlation is undefined: fewer than two values, all equal, or one not finite. */
static bool centre(centred *c, const double *x, int64_t n)
{
    double largest = 0;
    bool constant = true;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return false;
        largest = fmax(largest, fabs(x[i]));
        constant = constant && x[i] == x[0];
    }
    if (n < 2 || constant)
        return false;
    *c = (centred){.x = x};
    frexp(largest, &c->exponent);
    sum first = {0}, rest = {0};
    for (int64_t i = 0; i < n; i++)
        sum_add(&first, ldexp(x[i], -c->exponent));
    c->mean = (first.value + first.lost) / (double)n;
    for (int64_t i = 0; i < n; i++)
        sum_add(&rest, centred_at(c, i));
    c->mean_low = (rest.value + rest.lost) / (double)n;
    return true;
}

/* A power of two near the largest deviation: tiny spread around a large mean is scaled up too. */
static int spread(const centred *c, int64_t n)
{
    double largest = 0;
    int exponent;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(centred_at(c, i)));
    frexp(largest, &exponent);
    return exponent;
}

static double correlation(const double *x, const double *y, int64_t n)
{
    centred a, b;
    if (!centre(&a, x, n) || !centre(&b, y, n))
        return NAN;
    int ea = spread(&a, n), eb = spread(&b, n);
    sum xy = {0}, xx = {0}, yy = {0};
    for (int64_t i = 0; i < n; i++) {
        double dx = ldexp(centred_at(&a, i), -ea), dy = ldexp(centred_at(&b, i), -eb);
        sum_add(&xy, dx * dy);
        sum_add(&xx, dx * dx);
        sum_add(&yy, dy * dy);
    }
    double r = (xy.value + xy.lost) / sqrt((xx.value + xx.lost) * (yy.value + yy.lost));
    return fabs(r) > 1.0 ? copysign(1.0, r) : r; /* rounding may pass 1 by a bit */
}

static double pearson(const pare_outcomes *o)
{
    return correlation(o->target, o->score, o->n);
}

/* ---- Ranks ---- */

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

static int by_value(const void *a, const void *b)
{
    double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* rank[i] of x[i] among x[n], from 1; equal values share the mean of their ranks. */
static void rank_sorted(double *rank, ranked *sorted, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sorted[i] = (ranked){x[i], i};
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t first = 0, next; first < n; first = next) {
        next = first + 1;
        while (next < n && sorted[next].value == sorted[first].value)
            next++;
        for (int64_t i = first; i < next; i++)
            rank[sorted[i].index] = 0.5 * (double)(first + 1 + next);
    }
}

static bool all_finite(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* Set when this thread found no memory for ranks: their NaN is then no answer. */
static _Thread_local bool out_of_memory;

/* Pearson's correlation of the ranks. */
static double spearman(const pare_outcomes *o)
{
    if (o->n < 2 || !all_finite(o->target, o->n) || !all_finite(o->score, o->n))
        return NAN;
    size_t n = (size_t)o->n;
    double r = NAN;
    double *rank = pare_calloc(n, 2 * sizeof *rank);
    ranked *sorted = pare_calloc(n, sizeof *sorted);
    out_of_memory = !rank || !sorted;
    if (!out_of_memory) {
        rank_sorted(rank, sorted, o->target, o->n);
        rank_sorted(rank + n, sorted, o->score, o->n);
        r = correlation(rank, rank + n, o->n);
    }
    pare_free(sorted);
    pare_free(rank);
    return r;
}

/* ---- The table ---- */

static const pare_metric metrics[] = {
    {"accuracy", false, accuracy}, {"f1", false, f1},           {"macro_f1", false, macro_f1},
    {"matthews", false, matthews}, {"pearson", true, pearson},  {"spearman", true, spearman},
    {"precision", false, precision}, {"recall", false, recall},
};

size_t pare_metric_count(void)
{
    return sizeof metrics / sizeof *metrics;
}

const pare_metric *pare_metric_at(size_t index)
{
    return index < pare_metric_count() ? &metrics[index] : NULL;
}

const pare_metric *pare_metric_find(const char *name)
{
    for (size_t i = 0; i < pare_metric_count(); i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

pare_status pare_metric_compute(const pare_metric *metric, const pare_outcomes *outcomes,
                                double *value)
{
    out_of_memory = false;
    *value = metric->compute(outcomes);
    return out_of_memory ? PARE_MEMORY : PARE_OK;
}
