/* plot_flop.c: charts of FLOP pruning's results (plot_results.h). */
#include <math.h>
#include <string.h>

#include "cli/drawing.h"
#include "cli/plot_results.h"
#include "models/config.h"

static bool is_flop(const pare_json *json)
{
    return pare_json_is_array(pare_json_get(json, "models")) && pare_json_get(json, "method");
}

static const char *text_of(const pare_json *json, const char *key)
{
    return pare_json_get_string(json, key, "");
}

/* ---- ranks ---- */

static pare_status draw_ranks(pare_drawing *d, const pare_json *model, const char *name)
{
    const pare_json *ranks = pare_json_get(model, "ranks");
    const int64_t layers = (int64_t)pare_json_size(ranks);
    const double target = pare_json_get_double(model, "target", NAN);
    double *cells = pare_drawing_numbers(d, layers * PARE_MATRICES);
    const char **rows = pare_arena_alloc(d->arena, (size_t)layers * sizeof *rows);
    const char *columns[PARE_MATRICES];
    if (d->failed || !rows)
        return PARE_MEMORY;
    bool any = false;
    for (int64_t i = 0; i < layers * PARE_MATRICES; i++) {
        const int64_t layer = i / PARE_MATRICES, matrix = i % PARE_MATRICES;
        columns[matrix] = pare_matrix_name((pare_matrix)matrix);
        rows[layer] = pare_drawing_text(d, "%lld", (long long)layer);
        cells[i] = pare_json_get_double(pare_json_at(ranks, (size_t)layer), columns[matrix], NAN);
        any = any || isfinite(cells[i]);
    }
    if (!any)
        return PARE_OK;
    const pare_chart chart = {
        .kind = PARE_CHART_HEAT_MAP,
        .title = pare_drawing_text(d, "Ranks left, %g of the encoder removed (%s)", target, name),
        .note = "- is a dense matrix",
        .x_label = "matrix",
        .y_label = "layer",
        .matrix = {.rows = layers, .columns = PARE_MATRICES, .values = cells, .row_labels = rows,
                   .column_labels = columns, .value_label = "rank"},
    };
    return pare_drawing_write(d, &chart, pare_drawing_text(d, "%s-ranks-%g", name, target));
}

static pare_status plot_ranks(pare_drawing *d, pare_json *const *results, const char *const *names,
                              int n)
{
    const pare_json *models = pare_json_get(results[0], "models");
    (void)n;
    for (size_t i = 0; i < pare_json_size(models); i++)
        PARE_TRY(draw_ranks(d, pare_json_at(models, i), names[0]));
    return PARE_OK;
}

/* ---- score against size and time ---- */

/* All results given, and what of them a chart shows. */
typedef struct plot {
    pare_json *const *results;
    int n;
    const char *task, *metric;
    bool times; /* x is forward time, else parameters */
} plot;

/* Mean and standard deviation of numbers that come one by one (Welford 1962). */
typedef struct mean {
    double n, mean, squares;
} mean;

static void add(mean *m, double x)
{
    const double before = x - m->mean;
    m->n++;
    m->mean += before / m->n;
    m->squares += before * (x - m->mean);
}

static double x_of(const plot *p, const pare_json *model)
{
    if (p->times)
        return pare_json_get_double(pare_json_get(model, "latency_ratio"), "32", NAN);
    return 1e-6 * pare_json_get_double(pare_json_get(model, "parameters"), "after", NAN);
}

static double score_of(const plot *p, const pare_json *model, const char *when)
{
    return pare_json_get_double(pare_json_get(pare_json_get(model, "metrics"), when), p->metric,
                                NAN);
}

/* Whether this result is of the plot's task and, unless NULL, of the method. */
static bool shown(const plot *p, int i, const char *method)
{
    const pare_json *r = p->results[i];
    return is_flop(r) && strcmp(text_of(r, "task"), p->task) == 0 &&
           (!method || strcmp(text_of(r, "method"), method) == 0);
}

