/* dataset.c: rows of a file become examples; labels become numbers.
 *
 * A user's classification file is read twice, first for the names of its labels. */
#include "tasks/dataset.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checksum.h"
#include "core/note.h"
#include "tasks/msr.h"
#include "tasks/source.h"
#include "tasks/table.h"

enum { TEXT, PAIR, LABEL, ID1, ID2, N_COLUMNS }; /* places in the rows that are read */
enum { MAX_LABEL_BYTES = 255, SHOWN_SKIPS = 5 };

typedef struct reader {
    const pare_data_options *options;
    const pare_task *task;
    const char *split;
    pare_source source;
    pare_column columns[N_COLUMNS];
    int n_columns;
    bool labelled;     /* every row needs a label */
    bool maybe_header; /* a user's columns are all numbers: the first row may be a header */
    pare_table *table;
    pare_msr_ids *ids; /* MSR's originals */
    pare_text_pool pool;
    pare_dataset *dataset;
    int64_t n_rows;        /* of the split, so far */
    int64_t room;          /* of the growing list of examples */
    char first_skip[200];  /* why, for files of which nothing is left */
} reader;

static void remember_skip(reader *r, int64_t line, const char *why)
{
    snprintf(r->first_skip, sizeof r->first_skip, "line %lld: %s", (long long)line, why);
}

/* ---- Labels ---- */

/* A label's text in buffer: trimmed, valid UTF-8; false if it is empty or too long to be one. */
static bool label_text(pare_cell cell, char buffer[MAX_LABEL_BYTES + 1])
{
    return pare_cell_copy(pare_cell_trim(cell), buffer, MAX_LABEL_BYTES + 1) && *buffer;
}

static bool is_number(const char *label, double *value)
{
    return pare_cell_number((pare_cell){.bytes = label, .size = strlen(label)}, value);
}

typedef struct label_list {
    char *names[PARE_MAX_LABELS];
    int64_t count[PARE_MAX_LABELS];
    int n;
} label_list;

static int label_find(const label_list *list, const char *name)
{
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->names[i], name) == 0)
            return i;
    return -1;
}

static pare_status label_add(reader *r, label_list *list, const char *name)
{
    int at = label_find(list, name);
    if (at < 0 && list->n == PARE_MAX_LABELS)
        return pare_hint(pare_fail(PARE_INPUT, "%s: more than %d labels", r->source.path,
                                   PARE_MAX_LABELS),
                         "--label-column names the column with the labels; numbers without a "
                         "fixed set of values are --task regress");
    if (at < 0) {
        at = list->n;
        list->names[at] = pare_arena_strdup(r->dataset->arena, name);
        if (!list->names[at])
            return PARE_MEMORY;
        list->count[at] = 0;
        list->n++;
    }
    list->count[at]++;
    return PARE_OK;
}

static bool all_numbers(const label_list *list)
{
    double value;
    for (int i = 0; i < list->n; i++)
        if (!is_number(list->names[i], &value))
            return false;
    return true;
}

