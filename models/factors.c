/* factors.c: one tile a row. */
#include "models/factors.h"

#include <string.h>

#include "core/threads.h"

typedef struct product {
    const pare_tensor *p, *q; /* [rank, in], [out, rank] */
    const real *z;
    const bool *keep;
    double *rows; /* [threads][in] */
    pare_tensor *to;
} product;

static void multiply_row(void *context, int64_t r)
{
    const product *a = context;
    const int64_t in = a->p->cols, rank = a->p->rows;
    double *row = a->rows + pare_thread_index() * in;
    real *to = a->to->data + r * a->to->cols;
    memset(row, 0, (size_t)in * sizeof *row);
    for (int64_t k = 0; k < rank; k++) {
        if (a->keep && !a->keep[k])
            continue;
        const double factor = (a->z ? (double)a->z[k] : 1) * a->q->data[r * rank + k];
        for (int64_t c = 0; c < in; c++)
            row[c] += factor * a->p->data[k * in + c];
    }
    for (int64_t c = 0; c < in; c++)
        to[c] = (real)row[c];
}

pare_status pare_factors_multiply(const pare_weight *from, const real *z, const bool *keep,
                                  pare_tensor *to)
{
    product a = {.p = &from->p->tensor, .q = &from->q->tensor, .z = z, .keep = keep, .to = to};
    a.rows = pare_malloc((size_t)(pare_threads() * a.p->cols) * sizeof *a.rows);
    if (!a.rows)
        return PARE_MEMORY;
    pare_parallel(a.q->rows, multiply_row, &a);
    pare_free(a.rows);
    return PARE_OK;
}
