/* cmd_evaluate.c: pare evaluate: a model, or a file of predictions, judged on a task. */
#include "tasks/evaluate.h"

#include <string.h>

#include "cli/console.h"
#include "cli/options.h"
#include "cli/progress_line.h"
#include "core/file.h"

static pare_status check(const pare_options *options)
{
    if (options->model && options->predictions)
        return pare_hint(pare_fail(PARE_USAGE, "both --model and --predictions are given"),
                         "give the one to be judged");
    if (!options->predictions)
        PARE_TRY(pare_option_need(options, "model", options->model));
    PARE_TRY(pare_option_need(options, "task", options->task));
    return pare_option_need(options, "data", options->data);
}

static pare_status evaluate(const pare_options *o, pare_json **result)
{
    pare_evaluate_options what = {
        .model = o->model,
        .predictions = o->predictions,
        .data = pare_options_data(o),
        .max_seq_length = o->max_seq_length,
        .batch_size = o->eval_batch_size,
    };
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);
    pare_status status = pare_evaluate(&what, &progress, result);

    pare_progress_view_end(&view);
    return status;
}

/* The object that --json prints, as a file. */
static pare_status write_file(const char *path, const pare_json *result)
{
    char *text = pare_json_dump(result, 0, 17);

    if (!text)
        return PARE_MEMORY;
    size_t n = strlen(text);
    text[n] = '\n'; /* in the NUL's place */
    pare_status status = pare_file_replace(path, text, n + 1);
    pare_free(text);
    return status;
}

pare_status pare_command_evaluate(const pare_options *options)
{
    pare_json *result = NULL;

    PARE_TRY(check(options));
    pare_status status = evaluate(options, &result);
    if (status == PARE_OK && options->output)
        status = write_file(options->output, result);
    if (status == PARE_OK)
        return pare_out_result(result, options->json);
    pare_json_free(result);
    return status;
}