/* The models of one method with this target, over the seeds; the number of them. */
static int gather(const plot *p, const char *method, double target, mean *x, mean *score)
{
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        const pare_json *models = pare_json_get(p->results[i], "models");
        for (size_t k = 0; shown(p, i, method) && k < pare_json_size(models); k++) {
            const pare_json *model = pare_json_at(models, k);
            if (pare_json_get_double(model, "target", NAN) != target)
                continue;
            add(x, x_of(p, model));
            add(score, score_of(p, model, "after"));
            n++;
        }
    }
    return n;
}

/* The next larger target of any result, or infinity. */
static double target_after(const plot *p, double before)
{
    double next = INFINITY;
    for (int i = 0; i < p->n; i++) {
        const pare_json *models = pare_json_get(p->results[i], "models");
        for (size_t k = 0; shown(p, i, NULL) && k < pare_json_size(models); k++) {
            const double target = pare_json_get_double(pare_json_at(models, k), "target", NAN);
            next = target > before && target < next ? target : next;
        }
    }
    return next;
}

/* From the largest target to the smallest, so that x rises. */
static pare_chart_series method_line(pare_drawing *d, const plot *p, const char *method)
{
    int64_t n = 0, last = 0;
    double t = -1;
    while (isfinite(t = target_after(p, t)))
        n++;
    double *x = pare_drawing_numbers(d, n), *y = pare_drawing_numbers(d, n);
    double *error = pare_drawing_numbers(d, n);
    last = n;
    t = -1;
    while (!d->failed && isfinite(t = target_after(p, t))) {
        mean at = {0}, score = {0};
        last--;
        const bool any = gather(p, method, t, &at, &score) > 0;
        x[last] = any ? at.mean : NAN;
        y[last] = any ? score.mean : NAN;
        error[last] = score.n > 1 ? sqrt(score.squares / (score.n - 1)) : NAN;
    }
    return (pare_chart_series){.name = method, .n = n, .x = x, .y = y, .error = error};
}

/* The unpruned models' mean score. */
static double dense_score(const plot *p)
{
    mean score = {0};
    for (int i = 0; i < p->n; i++)
        if (shown(p, i, NULL))
            add(&score, score_of(p, p->results[i], "before"));
    return score.mean;
}

static pare_status draw_scores(pare_drawing *d, const plot *p)
{
    static const char *const methods[] = {"flop", "svd", "svd-global"};
    pare_chart_series lines[3];
    int n = 0;
    for (int i = 0; i < 3; i++) {
        bool any = false;
        for (int k = 0; k < p->n; k++)
            any = any || shown(p, k, methods[i]);
        if (any)
            lines[n++] = method_line(d, p, methods[i]);
    }
    const double dense = dense_score(p);
    const pare_chart chart = {
        .kind = PARE_CHART_LINES,
        .title = pare_drawing_text(d, "%s after FLOP pruning", p->task),
        .x_label = p->times ? "forward time of 32 sentences / the dense model's"
                            : "parameters, millions",
        .y_label = p->metric,
        .series = lines,
        .n_series = n,
        .baseline = dense,
        .baseline_label = pare_drawing_text(d, "dense: %.4f", dense),
    };
    return pare_drawing_write(d, &chart, pare_drawing_text(d, "flop-%s-%s", p->task,
                                                           p->times ? "time" : "parameters"));
}

static pare_status plot_scores(pare_drawing *d, pare_json *const *results,
                               const char *const *names, int n)
{
    (void)names;
    for (int i = 0; i < n; i++) {
        plot p = {.results = results, .n = n, .task = text_of(results[i], "task")};
        bool first = is_flop(results[i]);
        for (int k = 0; k < i; k++)
            first = first && !shown(&p, k, NULL);
        if (!first)
            continue;
        void *metric = pare_json_iter(
            pare_json_get(pare_json_get(results[i], "metrics"), "after"));
        p.metric = metric ? pare_json_iter_key(metric) : "";
        PARE_TRY(draw_scores(d, &p));
        p.times = true;
        PARE_TRY(draw_scores(d, &p));
    }
    return PARE_OK;
}

/* ---- all ---- */

pare_status pare_plot_flop(pare_json *const *results, const char *const *names, int n,
                           const pare_plots *to)
{
    for (int i = 0; i < n; i++)
        if (is_flop(results[i]))
            PARE_TRY(pare_drawing_run(plot_ranks, results + i, names + i, 1, to));
    return pare_drawing_run(plot_scores, results, names, n, to);
}
