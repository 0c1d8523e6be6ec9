/* correlate.c: are the same heads important in several sweeps (head_study.h)? */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "models/bounded_json.h"
#include "tasks/head_study.h"
#include "tasks/student.h"

/* One sweep's numbers, a head each. */
typedef struct scores {
    int64_t n;
    double *metric, *loss; /* differences from the baseline */
    int64_t *place;        /* layer << 32 | head */
} scores;

static void free_scores(scores *list, int n)
{
    for (int i = 0; list && i < n; i++) {
        pare_free(list[i].metric);
        pare_free(list[i].loss);
        pare_free(list[i].place);
    }
    pare_free(list);
}

/* ---- reading ---- */

static pare_status read_heads(const pare_json *json, const char *path, scores *out)
{
    const pare_json *heads = pare_json_get(json, "heads");
    const pare_json *base = pare_json_get(json, "baseline");
    const char *metric = pare_json_get_string(json, "metric", "");
    const double base_metric = pare_json_get_double(pare_json_get(base, "metrics"), metric, NAN);
    const double base_loss = pare_json_get_double(base, "loss", NAN);
    const size_t n = pare_json_size(heads);
    if (!pare_json_is_array(heads) || n == 0 || isnan(base_metric))
        return pare_hint(pare_fail(PARE_INPUT, "%s: it is no result of pare heads sweep", path),
                         "make one: pare heads sweep --output F.json ...");
    out->n = (int64_t)n;
    out->metric = pare_malloc(n * sizeof(double));
    out->loss = pare_malloc(n * sizeof(double));
    out->place = pare_malloc(n * sizeof(int64_t));
    if (!out->metric || !out->loss || !out->place)
        return PARE_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const pare_json *one = pare_json_at(heads, i);
        out->metric[i] =
            pare_json_get_double(pare_json_get(one, "metrics"), metric, NAN) - base_metric;
        out->loss[i] = pare_json_get_double(one, "loss", NAN) - base_loss;
        const int64_t layer = pare_json_get_int(one, "layer", -1);
        const int64_t head = pare_json_get_int(one, "head", -1);
        if (layer < 0 || layer > INT32_MAX || head < 0 || head > INT32_MAX)
            return pare_fail(PARE_INPUT, "%s: heads[%zu] has no layer or no head", path, i);
        out->place[i] = layer * ((int64_t)1 << 32) + head;
        if (isnan(out->metric[i]) || isnan(out->loss[i]))
            return pare_fail(PARE_INPUT, "%s: heads[%zu] has no %s or no loss", path, i, metric);
    }
    return PARE_OK;
}

static pare_status read_file(const char *path, scores *out)
{
    pare_json *json = NULL;
    PARE_TRY(pare_bounded_json_read(path, &json));
    const pare_status status = read_heads(json, path, out);
    pare_json_free(json);
    return status;
}

static pare_status check_same(const char *const *files, const scores *list, int n)
{
    for (int i = 1; i < n; i++)
        if (list[i].n != list[0].n ||
            memcmp(list[i].place, list[0].place, (size_t)list[0].n * sizeof *list[0].place) != 0)
            return pare_fail(PARE_INPUT, "%s has %lld heads, %s has %lld, or others: only sweeps "
                             "of models of one shape can be correlated", files[0],
                             (long long)list[0].n, files[i], (long long)list[i].n);
    return PARE_OK;
}

/* ---- correlating ---- */

static pare_json *matrix(double (*value)(double r, int64_t n), const double *r, int n,
                         int64_t heads)
{
    pare_json *rows = pare_json_new_array();
    for (int i = 0; i < n; i++) {
        pare_json *row = pare_json_new_array();
        for (int j = 0; j < n; j++)
            pare_json_append_double(row, value ? value(r[i * n + j], heads) : r[i * n + j]);
        pare_json_append(rows, row);
    }
    return rows;
}

/* Both correlations of every pair, with their p-values, into `to`; values[n] are the files'. */
static pare_status correlate(const char *const *files, const double *const *values, int n,
                             int64_t heads, const char *of, pare_json *to)
{
    static const char *const kinds[] = {"pearson", "spearman"};
    double *r = pare_malloc((size_t)n * (size_t)n * sizeof *r);
    pare_status status = r ? PARE_OK : PARE_MEMORY;
    for (int k = 0; k < 2 && status == PARE_OK; k++) {
        for (int i = 0; i < n * n && status == PARE_OK; i++) {
            const pare_outcomes o = {.n = heads, .target = values[i / n], .score = values[i % n]};
            status = pare_metric_compute(pare_metric_find(kinds[k]), &o, &r[i]);
            if (status == PARE_OK && isnan(r[i]))
                status = pare_hint(
                    pare_fail(PARE_INPUT, "%s and %s: the correlation of their %s is undefined, "
                              "for one of them is the same for all heads", files[i / n],
                              files[i % n], of),
                    "leave that one out");
        }
        if (status != PARE_OK)
            break;
        char name[32];
        snprintf(name, sizeof name, "%s_p", kinds[k]);
        pare_json_set(to, kinds[k], matrix(NULL, r, n, heads));
        pare_json_set(to, name, matrix(pare_correlation_p, r, n, heads));
    }
    pare_free(r);
    return status;
}

static pare_status correlate_all(const char *const *files, const scores *list, int n,
                                 pare_json *result)
{
    const double **values = pare_malloc((size_t)n * sizeof *values);
    pare_json *of_loss = pare_json_new_object();
    if (!values) {
        pare_json_free(of_loss);
        return PARE_MEMORY;
    }
    for (int i = 0; i < n; i++)
        values[i] = list[i].metric;
    pare_status status = correlate(files, values, n, list[0].n, "metric's differences", result);
    for (int i = 0; i < n; i++)
        values[i] = list[i].loss;
    if (status == PARE_OK)
        status = correlate(files, values, n, list[0].n, "loss's differences", of_loss);
    pare_json_set(result, "loss", of_loss);
    pare_free(values);
    return status;
}

pare_status pare_head_correlate(const char *const *files, int n, pare_json **result)
{
    *result = NULL;
    scores *list = pare_calloc((size_t)n, sizeof *list);
    pare_status status = list ? PARE_OK : PARE_MEMORY;
    for (int i = 0; i < n && status == PARE_OK; i++)
        status = read_file(files[i], &list[i]);
    if (status == PARE_OK)
        status = check_same(files, list, n);
    if (status == PARE_OK) {
        *result = pare_json_new_object();
        pare_json *names = pare_json_new_array();
        for (int i = 0; i < n; i++)
            pare_json_append_string(names, files[i]);
        pare_json_set(*result, "files", names);
        pare_json_set_int(*result, "n", list[0].n);
        status = correlate_all(files, list, n, *result);
    }
    if (status != PARE_OK) {
        pare_json_free(*result);
        *result = NULL;
    }
    free_scores(list, n);
    return status;
}
