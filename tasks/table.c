/* table.c: one scanner for TSV and CSV, jansson for JSON lines.
 *
 * The file lies in memory as it is and cells point into it: what a row does not need is never
 * copied. The scanner looks at each byte once, quotes or not. */
#include "tasks/table.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/file.h"
#include "core/json.h"
#include "core/utf8.h"

struct pare_table {
    char *path;
    pare_table_format format;
    char *bytes; /* the whole file */
    size_t size, at;
    int64_t line, number; /* of the row that begins at `at` */
    pare_column chosen[PARE_MAX_CHOSEN];
    int n_chosen;
    char fault[160];
    pare_json *json; /* the row's JSON, which its cells point into */
    char numbers[PARE_MAX_CHOSEN][32];
    char *clean;     /* a JSON line as valid UTF-8 */
};

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcasecmp(path + n - m, ending) == 0;
}

pare_table_format pare_table_format_of(const char *path)
{
    if (ends_with(path, ".csv"))
        return PARE_CSV;
    bool json = ends_with(path, ".jsonl") || ends_with(path, ".ndjson") || ends_with(path, ".json");
    return json ? PARE_JSON_LINES : PARE_TSV;
}

/* ---- Opening and closing ---- */

/* Leaves `at` behind a byte order mark. */
static pare_status check_start(pare_table *t)
{
    if (t->size >= 2 && (memcmp(t->bytes, "\xff\xfe", 2) == 0 ||
                         memcmp(t->bytes, "\xfe\xff", 2) == 0))
        return pare_hint(pare_fail(PARE_INPUT, "%s: is in UTF-16", t->path),
                         "make it UTF-8: iconv -f UTF-16 -t UTF-8");
    if (t->size >= 3 && memcmp(t->bytes, "\xef\xbb\xbf", 3) == 0)
        t->at = 3;
    if (t->at == t->size)
        return pare_fail(PARE_INPUT, "%s: is empty", t->path);
    return PARE_OK;
}

pare_status pare_table_open(const char *path, pare_table_format format, pare_table **out)
{
    *out = NULL;
    pare_table *t = pare_calloc(1, sizeof *t);
    if (!t)
        return PARE_MEMORY;
    t->format = format;
    t->line = 1;
    t->path = pare_strdup(path);
    pare_status status = t->path ? pare_file_read(path, 0, &t->bytes, &t->size) : PARE_MEMORY;
    if (status == PARE_OK)
        status = check_start(t);
    if (status != PARE_OK)
        pare_table_close(t);
    else
        *out = t;
    return status;
}

void pare_table_close(pare_table *table)
{
    if (!table)
        return;
    pare_json_free(table->json);
    pare_free(table->clean);
    pare_free(table->bytes);
    pare_free(table->path);
    pare_free(table);
}

/* ---- Scanning TSV and CSV ---- */

/* Reads a quoted cell, `at` being its opening quote; returns where its delimiter should be. */
static size_t scan_quoted(pare_table *t, size_t at, pare_cell *cell)
{
    size_t start = ++at;
    for (; at < t->size; at++) {
        if (t->bytes[at] == '\n')
            t->line++;
        if (t->bytes[at] != '"')
            continue;
        if (at + 1 == t->size || t->bytes[at + 1] != '"')
            break;
        at++;
    }
    *cell = (pare_cell){t->bytes + start, at - start, true};
    if (at < t->size)
        return at + 1;
    snprintf(t->fault, sizeof t->fault, "a '\"' is never closed");
    return at;
}

/* Reads the cell at `at`; returns where its delimiter is: a separator, LF, or the file's end. */
static size_t scan_cell(pare_table *t, size_t at, pare_cell *cell)
{
    char separator = t->format == PARE_CSV ? ',' : '\t';
    bool quoted = t->format == PARE_CSV && at < t->size && t->bytes[at] == '"';
    if (quoted)
        at = scan_quoted(t, at, cell);
    size_t start = at;
    while (at < t->size && t->bytes[at] != separator && t->bytes[at] != '\n')
        at++;
    size_t size = at - start;
    bool ends_row = at == t->size || t->bytes[at] == '\n';
    if (ends_row && size > 0 && t->bytes[at - 1] == '\r')
        size--;
    if (!quoted)
        *cell = (pare_cell){t->bytes + start, size, false};
    else if (size > 0)
        snprintf(t->fault, sizeof t->fault, "there is text behind a closing '\"'");
    return at;
}

