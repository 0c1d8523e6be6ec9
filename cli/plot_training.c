/* plot_training.c: charts of training runs' logs (plot_results.h). */
#include <math.h>

#include "cli/drawing.h"
#include "cli/plot_results.h"

enum { MAX_POINTS = 60 }; /* of a line: more hide it behind their markers */

static bool is_log(const pare_json *json)
{
    return pare_json_is_array(json) && pare_json_get(pare_json_at(json, 0), "schema");
}

/* `key` of every line that has it, in the object `inside` if that is given. */
static pare_chart_series curve(pare_drawing *d, const pare_json *log, const char *inside,
                               const char *key, const char *name)
{
    const int64_t lines = (int64_t)pare_json_size(log);
    double *x = pare_drawing_numbers(d, lines), *y = pare_drawing_numbers(d, lines);
    pare_chart_series s = {.name = name, .x = x, .y = y};
    for (size_t i = 0; !d->failed && i < (size_t)lines; i++) {
        const pare_json *line = pare_json_at(log, i);
        const pare_json *value = pare_json_get(inside ? pare_json_get(line, inside) : line, key);
        if (!value)
            continue;
        x[s.n] = pare_json_get_double(line, "step", NAN);
        y[s.n++] = pare_json_as_double(value, NAN);
    }
    return s;
}

/* The same with at most MAX_POINTS points, each the mean of so many neighbours. */
static pare_chart_series smooth(pare_drawing *d, pare_chart_series s)
{
    const int64_t group = (s.n + MAX_POINTS - 1) / MAX_POINTS;
    double *x = pare_drawing_numbers(d, MAX_POINTS), *y = pare_drawing_numbers(d, MAX_POINTS);
    int64_t n = 0;
    for (int64_t i = 0; !d->failed && i < s.n; i += group, n++) {
        const int64_t end = i + group < s.n ? i + group : s.n;
        x[n] = y[n] = 0;
        for (int64_t k = i; k < end; k++) {
            x[n] += s.x[k] / (double)(end - i);
            y[n] += s.y[k] / (double)(end - i);
        }
    }
    return (pare_chart_series){.name = s.name, .n = n, .x = x, .y = y};
}

/* A chart of what the log has of `series`; of nothing, none. */
static pare_status draw(pare_drawing *d, const pare_chart_series *series, int n,
                        const char *title, const char *y_label, const char *stem)
{
    const pare_chart chart = {.kind = PARE_CHART_LINES, .title = title, .x_label = "step",
                              .y_label = y_label, .series = series, .n_series = n};
    return series[0].n > 0 ? pare_drawing_write(d, &chart, stem) : PARE_OK;
}

static pare_status draw_loss(pare_drawing *d, const pare_json *log, const char *name)
{
    const pare_chart_series both[] = {smooth(d, curve(d, log, NULL, "loss", "training")),
                                      curve(d, log, "eval", "loss", "dev set")};
    return draw(d, both, both[1].n > 0 ? 2 : 1, pare_drawing_text(d, "Loss (%s)", name), "loss",
                pare_drawing_text(d, "%s-loss", name));
}

/* The name of the first metric of the first evaluation, or NULL. */
static const char *metric_of(const pare_json *log)
{
    for (size_t i = 0; i < pare_json_size(log); i++) {
        void *first = pare_json_iter(pare_json_get(pare_json_at(log, i), "eval"));
        if (first)
            return pare_json_iter_key(first);
    }
    return NULL;
}

static pare_status draw_score(pare_drawing *d, const pare_json *log, const char *name)
{
    const char *metric = metric_of(log);
    if (!metric)
        return PARE_OK;
    const pare_chart_series score = curve(d, log, "eval", metric, NULL);
    return draw(d, &score, 1, pare_drawing_text(d, "Dev set over the steps (%s)", name), metric,
                pare_drawing_text(d, "%s-score", name));
}

static pare_status draw_masks(pare_drawing *d, const pare_json *log, const char *name)
{
    const pare_chart_series sparsity[] = {
        smooth(d, curve(d, log, NULL, "expected_sparsity", "expected")),
        smooth(d, curve(d, log, NULL, "target_sparsity", "target")),
        smooth(d, curve(d, log, NULL, "expected_sparsity_dense", "expected, of the dense size"))};
    const pare_chart_series multipliers[] = {
        smooth(d, curve(d, log, NULL, "lambda_1", "lambda 1")),
        smooth(d, curve(d, log, NULL, "lambda_2", "lambda 2"))};
    PARE_TRY(draw(d, sparsity, 3, pare_drawing_text(d, "Sparsity and its target (%s)", name),
                  "sparsity",
                  pare_drawing_text(d, "%s-sparsity", name)));
    return draw(d, multipliers, 2, pare_drawing_text(d, "Lagrange multipliers (%s)", name), "",
                pare_drawing_text(d, "%s-multipliers", name));
}

static pare_status plot_log(pare_drawing *d, pare_json *const *results, const char *const *names,
                            int n)
{
    (void)n;
    PARE_TRY(draw_loss(d, results[0], names[0]));
    PARE_TRY(draw_score(d, results[0], names[0]));
    return draw_masks(d, results[0], names[0]);
}

pare_status pare_plot_training(pare_json *const *results, const char *const *names, int n,
                               const pare_plots *to)
{
    for (int i = 0; i < n; i++)
        if (is_log(results[i]))
            PARE_TRY(pare_drawing_run(plot_log, results + i, names + i, 1, to));
    return PARE_OK;
}
