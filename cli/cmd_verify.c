/* cmd_verify.c: pare verify FILE|DIR... */
#include <string.h>

#include "cli/console.h"
#include "cli/options.h"
#include "core/file.h"
#include "core/store.h"

/* What was found so far. */
typedef struct verification {
    const pare_options *options;
    bool several;              /* files are named, or folders: each bad one is told of */
    pare_json *result, *files; /* {"ok", "file", "error"} of the first bad one, and of each */
    int n;
    pare_status first;         /* of the first bad one, with what is said of it */
    char message[512], hint[256];
} verification;

/* {"ok":…,"file":…,"error":…} */
static void set_result(pare_json *object, pare_status status, const char *path)
{
    pare_json_set_bool(object, "ok", status == PARE_OK);
    pare_json_set_string(object, "file", path);
    pare_json_set_string(object, "error", status == PARE_OK ? NULL : pare_error_message());
}

/* One file more, whose check came out as `status`. */
static void add(verification *v, const char *path, pare_status status)
{
    pare_json *one = pare_json_new_object();
    set_result(one, status, path);
    pare_json_append(v->files, one);
    if (v->n++ == 0 || (status != PARE_OK && v->first == PARE_OK))
        set_result(v->result, status, path);
    if (status != PARE_OK && v->first == PARE_OK) {
        v->first = status;
        snprintf(v->message, sizeof v->message, "%s", pare_error_message());
        snprintf(v->hint, sizeof v->hint, "%s", pare_error_hint());
    }
    if (!v->options->json)
        pare_out("%s: %s\n", path, status == PARE_OK ? "ok" : "BAD");
    if (status != PARE_OK && v->several && !v->options->json)
        pare_note("%s", pare_error_message());
}

/* ---- folders ---- */

typedef struct place {
    verification *v;
    const char *folder;
} place;

static pare_status verify_folder(verification *v, const char *folder);

/* A model file, or what lies in a folder. Nothing else has a checksum; links to folders may lead in
 * circles and are not followed. */
static pare_status verify_entry(void *context, const char *name)
{
    const place *p = context;
    const size_t n = strlen(name);
    char *path = pare_path_join(p->folder, name);
    pare_status status = path ? PARE_OK : PARE_MEMORY;
    if (path && pare_path_is_directory(path) && !pare_path_is_link(path))
        status = verify_folder(p->v, path);
    else if (path && n > 3 && strcmp(name + n - 3, ".h5") == 0)
        add(p->v, path, pare_store_verify(path));
    pare_free(path);
    return status;
}

static pare_status verify_folder(verification *v, const char *folder)
{
    place p = {v, folder};
    return pare_directory_list(folder, verify_entry, &p);
}

/* A file, or a folder with at least one model file. */
static void verify(verification *v, const char *path)
{
    const int before = v->n;
    if (!pare_path_is_directory(path)) {
        add(v, path, pare_store_verify(path));
        return;
    }
    const pare_status status = verify_folder(v, path);
    if (status != PARE_OK)
        add(v, path, status);
    else if (v->n == before)
        add(v, path, pare_hint(pare_fail(PARE_INPUT, "%s: there is no .h5 file in it", path),
                               "name a model file, or a run's folder"));
}

/* ---- the command ---- */

/* The first failure is the command's. The JSON object tells of the first bad file (or the first);
 * where there are several, or a folder, of each under "files". */
pare_status pare_command_verify(const pare_options *options)
{
    verification v = {.options = options, .result = pare_json_new_object(),
                      .files = pare_json_new_array()};
    pare_status printed = PARE_OK;
    v.several = options->n_operands > 1 || pare_path_is_directory(options->operands[0]);
    for (int i = 0; i < options->n_operands; i++)
        verify(&v, options->operands[i]);
    if (v.several)
        pare_json_set(v.result, "files", v.files);
    else
        pare_json_free(v.files);
    if (options->json)
        printed = pare_out_json(v.result);
    else
        pare_json_free(v.result);
    if (v.first != PARE_OK)
        return pare_hint(pare_fail(v.first, "%s", v.message), "%s", v.hint);
    return printed;
}