/* Moves `at` to the next row that holds anything; false at the file's end. */
static bool skip_blank_lines(pare_table *t)
{
    while (t->at < t->size) {
        size_t at = t->at;
        if (t->bytes[at] == '\r' && (at + 1 == t->size || t->bytes[at + 1] == '\n'))
            at++;
        if (at < t->size && t->bytes[at] != '\n')
            return true;
        t->at = at < t->size ? at + 1 : at;
        t->line++;
    }
    return false;
}

/* Calls visit(context, index, cell) for every cell of the row at `at`, which moves behind it. */
static void scan_row(pare_table *t, void (*visit)(void *, int64_t, pare_cell), void *context)
{
    t->fault[0] = '\0';
    for (int64_t index = 0;; index++) {
        pare_cell cell;
        size_t end = scan_cell(t, t->at, &cell);
        visit(context, index, cell);
        t->at = end < t->size ? end + 1 : end;
        if (end == t->size || t->bytes[end] == '\n')
            break;
        /* a separator as the file's last byte: an empty cell follows */
    }
    t->line++;
}

/* ---- The header ---- */

/* Whether a header's cell is this name; "" inside quotes stands for one '"'. */
static bool cell_is(pare_cell cell, const char *name)
{
    if (!cell.quoted)
        cell = pare_cell_trim(cell);
    size_t i = 0;
    for (; i < cell.size && *name; i++, name++) {
        if (cell.bytes[i] != *name)
            return false;
        i += cell.quoted && *name == '"';
    }
    return i == cell.size && *name == '\0';
}

typedef struct header {
    pare_table *table;
    char names[240]; /* for the message about a name that is not there */
    size_t used;
} header;

static void visit_header(void *context, int64_t index, pare_cell cell)
{
    header *h = context;
    for (int k = 0; k < h->table->n_chosen; k++) {
        pare_column *column = &h->table->chosen[k];
        if (column->name && column->index == PARE_NO_COLUMN && cell_is(cell, column->name))
            column->index = index;
    }
    char shown[PARE_SHOWN];
    size_t left = sizeof h->names - h->used;
    if (left < PARE_SHOWN + 8) {
        if (h->used > 0 && h->names[h->used - 1] != '.')
            h->used += (size_t)snprintf(h->names + h->used, left, ", ...");
        return;
    }
    h->used += (size_t)snprintf(h->names + h->used, left, "%s%s", index > 0 ? ", " : "",
                                pare_cell_show(pare_cell_trim(cell), shown));
}

static pare_status read_header(pare_table *t)
{
    header h = {.table = t};
    if (!skip_blank_lines(t))
        return pare_fail(PARE_INPUT, "%s: holds nothing but blank lines", t->path);
    int64_t line = t->line;
    scan_row(t, visit_header, &h);
    if (t->fault[0])
        return pare_fail(PARE_INPUT, "%s:%lld: header: %s", t->path, (long long)line, t->fault);
    for (int k = 0; k < t->n_chosen; k++)
        if (t->chosen[k].name && t->chosen[k].index == PARE_NO_COLUMN && !t->chosen[k].optional)
            return pare_hint(pare_fail(PARE_INPUT, "%s:%lld: no column is named \"%s\"", t->path,
                                       (long long)line, t->chosen[k].name),
                             "the first row names: %s. Columns may also be given by number, from 0",
                             h.names);
    return PARE_OK;
}

pare_status pare_table_choose(pare_table *table, const pare_column *columns, int n)
{
    assert(n >= 0 && n <= PARE_MAX_CHOSEN);
    bool named = false;
    table->n_chosen = n;
    for (int k = 0; k < n; k++) {
        table->chosen[k] = columns[k];
        if (!columns[k].name)
            continue;
        table->chosen[k].index = PARE_NO_COLUMN;
        named = true;
    }
    return named && table->format != PARE_JSON_LINES ? read_header(table) : PARE_OK;
}

static void visit_nothing(void *context, int64_t index, pare_cell cell)
{
    (void)context;
    (void)index;
    (void)cell;
}

void pare_table_skip_header(pare_table *table)
{
    if (table->format != PARE_JSON_LINES && skip_blank_lines(table))
        scan_row(table, visit_nothing, NULL);
}

/* ---- Rows ---- */

typedef struct row_visit {
    const pare_table *table;
    pare_row *row;
    pare_cell last;
    int64_t n_cells;
} row_visit;

