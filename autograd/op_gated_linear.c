/* op_gated_linear.c: two factors with a gate between. Ranks whose gate is exactly 0 are left out of
 * every product: they add nothing, and a hard concrete gate passes no gradient on there. While
 * masks are trained most gates come to be shut, and a step costs what is left. */
#include <string.h>

#include "autograd/linear_parts.h"
#include "autograd/ops.h"
#include "core/threads.h"

enum { TILE_ROWS = 64 };

static int64_t tiles_of(int64_t rows)
{
    return (rows + TILE_ROWS - 1) / TILE_ROWS;
}

/* ---- the ranks that take part ---- */

typedef struct active {
    pare_activation act;
    int64_t n;
    const int64_t *rank; /* [n] their numbers; NULL: all */
    pare_tensor p, q;    /* [n,in], [out,n]: copies of theirs, or the factors themselves */
    const real *z;       /* [n]; NULL: no gates */
    const real *h;       /* act(x)·pᵀ [rows, n] */
} active;

static int64_t count_open(const pare_tensor *z)
{
    int64_t n = 0;
    for (int64_t i = 0; i < z->cols; i++)
        n += z->data[i] != 0;
    return n;
}

typedef struct columns_args {
    const real *from;
    real *to;
    const int64_t *rank;
    int64_t rows, n, all;
    bool add;
} columns_args;

static void gather_columns(void *context, int64_t tile)
{
    const columns_args *a = context;
    for (int64_t r = tile * TILE_ROWS; r < (tile + 1) * TILE_ROWS && r < a->rows; r++)
        for (int64_t i = 0; i < a->n; i++)
            a->to[r * a->n + i] = a->from[r * a->all + a->rank[i]];
}

static void scatter_columns(void *context, int64_t tile)
{
    const columns_args *a = context;
    for (int64_t r = tile * TILE_ROWS; r < (tile + 1) * TILE_ROWS && r < a->rows; r++) {
        real *to = a->to + r * a->all;
        if (!a->add)
            memset(to, 0, (size_t)a->all * sizeof(real));
        for (int64_t i = 0; i < a->n; i++)
            to[a->rank[i]] += a->from[r * a->n + i];
    }
}

static void gather(const pare_tensor *p, const pare_tensor *q, const pare_tensor *z,
                   int64_t *rank, real *gates, active *a)
{
    int64_t n = 0;
    for (int64_t i = 0; i < z->cols; i++)
        if (z->data[i] != 0) {
            gates[n] = z->data[i];
            rank[n++] = i;
        }
    for (int64_t i = 0; i < n; i++)
        memcpy(a->p.data + i * p->cols, p->data + rank[i] * p->cols,
               (size_t)p->cols * sizeof(real));
    columns_args columns = {q->data, a->q.data, rank, q->rows, n, q->cols, false};
    pare_parallel_work(tiles_of(q->rows), (double)(q->rows * n), gather_columns, &columns);
}

/* Everything that the step's gradient needs too, in the step arena; false without memory. */
static bool choose(pare_tape *t, const pare_tensor *p, const pare_tensor *z, const pare_tensor *q,
                   active *a)
{
    a->n = z ? count_open(z) : p->rows;
    a->p = *p;
    a->q = *q;
    a->z = z ? z->data : NULL;
    if (a->n == p->rows)
        return true;
    const pare_tensor *few_p = pare_tensor_new(t->step, a->n, p->cols);
    const pare_tensor *few_q = pare_tensor_new(t->step, q->rows, a->n);
    int64_t *rank = pare_arena_alloc(t->step, (size_t)a->n * sizeof *rank);
    real *gates = pare_arena_alloc(t->step, (size_t)a->n * sizeof *gates);
    if (!few_p || !few_q || !rank || !gates)
        return false;
    a->p = *few_p;
    a->q = *few_q;
    a->rank = rank;
    a->z = gates;
    gather(p, q, z, rank, gates, a);
    return true;
}

/* ---- rows times gates ---- */

typedef struct gate_rows_args {
    const pare_kernels *k;
    real *out;         /* [rows, n]; or partial sums [tiles, n] */
    const real *x, *y; /* [rows, n] */
    const real *z;     /* [n] */
    int64_t rows, n;
} gate_rows_args;

