/* series.c: checks, ranges and sorting of a chart's series. */
#include "plot/series.h"

#include <stdlib.h>

pare_status pare_series_check(const pare_chart *chart, bool needs_x)
{
    int64_t points = 0;
    for (int64_t s = 0; s < chart->n_series; s++) {
        const pare_chart_series *one = &chart->series[s];
        if (one->n > 0 && (!one->y || (needs_x && !one->x)))
            return pare_fail(PARE_INTERNAL, "chart \"%s\": series %lld lacks its %s", chart->title,
                             (long long)s + 1, one->y ? "x" : "y");
        for (int64_t i = 0; i < one->n; i++)
            points += pare_series_has_point(one, i);
    }
    if (points == 0)
        return pare_hint(pare_fail(PARE_INPUT, "chart \"%s\": there is no value to draw",
                                   chart->title),
                         "see that the results it is made from hold finite numbers");
    return PARE_OK;
}

bool pare_series_has_point(const pare_chart_series *series, int64_t i)
{
    return isfinite(series->y[i]) && (!series->x || isfinite(series->x[i]));
}

pare_range pare_series_x_range(const pare_chart *chart)
{
    pare_range range = PARE_RANGE_EMPTY;
    for (int64_t s = 0; s < chart->n_series; s++)
        for (int64_t i = 0; i < chart->series[s].n; i++)
            if (pare_series_has_point(&chart->series[s], i))
                pare_range_add(&range, chart->series[s].x[i]);
    return range;
}

/* A point with an error counts with both ends of its bar. */
static void add_y(pare_range *range, const pare_chart_series *series)
{
    for (int64_t i = 0; i < series->n; i++) {
        if (!pare_series_has_point(series, i))
            continue;
        pare_range_add(range, series->y[i]);
        if (series->error) {
            pare_range_add(range, series->y[i] - series->error[i]);
            pare_range_add(range, series->y[i] + series->error[i]);
        }
    }
}

pare_range pare_series_y_range(const pare_chart *chart)
{
    pare_range range = PARE_RANGE_EMPTY;
    for (int64_t s = 0; s < chart->n_series; s++)
        add_y(&range, &chart->series[s]);
    if (chart->baseline_label)
        pare_range_add(&range, chart->baseline);
    return range;
}

/* ---- Sorting ---- */

typedef struct item {
    double value;
    int64_t index;
} item;

/* The old place decides between equal values: qsort alone would leave that open. */
static int by_value(const void *left, const void *right)
{
    const item *a = left, *b = right;
    bool a_last = !isfinite(a->value), b_last = !isfinite(b->value);
    if (a_last != b_last)
        return a_last - b_last;
    if (!a_last && a->value != b->value)
        return a->value > b->value ? 1 : -1;
    return (a->index > b->index) - (a->index < b->index);
}

pare_status pare_series_sort(const pare_chart_series *series, pare_arena *scratch,
                             pare_chart_series *out)
{
    size_t n = (size_t)series->n;
    item *items = pare_arena_alloc(scratch, n * sizeof *items);
    double *y = pare_arena_alloc(scratch, n * sizeof *y);
    const char **labels = pare_arena_alloc(scratch, n * sizeof *labels);
    const char *const *old = pare_labels_or_numbers(series->labels, series->n, scratch);
    if (!items || !y || !labels || !old)
        return PARE_MEMORY;
    for (size_t i = 0; i < n; i++)
        items[i] = (item){series->y[i], (int64_t)i};
    qsort(items, n, sizeof *items, by_value);
    for (size_t i = 0; i < n; i++) {
        y[i] = items[i].value;
        labels[i] = old[items[i].index];
    }
    *out = (pare_chart_series){.name = series->name, .n = series->n, .y = y, .labels = labels};
    return PARE_OK;
}

const char *const *pare_labels_or_numbers(const char *const *labels, int64_t n,
                                          pare_arena *scratch)
{
    if (labels)
        return labels;
    const char **made = pare_arena_alloc(scratch, (size_t)n * sizeof *made);
    for (int64_t i = 0; made && i < n; i++)
        if (!(made[i] = pare_arena_printf(scratch, "%lld", (long long)i + 1)))
            return NULL;
    return made;
}
