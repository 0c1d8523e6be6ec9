/* cmd_finetune.c: pare finetune: trains a model on a task. */
#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/progress_line.h"
#include "core/signals.h"

static pare_status check(const pare_options *options)
{
    PARE_TRY(pare_option_need(options, "model", options->model));
    PARE_TRY(pare_option_need(options, "task", options->task));
    PARE_TRY(pare_option_need(options, "data", options->data));
    PARE_TRY(pare_option_need(options, "output", options->output));
    if (options->resume && options->overwrite)
        return pare_hint(pare_fail(PARE_USAGE, "both --resume and --overwrite are given"),
                         "--resume goes on with what is in the run folder, --overwrite clears it");
    return PARE_OK;
}

/* Trains with the terminal as watcher; `config` becomes the run's config.ini. */
static pare_status finetune(const pare_options *options, const char *config, pare_json **result)
{
    pare_train_options train;
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);

    pare_options_train(options, &train);
    train.progress = &progress;
    train.config_text = config;
    train.has_overwrite = true;
    pare_signals_install();
    pare_status status = pare_finetune(&train, result);
    pare_progress_view_end(&view);
    return status;
}

pare_status pare_command_finetune(const pare_options *options)
{
    pare_text config = {0};
    pare_json *result = NULL;

    PARE_TRY(check(options));
    pare_options_write(options, &config);
    pare_status status = pare_text_status(&config);
    if (status == PARE_OK)
        status = finetune(options, config.bytes, &result);
    pare_text_free(&config);
    if (status == PARE_OK)
        return pare_out_result(result, options->json);
    pare_json_free(result);
    return status;
}
