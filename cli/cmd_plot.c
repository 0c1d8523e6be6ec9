/* cmd_plot.c: pare plot: charts of other commands' results. */
#include <string.h>

#include "cli/console.h"
#include "cli/options.h"
#include "cli/plot_results.h"
#include "core/file.h"
#include "models/bounded_json.h"

/* Whether there is a chart for it. */
static bool known(const pare_json *json)
{
    static const char *const members[] = {"baseline", "pearson", "curve", "summary"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (pare_json_get(json, members[i]))
            return true;
    return false;
}

/* "runs/mrpc-1.json" -> "mrpc-1"; a summary.json is called by its folder. NULL: no memory. */
static char *name_of(pare_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;
    if (slash && strcmp(start, "summary.json") == 0) {
        const char *end = slash;
        while (slash > path && slash[-1] != '/')
            slash--;
        return pare_arena_printf(arena, "%.*s", (int)(end - slash), slash);
    }
    const char *dot = strrchr(start, '.');
    return pare_arena_printf(arena, "%.*s", dot ? (int)(dot - start) : (int)strlen(start), start);
}

static pare_status read_results(const pare_options *o, pare_json **results, const char **names)
{
    for (int i = 0; i < o->n_operands; i++) {
        PARE_TRY(pare_bounded_json_read(o->operands[i], &results[i]));
        if (!known(results[i]))
            return pare_hint(pare_fail(PARE_INPUT, "%s: there is no chart for it", o->operands[i]),
                             "name results of pare heads sweep, prune --step and correlate, or a "
                             "sweep's summary.json");
        if (!(names[i] = name_of(o->arena, o->operands[i])))
            return PARE_MEMORY;
    }
    return PARE_OK;
}

pare_status pare_command_plot(const pare_options *o)
{
    const size_t n = (size_t)o->n_operands;
    pare_json **results = pare_calloc(n, sizeof *results);
    const char **names = pare_calloc(n, sizeof *names);
    pare_status status = results && names ? PARE_OK : PARE_MEMORY;
    if (status == PARE_OK)
        status = read_results(o, results, names);
    if (status == PARE_OK)
        status = pare_make_directories(o->output);
    if (status == PARE_OK)
        status = pare_plot_heads(results, names, o->n_operands, o->output);
    if (status == PARE_OK)
        status = pare_plot_sweep(results, names, o->n_operands, o->output);
    for (size_t i = 0; results && i < n; i++)
        pare_json_free(results[i]);
    pare_free(results);
    pare_free(names);
    return status;
}
