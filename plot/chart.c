/* chart.c: the table of kinds, and the three files of a chart. */
#include "plot/chart.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "plot/draw.h"
#include "plot/tsv.h"

static const struct {
    pare_draw_function *draw;
    pare_tsv_function *tsv;
} kinds[PARE_CHART_KINDS] = {
#define KIND(NAME, draw, tsv) [PARE_CHART_##NAME] = {pare_draw_##draw, pare_tsv_##tsv},
#include "plot/kinds.def"
#undef KIND
};

enum { TSV, SVG, PNG, FILES };
static const char *const endings[FILES] = {[TSV] = ".tsv", [SVG] = ".svg", [PNG] = ".png"};

/* One picture; the canvas ends here whether or not it was drawn. */
static pare_status draw(const pare_chart *chart, pare_arena *scratch, pare_canvas_format format,
                        pare_text *out)
{
    pare_canvas *canvas = pare_canvas_new(format, out);
    if (!canvas)
        return PARE_MEMORY;
    return pare_canvas_finish(canvas, kinds[chart->kind].draw(chart, scratch, canvas));
}

static pare_status make(const pare_chart *chart, pare_arena *scratch, pare_text files[FILES])
{
    if ((unsigned)chart->kind >= PARE_CHART_KINDS || !chart->title)
        return pare_fail(PARE_INTERNAL, "a chart of kind %d lacks its title or its kind",
                         (int)chart->kind);
    PARE_TRY(draw(chart, scratch, PARE_CANVAS_SVG, &files[SVG]));
    PARE_TRY(draw(chart, scratch, PARE_CANVAS_PNG, &files[PNG]));
    return kinds[chart->kind].tsv(chart, scratch, &files[TSV]);
}

static pare_status store(const char *path_stem, const char *ending, const pare_text *file)
{
    size_t room = strlen(path_stem) + strlen(ending) + 1;
    char *path = pare_malloc(room);
    if (!path)
        return PARE_MEMORY;
    snprintf(path, room, "%s%s", path_stem, ending);
    pare_status status = pare_file_replace(path, file->bytes, file->n);
    pare_free(path);
    return status;
}

pare_status pare_chart_write(const pare_chart *chart, const char *path_stem)
{
    pare_text files[FILES] = {{0}};
    pare_arena *scratch = pare_arena_new("chart");
    pare_status status = scratch ? make(chart, scratch, files) : PARE_MEMORY;
    for (int i = 0; i < FILES; i++) {
        if (status == PARE_OK)
            status = store(path_stem, endings[i], &files[i]);
        pare_text_free(&files[i]);
    }
    pare_arena_free(scratch);
    return status;
}
