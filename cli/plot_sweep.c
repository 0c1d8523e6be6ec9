/* plot_sweep.c: charts of pare sweep's summary.json (plot_results.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/drawing.h"
#include "cli/plot_results.h"

enum { MOST_LAYERS = 1023 }; /* of a model, for a chart */

/* One point of the grid, of the task at hand. */
typedef struct point {
    const char *dropped;  /* "top:2", "none" */
    const char *others;   /* the grid's other options: "learning_rate=1e-4"; or "" */
    char strategy[32];    /* "top" */
    int layers;           /* that are left; -1: it is not said */
    double mean, sd, ms;  /* of the score; forward time */
} point;

typedef struct task_points {
    const char *task, *metric;
    point *at;
    int n;
    int most_layers;
} task_points;

/* ---- reading ---- */

/* Of a point or a cell. (Older files name it only where it is in the grid.) */
static const char *task_of(const pare_json *entry)
{
    const char *in_grid = pare_json_get_string(pare_json_get(entry, "options"), "task", "");
    return pare_json_get_string(entry, "task", in_grid);
}

static const char *dropped_of(const pare_json *entry)
{
    return pare_json_get_string(pare_json_get(entry, "options"), "drop_layers", "none");
}

static const char *others_of(pare_drawing *d, const pare_json *entry)
{
    const pare_json *options = pare_json_get(entry, "options");
    const char *text = "";
    for (void *i = pare_json_iter(options); i; i = pare_json_iter_next(options, i)) {
        const char *key = pare_json_iter_key(i);
        if (strcmp(key, "task") != 0 && strcmp(key, "drop_layers") != 0)
            text = pare_drawing_text(d, "%s%s%s=%s", text, *text ? ", " : "", key,
                                     pare_json_as_string(pare_json_iter_value(i), ""));
    }
    return text;
}

/* A name and the other options. */
static const char *with_others(pare_drawing *d, const char *name, const char *others)
{
    return *others ? pare_drawing_text(d, "%s, %s", name, others) : name;
}

/* The forward time of the i-th point. */
static double time_of(const pare_json *json, size_t i)
{
    const pare_json *timed = pare_json_at(
        pare_json_get(pare_json_get(json, "timing"), "summary"), i);
    return pare_json_get_double(pare_json_get(timed, "latency"), "ms_median", NAN);
}

static point read_point(pare_drawing *d, const pare_json *json, size_t i)
{
    const pare_json *one = pare_json_at(pare_json_get(json, "summary"), i);
    point p = {.dropped = dropped_of(one),
               .others = others_of(d, one),
               .layers = (int)pare_json_get_int(one, "layers", -1),
               .mean = pare_json_get_double(one, "mean", NAN),
               .sd = pare_json_get_double(one, "sd", NAN),
               .ms = time_of(json, i)};
    const size_t n = strcspn(p.dropped, ":");
    snprintf(p.strategy, sizeof p.strategy, "%.*s", (int)(n < 31 ? n : 31), p.dropped);
    return p;
}

static task_points read_task(pare_drawing *d, const pare_json *json, const char *task)
{
    const pare_json *summary = pare_json_get(json, "summary");
    const size_t n = pare_json_size(summary);
    task_points t = {.task = task, .metric = "score",
                     .at = pare_arena_alloc(d->arena, n * sizeof *t.at)};
    d->failed = d->failed || !t.at;
    for (size_t i = 0; !d->failed && i < n; i++) {
        const pare_json *one = pare_json_at(summary, i);
        if (strcmp(task_of(one), task) != 0)
            continue;
        t.metric = pare_json_get_string(one, "metric", t.metric);
        t.at[t.n] = read_point(d, json, i);
        if (t.at[t.n].layers > t.most_layers)
            t.most_layers = t.at[t.n].layers;
        t.n++;
    }
    return t;
}

/* ---- score and time against layers dropped ---- */

static bool is_whole(const point *p)
{
    return strcmp(p->strategy, "none") == 0;
}

static bool same_line(const point *p, const point *q)
{
    return strcmp(p->strategy, q->strategy) == 0 && strcmp(p->others, q->others) == 0;
}

