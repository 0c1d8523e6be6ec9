/* sweep_report.c: see sweep_report.h. */
#include "cli/sweep_report.h"

#include <math.h>
#include <string.h>

#include "core/gemm.h"

/* ---- JSON ---- */

/* A cell without its times; what shares a run with an earlier cell says with which. */
static pare_json *cell_json(const pare_sweep_findings *f, int index)
{
    const pare_sweep_cell *cell = &f->grid->cells[index];
    const pare_json *result = pare_sweep_result(f->grid, f->results, index);
    pare_json *object = pare_json_new_object();

    pare_json_set_string(object, "name", cell->name);
    pare_json_set_string(object, "task", cell->options.task);
    pare_json_set(object, "options", pare_sweep_options(f->grid, cell->point));
    pare_json_set_int(object, "seed", cell->options.seed);
    if (cell->same_as != index)
        pare_json_set_string(object, "same_as", f->grid->cells[cell->same_as].name);
    for (void *i = pare_json_iter(result); i; i = pare_json_iter_next(result, i)) {
        const char *key = pare_json_iter_key(i);
        if (!pare_json_get(object, key) && strcmp(key, "timing") != 0)
            pare_json_set(object, key, pare_json_copy(pare_json_iter_value(i)));
    }
    return object;
}

/* {"accuracy": {"mean": ..., "sd": ...}} */
static pare_json *metrics_json(const pare_sweep_findings *f, int point)
{
    const pare_sweep_score *score = &f->scores[point];
    const pare_json *metrics =
        score->cell < 0 ? NULL : pare_json_get(f->results[score->cell], "metrics");
    pare_json *object = pare_json_new_object();

    for (void *i = pare_json_iter(metrics); i; i = pare_json_iter_next(metrics, i)) {
        const pare_sweep_mean m =
            pare_sweep_metric(f->grid, f->results, point, pare_json_iter_key(i));
        pare_json *one = pare_json_new_object();
        pare_json_set_double(one, "mean", m.mean);
        pare_json_set_double(one, "sd", m.sd);
        pare_json_set(object, pare_json_iter_key(i), one);
    }
    return object;
}

static pare_json *point_json(const pare_sweep_findings *f, int point)
{
    const pare_sweep_score *score = &f->scores[point];
    pare_json *object = pare_json_new_object();

    pare_json_set_string(object, "task", pare_sweep_point(f->grid, point)->options.task);
    pare_json_set(object, "options", pare_sweep_options(f->grid, point));
    pare_json_set_string(object, "metric", score->metric);
    pare_json_set_int(object, "n", score->n);
    pare_json_set_int(object, "diverged", score->n_diverged);
    pare_json_set_double(object, "mean", score->mean);
    pare_json_set_double(object, "sd", score->sd);
    pare_json_set(object, "metrics", metrics_json(f, point));
    pare_json_set_double(object, "kept", score->kept);
    pare_json_set_int(object, "parameters", score->parameters);
    pare_json_set_int(object, "layers", score->layers);
    return object;
}

/* What a pick needs to be found and believed. */
static pare_json *picked_json(const pare_sweep_findings *f, int point)
{
    pare_json *object = pare_json_new_object();

    pare_json_set(object, "options", pare_sweep_options(f->grid, point));
    pare_json_set_double(object, "mean", f->scores[point].mean);
    pare_json_set_double(object, "sd", f->scores[point].sd);
    pare_json_set_int(object, "parameters", f->scores[point].parameters);
    pare_json_set_int(object, "layers", f->scores[point].layers);
    return object;
}

static pare_json *pick_json(const pare_sweep_findings *f, const pare_sweep_pick *pick)
{
    pare_json *object = pare_json_new_object();

    pare_json_set_string(object, "task", pare_sweep_point(f->grid, pick->group)->options.task);
    pare_json_set_string(object, "model", pare_sweep_point(f->grid, pick->group)->options.model);
    pare_json_set_string(object, "metric", f->scores[pick->best].metric);
    pare_json_set(object, "best", picked_json(f, pick->best));
    pare_json_set_bool(object, "reference_undropped", pick->undropped);
    pare_json_set(object, "reference", picked_json(f, pick->reference));
    pare_json_set_double(object, "tolerate", f->tolerate);
    pare_json_set(object, "smallest", picked_json(f, pick->smallest));
    return object;
}

/* ---- JSON of times ---- */

static pare_json *cell_times(const pare_sweep_findings *f)
{
    pare_json *list = pare_json_new_array();

    for (int i = 0; i < f->grid->n_cells; i++) {
        const pare_json *times = pare_json_get(f->results[i], "timing");
        if (!times)
            continue;
        pare_json *object = pare_json_copy(times);
        pare_json_set_string(object, "name", f->grid->cells[i].name);
        pare_json_append(list, object);
    }
    return list;
}

static pare_json *point_times(const pare_sweep_findings *f)
{
    pare_json *list = pare_json_new_array();

    for (int p = 0; p < f->grid->n_points; p++) {
        const pare_sweep_score *score = &f->scores[p];
        pare_json *object = pare_json_new_object();
        pare_json_set(object, "options", pare_sweep_options(f->grid, p));
        pare_json_set_double(object, "train_seconds", score->train_seconds);
        if (score->latency.passes > 0) {
            pare_json *latency = pare_json_new_object();
            pare_latency_report(&score->latency, latency);
            pare_json_set(object, "latency", latency);
        }
        pare_json_append(list, object);
    }
    return list;
}

