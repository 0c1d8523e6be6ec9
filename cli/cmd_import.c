/* cmd_import.c: pare import DIR OUT.h5. */
#include "cli/console.h"
#include "cli/options.h"
#include "core/checksum.h"
#include "core/file.h"
#include "models/model.h"
#include "tasks/tokenizer.h"

/* Of the file as it lies on the disk, so that anyone can compare it with sha256sum. */
static pare_status file_sha256(const char *path, char hex[65])
{
    pare_map map;

    PARE_TRY(pare_map_open(path, &map));
    pare_sha256_hex(map.bytes, map.size, hex);
    pare_map_close(&map);
    return PARE_OK;
}

static pare_status report(const pare_options *options, const pare_model *model, const char *path)
{
    char sha256[65];

    if (!options->json) {
        pare_note("%s: %lld parameters, %lld layers, %s", path,
                  (long long)pare_model_parameters(model),
                  (long long)model->config.num_hidden_layers,
                  model->classifier.weight ? "with a head" : "without a head");
        return PARE_OK;
    }
    PARE_TRY(file_sha256(path, sha256));
    pare_json *result = pare_json_new_object();
    pare_json_set_int(result, "parameters", pare_model_parameters(model));
    pare_json_set_int(result, "layers", model->config.num_hidden_layers);
    pare_json_set_string(result, "sha256", sha256);
    pare_json_set_string(result, "file", path);
    return pare_out_json(result);
}

/* A vocabulary that no command could use is refused before anything is written. */
static pare_status check_vocabulary(const pare_model *model)
{
    pare_tokenizer *tokenizer = NULL;

    PARE_TRY(pare_tokenizer_new(&model->vocabulary, &tokenizer));
    pare_tokenizer_free(tokenizer);
    return PARE_OK;
}

pare_status pare_command_import(const pare_options *options)
{
    pare_model *model = NULL;
    const char *path = options->operands[1];
    pare_status status = pare_import(options->operands[0], &model);

    if (status == PARE_OK)
        status = check_vocabulary(model);
    if (status == PARE_OK)
        status = pare_model_save(model, path);
    if (status == PARE_OK)
        status = report(options, model, path);
    pare_model_free(model);
    return status;
}
