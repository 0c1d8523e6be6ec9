/* plot_heads.c: charts of attention heads (plot_results.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/drawing.h"
#include "cli/plot_results.h"

/* ---- one sweep ---- */

/* A sweep's heads as arrays. */
typedef struct swept {
    const char *task, *metric;
    int64_t n, layers, heads;
    double baseline;
    double *values, *differences; /* [n] of the metric */
    const char **labels;          /* "layer.head" */
    const pare_json *list;
    bool drawable; /* every layer and head is a number below 1024 */
} swept;

static bool is_sweep(const pare_json *json)
{
    return pare_json_get(json, "baseline") && pare_json_is_array(pare_json_get(json, "heads"));
}

static swept read_sweep(pare_drawing *d, const pare_json *json)
{
    swept s = {.task = pare_json_get_string(json, "task", ""),
               .metric = pare_json_get_string(json, "metric", ""),
               .list = pare_json_get(json, "heads"),
               .drawable = true};
    s.n = (int64_t)pare_json_size(s.list);
    s.baseline = pare_json_get_double(pare_json_get(pare_json_get(json, "baseline"), "metrics"),
                                      s.metric, NAN);
    s.values = pare_drawing_numbers(d, s.n);
    s.differences = pare_drawing_numbers(d, s.n);
    s.labels = pare_arena_alloc(d->arena, (size_t)s.n * sizeof *s.labels);
    d->failed = d->failed || !s.labels;
    for (int64_t k = 0; !d->failed && k < s.n; k++) {
        const pare_json *one = pare_json_at(s.list, (size_t)k);
        const int64_t layer = pare_json_get_int(one, "layer", 0);
        const int64_t head = pare_json_get_int(one, "head", 0);
        s.values[k] = pare_json_get_double(pare_json_get(one, "metrics"), s.metric, NAN);
        s.differences[k] = s.values[k] - s.baseline;
        s.labels[k] = pare_drawing_text(d, "%lld.%lld", (long long)layer, (long long)head);
        s.drawable = s.drawable && layer >= 0 && layer < 1024 && head >= 0 && head < 1024;
        s.layers = layer >= s.layers ? layer + 1 : s.layers;
        s.heads = head >= s.heads ? head + 1 : s.heads;
    }
    return s;
}

static pare_status draw_sorted(pare_drawing *d, const swept *s, const char *name)
{
    const pare_chart_series series = {.n = s->n, .y = s->values, .labels = s->labels};
    const pare_chart chart = {
        .kind = PARE_CHART_SORTED,
        .title = pare_drawing_text(d, "%s without one attention head (%s)", s->task, name),
        .x_label = "layer.head that is off",
        .y_label = s->metric,
        .series = &series,
        .n_series = 1,
        .baseline = s->baseline,
        .baseline_label = pare_drawing_text(d, "all heads: %.4f", s->baseline),
    };
    return pare_drawing_write(d, &chart, pare_drawing_text(d, "%s-sorted", name));
}

static pare_status draw_map(pare_drawing *d, const swept *s, const char *name)
{
    double *cells = pare_drawing_numbers(d, s->layers * s->heads);
    const char **rows = pare_arena_alloc(d->arena, (size_t)s->layers * sizeof *rows);
    const char **columns = pare_arena_alloc(d->arena, (size_t)s->heads * sizeof *columns);
    if (d->failed || !rows || !columns)
        return PARE_MEMORY;
    for (int64_t i = 0; i < s->layers * s->heads; i++)
        cells[i] = NAN;
    for (int64_t k = 0; k < s->n; k++) {
        const pare_json *one = pare_json_at(s->list, (size_t)k);
        cells[pare_json_get_int(one, "layer", 0) * s->heads + pare_json_get_int(one, "head", 0)] =
            100 * s->differences[k];
    }
    for (int64_t i = 0; i < s->layers; i++)
        rows[i] = pare_drawing_text(d, "%lld", (long long)i);
    for (int64_t i = 0; i < s->heads; i++)
        columns[i] = pare_drawing_text(d, "%lld", (long long)i);
    const pare_chart chart = {
        .kind = PARE_CHART_HEAT_MAP,
        .title = pare_drawing_text(d, "%s: what each head is worth (%s)", s->task, name),
        .x_label = "head",
        .y_label = "layer",
        .note = pare_drawing_text(d, "100 x (%s without the head - %.4f)", s->metric, s->baseline),
        .matrix = {.rows = s->layers, .columns = s->heads, .values = cells, .row_labels = rows,
                   .column_labels = columns, .value_label = "points", .centre = 0},
    };
    return pare_drawing_write(d, &chart, pare_drawing_text(d, "%s-map", name));
}

static pare_status plot_one_sweep(pare_drawing *d, pare_json *const *results,
                                  const char *const *names, int n)
{
    (void)n;
    const swept s = read_sweep(d, results[0]);
    if (d->failed)
        return PARE_MEMORY;
    if (s.n < 1 || !s.drawable)
        return pare_fail(PARE_INPUT, "%s: %lld heads cannot be drawn", names[0], (long long)s.n);
    PARE_TRY(draw_sorted(d, &s, names[0]));
    return draw_map(d, &s, names[0]);
}