pare_json *pare_sweep_json(const pare_sweep_findings *f)
{
    pare_json *object = pare_json_new_object(), *timing = pare_json_new_object();
    pare_json *cells = pare_json_new_array(), *summary = pare_json_new_array();
    pare_json *picks = pare_json_new_array();

    for (int i = 0; i < f->grid->n_cells; i++)
        pare_json_append(cells, cell_json(f, i));
    for (int p = 0; p < f->grid->n_points; p++)
        pare_json_append(summary, point_json(f, p));
    for (int i = 0; i < f->n_picks; i++)
        pare_json_append(picks, pick_json(f, &f->picks[i]));
    pare_json_set_int(timing, "threads", pare_threads());
    pare_json_set_string(timing, "kernels", pare_gemm_path());
    pare_json_set(timing, "cells", cell_times(f));
    pare_json_set(timing, "summary", point_times(f));
    pare_json_set(object, "cells", cells);
    pare_json_set(object, "summary", summary);
    pare_json_set(object, "picks", picks);
    pare_json_set(object, "timing", timing);
    return object;
}

/* ---- rows ---- */

/* A number behind a TAB, "-" where it is unknown. */
static void add_number(pare_text *out, double value, bool full, int digits)
{
    if (isnan(value))
        pare_text_puts(out, "\t-");
    else if (full)
        pare_text_printf(out, "\t%.17g", value);
    else
        pare_text_printf(out, "\t%.*f", digits, value);
}

static void add_heading(const pare_sweep_findings *f, bool full, pare_text *out)
{
    char shown[PARE_OPTION_SHOWN];

    for (int a = 0; a < f->grid->n_axes; a++)
        pare_text_printf(out, "%s\t", pare_option_shown(f->grid->axes[a].row, shown) + 2);
    pare_text_puts(out, "metric\tn\tmean\tsd\tkept\tlayers\tparameters");
    if (full)
        pare_text_puts(out, "\tdiverged");
    pare_text_puts(out, "\ttrain_s\tms\ttime");
    pare_text_puts(out, full ? "\ttime_low\ttime_high\n" : "\n");
}

/* A TAB or newline in a value would end its cell. */
static void add_value(pare_text *out, const char *value)
{
    for (; *value; value++)
        pare_text_add(out, (unsigned char)*value < 0x20 ? " " : value, 1);
    pare_text_puts(out, "\t");
}

static void add_row(const pare_sweep_findings *f, int point, bool full, pare_text *out)
{
    const pare_sweep_score *s = &f->scores[point];
    const bool timed = s->latency.passes > 0;

    for (int a = 0; a < f->grid->n_axes; a++)
        add_value(out, pare_sweep_value(f->grid, point, a));
    pare_text_printf(out, "%s\t%d", s->metric ? s->metric : "-", s->n);
    add_number(out, s->mean, full, 4);
    add_number(out, s->sd, full, 4);
    add_number(out, s->kept, full, 3);
    pare_text_printf(out, "\t%lld\t%lld", (long long)s->layers, (long long)s->parameters);
    if (full)
        pare_text_printf(out, "\t%d", s->n_diverged);
    add_number(out, s->train_seconds, full, 1);
    add_number(out, timed ? s->latency.ms_median : NAN, full, 2);
    add_number(out, timed ? s->latency.ratio : NAN, full, 3);
    if (full) {
        add_number(out, timed ? s->latency.ratio_low : NAN, full, 3);
        add_number(out, timed ? s->latency.ratio_high : NAN, full, 3);
    }
    pare_text_puts(out, "\n");
}

void pare_sweep_rows(const pare_sweep_findings *f, bool full, pare_text *out)
{
    add_heading(f, full, out);
    for (int p = 0; p < f->grid->n_points; p++)
        add_row(f, p, full, out);
}

/* ---- words ---- */

/* "drop-layers=top:2 learning-rate=3e-5: 0.8431 (sd 0.0120)" */
static void add_point(const pare_sweep_findings *f, int point, pare_text *out)
{
    const pare_sweep_score *s = &f->scores[point];
    char shown[PARE_OPTION_SHOWN];

    for (int a = 0; a < f->grid->n_axes; a++)
        pare_text_printf(out, "%s%s=%s", a > 0 ? " " : "",
                         pare_option_shown(f->grid->axes[a].row, shown) + 2,
                         pare_sweep_value(f->grid, point, a));
    pare_text_printf(out, "%s%.4f", f->grid->n_axes > 0 ? ": " : "", s->mean);
    if (!isnan(s->sd))
        pare_text_printf(out, " (sd %.4f)", s->sd);
}

void pare_sweep_words(const pare_sweep_findings *f, pare_text *out)
{
    for (int i = 0; i < f->n_picks; i++) {
        const pare_sweep_pick *p = &f->picks[i];
        const pare_sweep_score *smallest = &f->scores[p->smallest];
        const char *task = pare_sweep_point(f->grid, p->group)->options.task;
        pare_text_printf(out, "%s, best %s: ", task, f->scores[p->best].metric);
        add_point(f, p->best, out);
        pare_text_puts(out, "\n");
        if (smallest->parameters >= f->scores[p->best].parameters)
            continue;
        pare_text_printf(out, "%s, smallest within %g of %s (%.4f): ", task, f->tolerate,
                         p->undropped ? "the undropped" : "the best", f->scores[p->reference].mean);
        add_point(f, p->smallest, out);
        pare_text_printf(out, ", %lld layer%s, %lld parameters\n", (long long)smallest->layers,
                         smallest->layers == 1 ? "" : "s", (long long)smallest->parameters);
    }
}
