/* cmd_export.c: pare export IN.h5 HF_DIR. */
#include "cli/console.h"
#include "cli/options.h"
#include "models/model.h"

static pare_status report(const pare_options *options, const pare_model *model)
{
    const char *directory = options->operands[1];

    if (!options->json) {
        pare_note("%s: %lld parameters", directory, (long long)pare_model_parameters(model));
        return PARE_OK;
    }
    pare_json *result = pare_json_new_object();
    pare_json_set_string(result, "directory", directory);
    pare_json_set_int(result, "parameters", pare_model_parameters(model));
    pare_json_set_int(result, "layers", model->config.num_hidden_layers);
    return pare_out_json(result);
}

pare_status pare_command_export(const pare_options *options)
{
    pare_model *model = NULL;
    pare_status status = pare_model_open(options->operands[0], &model);

    if (status == PARE_OK)
        status = pare_export_for(model, options->operands[1], options->for_transformers[0] - '0');
    if (status == PARE_OK)
        status = report(options, model);
    pare_model_free(model);
    return status;
}
