/* drawing.c: see drawing.h. */
#include "cli/drawing.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"

double *pare_drawing_numbers(pare_drawing *d, int64_t n)
{
    double *x = pare_arena_alloc(d->arena, (size_t)n * sizeof *x);
    d->failed = d->failed || !x;
    return x;
}

const char *pare_drawing_text(pare_drawing *d, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    const char *copy = pare_arena_strdup(d->arena, line);
    d->failed = d->failed || !copy;
    return copy;
}

/* Stems hold what files say: a task's name, a metric's. */
static char *path_of(const pare_drawing *d, const char *stem)
{
    char *path = pare_path_join(d->to->folder, stem);
    for (char *at = path ? path + strlen(path) - strlen(stem) : NULL; at && *at; at++)
        if (*at == '/' || (unsigned char)*at < ' ')
            *at = '-';
    return path;
}

pare_status pare_drawing_write(const pare_drawing *d, const pare_chart *chart, const char *stem)
{
    if (d->failed)
        return PARE_MEMORY;
    char *path = path_of(d, stem);
    const char *shown = path ? pare_arena_printf(d->arena, "%s.svg", path) : NULL;
    const pare_status status = shown ? pare_chart_write(chart, path) : PARE_MEMORY;
    if (status == PARE_OK)
        pare_json_append_string(d->to->charts, shown);
    pare_free(path);
    return status;
}

pare_status pare_drawing_run(pare_drawing_function *function, pare_json *const *results,
                             const char *const *names, int n, const pare_plots *to)
{
    pare_drawing d = {.arena = pare_arena_new("chart"), .to = to};
    const pare_status status = d.arena ? function(&d, results, names, n) : PARE_MEMORY;
    pare_arena_free(d.arena);
    return status;
}