/* ---- two sweeps ---- */

static void scale(double *x, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= factor;
}

static pare_status plot_two_sweeps(pare_drawing *d, pare_json *const *results,
                                   const char *const *names, int n)
{
    (void)n;
    const swept a = read_sweep(d, results[0]), b = read_sweep(d, results[1]);
    if (d->failed)
        return PARE_MEMORY;
    if (a.n != b.n)
        return PARE_OK; /* of models of another shape: nothing to compare */
    scale(a.differences, a.n, 100);
    scale(b.differences, b.n, 100);
    const pare_chart_series series = {.n = a.n, .x = a.differences, .y = b.differences};
    const pare_chart chart = {
        .kind = PARE_CHART_SCATTER,
        .title = pare_drawing_text(d, "The same heads off: %s and %s", names[0], names[1]),
        .x_label = pare_drawing_text(d, "%s: 100 x change of %s", names[0], a.metric),
        .y_label = pare_drawing_text(d, "%s: 100 x change of %s", names[1], b.metric),
        .series = &series,
        .n_series = 1,
        .line = PARE_LINE_FIT,
        .note = pare_drawing_text(d, "n %lld heads", (long long)a.n),
    };
    return pare_drawing_write(d, &chart, pare_drawing_text(d, "%s-and-%s", names[0], names[1]));
}

/* ---- correlations ---- */

static pare_status draw_matrix(pare_drawing *d, const pare_json *matrix, const char *const *labels,
                               const char *title, const char *stem)
{
    const int64_t n = (int64_t)pare_json_size(matrix);
    double *cells = pare_drawing_numbers(d, n * n);
    for (int64_t i = 0; !d->failed && i < n * n; i++)
        cells[i] = pare_json_as_double(pare_json_at(pare_json_at(matrix, (size_t)(i / n)),
                                                    (size_t)(i % n)), NAN);
    const pare_chart chart = {
        .kind = PARE_CHART_HEAT_MAP,
        .title = title,
        .matrix = {.rows = n, .columns = n, .values = cells, .row_labels = labels,
                   .column_labels = labels, .value_label = "correlation", .low = -1, .high = 1},
    };
    return pare_drawing_write(d, &chart, stem);
}

/* "runs/mrpc-1.json" -> "mrpc-1" */
static const char *stem_of(pare_drawing *d, const char *path)
{
    const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;
    const char *dot = strrchr(start, '.');
    return pare_drawing_text(d, "%.*s", dot ? (int)(dot - start) : (int)strlen(start), start);
}

static pare_status plot_correlation(pare_drawing *d, pare_json *const *results,
                                    const char *const *names, int n)
{
    (void)n;
    const pare_json *files = pare_json_get(results[0], "files");
    const size_t count = pare_json_size(files);
    const char **labels = pare_arena_alloc(d->arena, count * sizeof *labels);
    if (!labels)
        return PARE_MEMORY;
    for (size_t i = 0; i < count; i++)
        labels[i] = stem_of(d, pare_json_as_string(pare_json_at(files, i), "?"));
    static const char *const kinds[] = {"pearson", "spearman"};
    for (int k = 0; k < 4; k++) {
        const char *kind = kinds[k % 2];
        const pare_json *of = k < 2 ? results[0] : pare_json_get(results[0], "loss");
        if (pare_json_size(pare_json_get(of, kind)) != count)
            return pare_fail(PARE_INPUT, "%s: %s is no matrix of %zu", names[0], kind, count);
        PARE_TRY(draw_matrix(d, pare_json_get(of, kind), labels,
                             pare_drawing_text(d, "Are the same heads important? (%s of the "
                                               "%s's changes)", kind, k < 2 ? "metric" : "loss"),
                             pare_drawing_text(d, "%s-%s%s", names[0], kind,
                                               k < 2 ? "" : "-loss")));
    }
    return PARE_OK;
}

/* ---- curves ---- */

static bool has_curve(const pare_json *json)
{
    return pare_json_size(pare_json_get(json, "curve")) > 1;
}

static bool is_random(const pare_json *json)
{
    return strcmp(pare_json_get_string(json, "score", ""), "random") == 0;
}

static const char *task_of(const pare_json *json)
{
    return pare_json_get_string(json, "task", "");
}

/* The first metric's name of a curve's first point. */
static const char *curve_metric(const pare_json *json)
{
    const pare_json *metrics = pare_json_get(pare_json_at(pare_json_get(json, "curve"), 0),
                                             "metrics");
    void *first = pare_json_iter(metrics);
    return first ? pare_json_iter_key(first) : "";
}

