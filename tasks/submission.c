/* submission.c: rows of index and prediction, and the way back. */
#include "tasks/submission.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "tasks/table.h"

enum { MAX_BYTES = 255 }; /* of a label's name */

/* ---- Reading ---- */

typedef struct reading {
    const char *path;
    const pare_dataset *dataset;
    int32_t *prediction;
    double *score;
    int64_t *place; /* [n_rows] by row: the example's place; MISSING where it was skipped */
    uint8_t *seen;  /* [n_rows] */
    int64_t n_rows;
} reading;

enum { MISSING = -1 };

/* The id of a label's name; or, of labels none of which is called a number, the number of one. -1
 * if it is neither. */
static int32_t label_id(const pare_dataset *d, pare_cell cell)
{
    char name[MAX_BYTES + 1], *end;
    double number;
    cell = pare_cell_trim(cell);
    if (!pare_cell_copy(cell, name, sizeof name))
        return -1;
    bool id = pare_cell_number(cell, &number) && number == floor(number) && number >= 0 &&
              number < d->n_labels;
    for (int k = 0; k < d->n_labels; k++) {
        if (strcmp(d->label_names[k], name) == 0)
            return k;
        strtod(d->label_names[k], &end);
        id = id && (end == d->label_names[k] || *end);
    }
    return id ? (int32_t)number : -1;
}

static pare_status read_prediction(reading *r, const pare_row *row, int64_t place)
{
    char shown[PARE_SHOWN];
    pare_cell cell = row->cell[1];
    if (r->dataset->task->regression && pare_cell_number(cell, &r->score[place]))
        return PARE_OK;
    if (!r->dataset->task->regression && (r->prediction[place] = label_id(r->dataset, cell)) >= 0)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s:%lld: \"%s\" is no prediction of %s", r->path,
                               (long long)row->line, pare_cell_show(cell, shown),
                               r->dataset->task->name),
                     r->dataset->task->regression ? "each line holds an index and a number"
                                                  : "each line holds an index and a label");
}

static pare_status read_line(reading *r, const pare_row *row)
{
    char shown[PARE_SHOWN];
    double index;
    long long line = row->line;
    if (row->fault)
        return pare_fail(PARE_INPUT, "%s:%lld: %s", r->path, line, row->fault);
    if (!pare_cell_number(row->cell[0], &index) || index != floor(index)) {
        if (row->number == 0)
            return PARE_OK; /* the header */
        return pare_fail(PARE_INPUT, "%s:%lld: \"%s\" is no index", r->path, line,
                         pare_cell_show(row->cell[0], shown));
    }
    if (index < 0 || index >= (double)r->n_rows)
        return pare_hint(pare_fail(PARE_INPUT, "%s:%lld: index %.0f, but %s has rows 0 to %lld",
                                   r->path, line, index, r->dataset->path,
                                   (long long)r->n_rows - 1),
                         "--split names the set that was predicted");
    int64_t at = (int64_t)index;
    if (r->seen[at])
        return pare_fail(PARE_INPUT, "%s:%lld: index %lld for the second time", r->path, line,
                         (long long)at);
    r->seen[at] = 1;
    return r->place[at] == MISSING ? PARE_OK : read_prediction(r, row, r->place[at]);
}

static pare_status read_lines(reading *r, pare_table *table)
{
    const pare_column columns[] = {{.index = 0}, {.index = 1}};
    PARE_TRY(pare_table_choose(table, columns, 2));
    for (;;) {
        pare_row row;
        bool more;
        PARE_TRY(pare_table_next(table, &row, &more));
        if (!more)
            break;
        PARE_TRY(read_line(r, &row));
    }
    for (int64_t i = 0; i < r->n_rows; i++)
        if (r->place[i] != MISSING && !r->seen[i])
            return pare_hint(pare_fail(PARE_INPUT, "%s: no prediction for index %lld of %s",
                                       r->path, (long long)i, r->dataset->path),
                             "a prediction is wanted for each of its %lld examples",
                             (long long)r->dataset->n);
    return PARE_OK;
}

pare_status pare_submission_read(const char *path, const pare_dataset *dataset,
                                 int32_t *prediction, double *score)
{
    assert(dataset->task->regression ? score != NULL : prediction != NULL);
    reading r = {path, dataset, prediction, score, NULL, NULL, dataset->n + dataset->skipped};
    pare_table *table = NULL;
    PARE_TRY(pare_table_open(path, PARE_TSV, &table));
    r.place = pare_calloc((size_t)r.n_rows, sizeof *r.place);
    r.seen = pare_calloc((size_t)r.n_rows, sizeof *r.seen);
    pare_status status = r.place && r.seen ? PARE_OK : PARE_MEMORY;
    if (status == PARE_OK) {
        for (int64_t i = 0; i < r.n_rows; i++)
            r.place[i] = MISSING;
        for (int64_t i = 0; i < dataset->n; i++)
            r.place[dataset->examples[i].row] = i;
        status = read_lines(&r, table);
    }
    pare_free(r.seen);
    pare_free(r.place);
    pare_table_close(table);
    return status;
}

/* ---- Writing ---- */

static const char header[] = "index\tprediction\n";

/* Bytes that a row can take: an index, a label or a number, TAB and LF. */
static size_t row_bytes(const pare_dataset *d)
{
    size_t longest = 32;
    for (int k = 0; k < d->n_labels; k++) {
        size_t n = strlen(d->label_names[k]);
        longest = n > longest ? n : longest;
    }
    return longest + 24;
}

pare_status pare_submission_text(const pare_dataset *dataset, const int32_t *prediction,
                                 const double *score, char **text, size_t *size)
{
    const pare_dataset *d = dataset;
    size_t each = row_bytes(d);
    char *out = pare_calloc((size_t)d->n + 1, each);
    *text = NULL;
    if (!out)
        return PARE_MEMORY;
    size_t used = (size_t)snprintf(out, each, "%s", header);
    for (int64_t i = 0; i < d->n; i++) {
        long long row = d->examples[i].row;
        if (d->task->regression && !isfinite(score[i])) {
            pare_free(out);
            return pare_fail(PARE_DIVERGED, "the prediction of %s:%lld is not finite", d->path,
                             (long long)d->examples[i].line);
        }
        if (d->task->regression)
            used += (size_t)snprintf(out + used, each, "%lld\t%.9g\n", row, score[i]);
        else
            used += (size_t)snprintf(out + used, each, "%lld\t%s\n", row,
                                     d->label_names[prediction[i]]);
    }
    *text = out;
    *size = used;
    return PARE_OK;
}

pare_status pare_submission_write(const char *path, const pare_dataset *dataset,
                                  const int32_t *prediction, const double *score)
{
    char *text = NULL;
    size_t size = 0;
    PARE_TRY(pare_submission_text(dataset, prediction, score, &text, &size));
    pare_status status = pare_file_replace(path, text, size);
    pare_free(text);
    return status;
}
