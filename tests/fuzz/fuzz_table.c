/* tests/fuzz/fuzz_table.c: rows of a TSV, CSV or JSON-lines file, and what is made of their cells.
 * The first byte says which format, and whether columns have names. */
#include "tests/fuzz/fuzz.h"

#include "tasks/table.h"

static void use_cell(pare_text_pool *pool, pare_cell cell)
{
    char shown[PARE_SHOWN], copy[16];
    double number;
    if (!cell.bytes)
        return;
    char *text = pare_cell_text(pool, cell);
    fuzz_check(text && strlen(text) <= 3 * cell.size);
    if (pare_cell_copy(cell, copy, sizeof copy))
        fuzz_check(strlen(copy) < sizeof copy);
    fuzz_check(pare_cell_trim(cell).size <= cell.size);
    if (pare_cell_number(cell, &number))
        fuzz_check(number - number == 0);
    fuzz_check(strlen(pare_cell_show(cell, shown)) < PARE_SHOWN);
}

static void use_rows(pare_table *table, pare_arena *arena)
{
    pare_text_pool pool = {.arena = arena};
    pare_row row;
    int64_t line = 0, number = -1;
    for (bool more = true; fuzz_read(pare_table_next(table, &row, &more)) && more;) {
        fuzz_check(row.line > line && row.number > number);
        line = row.line;
        number = row.number;
        for (int i = 0; i < 3 && !row.fault; i++)
            use_cell(&pool, row.cell[i]);
    }
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    static const pare_column named[] = {{.name = "text"}, {.name = "label", .optional = true},
                                        {.index = 0, .optional = true}};
    static const pare_column counted[] = {{.index = 0}, {.index = 2, .optional = true},
                                          {.index = PARE_NO_COLUMN}};
    static const pare_column last[] = {{.index = 0}, {.index = 1}, {.index = PARE_LAST_COLUMN}};
    if (size < 1)
        return;
    const int which = bytes[0] / 3 % 3;
    pare_table *table = NULL;
    pare_arena *arena = pare_arena_new("fuzz");
    fuzz_check(arena);
    if (fuzz_read(pare_table_open(fuzz_file("table", bytes + 1, size - 1),
                                  (pare_table_format)(bytes[0] % 3), &table)) &&
        fuzz_read(pare_table_choose(table, which == 0 ? named : which == 1 ? counted : last, 3)))
        use_rows(table, arena);
    pare_table_close(table);
    pare_arena_free(arena);
}