static pare_chart_series read_curve(pare_drawing *d, const pare_json *json, const char *name)
{
    const pare_json *curve = pare_json_get(json, "curve");
    const char *metric = curve_metric(json);
    const int64_t n = (int64_t)pare_json_size(curve);
    double *x = pare_drawing_numbers(d, n), *y = pare_drawing_numbers(d, n);
    for (int64_t i = 0; !d->failed && i < n; i++) {
        const pare_json *point = pare_json_at(curve, (size_t)i);
        x[i] = (double)pare_json_get_int(point, "removed", 0);
        y[i] = pare_json_get_double(pare_json_get(point, "metrics"), metric, NAN);
    }
    return (pare_chart_series){.name = name, .n = n, .x = x, .y = y};
}

/* Mean and standard deviation of the random curves, which must have the same points. */
static pare_chart_series average(pare_drawing *d, const pare_chart_series *curves, int count)
{
    const int64_t n = curves[0].n;
    double *y = pare_drawing_numbers(d, n), *error = pare_drawing_numbers(d, n);
    for (int64_t i = 0; !d->failed && i < n; i++) {
        double sum = 0, squares = 0;
        for (int k = 0; k < count; k++)
            sum += curves[k].y[i];
        for (int k = 0; k < count; k++)
            squares += (curves[k].y[i] - sum / count) * (curves[k].y[i] - sum / count);
        y[i] = sum / count;
        error[i] = count > 1 ? sqrt(squares / (count - 1)) : NAN;
    }
    return (pare_chart_series){.name = pare_drawing_text(d, "random order, %d seeds", count),
                               .n = n, .x = curves[0].x, .y = y, .error = error};
}

/* Whether both have a curve, of the same task and metric: they share a chart. */
static bool same_axes(const pare_json *a, const pare_json *b)
{
    return has_curve(a) && has_curve(b) && strcmp(curve_metric(a), curve_metric(b)) == 0 &&
           strcmp(task_of(a), task_of(b)) == 0;
}

/* The i-th result and those that share its chart, the random ones as their mean. */
static pare_status gather_curves(pare_drawing *d, pare_json *const *results,
                                 const char *const *names, int n, int i, pare_chart *chart)
{
    pare_chart_series *series = pare_arena_alloc(d->arena, (size_t)(n + 1) * sizeof *series);
    pare_chart_series *random = pare_arena_alloc(d->arena, (size_t)n * sizeof *random);
    int shown = 0, n_random = 0;
    if (!series || !random)
        return PARE_MEMORY;
    for (int k = i; k < n; k++) {
        if (!same_axes(results[i], results[k]))
            continue;
        if (is_random(results[k]))
            random[n_random++] = read_curve(d, results[k], names[k]);
        else
            series[shown++] = read_curve(d, results[k], names[k]);
    }
    if (d->failed)
        return PARE_MEMORY;
    for (int k = 1; k < n_random; k++)
        if (random[k].n != random[0].n)
            return pare_fail(PARE_INPUT, "%s and %s have curves of other steps", random[0].name,
                             random[k].name);
    if (n_random > 0)
        series[shown++] = average(d, random, n_random);
    chart->series = series;
    chart->n_series = shown;
    return PARE_OK;
}

static pare_status draw_curves(pare_drawing *d, pare_json *const *results,
                               const char *const *names, int n, int i, const char *stem)
{
    pare_chart chart = {
        .kind = PARE_CHART_LINES,
        .title = pare_drawing_text(d, "%s as attention heads go", task_of(results[i])),
        .x_label = "heads removed",
        .y_label = curve_metric(results[i]),
    };
    PARE_TRY(gather_curves(d, results, names, n, i, &chart));
    return pare_drawing_write(d, &chart, stem);
}

/* The first with its axes. */
static bool begins_chart(pare_json *const *results, int i)
{
    for (int k = 0; k < i; k++)
        if (same_axes(results[k], results[i]))
            return false;
    return has_curve(results[i]);
}

static pare_status plot_curves(pare_drawing *d, pare_json *const *results, const char *const *names,
                               int n)
{
    int charts = 0;
    for (int i = 0; i < n; i++)
        charts += begins_chart(results, i);
    for (int i = 0; i < n; i++)
        if (begins_chart(results, i))
            PARE_TRY(draw_curves(d, results, names, n, i,
                                 charts == 1 ? "heads-removed"
                                             : pare_drawing_text(d, "heads-removed-%s-%s",
                                                                 task_of(results[i]),
                                                                 curve_metric(results[i]))));
    return PARE_OK;
}

/* ---- all ---- */

pare_status pare_plot_heads(pare_json *const *results, const char *const *names, int n,
                            const pare_plots *to)
{
    for (int i = 0; i < n; i++) {
        if (is_sweep(results[i]))
            PARE_TRY(pare_drawing_run(plot_one_sweep, results + i, names + i, 1, to));
        if (pare_json_get(results[i], "pearson"))
            PARE_TRY(pare_drawing_run(plot_correlation, results + i, names + i, 1, to));
    }
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            if (is_sweep(results[i]) && is_sweep(results[j]))
                PARE_TRY(pare_drawing_run(plot_two_sweeps, (pare_json *[]){results[i], results[j]},
                                    (const char *[]){names[i], names[j]}, 2, to));
    return pare_drawing_run(plot_curves, results, names, n, to);
}