/* The whole model and the points of one strategy, by layers dropped. */
static pare_chart_series strategy_line(pare_drawing *d, const task_points *t, const point *one,
                                       bool times)
{
    double *x = pare_drawing_numbers(d, t->n), *y = pare_drawing_numbers(d, t->n);
    double *error = pare_drawing_numbers(d, t->n);
    int n = 0;
    for (int left = t->most_layers; !d->failed && left >= 0; left--)
        for (int i = 0; i < t->n; i++) {
            const point *p = &t->at[i];
            const bool whole = is_whole(p) && strcmp(p->others, one->others) == 0;
            if (p->layers != left || (!whole && !same_line(p, one)))
                continue;
            x[n] = t->most_layers - p->layers;
            y[n] = times ? p->ms : p->mean;
            error[n++] = times ? NAN : p->sd;
        }
    return (pare_chart_series){.name = with_others(d, one->strategy, one->others), .n = n, .x = x,
                               .y = y, .error = times ? NULL : error};
}

/* Whether an earlier point is on the same line. */
static bool seen(const task_points *t, int i)
{
    for (int k = 0; k < i; k++)
        if (same_line(&t->at[k], &t->at[i]))
            return true;
    return false;
}

static pare_status draw_lines(pare_drawing *d, const task_points *t, const char *name, bool times)
{
    pare_chart_series *series = pare_arena_alloc(d->arena, (size_t)t->n * sizeof *series);
    int n = 0;
    bool any = false;
    for (int i = 0; series && i < t->n; i++) {
        any = any || isfinite(times ? t->at[i].ms : t->at[i].mean);
        if (!is_whole(&t->at[i]) && !seen(t, i))
            series[n++] = strategy_line(d, t, &t->at[i], times);
    }
    if (!series)
        return PARE_MEMORY;
    if (!any || n == 0) /* nothing was dropped, or nothing timed */
        return PARE_OK;
    const pare_chart chart = {
        .kind = PARE_CHART_LINES,
        .title = pare_drawing_text(d, "%s: %s", t->task,
                                   times ? "forward time of 32 sentences"
                                         : "fine-tuned after layer drop"),
        .x_label = "layers dropped",
        .y_label = times ? "milliseconds, median" : t->metric,
        .series = series,
        .n_series = n,
    };
    return pare_drawing_write(d, &chart,
                              pare_drawing_text(d, "%s-%s-%s", name, t->task,
                                                times ? "time" : "score"));
}

/* ---- scores over seeds ---- */

/* The scores of the cells of one point's options, of the task's main metric. */
static pare_chart_series seed_scores(pare_drawing *d, const pare_json *json, const task_points *t,
                                     const point *p)
{
    const pare_json *cells = pare_json_get(json, "cells");
    double *y = pare_drawing_numbers(d, (int64_t)pare_json_size(cells));
    int n = 0;
    for (size_t i = 0; !d->failed && i < pare_json_size(cells); i++) {
        const pare_json *cell = pare_json_at(cells, i);
        if (strcmp(task_of(cell), t->task) == 0 && strcmp(dropped_of(cell), p->dropped) == 0 &&
            strcmp(others_of(d, cell), p->others) == 0)
            y[n++] = pare_json_get_double(pare_json_get(cell, "metrics"), t->metric, NAN);
    }
    return (pare_chart_series){.name = with_others(d, p->dropped, p->others), .n = n, .y = y};
}

static pare_status draw_boxes(pare_drawing *d, const pare_json *json, const task_points *t,
                              const char *name)
{
    pare_chart_series *series = pare_arena_alloc(d->arena, (size_t)t->n * sizeof *series);
    int n = 0;
    if (!series)
        return PARE_MEMORY;
    for (int i = 0; i < t->n; i++) {
        series[n] = seed_scores(d, json, t, &t->at[i]);
        n += series[n].n > 1; /* a box needs seeds */
    }
    if (n == 0)
        return PARE_OK;
    const pare_chart chart = {
        .kind = PARE_CHART_BOXES,
        .title = pare_drawing_text(d, "%s over seeds", t->task),
        .x_label = "layers dropped",
        .y_label = t->metric,
        .series = series,
        .n_series = n,
    };
    return pare_drawing_write(d, &chart, pare_drawing_text(d, "%s-%s-seeds", name, t->task));
}

