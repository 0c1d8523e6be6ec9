/* columns.c: see columns.h. */
#include "cli/columns.h"

#include <string.h>

#include "cli/console.h"

enum { MOST_COLUMNS = 64, GAP = 2 };

typedef struct column {
    size_t width;
    bool words; /* holds something that is no number: set to the left */
} column;

/* Characters of UTF-8. */
static size_t width_of(const char *cell, size_t n)
{
    size_t width = 0;

    for (size_t i = 0; i < n; i++)
        width += ((unsigned char)cell[i] & 0xc0) != 0x80;
    return width;
}

static bool is_number(const char *cell, size_t n)
{
    size_t sign = n > 1 && (cell[0] == '-' || cell[0] == '+');

    if (n == 1 && cell[0] == '-')
        return true;
    return n > sign && cell[sign] >= '0' && cell[sign] <= '9';
}

static void measure(const char *rows, column columns[MOST_COLUMNS])
{
    size_t c = 0;
    bool heading = true;

    for (const char *cell = rows; *cell;) {
        size_t n = strcspn(cell, "\t\n"), width = width_of(cell, n);
        if (c < MOST_COLUMNS) {
            columns[c].width = width > columns[c].width ? width : columns[c].width;
            columns[c].words |= !heading && !is_number(cell, n);
        }
        heading = heading && cell[n] != '\n';
        c = cell[n] == '\t' ? c + 1 : 0;
        cell += n + (cell[n] != '\0');
    }
}

static void add_blanks(pare_text *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pare_text_add(out, " ", 1);
}

void pare_columns_add(pare_text *out, const char *rows)
{
    column columns[MOST_COLUMNS + 1] = {{0, false}};
    size_t c = 0;

    measure(rows, columns);
    for (const char *cell = rows; *cell;) {
        size_t n = strcspn(cell, "\t\n"), width = width_of(cell, n);
        size_t rest = columns[c].width > width ? columns[c].width - width : 0;
        add_blanks(out, columns[c].words ? 0 : rest);
        pare_text_add(out, cell, n);
        if (cell[n] == '\t')
            add_blanks(out, (columns[c].words ? rest : 0) + GAP);
        else
            pare_text_add(out, "\n", 1);
        c = cell[n] != '\t' ? 0 : c < MOST_COLUMNS ? c + 1 : MOST_COLUMNS;
        cell += n + (cell[n] != '\0');
    }
}

pare_status pare_columns_print(pare_text *rows)
{
    pare_text table = {0};
    pare_status status = pare_text_status(rows);

    if (status == PARE_OK) {
        pare_columns_add(&table, rows->bytes);
        status = pare_text_status(&table);
    }
    if (status == PARE_OK)
        status = pare_out_bytes(table.bytes, table.n);
    pare_text_free(&table);
    pare_text_free(rows);
    return status;
}