static void visit_cell(void *context, int64_t index, pare_cell cell)
{
    row_visit *v = context;
    for (int k = 0; k < v->table->n_chosen; k++)
        if (v->table->chosen[k].index == index)
            v->row->cell[k] = cell;
    v->last = cell;
    v->n_cells = index + 1;
}

/* The last column's cell, unless it is one that was chosen by number. */
static void choose_last(row_visit *v)
{
    int64_t furthest = -1;
    const pare_table *t = v->table;
    for (int k = 0; k < t->n_chosen; k++)
        furthest = t->chosen[k].index > furthest ? t->chosen[k].index : furthest;
    for (int k = 0; k < t->n_chosen; k++)
        if (t->chosen[k].index == PARE_LAST_COLUMN && v->n_cells > furthest + 1)
            v->row->cell[k] = v->last;
}

/* Names the furthest column that the row lacks. */
static void check_columns(pare_table *t, const pare_row *row, int64_t n_cells)
{
    int64_t want = 0;
    bool last = false;
    for (int k = 0; k < t->n_chosen; k++) {
        const pare_column *column = &t->chosen[k];
        if (row->cell[k].bytes || column->optional || column->index == PARE_NO_COLUMN)
            continue;
        last = last || column->index == PARE_LAST_COLUMN;
        want = column->index + 1 > want ? column->index + 1 : want;
    }
    if (want > 0)
        snprintf(t->fault, sizeof t->fault, "too few columns (%lld, want %lld or more)",
                 (long long)n_cells, (long long)want);
    else if (last)
        snprintf(t->fault, sizeof t->fault, "too few columns (%lld)", (long long)n_cells);
}

static void read_delimited(pare_table *t, pare_row *row)
{
    row_visit visit = {.table = t, .row = row};
    scan_row(t, visit_cell, &visit);
    choose_last(&visit);
    if (!t->fault[0])
        check_columns(t, row, visit.n_cells);
}

/* ---- JSON lines ---- */

static pare_json *json_member(const pare_json *value, const pare_column *column)
{
    if (column->name)
        return pare_json_get(value, column->name);
    if (column->index < 0)
        return NULL;
    if (pare_json_is_array(value))
        return pare_json_at(value, (size_t)column->index);
    void *i = pare_json_iter(value);
    for (int64_t skip = column->index; i && skip > 0; skip--)
        i = pare_json_iter_next(value, i);
    return i ? pare_json_iter_value(i) : NULL;
}

/* Strings are themselves, numbers and truths their text, all else is missing. */
static pare_cell json_cell(const pare_json *value, char number[32])
{
    if (pare_json_is_string(value))
        return (pare_cell){.bytes = pare_json_as_string(value, ""),
                           .size = pare_json_string_length(value)};
    if (pare_json_is_bool(value))
        snprintf(number, 32, "%s", pare_json_as_bool(value, false) ? "true" : "false");
    else if (pare_json_is_number(value) && pare_json_as_int(value, INT64_MIN) != INT64_MIN)
        snprintf(number, 32, "%lld", (long long)pare_json_as_int(value, 0));
    else if (pare_json_is_number(value))
        snprintf(number, 32, "%.17g", pare_json_as_double(value, 0));
    else
        return (pare_cell){0};
    return (pare_cell){.bytes = number, .size = strlen(number)};
}

static void read_members(pare_table *t, pare_row *row)
{
    if (!pare_json_is_object(t->json) && !pare_json_is_array(t->json)) {
        snprintf(t->fault, sizeof t->fault, "neither a JSON object nor an array");
        return;
    }
    for (int k = 0; k < t->n_chosen && !t->fault[0]; k++) {
        const pare_column *column = &t->chosen[k];
        row->cell[k] = json_cell(json_member(t->json, column), t->numbers[k]);
        if (row->cell[k].bytes || column->optional)
            continue;
        if (column->name)
            snprintf(t->fault, sizeof t->fault, "no text or number under \"%.80s\"", column->name);
        else if (column->index != PARE_NO_COLUMN)
            snprintf(t->fault, sizeof t->fault, "no text or number at place %lld",
                     (long long)column->index);
    }
}

static size_t clean_text(char *out, pare_cell cell);

/* jansson refuses what is no UTF-8: a line is parsed from a copy without. */
static pare_status parse_line(pare_table *t, pare_cell line)
{
    size_t size = clean_text(NULL, line);
    pare_free(t->clean);
    t->clean = pare_malloc(size + 1);
    if (!t->clean)
        return PARE_MEMORY;
    clean_text(t->clean, line);
    return pare_json_parse(t->clean, size, t->path, &t->json);
}

