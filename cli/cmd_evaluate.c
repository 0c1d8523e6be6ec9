/* cmd_evaluate.c: pare evaluate: a model, or a file of predictions, judged on a task. */
#include "tasks/evaluate.h"

#include "cli/console.h"
#include "cli/options.h"
#include "cli/progress_line.h"

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
    const pare_evaluate_options what = pare_options_evaluate(o);
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);
    pare_status status = pare_evaluate(&what, &progress, result);

    pare_progress_view_end(&view);
    return status;
}

pare_status pare_command_evaluate(const pare_options *options)
{
    pare_json *result = NULL;

    PARE_TRY(check(options));
    PARE_TRY(pare_result_writable(options->output));
    pare_status status = evaluate(options, &result);
    return status == PARE_OK ? pare_out_result_and_file(result, options->json, options->output)
                             : status;
}
