/* sweep_summary.c: see sweep_summary.h. */
#include "cli/sweep_summary.h"

#include <math.h>
#include <string.h>

/* ---- one point ---- */

const pare_json *pare_sweep_result(const pare_sweep_grid *g, pare_json *const *results, int cell)
{
    return results[g->cells[cell].same_as];
}

static bool has_model(const pare_json *result)
{
    return result && !pare_json_get_bool(result, "diverged", false);
}

/* The main metric: what picks best.h5, else the first that the task has. */
static const char *main_metric(const pare_sweep_cell *cell, const pare_json *result)
{
    const char *asked = cell->options.metric_for_best;
    void *first = pare_json_iter(pare_json_get(result, "metrics"));

    if (first && asked && strcmp(asked, "loss") != 0)
        return asked;
    return first ? pare_json_iter_key(first) : NULL;
}

/* The cells of a point are side by side. Two passes: a sum of squares would lose digits. */
pare_sweep_mean pare_sweep_metric(const pare_sweep_grid *g, pare_json *const *results, int point,
                                  const char *metric)
{
    pare_sweep_mean m = {0, NAN, NAN};
    double total = 0, squares = 0;

    for (int pass = 0; pass < 2; pass++) {
        m.n = 0;
        for (int s = 0; s < g->n_seeds; s++) {
            const pare_json *result = pare_sweep_result(g, results, point * g->n_seeds + s);
            if (!has_model(result))
                continue;
            double value = pare_json_get_double(pare_json_get(result, "metrics"), metric, NAN);
            m.n++;
            total += pass == 0 ? value : 0;
            squares += pass == 1 ? (value - m.mean) * (value - m.mean) : 0;
        }
        m.mean = m.n > 0 ? total / m.n : NAN;
    }
    m.sd = m.n > 1 ? sqrt(squares / (m.n - 1)) : NAN;
    return m;
}

static void score_point(const pare_sweep_grid *g, pare_json *const *results, int point,
                        pare_sweep_score *out)
{
    double seconds = 0;
    int models = 0;

    *out = (pare_sweep_score){.mean = NAN, .sd = NAN, .kept = NAN, .cell = -1};
    for (int s = 0; s < g->n_seeds; s++) {
        const int cell = point * g->n_seeds + s;
        const pare_json *result = pare_sweep_result(g, results, cell);
        out->n_diverged += pare_json_get_bool(result, "diverged", false);
        if (!has_model(result))
            continue;
        seconds += pare_json_get_double(pare_json_get(result, "timing"), "train_seconds", NAN);
        if (models++ > 0)
            continue;
        out->cell = g->cells[cell].same_as;
        out->metric = main_metric(&g->cells[cell], result);
        out->parameters = pare_json_get_int(result, "parameters", 0);
        out->layers = pare_json_get_int(result, "layers", 0);
    }
    out->train_seconds = models > 0 ? seconds / models : NAN;
    if (out->metric) {
        const pare_sweep_mean m = pare_sweep_metric(g, results, point, out->metric);
        out->n = m.n;
        out->mean = m.mean;
        out->sd = m.sd;
    }
}

/* ---- points beside each other ---- */

static bool is_identity(const pare_option *row)
{
    static const char *const names[] = {"task", "data", "model", "text_column", "pair_column",
                                        "label_column"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(row->name, names[i]) == 0)
            return true;
    return false;
}

int pare_sweep_group(const pare_sweep_grid *g, int point)
{
    int first = 0;

    for (; first < point; first++) {
        bool same = true;
        for (int a = 0; a < g->n_axes; a++)
            same = same && (!is_identity(g->axes[a].row) ||
                            pare_sweep_value(g, first, a) == pare_sweep_value(g, point, a));
        if (same)
            break;
    }
    return first;
}

/* Whether two points differ in drop_layers alone, or not at all. */
static bool differ_in_layers(const pare_sweep_grid *g, int a, int b)
{
    for (int i = 0; i < g->n_axes; i++)
        if (strcmp(g->axes[i].row->name, "drop_layers") != 0 &&
            pare_sweep_value(g, a, i) != pare_sweep_value(g, b, i))
            return false;
    return true;
}

static bool has_axis(const pare_sweep_grid *g, const char *name)
{
    for (int a = 0; a < g->n_axes; a++)
        if (strcmp(g->axes[a].row->name, name) == 0)
            return true;
    return false;
}

void pare_sweep_scores(const pare_sweep_grid *g, pare_json *const *results,
                       pare_sweep_score *scores)
{
    for (int p = 0; p < g->n_points; p++)
        score_point(g, results, p, &scores[p]);
    for (int p = 0; p < g->n_points && has_axis(g, "drop_layers"); p++)
        for (int q = 0; q < g->n_points; q++)
            if (pare_sweep_undropped(pare_sweep_point(g, q)) && differ_in_layers(g, p, q))
                scores[p].kept = scores[p].mean / scores[q].mean;
}

/* ---- picking ---- */

static bool is_better(const pare_sweep_score *scores, int point, int than)
{
    return than < 0 || scores[point].mean > scores[than].mean;
}

static bool is_smaller(const pare_sweep_score *scores, int point, int than)
{
    if (than < 0 || scores[point].parameters != scores[than].parameters)
        return than < 0 || scores[point].parameters < scores[than].parameters;
    return is_better(scores, point, than);
}

/* Scores are fractions whose last digits are rounding: exactly the tolerance away is within it. */
static bool within(const pare_sweep_score *scores, int point, int reference, double tolerate)
{
    return scores[point].mean >= scores[reference].mean - tolerate - 1e-12;
}

static bool pick(const pare_sweep_grid *g, const pare_sweep_score *scores, double tolerate,
                 int group, pare_sweep_pick *out)
{
    *out = (pare_sweep_pick){.group = group, .best = -1, .reference = -1, .smallest = -1};
    for (int p = group; p < g->n_points; p++) {
        if (pare_sweep_group(g, p) != group || isnan(scores[p].mean))
            continue;
        if (is_better(scores, p, out->best))
            out->best = p;
        if (pare_sweep_undropped(pare_sweep_point(g, p)) && is_better(scores, p, out->reference))
            out->reference = p;
    }
    if (out->best < 0)
        return false;
    out->undropped = out->reference >= 0;
    out->reference = out->undropped ? out->reference : out->best;
    for (int p = group; p < g->n_points; p++)
        if (pare_sweep_group(g, p) == group && within(scores, p, out->reference, tolerate) &&
            is_smaller(scores, p, out->smallest))
            out->smallest = p;
    return true;
}

int pare_sweep_picks(const pare_sweep_grid *g, const pare_sweep_score *scores, double tolerate,
                     pare_sweep_pick *picks)
{
    int n = 0;

    for (int p = 0; p < g->n_points; p++)
        if (pare_sweep_group(g, p) == p)
            n += pick(g, scores, tolerate, p, &picks[n]);
    return n;
}
