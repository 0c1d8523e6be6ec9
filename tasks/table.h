/* table.h: rows of cells from a TSV, CSV or JSON-lines file, read once from front to back.
 *
 *   pare_table *table = NULL;
 *   pare_column columns[] = {{.name = "sentence"}, {.name = "label"}};
 *   PARE_TRY(pare_table_open("train.csv", pare_table_format_of("train.csv"), &table));
 *   status = pare_table_choose(table, columns, 2);
 *   while (status == PARE_OK && (status = pare_table_next(table, &row, &more)) == PARE_OK && more)
 *       if (!row.fault)
 *           use(row.cell[0], row.cell[1]);
 *   pare_table_close(table);
 *
 * TSV has no quoting: a '"' is text, as in GLUE's files. CSV is RFC 4180 with commas: a cell that
 * begins with '"' ends at the next lone one, "" stands for one, and line ends inside are text.
 * JSON lines hold one object (columns are its keys) or one array a line. Lines end in LF or CRLF,
 * the last one may end without; a UTF-8 BOM and blank lines are passed over.
 *
 * Any bytes are read in time and memory linear in the file's size. What is wrong with a row makes
 * a fault of that row, never a failure of the file. */
#ifndef PARE_TASKS_TABLE_H
#define PARE_TASKS_TABLE_H

#include <stdint.h>

#include "core/memory.h"
#include "core/status.h"

typedef enum pare_table_format { PARE_TSV, PARE_CSV, PARE_JSON_LINES } pare_table_format;

/* By ending, in any case: .csv; .jsonl, .ndjson, .json; everything else is TSV. */
pare_table_format pare_table_format_of(const char *path);

enum { PARE_MAX_CHOSEN = 5, PARE_NO_COLUMN = -1, PARE_LAST_COLUMN = -2 };

/* By name (of the header or the JSON key), or where name is NULL by 0-based number.
 * PARE_NO_COLUMN: its cells are always missing, and no row is at fault for that. The last column
 * is each row's own last one, and lies behind all others that were chosen. */
typedef struct pare_column {
    const char *name;
    int64_t index;
    bool optional; /* a header, or a row, may be without it */
} pare_column;

/* Bytes of a row; NULL where the row has no such cell. They stay until the next row is read. */
typedef struct pare_cell {
    const char *bytes;
    size_t size;
    bool quoted; /* "" stands for one '"' */
} pare_cell;

typedef struct pare_row {
    pare_cell cell[PARE_MAX_CHOSEN]; /* in the order of the chosen columns */
    int64_t line;                    /* 1-based: where the row begins */
    int64_t number;                  /* 0-based, headers and blank lines not counted */
    const char *fault;               /* why it cannot be used, or NULL */
} pare_row;

typedef struct pare_table pare_table;

/* Reads the whole file. An empty one is PARE_INPUT, and so is one in UTF-16. */
pare_status pare_table_open(const char *path, pare_table_format format, pare_table **out);
void pare_table_close(pare_table *table); /* NULL is allowed */

/* Which cells the rows have from here on. Where a column has a name the next row of a TSV or CSV
 * is the header; a name it lacks is PARE_INPUT. The names are borrowed. */
pare_status pare_table_choose(pare_table *table, const pare_column *columns, int n);
void pare_table_skip_header(pare_table *table); /* passes over a row that counts as none */

/* *more is false behind the last row. */
pare_status pare_table_next(pare_table *table, pare_row *row, bool *more);

/* Text for keeping: many small strings in few pieces of an arena. */
typedef struct pare_text_pool {
    pare_arena *arena;
    char *free;
    size_t left;
} pare_text_pool;

/* A cell's text as UTF-8, NUL-ended: quotes undone, NULs dropped, and every byte sequence that is
 * no UTF-8 replaced by U+FFFD (one for each longest beginning of a character, as Unicode says).
 * NULL with PARE_MEMORY set. */
char *pare_cell_text(pare_text_pool *pool, pare_cell cell);

/* The same into buffer[room]; false if it does not fit. */
bool pare_cell_copy(pare_cell cell, char *buffer, size_t room);

/* The cell without ASCII blanks around it. */
pare_cell pare_cell_trim(pare_cell cell);

/* The whole cell, blanks around it aside, as a finite decimal number; false if it is none. */
bool pare_cell_number(pare_cell cell, double *value);

/* For messages: at most 40 bytes of the cell, what is not printable ASCII as '?'. */
enum { PARE_SHOWN = 48 };
const char *pare_cell_show(pare_cell cell, char shown[PARE_SHOWN]);

#endif