static pare_status read_json(pare_table *t, pare_row *row)
{
    pare_cell line = {.bytes = t->bytes + t->at, .size = t->size - t->at};
    const char *end = memchr(line.bytes, '\n', line.size);
    if (end)
        line.size = (size_t)(end - line.bytes);
    t->at += line.size + (end ? 1 : 0);
    t->line++;
    t->fault[0] = '\0';
    pare_json_free(t->json);
    t->json = NULL;
    pare_status status = parse_line(t, line);
    if (status == PARE_OK)
        read_members(t, row);
    else if (status == PARE_INPUT)
        snprintf(t->fault, sizeof t->fault, "no valid JSON value");
    return status == PARE_INPUT ? PARE_OK : status;
}

pare_status pare_table_next(pare_table *table, pare_row *row, bool *more)
{
    *more = skip_blank_lines(table);
    if (!*more)
        return PARE_OK;
    *row = (pare_row){.line = table->line, .number = table->number++};
    if (table->format == PARE_JSON_LINES)
        PARE_TRY(read_json(table, row));
    else
        read_delimited(table, row);
    row->fault = table->fault[0] ? table->fault : NULL;
    return PARE_OK;
}

/* ---- Cells ---- */

/* Writes the cell's text as pare_cell_text promises, without a NUL; returns its size. With out
 * NULL it only counts. */
static size_t clean_text(char *out, pare_cell cell)
{
    size_t used = 0;
    for (size_t i = 0, step; i < cell.size; i += step) {
        const char *s = cell.bytes + i;
        bool valid = true;
        step = (unsigned char)*s < 0x80 ? 1 : pare_utf8_step(s, cell.size - i, &valid);
        if (*s == '\0')
            continue;
        size_t n = valid ? step : 3;
        if (out)
            memcpy(out + used, valid ? s : PARE_CHAR_INVALID_BYTES, n);
        used += n;
        step += cell.quoted && *s == '"'; /* its twin */
    }
    return used;
}

/* Room in the pool's piece, or in a new one; large texts get a piece of their own. */
static char *pool_alloc(pare_text_pool *pool, size_t bytes)
{
    enum { PIECE = 1 << 16 };
    if (bytes > PIECE / 4)
        return pare_arena_alloc(pool->arena, bytes);
    if (bytes > pool->left) {
        pool->free = pare_arena_alloc(pool->arena, PIECE);
        if (!pool->free)
            return NULL;
        pool->left = PIECE;
    }
    char *memory = pool->free;
    pool->free += bytes;
    pool->left -= bytes;
    return memory;
}

char *pare_cell_text(pare_text_pool *pool, pare_cell cell)
{
    size_t size = clean_text(NULL, cell);
    char *text = pool_alloc(pool, size + 1);
    if (!text)
        return NULL;
    clean_text(text, cell);
    text[size] = '\0';
    return text;
}

bool pare_cell_copy(pare_cell cell, char *buffer, size_t room)
{
    if (cell.size >= 2 * room || clean_text(NULL, cell) >= room)
        return false;
    buffer[clean_text(buffer, cell)] = '\0';
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

pare_cell pare_cell_trim(pare_cell cell)
{
    while (cell.size > 0 && is_blank(cell.bytes[cell.size - 1]))
        cell.size--;
    while (cell.size > 0 && is_blank(*cell.bytes)) {
        cell.bytes++;
        cell.size--;
    }
    return cell;
}

bool pare_cell_number(pare_cell cell, double *value)
{
    char text[128], *end;
    cell = pare_cell_trim(cell);
    if (cell.size == 0 || cell.size >= sizeof text)
        return false;
    for (size_t i = 0; i < cell.size; i++) /* strtod would also take "nan", "inf" and "0x1p3" */
        if (!memchr("0123456789+-.eE", cell.bytes[i], 15))
            return false;
    memcpy(text, cell.bytes, cell.size);
    text[cell.size] = '\0';
    *value = strtod(text, &end);
    return *end == '\0' && end != text && isfinite(*value);
}

const char *pare_cell_show(pare_cell cell, char shown[PARE_SHOWN])
{
    enum { MOST = 40 };
    size_t n = cell.size < MOST ? cell.size : MOST;
    for (size_t i = 0; i < n; i++)
        shown[i] = cell.bytes[i] >= ' ' && cell.bytes[i] <= '~' ? cell.bytes[i] : '?';
    strcpy(shown + n, cell.size > MOST ? "..." : "");
    return shown;
}
