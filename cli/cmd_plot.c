/* cmd_plot.c: pare plot: charts of other commands' results. */
#include <string.h>

#include "cli/console.h"
#include "cli/options.h"
#include "cli/plot_results.h"
#include "core/file.h"
#include "models/bounded_json.h"

enum { MAX_LOG = 256 << 20 }; /* bytes */

/* What there are charts for: files of the same kind must not share a name. -1: not this. */
static int kind_of(const pare_json *json)
{
    static const char *const members[] = {"baseline", "pearson", "curve", "summary", "models",
                                          "schema"};
    const pare_json *of = pare_json_is_array(json) ? pare_json_at(json, 0) : json;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (pare_json_get(of, members[i]))
            return (int)i;
    return -1;
}

/* The length of `path` without what bears the same name in every run's folder. */
static size_t common_cut(const char *path)
{
    static const char *const common[] = {"/summary.json", "/eval_results.json", "/metrics.jsonl",
                                         "/heads.json", "/masks"};
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        const size_t part = strlen(common[i]);
        if (n > part && memcmp(path + n - part, common[i], part) == 0 && path[n - part - 1] != '.')
            n -= part;
    }
    return n;
}

/* Where the last part of path[n] begins. */
static size_t last_part(const char *path, size_t n)
{
    while (n > 0 && path[n - 1] != '/')
        n--;
    return n;
}

/* "runs/mrpc-1.json" -> "mrpc-1", "runs/mrpc/masks/metrics.jsonl" -> "mrpc"; with the folder
 * "runs-mrpc-1", "runs-mrpc". NULL: no memory. */
static const char *name_of(pare_arena *arena, const char *path, bool with_folder)
{
    const size_t n = common_cut(path), start = last_part(path, n);
    const char *dot = path[n] == '\0' ? strrchr(path + start, '.') : NULL;
    const size_t end = dot && dot > path + start ? (size_t)(dot - path) : n;
    const size_t slash = start > 0 ? start - 1 : 0, folder = last_part(path, slash);
    if (with_folder && folder < slash && path[folder] != '.') /* "..-mrpc-1" would be hidden */
        return pare_arena_printf(arena, "%.*s-%.*s", (int)(slash - folder), path + folder,
                                 (int)(end - start), path + start);
    return pare_arena_printf(arena, "%.*s", (int)(end - start), path + start);
}

/* Whether one of the first n files has the name of the i-th, and is of its kind. */
static bool is_shared(pare_json *const *results, const char *const *names, int n, int i)
{
    for (int k = 0; k < n; k++)
        if (k != i && strcmp(names[k], names[i]) == 0 &&
            kind_of(results[k]) == kind_of(results[i]))
            return true;
    return false;
}

/* What shares its name gets its folder in front; if that does not help, a number behind. */
static pare_status name_all(const pare_options *o, pare_json *const *results, const char **names)
{
    const int n = o->n_operands;
    bool *shared = pare_arena_zalloc(o->arena, (size_t)n * sizeof *shared);
    if (!shared)
        return PARE_MEMORY;
    for (int i = 0; i < n; i++)
        if (!(names[i] = name_of(o->arena, o->operands[i], false)))
            return PARE_MEMORY;
    for (int i = 0; i < n; i++)
        shared[i] = is_shared(results, names, n, i);
    for (int i = 0; i < n; i++)
        if (shared[i] && !(names[i] = name_of(o->arena, o->operands[i], true)))
            return PARE_MEMORY;
    for (int i = 0; i < n; i++) {
        const char *name = names[i];
        for (int k = 2; is_shared(results, names, i, i); k++)
            if (!(names[i] = pare_arena_printf(o->arena, "%s-%d", name, k)))
                return PARE_MEMORY;
    }
    return PARE_OK;
}

/* The lines of a log as an array; one that is cut off is being written. */
static pare_status parse_lines(const char *path, char *text, pare_json **out)
{
    pare_status status = PARE_OK;
    *out = pare_json_new_array();
    for (char *end; status == PARE_OK && (end = strchr(text, '\n')); text = end + 1) {
        pare_json *line = NULL;
        status = pare_bounded_json_parse(text, (size_t)(end - text), path, &line);
        if (status == PARE_OK)
            pare_json_append(*out, line);
    }
    return status;
}

static pare_status read_result(const char *path, pare_json **out)
{
    const size_t n = strlen(path);
    size_t size;
    char *text = NULL;
    if (n < 6 || strcmp(path + n - 6, ".jsonl") != 0)
        return pare_bounded_json_read(path, out);
    pare_status status = pare_file_read(path, MAX_LOG, &text, &size);
    if (status == PARE_OK)
        status = parse_lines(path, text, out);
    pare_free(text);
    return status;
}

static pare_status read_results(const pare_options *o, pare_json **results, const char **names)
{
    for (int i = 0; i < o->n_operands; i++) {
        PARE_TRY(read_result(o->operands[i], &results[i]));
        if (kind_of(results[i]) < 0)
            return pare_hint(pare_fail(PARE_INPUT, "%s: there is no chart for it", o->operands[i]),
                             "name results of pare heads or pare flop run, a sweep's "
                             "summary.json, or a run's metrics.jsonl");
    }
    return name_all(o, results, names);
}

static pare_status draw_all(pare_json *const *results, const char *const *names, int n,
                            const pare_plots *to)
{
    PARE_TRY(pare_make_directories(to->folder));
    PARE_TRY(pare_plot_heads(results, names, n, to));
    PARE_TRY(pare_plot_sweep(results, names, n, to));
    PARE_TRY(pare_plot_flop(results, names, n, to));
    return pare_plot_training(results, names, n, to);
}

/* A line a chart, or {"charts": [...]}; takes the list. */
static pare_status report(const pare_options *o, pare_json *charts)
{
    if (o->json) {
        pare_json *result = pare_json_new_object();
        pare_json_set(result, "charts", charts);
        return pare_out_json(result);
    }
    for (size_t i = 0; i < pare_json_size(charts); i++)
        pare_out("%s\n", pare_json_as_string(pare_json_at(charts, i), ""));
    pare_json_free(charts);
    return PARE_OK;
}

pare_status pare_command_plot(const pare_options *o)
{
    const size_t n = (size_t)o->n_operands;
    const pare_plots to = {o->output, pare_json_new_array()};
    pare_json **results = pare_calloc(n, sizeof *results);
    const char **names = pare_calloc(n, sizeof *names);
    pare_status status = results && names && to.charts ? PARE_OK : PARE_MEMORY;
    if (status == PARE_OK)
        status = read_results(o, results, names);
    if (status == PARE_OK)
        status = draw_all(results, names, o->n_operands, &to);
    if (status == PARE_OK)
        status = report(o, to.charts);
    else
        pare_json_free(to.charts);
    for (size_t i = 0; results && i < n; i++)
        pare_json_free(results[i]);
    pare_free(results);
    pare_free(names);
    return status;
}
