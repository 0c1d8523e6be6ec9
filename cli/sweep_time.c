/* sweep_time.c: see sweep_time.h. */
#include "cli/sweep_time.h"

#include <math.h>
#include <string.h>

#include "cli/console.h"
#include "cli/progress_line.h"
#include "core/file.h"
#include "core/gemm.h"
#include "models/bounded_json.h"

enum { BATCH = 32 };

/* ---- what was timed before ---- */

/* {"task=...,seed=1; 10 layers, 1234 parameters; cut to 128; 4 threads, fp32-avx2":
 * {"ms_median": ...}} */
typedef struct timings {
    char *path;
    pare_json *known;
} timings;

static pare_status timings_open(const char *folder, timings *t)
{
    *t = (timings){.path = pare_path_join(folder, "latency.json")};
    if (!t->path)
        return PARE_MEMORY;
    if (!pare_path_exists(t->path)) {
        t->known = pare_json_new_object();
        return t->known ? PARE_OK : PARE_MEMORY;
    }
    return pare_context(pare_bounded_json_read(t->path, &t->known),
                        "timings of an earlier session");
}

static void timings_close(timings *t)
{
    pare_json_free(t->known);
    pare_free(t->path);
}

static bool timings_find(const timings *t, const char *key, pare_latency *out)
{
    const pare_json *row = pare_json_get(t->known, key);

    if (!row)
        return false;
    *out = (pare_latency){
        .batch = pare_json_get_int(row, "batch", 0),
        .passes = pare_json_get_int(row, "passes", 0),
        .tokens = pare_json_get_double(row, "tokens_per_batch", NAN),
        .ms_median = pare_json_get_double(row, "ms_median", NAN),
        .ms_p95 = pare_json_get_double(row, "ms_p95", NAN),
        .examples_per_second = pare_json_get_double(row, "examples_per_second", NAN),
        .ratio = pare_json_get_double(row, "ratio_to_first", NAN),
        .ratio_low = pare_json_get_double(row, "ratio_low", NAN),
        .ratio_high = pare_json_get_double(row, "ratio_high", NAN),
    };
    return true;
}

static pare_status timings_add(timings *t, const char *key, const pare_latency *latency)
{
    pare_json *row = pare_json_new_object();

    pare_latency_report(latency, row);
    pare_json_set(t->known, key, row);
    return pare_result_file(t->path, t->known);
}

/* ---- timing ---- */

/* A process has one precision: a point of another is not timed. One without a dev set has no
 * sentences. */
static bool can_be_timed(const pare_sweep_grid *g, const pare_sweep_score *score)
{
    const bool bf16 = pare_gemm_precision() == PARE_PRECISION_BF16;
    return score->cell >= 0 && score->metric &&
           strcmp(g->cells[score->cell].options.precision, bf16 ? "bf16" : "fp32") == 0;
}

/* The point that others are compared with; -1: none of the group can be timed. */
static int reference_of(const pare_sweep_grid *g, const pare_sweep_score *scores, int group)
{
    int first = -1;

    for (int p = group; p < g->n_points; p++) {
        if (pare_sweep_group(g, p) != group || !can_be_timed(g, &scores[p]))
            continue;
        if (pare_sweep_undropped(pare_sweep_point(g, p)))
            return p;
        first = first < 0 ? p : first;
    }
    return first;
}

/* Two cells' models in turn, or one alone; *out is the second's. */
static pare_status measure(const pare_sweep_plan *plan, int reference, int cell, pare_latency *out)
{
    const pare_options *o = &plan->grid->cells[cell].options;
    const pare_data_options data = pare_options_data(o);
    const int64_t size = BATCH;
    const pare_latency_plan times = {.batch_sizes = &size, .n_batch_sizes = 1};
    char *first = pare_sweep_path(plan, &plan->grid->cells[reference], "/best.h5");
    char *second = pare_sweep_path(plan, &plan->grid->cells[cell], "/best.h5");
    const char *files[] = {first, second};
    const int n = reference == cell ? 1 : 2;
    pare_latency both[2];
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);
    pare_status status = PARE_MEMORY;

    if (first && second)
        status =
            pare_latency_files(&times, files, n, &data, o->max_seq_length, &progress, both);
    pare_progress_view_end(&view);
    pare_free(second);
    pare_free(first);
    if (status == PARE_OK)
        *out = both[n - 1];
    return pare_context(status, "timing %s", plan->grid->cells[cell].name);
}

static pare_status time_point(const pare_sweep_plan *plan, timings *t, int reference,
                              pare_sweep_score *score)
{
    char key[512];

    snprintf(key, sizeof key, "%s; %lld layers, %lld parameters; cut to %lld; %d threads, %s",
             plan->grid->cells[reference].name, (long long)score->layers,
             (long long)score->parameters,
             (long long)plan->grid->cells[score->cell].options.max_seq_length, pare_threads(),
             pare_gemm_path());
    if (timings_find(t, key, &score->latency))
        return PARE_OK;
    if (pare_sweep_must_stop(plan))
        return pare_hint(pare_fail(PARE_STOPPED, "stopped: all runs are done, not all models are "
                                   "timed"),
                         "go on with the same command");
    PARE_TRY(measure(plan, reference, score->cell, &score->latency));
    return timings_add(t, key, &score->latency);
}

pare_status pare_sweep_time(const pare_sweep_plan *plan, pare_sweep_score *scores)
{
    const pare_sweep_grid *g = plan->grid;
    timings t;
    pare_status status = timings_open(plan->folder, &t);

    for (int p = 0; p < g->n_points && status == PARE_OK; p++) {
        if (!can_be_timed(g, &scores[p]))
            continue;
        const int reference = reference_of(g, scores, pare_sweep_group(g, p));
        status = time_point(plan, &t, scores[reference].cell, &scores[p]);
    }
    timings_close(&t);
    return status;
}
