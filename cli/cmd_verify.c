/* cmd_verify.c: pare verify FILE... */
#include "cli/console.h"
#include "cli/options.h"
#include "core/store.h"

/* {"ok":…,"file":…,"error":…} */
static void set_result(pare_json *object, bool ok, const char *file)
{
    pare_json_set_bool(object, "ok", ok);
    pare_json_set_string(object, "file", file);
    pare_json_set_string(object, "error", ok ? NULL : pare_error_message());
}

/* The first failure is the command's. With several files the JSON object tells of the first bad
 * one (or the first), and of each under "files". */
pare_status pare_command_verify(const pare_options *options)
{
    pare_json *result = pare_json_new_object(), *files = pare_json_new_array();
    pare_status first = PARE_OK;
    int bad = -1;

    for (int i = 0; i < options->n_operands; i++) {
        const char *path = options->operands[i];
        pare_status status = pare_store_verify(path);
        pare_json *one = pare_json_new_object();
        set_result(one, status == PARE_OK, path);
        pare_json_append(files, one);
        if (status != PARE_OK && first == PARE_OK) {
            set_result(result, false, path);
            first = status;
            bad = i;
        }
        if (!options->json)
            pare_out("%s: %s\n", path, status == PARE_OK ? "ok" : "BAD");
        if (status != PARE_OK && !options->json && options->n_operands > 1)
            pare_note("%s", pare_error_message());
    }
    if (first == PARE_OK)
        set_result(result, true, options->operands[0]);
    if (options->n_operands > 1)
        pare_json_set(result, "files", files);
    else
        pare_json_free(files);
    pare_status printed = PARE_OK;
    if (options->json)
        printed = pare_out_json(result);
    else
        pare_json_free(result);
    /* The message to end with is that of the first bad file. */
    if (first != PARE_OK)
        return pare_store_verify(options->operands[bad]);
    return printed;
}
