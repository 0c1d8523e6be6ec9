/* tsv.c: one function a layout of a chart's numbers. */
#include "plot/tsv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "plot/series.h"

/* ---- Cells ---- */

/* Control characters, as tabs and line ends, would break the table. */
static void add_label(pare_text *out, const char *label)
{
    for (; label && *label; label++)
        pare_text_add(out, (unsigned char)*label < ' ' ? " " : label, 1);
}

/* The fewest digits that are read back as the same double. */
static void add_number(pare_text *out, double value)
{
    char digits[32];
    for (int n = 15; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    pare_text_puts(out, isnan(value) ? "nan" : digits); /* without the sign some systems show */
}

/* ---- Series ---- */

/* The columns that a chart's series have between them. */
typedef struct presence {
    bool name, label, x, error;
} presence;

/* A column is there if one series has it; the baseline needs a name to stand under. */
static presence present(const pare_chart *chart)
{
    presence has = {.name = chart->baseline_label != NULL};
    for (int64_t s = 0; s < chart->n_series; s++) {
        const pare_chart_series *one = &chart->series[s];
        has.name = has.name || one->name;
        has.label = has.label || one->labels;
        has.x = has.x || one->x;
        has.error = has.error || one->error;
    }
    return has;
}

/* A row. Columns before y, which is always there, end with a tab; those behind begin with one. */
static void add_point(pare_text *out, presence has, const pare_chart_series *series, int64_t i)
{
    if (has.name) {
        add_label(out, series->name);
        pare_text_puts(out, "\t");
    }
    if (has.label) {
        add_label(out, series->labels ? series->labels[i] : NULL);
        pare_text_puts(out, "\t");
    }
    if (has.x) {
        if (series->x)
            add_number(out, series->x[i]);
        pare_text_puts(out, "\t");
    }
    add_number(out, series->y[i]);
    if (has.error)
        pare_text_puts(out, "\t");
    if (series->error)
        add_number(out, series->error[i]);
    pare_text_puts(out, "\n");
}

static pare_status add_series(const pare_chart *chart, pare_text *out)
{
    presence has = present(chart);
    pare_text_printf(out, "%s%s%sy%s\n", has.name ? "series\t" : "", has.label ? "label\t" : "",
                     has.x ? "x\t" : "", has.error ? "\terror" : "");
    for (int64_t s = 0; s < chart->n_series; s++)
        for (int64_t i = 0; i < chart->series[s].n; i++)
            add_point(out, has, &chart->series[s], i);
    if (chart->baseline_label) {
        const pare_chart_series line = {.name = chart->baseline_label, .y = &chart->baseline};
        add_point(out, has, &line, 0);
    }
    return pare_text_status(out);
}

pare_status pare_tsv_series(const pare_chart *chart, pare_arena *scratch, pare_text *out)
{
    (void)scratch;
    return add_series(chart, out);
}

/* In the order in which they are drawn. */
pare_status pare_tsv_sorted(const pare_chart *chart, pare_arena *scratch, pare_text *out)
{
    pare_chart_series sorted;
    pare_chart copy = *chart;
    PARE_TRY(pare_series_sort(&chart->series[0], scratch, &sorted));
    copy.series = &sorted;
    return add_series(&copy, out);
}

/* ---- Matrices ---- */

pare_status pare_tsv_matrix(const pare_chart *chart, pare_arena *scratch, pare_text *out)
{
    const pare_chart_matrix *m = &chart->matrix;
    const char *const *rows = pare_labels_or_numbers(m->row_labels, m->rows, scratch);
    const char *const *columns = pare_labels_or_numbers(m->column_labels, m->columns, scratch);
    if (!rows || !columns)
        return PARE_MEMORY;
    pare_text_puts(out, "row");
    for (int64_t c = 0; c < m->columns; c++) {
        pare_text_puts(out, "\t");
        add_label(out, columns[c]);
    }
    for (int64_t r = 0; r < m->rows; r++) {
        pare_text_puts(out, "\n");
        add_label(out, rows[r]);
        for (int64_t c = 0; c < m->columns; c++) {
            pare_text_puts(out, "\t");
            add_number(out, m->values[r * m->columns + c]);
        }
    }
    pare_text_puts(out, "\n");
    return pare_text_status(out);
}