/* out = x ⊙ z in every row */
static void gate_rows_tile(void *context, int64_t tile)
{
    const gate_rows_args *a = context;
    for (int64_t r = tile * TILE_ROWS; r < (tile + 1) * TILE_ROWS && r < a->rows; r++)
        a->k->multiply(a->out + r * a->n, a->x + r * a->n, a->z, a->n);
}

static void gate_rows(real *out, const real *x, const active *a, int64_t rows)
{
    gate_rows_args args = {pare_kernels_get(), out, x, NULL, a->z, rows, a->n};
    pare_parallel_work(tiles_of(rows), (double)(rows * a->n), gate_rows_tile, &args);
}

/* h ⊙ z, or h where there are no gates. */
static const real *gated(pare_tape *t, const active *a, int64_t rows)
{
    real *hz = a->z ? pare_tape_scratch(t, (size_t)(rows * a->n) * sizeof(real)) : NULL;
    if (hz)
        gate_rows(hz, a->h, a, rows);
    return a->z ? hz : a->h;
}

/* out[tile] = the tile's rows of x ⊙ y, added up in order */
static void dot_rows_tile(void *context, int64_t tile)
{
    const gate_rows_args *a = context;
    real *sum = a->out + tile * a->n;
    memset(sum, 0, (size_t)a->n * sizeof(real));
    for (int64_t r = tile * TILE_ROWS; r < (tile + 1) * TILE_ROWS && r < a->rows; r++)
        for (int64_t i = 0; i < a->n; i++)
            sum[i] += a->x[r * a->n + i] * a->y[r * a->n + i];
}

/* ---- the op ---- */

static pare_status check_shapes(const pare_tensor *x, const pare_tensor *p, const pare_tensor *z,
                                const pare_tensor *q, const pare_tensor *b)
{
    if (x->cols == p->cols && q->cols == p->rows && (!z || z->cols == p->rows) &&
        (!b || b->cols == q->rows))
        return PARE_OK;
    return pare_fail(PARE_INTERNAL,
                     "gated_linear: x[%lld,%lld], p[%lld,%lld] and q[%lld,%lld] do not meet",
                     (long long)x->rows, (long long)x->cols, (long long)p->rows,
                     (long long)p->cols, (long long)q->rows, (long long)q->cols);
}

pare_tensor *pare_gated_linear(pare_tape *t, pare_tensor *x, pare_activation act, pare_tensor *p,
                               pare_tensor *z, pare_tensor *q, pare_tensor *b)
{
    if (!x || !p || !q)
        return NULL;
    if (check_shapes(x, p, z, q, b) != PARE_OK)
        return pare_tape_fail(t, PARE_INTERNAL);
    const int64_t rows = x->rows;
    active a = {.act = act};
    pare_tensor *y = pare_tape_output(t, rows, q->rows,
                                      x->needs_grad || p->needs_grad || q->needs_grad ||
                                          (z && z->needs_grad) || (b && b->needs_grad));
    pare_tensor *h = choose(t, p, z, q, &a) ? pare_tape_output(t, rows, a.n, false) : NULL;
    if (!y || !h)
        return t->status == PARE_OK ? pare_tape_fail(t, PARE_MEMORY) : NULL;
    a.h = h->data;
    const pare_mark mark = pare_arena_mark(t->scratch);
    pare_product(t, h->data, pare_activated(t, x, act), &a.p, NULL, rows);
    pare_arena_release(t->scratch, mark);
    pare_product(t, y->data, pare_reals(gated(t, &a, rows)), &a.q, b ? b->data : NULL, rows);
    pare_arena_release(t->scratch, mark);
    return pare_tape_record(t, PARE_OP_gated_linear, y, (pare_tensor *[]){x, p, z, q, b}, 5, &a,
                            sizeof a);
}

/* ---- its gradient ---- */

