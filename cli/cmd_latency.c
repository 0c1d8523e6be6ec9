/* cmd_latency.c: pare latency: models timed in turn, on the sentences of a task. */
#include "tasks/latency.h"

#include <stdlib.h>

#include "cli/columns.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/progress_line.h"
#include "core/gemm.h"

/* "1,8,32" -> sizes[*n]. */
static pare_status read_sizes(const char *text, int64_t sizes[PARE_LATENCY_MOST_SIZES], int *n)
{
    const char *s = text;

    for (*n = 0;; s++) {
        char *end;
        long long size = strtoll(s, &end, 10);
        if (*s < '0' || *s > '9' || (*end && *end != ',') || size < 1 || size > 65536)
            return pare_hint(pare_fail(PARE_USAGE, "--batch: \"%s\" is no list of batch sizes",
                                       text),
                             "give whole numbers from 1 to 65536, such as 1,8,32");
        if (*n == PARE_LATENCY_MOST_SIZES)
            return pare_fail(PARE_USAGE, "--batch: more than %d sizes", PARE_LATENCY_MOST_SIZES);
        sizes[(*n)++] = size;
        s = end;
        if (!*s)
            return PARE_OK;
    }
}

static pare_status check(const pare_options *o)
{
    PARE_TRY(pare_option_need(o, "task", o->task));
    return pare_option_need(o, "data", o->data);
}

/* The timings, model by model, into results[n_operands * n_batch_sizes]. */
static pare_status measure(const pare_options *o, const pare_latency_plan *plan,
                           pare_latency *results)
{
    const pare_data_options data = pare_options_data(o);
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);
    pare_status status = pare_latency_files(plan, o->operands, o->n_operands, &data,
                                            o->max_seq_length, &progress, results);

    pare_progress_view_end(&view);
    return status;
}

/* ---- What came of it ---- */

static pare_status print_json(const pare_options *o, const pare_latency_plan *plan,
                              const pare_latency *results)
{
    pare_json *result = pare_json_new_object(), *models = pare_json_new_array();

    for (int i = 0; i < o->n_operands * plan->n_batch_sizes; i++) {
        pare_json *row = pare_json_new_object();
        pare_json_set_string(row, "file", o->operands[i / plan->n_batch_sizes]);
        pare_latency_report(&results[i], row);
        pare_json_append(models, row);
    }
    pare_json_set_int(result, "threads", pare_threads());
    pare_json_set_string(result, "kernels", pare_gemm_path());
    pare_json_set_string(result, "task", o->task);
    pare_json_set_string(result, "split", o->split);
    if (plan->length > 0)
        pare_json_set_int(result, "length", plan->length);
    pare_json_set(result, "models", models);
    return pare_out_json(result);
}

static pare_status print_table(const pare_options *o, const pare_latency_plan *plan,
                               const pare_latency *results)
{
    pare_text rows = {0};

    pare_text_puts(&rows, "model\tbatch\ttokens\tms\tms p95\texamples/s\ttime / first\t95 %\n");
    for (int size = 0; size < plan->n_batch_sizes; size++)
        for (int i = 0; i < o->n_operands; i++) {
            const pare_latency *l = &results[i * plan->n_batch_sizes + size];
            pare_text_printf(&rows, "%s\t%lld\t%.0f\t%.2f\t%.2f\t%.1f\t%.3f\t%.3f..%.3f\n",
                             o->operands[i], (long long)l->batch, l->tokens, l->ms_median,
                             l->ms_p95, l->examples_per_second, l->ratio, l->ratio_low,
                             l->ratio_high);
        }
    return pare_columns_print(&rows);
}

pare_status pare_command_latency(const pare_options *o)
{
    int64_t sizes[PARE_LATENCY_MOST_SIZES];
    pare_latency_plan plan = {.batch_sizes = sizes, .length = o->length, .turns = o->rounds};

    PARE_TRY(check(o));
    PARE_TRY(read_sizes(o->batch, sizes, &plan.n_batch_sizes));
    const size_t n = (size_t)o->n_operands * (size_t)plan.n_batch_sizes;
    pare_latency *results = pare_calloc(n, sizeof *results);
    pare_status status = results ? measure(o, &plan, results) : PARE_MEMORY;
    if (status == PARE_OK)
        status = o->json ? print_json(o, &plan, results) : print_table(o, &plan, results);
    pare_free(results);
    return status;
}
