/* msr.c: the dev pairs, sorted for bisection. */
#include "tasks/msr.h"

#include <stdlib.h>

typedef struct pair {
    int64_t id1, id2;
} pair;

struct pare_msr_ids {
    pair *pairs; /* [n] ascending */
    size_t n, room;
};

static int compare_pairs(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->id1 != y->id1)
        return x->id1 < y->id1 ? -1 : 1;
    return (x->id2 > y->id2) - (x->id2 < y->id2);
}

/* Ids are whole numbers of seven digits; doubles hold them exactly. */
static bool parse_pair(pare_cell id1, pare_cell id2, pair *out)
{
    double a, b;
    if (!pare_cell_number(id1, &a) || !pare_cell_number(id2, &b))
        return false;
    if (!(a >= 0 && a < 1e15 && b >= 0 && b < 1e15))
        return false;
    *out = (pair){(int64_t)a, (int64_t)b};
    return true;
}

static pare_status add(pare_msr_ids *ids, pair one)
{
    if (ids->n == ids->room) {
        size_t room = ids->room ? 2 * ids->room : 512;
        pair *pairs = pare_realloc(ids->pairs, room * sizeof *pairs);
        if (!pairs)
            return PARE_MEMORY;
        ids->pairs = pairs;
        ids->room = room;
    }
    ids->pairs[ids->n++] = one;
    return PARE_OK;
}

static pare_status read_pairs(pare_msr_ids *ids, pare_table *table, const char *path)
{
    const pare_column columns[] = {{.index = 0}, {.index = 1}};
    pare_row row;
    bool more = true;
    PARE_TRY(pare_table_choose(table, columns, 2));
    for (;;) {
        pair one;
        PARE_TRY(pare_table_next(table, &row, &more));
        if (!more)
            break;
        if (row.fault || !parse_pair(row.cell[0], row.cell[1], &one))
            return pare_fail(PARE_INPUT, "%s:%lld: is no pair of sentence ids", path,
                             (long long)row.line);
        PARE_TRY(add(ids, one));
    }
    if (ids->n > 0)
        qsort(ids->pairs, ids->n, sizeof *ids->pairs, compare_pairs);
    return PARE_OK;
}

pare_status pare_msr_ids_read(const char *path, pare_msr_ids **out)
{
    pare_table *table = NULL;
    *out = NULL;
    PARE_TRY(pare_table_open(path, PARE_TSV, &table));
    pare_msr_ids *ids = pare_calloc(1, sizeof *ids);
    pare_status status = ids ? read_pairs(ids, table, path) : PARE_MEMORY;
    pare_table_close(table);
    if (status != PARE_OK)
        pare_msr_ids_free(ids);
    else
        *out = ids;
    return status;
}

void pare_msr_ids_free(pare_msr_ids *ids)
{
    if (!ids)
        return;
    pare_free(ids->pairs);
    pare_free(ids);
}

bool pare_msr_is_dev(const pare_msr_ids *ids, pare_cell id1, pare_cell id2)
{
    pair one;
    return ids->n > 0 && parse_pair(id1, id2, &one) &&
           bsearch(&one, ids->pairs, ids->n, sizeof one, compare_pairs) != NULL;
}