/* ---- all ---- */

static pare_status plot_tasks(pare_drawing *d, pare_json *const *results, const char *const *names,
                              int n)
{
    const pare_json *summary = pare_json_get(results[0], "summary");
    (void)n;
    for (size_t i = 0; i < pare_json_size(summary); i++) {
        const char *task = task_of(pare_json_at(summary, i));
        bool earlier = false;
        for (size_t k = 0; k < i; k++)
            earlier = earlier || strcmp(task_of(pare_json_at(summary, k)), task) == 0;
        if (earlier)
            continue;
        const task_points t = read_task(d, results[0], task);
        if (d->failed)
            return PARE_MEMORY;
        PARE_TRY(draw_lines(d, &t, names[0], false));
        PARE_TRY(draw_lines(d, &t, names[0], true));
        PARE_TRY(draw_boxes(d, results[0], &t, names[0]));
    }
    return PARE_OK;
}

static bool is_sweep(const pare_json *result)
{
    return pare_json_is_array(pare_json_get(result, "summary")) &&
           pare_json_is_array(pare_json_get(result, "cells"));
}

/* One sweep's points and cells behind those of others; its times stay beside its points. */
static void join(pare_json *to, const pare_json *from)
{
    const pare_json *summary = pare_json_get(from, "summary");
    const pare_json *cells = pare_json_get(from, "cells");
    const pare_json *times = pare_json_get(pare_json_get(from, "timing"), "summary");
    for (size_t i = 0; i < pare_json_size(summary); i++) {
        const pare_json *time = pare_json_at(times, i);
        pare_json_append(pare_json_get(to, "summary"), pare_json_copy(pare_json_at(summary, i)));
        pare_json_append(pare_json_get(pare_json_get(to, "timing"), "summary"),
                         time ? pare_json_copy(time) : pare_json_new_object());
    }
    for (size_t i = 0; i < pare_json_size(cells); i++)
        pare_json_append(pare_json_get(to, "cells"), pare_json_copy(pare_json_at(cells, i)));
}

static pare_json *joined(pare_json *const *results, int n)
{
    pare_json *all = pare_json_new_object(), *timing = pare_json_new_object();
    pare_json_set(all, "summary", pare_json_new_array());
    pare_json_set(all, "cells", pare_json_new_array());
    pare_json_set(timing, "summary", pare_json_new_array());
    pare_json_set(all, "timing", timing);
    for (int i = 0; i < n; i++)
        if (is_sweep(results[i]))
            join(all, results[i]);
    return all;
}

/* A chart has room for each number of layers. */
static pare_status check_layers(const pare_json *result, const char *name)
{
    const pare_json *summary = pare_json_get(result, "summary");
    for (size_t i = 0; i < pare_json_size(summary); i++) {
        const pare_json *layers = pare_json_get(pare_json_at(summary, i), "layers");
        const int64_t n = pare_json_as_int(layers, -1);
        if (layers && (n < 0 || n > MOST_LAYERS))
            return pare_fail(PARE_INPUT, "%s: \"layers\" of its point %zu is no whole number from "
                             "0 to %d", name, i + 1, MOST_LAYERS);
    }
    return PARE_OK;
}

pare_status pare_plot_sweep(pare_json *const *results, const char *const *names, int n,
                            const pare_plots *to)
{
    const char *name = NULL;
    int sweeps = 0;
    for (int i = 0; i < n; i++)
        if (is_sweep(results[i])) {
            PARE_TRY(check_layers(results[i], names[i]));
            name = names[i];
            sweeps++;
        }
    if (sweeps == 0)
        return PARE_OK;
    if (sweeps > 1)
        name = "sweeps";
    pare_json *all = joined(results, n);
    pare_status status = pare_json_status();
    if (status == PARE_OK)
        status = pare_drawing_run(plot_tasks, &all, &name, 1, to);
    pare_json_free(all);
    return status;
}