/* Whether the first row's label is a header's, `list` being all other rows' labels (dataset.h). */
static bool is_header(const label_list *list, const char *first)
{
    double value;
    if (list->n == 0 || is_number(first, &value) || label_find(list, first) >= 0)
        return false;
    bool often = true;
    for (int i = 0; i < list->n; i++)
        often = often && list->count[i] >= 2;
    return often || all_numbers(list);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_numbers(const void *a, const void *b)
{
    double x = 0, y = 0;
    is_number(*(char *const *)a, &x);
    is_number(*(char *const *)b, &y);
    return x != y ? (x > y) - (x < y) : compare_texts(a, b);
}

static pare_status keep_labels(reader *r, const char *const *names, int n)
{
    pare_dataset *d = r->dataset;
    if (n > PARE_MAX_LABELS)
        return pare_fail(PARE_USAGE, "%d labels; at most %d are possible", n, PARE_MAX_LABELS);
    d->label_names = pare_arena_zalloc(d->arena, ((size_t)n + 1) * sizeof *d->label_names);
    if (!d->label_names)
        return PARE_MEMORY;
    for (int i = 0; i < n; i++) {
        d->label_names[i] = pare_arena_strdup(d->arena, names[i]);
        if (!d->label_names[i])
            return PARE_MEMORY;
    }
    d->n_labels = n;
    return PARE_OK;
}

/* Reads every row's label; the first row's goes to `first` ("" if there is none) where it may be
 * a header's. */
static pare_status list_labels(reader *r, pare_table *table, label_list *list, char *first)
{
    char name[MAX_LABEL_BYTES + 1];
    for (;;) {
        pare_row row;
        bool more;
        PARE_TRY(pare_table_next(table, &row, &more));
        if (!more)
            return PARE_OK;
        if (row.fault && !r->first_skip[0])
            remember_skip(r, row.line, row.fault);
        if (row.fault || !row.cell[LABEL].bytes || !label_text(row.cell[LABEL], name))
            continue;
        if (r->maybe_header && row.number == 0)
            strcpy(first, name);
        else
            PARE_TRY(label_add(r, list, name));
    }
}

static pare_status collect_from(reader *r, const char *path)
{
    label_list list = {.n = 0};
    char first[MAX_LABEL_BYTES + 1] = "";
    pare_table *table = NULL;
    PARE_TRY(pare_table_open(path, pare_table_format_of(path), &table));
    pare_status status = pare_table_choose(table, r->columns, r->n_columns);
    if (status == PARE_OK)
        status = list_labels(r, table, &list, first);
    pare_table_close(table);
    if (status == PARE_OK && *first && !is_header(&list, first))
        status = label_add(r, &list, first);
    PARE_TRY(status);
    if (list.n == 0 && r->labelled)
        return pare_fail(PARE_INPUT, "%s: no row has a label%s%s", path,
                         r->first_skip[0] ? "; the first fault is in " : "", r->first_skip);
    if (list.n > 0)
        qsort(list.names, (size_t)list.n, sizeof *list.names,
              all_numbers(&list) ? compare_numbers : compare_texts);
    return keep_labels(r, (const char *const *)list.names, list.n);
}

/* A user's labels: from the train split, or the file itself where there is none. */
static pare_status collect_labels(reader *r)
{
    pare_source train;
    pare_status status = pare_source_find(r->task, r->options->data, "train", &train);
    if (status != PARE_OK && status != PARE_IO)
        return status;
    status = collect_from(r, status == PARE_OK ? train.path : r->source.path);
    pare_source_free(&train);
    return status;
}

static pare_status number_labels(reader *r)
{
    const pare_data_options *o = r->options;
    if (r->task->regression)
        return PARE_OK;
    if (!r->task->own_files)
        return keep_labels(r, r->task->labels, r->task->n_labels);
    if (o->label_names)
        return keep_labels(r, o->label_names, o->n_labels);
    return o->label_column ? collect_labels(r) : keep_labels(r, NULL, 0);
}

/* ---- Columns ---- */

/* All digits are a number, everything else is a name. */
static pare_column user_column(const char *given, bool optional)
{
    pare_column column = {.name = given, .index = PARE_NO_COLUMN, .optional = optional};
    size_t digits = given ? strspn(given, "0123456789") : 0;
    if (digits == 0 || digits > 9 || given[digits] != '\0')
        return column;
    column.name = NULL;
    column.index = atoi(given);
    return column;
}

/* Usage errors come before any file is looked for. */
static pare_status check_columns(const reader *r)
{
    const pare_data_options *o = r->options;
    if (!r->task->own_files) {
        if (!o->text_column && !o->pair_column && !o->label_column)
            return PARE_OK;
        return pare_hint(pare_fail(PARE_USAGE, "%s has its own columns", r->task->name),
                         "--text-column, --pair-column and --label-column are for --task classify "
                         "and regress");
    }
    if (!o->text_column)
        return pare_hint(pare_fail(PARE_USAGE, "--task %s needs --text-column", r->task->name),
                         "name the column that holds the text, or give its number from 0");
    if (!o->label_column && strcmp(r->split, "test") != 0)
        return pare_hint(pare_fail(PARE_USAGE, "--task %s needs --label-column", r->task->name),
                         "name the column that holds the %s, or give its number from 0",
                         r->task->regression ? "target" : "label");
    return PARE_OK;
}

static void choose_user_columns(reader *r)
{
    const pare_data_options *o = r->options;
    bool test = strcmp(r->split, "test") == 0, named = false;
    r->labelled = !test;
    r->columns[TEXT] = user_column(o->text_column, false);
    r->columns[PAIR] = user_column(o->pair_column, false);
    r->columns[LABEL] = user_column(o->label_column, test);
    r->n_columns = LABEL + 1;
    for (int k = 0; k < r->n_columns; k++)
        named = named || r->columns[k].name;
    r->maybe_header = !named && o->label_column &&
                      pare_table_format_of(r->source.path) != PARE_JSON_LINES;
}

static void choose_columns(reader *r)
{
    const pare_glue_columns *columns = &r->source.columns;
    if (r->task->own_files) {
        choose_user_columns(r);
        return;
    }
    r->labelled = columns->label != PARE_NO_COLUMN;
    r->columns[TEXT] = (pare_column){.index = columns->text};
    r->columns[PAIR] = (pare_column){.index = columns->pair};
    r->columns[LABEL] = (pare_column){.index = columns->label};
    r->columns[ID1] = (pare_column){.index = 1}; /* of MSR's files */
    r->columns[ID2] = (pare_column){.index = 2};
    r->n_columns = r->source.dev_ids ? N_COLUMNS : LABEL + 1;
}

/* ---- Rows ---- */

/* Counts and reports a row that cannot be used; with --strict it is the end. */
static pare_status skip_row(reader *r, const pare_row *row, const char *why)
{
    pare_dataset *d = r->dataset;
    if (r->options->strict)
        return pare_hint(pare_fail(PARE_INPUT, "%s:%lld: %s", d->path, (long long)row->line, why),
                         "without --strict such rows are skipped and counted");
    if (d->skipped == 0)
        remember_skip(r, row->line, why);
    if (d->skipped++ < SHOWN_SKIPS)
        fprintf(stderr, "warning: %s:%lld: row skipped: %s\n", d->path, (long long)row->line, why);
    return PARE_OK;
}

/* The label of that name: exactly, or in another case, if one alone has it so. -1: none. */
static int find_label(const pare_dataset *d, const char *name)
{
    int like = -1, n = 0;
    for (int k = 0; k < d->n_labels; k++) {
        if (strcmp(d->label_names[k], name) == 0)
            return k;
        if (d->task->own_files && strcasecmp(d->label_names[k], name) == 0) {
            like = k;
            n++;
        }
    }
    return n == 1 ? like : -1;
}

/* example->label or ->target from the row's label cell; false with why[] if it is none. */
static bool parse_label(const reader *r, pare_cell cell, pare_example *example, char why[100])
{
    char name[MAX_LABEL_BYTES + 1], shown[PARE_SHOWN];
    const pare_dataset *d = r->dataset;
    if (!cell.bytes && !r->labelled) {
        example->target = r->task->regression ? NAN : 0;
        return true;
    }
    if (r->task->regression && pare_cell_number(cell, &example->target))
        return true;
    if (!r->task->regression && label_text(cell, name))
        example->label = find_label(d, name);
    if (example->label >= 0)
        return true;
    snprintf(why, 100, r->task->regression ? "the target \"%s\" is no number"
                                           : "unknown label \"%s\"",
             pare_cell_show(cell, shown));
    return false;
}

/* Whether a row without a usable label is a header: what collect_from left out, or would have. */
static bool may_be_header(const reader *r, const pare_row *row)
{
    double value;
    return r->maybe_header && row->number == 0 && !pare_cell_number(row->cell[LABEL], &value) &&
           pare_cell_trim(row->cell[LABEL]).size > 0;
}

/* Room for one more; the list moves to the arena when its length is known. */
static pare_status grow(reader *r)
{
    pare_dataset *d = r->dataset;
    if (d->n < r->room)
        return PARE_OK;
    int64_t room = r->room ? r->room + r->room / 2 : 1024;
    pare_example *examples = pare_realloc(d->examples, (size_t)room * sizeof *examples);
    if (!examples)
        return PARE_MEMORY;
    d->examples = examples;
    r->room = room;
    return PARE_OK;
}

static pare_status keep_row(reader *r, const pare_row *row, pare_example example)
{
    PARE_TRY(grow(r));
    example.text = pare_cell_text(&r->pool, row->cell[TEXT]);
    if (row->cell[PAIR].bytes)
        example.pair = pare_cell_text(&r->pool, row->cell[PAIR]);
    if (!example.text || (row->cell[PAIR].bytes && !example.pair))
        return PARE_MEMORY;
    r->dataset->examples[r->dataset->n++] = example;
    return PARE_OK;
}

static pare_status read_row(reader *r, const pare_row *row)
{
    char why[100];
    if (r->ids && !row->fault &&
        pare_msr_is_dev(r->ids, row->cell[ID1], row->cell[ID2]) != r->source.dev)
        return PARE_OK;
    pare_example example = {.label = -1, .line = row->line, .row = r->n_rows++};
    if (row->fault)
        return skip_row(r, row, row->fault);
    if (parse_label(r, row->cell[LABEL], &example, why))
        return keep_row(r, row, example);
    if (!may_be_header(r, row))
        return skip_row(r, row, why);
    r->n_rows--;
    pare_note("note: %s:%lld: taken for a header: %s", r->dataset->path, (long long)row->line,
              why);
    return PARE_OK;
}

static pare_status read_rows(reader *r)
{
    pare_dataset *d = r->dataset;
    for (bool more; r->options->limit <= 0 || d->n < r->options->limit;) {
        pare_row row;
        PARE_TRY(pare_table_next(r->table, &row, &more));
        if (!more)
            break;
        PARE_TRY(read_row(r, &row));
    }
    if (d->skipped > SHOWN_SKIPS)
        fprintf(stderr, "warning: %s: %lld rows skipped in all\n", d->path, (long long)d->skipped);
    if (d->n > 0)
        return PARE_OK;
    if (d->skipped == 0)
        return pare_fail(PARE_INPUT, "%s: holds no example", d->path);
    return pare_fail(PARE_INPUT, "%s: none of its %lld rows can be used (%s)", d->path,
                     (long long)d->skipped, r->first_skip);
}

/* ---- All together ---- */

static pare_status find_task(reader *r)
{
    const pare_data_options *o = r->options;
    if (!o->task || !o->data)
        return pare_fail(PARE_USAGE, "%s is missing", o->task ? "--data" : "--task");
    PARE_TRY(pare_task_named(o->task, &r->task));
    PARE_TRY(check_columns(r));
    return pare_source_find(r->task, o->data, r->split, &r->source);
}

/* GLUE's files are never quoted: whatever their ending, they are TSV. */
static pare_status open_file(reader *r)
{
    bool own = r->task->own_files;
    const char *path = r->source.path;
    PARE_TRY(pare_table_open(path, own ? pare_table_format_of(path) : PARE_TSV, &r->table));
    if (r->source.dev_ids)
        PARE_TRY(pare_msr_ids_read(r->source.dev_ids, &r->ids));
    if (!own && r->source.columns.header)
        pare_table_skip_header(r->table);
    return pare_table_choose(r->table, r->columns, r->n_columns);
}

static pare_status read_all(reader *r)
{
    pare_dataset *d = r->dataset;
    PARE_TRY(find_task(r));
    d->task = r->task;
    d->path = pare_arena_strdup(d->arena, r->source.path);
    if (!d->path)
        return PARE_MEMORY;
    choose_columns(r);
    PARE_TRY(number_labels(r));
    PARE_TRY(open_file(r));
    return read_rows(r);
}

/* Moves the list of examples to the arena, or drops it. */
static pare_status settle(pare_dataset *d, pare_status status)
{
    pare_example *list = d->examples;
    size_t bytes = (size_t)d->n * sizeof *list;
    d->examples = NULL;
    if (status == PARE_OK) {
        d->examples = pare_arena_alloc(d->arena, bytes);
        if (d->examples)
            memcpy(d->examples, list, bytes);
        else
            status = PARE_MEMORY;
    }
    pare_free(list);
    return status;
}

pare_status pare_dataset_read(const pare_data_options *options, pare_dataset **out)
{
    reader r = {.options = options, .split = options->split ? options->split : "dev"};
    *out = NULL;
    r.dataset = pare_calloc(1, sizeof *r.dataset);
    if (!r.dataset)
        return PARE_MEMORY;
    r.dataset->arena = r.pool.arena = pare_arena_new("data");
    pare_status status = r.pool.arena ? read_all(&r) : PARE_MEMORY;
    status = settle(r.dataset, status);
    pare_table_close(r.table);
    pare_msr_ids_free(r.ids);
    pare_source_free(&r.source);
    if (status != PARE_OK)
        pare_dataset_free(r.dataset);
    else
        *out = r.dataset;
    return status;
}

void pare_dataset_free(pare_dataset *dataset)
{
    if (!dataset)
        return;
    pare_arena_free(dataset->arena);
    pare_free(dataset);
}

uint32_t pare_dataset_crc(const pare_dataset *dataset)
{
    uint32_t crc = 0;
    for (int64_t i = 0; i < dataset->n; i++) {
        const pare_example *e = &dataset->examples[i];
        crc = pare_crc32(crc, e->text, strlen(e->text) + 1);
        if (e->pair)
            crc = pare_crc32(crc, e->pair, strlen(e->pair) + 1);
        crc = pare_crc32(crc, &e->label, sizeof e->label);
        crc = pare_crc32(crc, &e->target, sizeof e->target);
    }
    return crc;
}
