/* console.c: standard output and standard error. */
#include "cli/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"

static pare_console console;
static int out_error; /* errno of the first failed write to standard output */

static bool set_in_environment(const char *name, const char *value)
{
    const char *found = getenv(name);
    return found && (value ? strcmp(found, value) == 0 : found[0] != '\0');
}

void pare_console_init(const char *color, bool quiet, bool verbose)
{
    bool dumb = set_in_environment("TERM", "dumb");
    bool wanted = !dumb && !set_in_environment("NO_COLOR", NULL) && strcmp(color, "never") != 0;
    bool always = strcmp(color, "always") == 0;

    console = (pare_console){
        .out_color = always || (wanted && isatty(STDOUT_FILENO)),
        .err_color = always || (wanted && isatty(STDERR_FILENO)),
        .err_live = !dumb && isatty(STDERR_FILENO),
        .quiet = quiet,
        .verbose = verbose && !quiet,
    };
    pare_notes_silence(quiet);
}

const pare_console *pare_console_get(void)
{
    return &console;
}

int pare_console_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

/* ---- Standard error ---- */

/* What helps where the failure itself said nothing. */
static const char *general_hint(pare_status status)
{
    switch (status) {
    case PARE_USAGE:
        return "pare COMMAND --help lists the options of a command";
    case PARE_INPUT:
        return "check that this is the file you mean, and that it is complete";
    case PARE_IO:
        return "check the path, its permissions, and the free space";
    case PARE_MEMORY:
        return "free some memory, or lower --batch-size or --max-seq-length";
    case PARE_DIVERGED:
        return "no option helps: the model's weights are too large, or no numbers";
    case PARE_INTERNAL:
        return "this is a fault of pare's: please report it with the output of pare doctor";
    case PARE_STOPPED:
        return "run the same command again with --resume";
    default:
        return "";
    }
}

void pare_console_error(pare_status status)
{
    bool stopped = status == PARE_STOPPED;
    const char *strong = !console.err_color ? "" : stopped ? "\033[1;33m" : "\033[1;31m";
    const char *cyan = console.err_color ? "\033[36m" : "";
    const char *plain = console.err_color ? "\033[0m" : "";
    const char *hint = pare_error_hint()[0] ? pare_error_hint() : general_hint(status);

    if (pare_error_message()[0] == '\0')
        return;
    fflush(stdout); /* what was found before the error is seen before it */
    fprintf(stderr, "%s%s:%s %s\n", strong, stopped ? "note" : "error", plain,
            pare_error_message());
    if (hint[0] != '\0')
        fprintf(stderr, "%shelp:%s %s\n", cyan, plain, hint);
}

/* ---- Standard output ---- */

static pare_status out_failed(void)
{
    return pare_hint(pare_fail(PARE_IO, "standard output: %s", strerror(out_error)),
                     "the results are not complete");
}

static pare_status note_failure(bool failed)
{
    if (failed && out_error == 0)
        out_error = errno ? errno : EIO;
    return out_error ? out_failed() : PARE_OK;
}

void pare_out(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    errno = 0;
    (void)note_failure(vprintf(format, args) < 0);
    va_end(args);
}

pare_status pare_out_bytes(const char *bytes, size_t n)
{
    errno = 0;
    return note_failure(n > 0 && fwrite(bytes, 1, n, stdout) != n); /* an empty text is NULL */
}

pare_status pare_out_flush(void)
{
    errno = 0;
    return note_failure(fflush(stdout) != 0);
}

pare_status pare_out_json(pare_json *object)
{
    char *text = pare_json_dump(object, 0, 17);

    pare_json_free(object);
    if (!text)
        return PARE_MEMORY;
    pare_out("%s\n", text);
    pare_free(text);
    return pare_out_flush();
}

static void out_value(const pare_json *value)
{
    int64_t whole = pare_json_as_int(value, INT64_MIN);

    if (pare_json_is_string(value))
        pare_out("%s", pare_json_as_string(value, ""));
    else if (pare_json_is_bool(value))
        pare_out("%s", pare_json_as_bool(value, false) ? "yes" : "no");
    else if (whole != INT64_MIN)
        pare_out("%lld", (long long)whole);
    else if (pare_json_is_number(value))
        pare_out("%.6g", pare_json_as_double(value, 0));
    else
        pare_out("-"); /* null: not known, or undefined */
}

/* A member's line; a list's values stand side by side. */
static void out_member(const char *name, const pare_json *value)
{
    pare_out("%-35s ", name);
    if (!pare_json_is_array(value))
        out_value(value);
    for (size_t i = 0; pare_json_is_array(value) && i < pare_json_size(value); i++) {
        pare_out("%s", i > 0 ? ", " : "");
        out_value(pare_json_at(value, i));
    }
    pare_out("\n");
}

/* A list of objects or lists: the command prints it itself, if people want it. */
static bool is_table(const pare_json *value)
{
    const pare_json *first = pare_json_at(value, 0);

    return pare_json_is_object(first) || pare_json_is_array(first);
}

/* Those of an object that is itself a member have its name before theirs. */
static void out_members(const pare_json *object, const char *of)
{
    char name[256];

    for (void *i = pare_json_iter(object); i; i = pare_json_iter_next(object, i)) {
        const pare_json *value = pare_json_iter_value(i);
        snprintf(name, sizeof name, "%s%s%s", of, *of ? " " : "", pare_json_iter_key(i));
        if (pare_json_is_object(value))
            out_members(value, name);
        else if (!is_table(value))
            out_member(name, value);
    }
}

pare_status pare_out_result(pare_json *object, bool json)
{
    if (json)
        return pare_out_json(object);
    out_members(object, "");
    pare_json_free(object);
    return PARE_OK;
}

pare_status pare_result_writable(const char *path)
{
    pare_output *out = NULL;

    if (!path)
        return PARE_OK;
    PARE_TRY(pare_output_open(path, &out));
    pare_output_abort(out);
    return PARE_OK;
}

pare_status pare_result_file(const char *path, const pare_json *result)
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

pare_status pare_out_result_and_file(pare_json *object, bool json, const char *path)
{
    pare_status status = path ? pare_result_file(path, object) : PARE_OK;

    if (status == PARE_OK)
        return pare_out_result(object, json);
    pare_json_free(object);
    return status;
}

pare_status pare_console_finish(void)
{
    return pare_out_flush();
}

bool pare_console_reader_gone(void)
{
    return out_error == EPIPE;
}