/* dz[rank] (+)= the column sums of h ⊙ dhz, in tiles added in order; 0 for ranks left out. */
static void gate_grad(pare_tape *t, pare_tensor *z, const active *a, const real *dhz, int64_t rows)
{
    bool add;
    real *dz = pare_tape_gradient(t, z, &add);
    const int64_t n = a->n, tiles = tiles_of(rows);
    real *partial = dz ? pare_tape_scratch(t, (size_t)(tiles * n) * sizeof(real)) : NULL;
    if (!partial)
        return;
    gate_rows_args args = {pare_kernels_get(), partial, a->h, dhz, NULL, rows, n};
    pare_parallel_work(tiles, (double)(rows * n), dot_rows_tile, &args);
    if (!add)
        memset(dz, 0, (size_t)z->cols * sizeof(real));
    for (int64_t tile = 0; tile < tiles; tile++)
        for (int64_t i = 0; i < n; i++)
            dz[a->rank ? a->rank[i] : i] += partial[tile * n + i];
}

/* The gradient of a gathered factor, in scratch. */
static bool few_grad(pare_tape *t, pare_tensor *few, pare_numbers dy, pare_numbers x, int64_t rows)
{
    few->grad = pare_tape_scratch(t, (size_t)pare_tensor_size(few) * sizeof(real));
    few->needs_grad = true;
    few->has_grad = false;
    if (!few->grad)
        return false;
    pare_weight_grad(t, few, dy, x, rows);
    return t->status == PARE_OK;
}

static void q_grad(pare_tape *t, pare_tensor *q, const active *a, pare_numbers dy, int64_t rows)
{
    const pare_numbers hz = pare_reals(gated(t, a, rows));
    pare_tensor few = a->q;
    bool add;
    if (!a->rank) {
        pare_weight_grad(t, q, dy, hz, rows);
        return;
    }
    real *dq = few_grad(t, &few, dy, hz, rows) ? pare_tape_gradient(t, q, &add) : NULL;
    if (!dq)
        return;
    columns_args columns = {few.grad, dq, a->rank, q->rows, a->n, q->cols, add};
    pare_parallel_work(tiles_of(q->rows), (double)pare_tensor_size(q), scatter_columns, &columns);
}

static void p_grad(pare_tape *t, pare_tensor *p, const active *a, pare_numbers dh, pare_numbers x,
                   int64_t rows)
{
    pare_tensor few = a->p;
    bool add;
    if (!a->rank) {
        pare_weight_grad(t, p, dh, x, rows);
        return;
    }
    real *dp = few_grad(t, &few, dh, x, rows) ? pare_tape_gradient(t, p, &add) : NULL;
    if (!dp)
        return;
    if (!add)
        memset(dp, 0, (size_t)pare_tensor_size(p) * sizeof(real));
    for (int64_t i = 0; i < a->n; i++)
        pare_kernels_get()->add(dp + a->rank[i] * p->cols, few.grad + i * p->cols, p->cols);
}

/* With hz = h ⊙ z: dq = dyᵀ·hz, dhz = dy·q, dz = Σ h ⊙ dhz, dh = dhz ⊙ z; p and x as in linear. */
void pare_gated_linear_grad(pare_tape *t, const pare_node *node)
{
    pare_tensor *x = node->in[0], *p = node->in[1], *z = node->in[2], *q = node->in[3];
    const active *a = node->saved;
    const pare_numbers dy = pare_tensor_gradient(node->out);
    const int64_t rows = x->rows;
    const pare_mark start = pare_arena_mark(t->scratch);
    pare_bias_grad(t, node->in[4], dy, rows);
    if (q->needs_grad)
        q_grad(t, q, a, dy, rows);
    pare_arena_release(t->scratch, start);
    real *dh = pare_tape_scratch(t, (size_t)(rows * a->n) * sizeof(real));
    const pare_mark mark = pare_arena_mark(t->scratch);
    pare_input_product(t, dh, dy, &a->q, rows, false);
    if (z && dh && t->status == PARE_OK) {
        gate_grad(t, z, a, dh, rows);
        gate_rows(dh, dh, a, rows);
    }
    pare_arena_release(t->scratch, mark);
    if (p->needs_grad && dh && t->status == PARE_OK)
        p_grad(t, p, a, pare_reals(dh), pare_activated(t, x, a->act), rows);
    pare_arena_release(t->scratch, mark);
    if (dh && t->status == PARE_OK)
        pare_input_grad(t, x, a->act, pare_reals(dh), &a->p);
    pare_arena_release(t->scratch, start);
}
