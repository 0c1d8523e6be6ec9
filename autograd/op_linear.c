/* op_linear.c: linear maps, activations, and the choice of rows. */
#include <string.h>

#include "autograd/ops.h"
#include "core/gemm.h"
#include "core/threads.h"

enum { TILE_ROWS = 16, SUM_ROWS = 64 };

static int64_t tiles(int64_t n, int64_t tile)
{
    return (n + tile - 1) / tile;
}

/* ---- rows through an activation, a tile at a time ---- */

typedef struct activation_args {
    const pare_kernels *k;
    real *out;
    const real *dy, *x; /* dy NULL: out = act(x); else out (+)= dy act'(x) */
    int64_t rows, cols;
    pare_activation act;
    bool add;
} activation_args;

static void activation_tile(void *context, int64_t tile)
{
    const activation_args *a = context;
    const int64_t first = tile * TILE_ROWS;
    const int64_t rows = a->rows - first < TILE_ROWS ? a->rows - first : TILE_ROWS;
    const int64_t at = first * a->cols, n = rows * a->cols;
    if (a->dy)
        a->k->activate_grad(a->out + at, a->dy + at, a->x + at, n, a->act, a->add);
    else
        a->k->activate(a->out + at, a->x + at, n, a->act);
}

static void activate_rows(real *out, const real *dy, const pare_tensor *x, pare_activation act,
                          bool add)
{
    activation_args args = {pare_kernels_get(), out, dy, x->data, x->rows, x->cols, act, add};
    pare_parallel_work(tiles(x->rows, TILE_ROWS), 4.0 * (double)pare_tensor_size(x),
                       activation_tile, &args);
}

pare_tensor *pare_activate(pare_tape *t, pare_tensor *x, pare_activation act)
{
    if (!x)
        return NULL;
    pare_tensor *y = pare_tape_output(t, x->rows, x->cols, x->needs_grad);
    if (!y)
        return NULL;
    activate_rows(y->data, NULL, x, act, false);
    return pare_tape_record(t, PARE_OP_activate, y, (pare_tensor *[]){x}, 1, &act, sizeof act);
}

void pare_activate_grad(pare_tape *t, const pare_node *node)
{
    const pare_activation *act = node->saved;
    bool add;
    real *dx = pare_tape_gradient(t, node->in[0], &add);
    if (dx)
        activate_rows(dx, node->out->grad, node->in[0], *act, add);
}

/* ---- linear ---- */

/* The rows of act(x): x itself, or a copy in scratch. */
static const real *activated(pare_tape *t, const pare_tensor *x, pare_activation act)
{
    if (act == PARE_ACT_NONE)
        return x->data;
    real *a = pare_tape_scratch(t, (size_t)pare_tensor_size(x) * sizeof(real));
    if (a)
        activate_rows(a, NULL, x, act, false);
    return a;
}

/* y[rows,out] = x·wᵀ + bias, bias NULL or [out]; nothing where x is NULL. */
static void product(pare_tape *t, real *y, const real *x, const pare_tensor *w, const real *bias,
                    int64_t rows)
{
    void *workspace = pare_tape_scratch(t, pare_gemm_workspace(rows, w->rows, w->cols));
    if (workspace && x)
        pare_gemm(y, w->rows, x, w->cols, false, w->data, w->cols, true, rows, w->rows, w->cols,
                  false, bias, workspace);
}

pare_tensor *pare_linear(pare_tape *t, pare_tensor *x, pare_activation act, pare_tensor *w,
                         pare_tensor *b)
{
    if (!x || !w)
        return NULL;
    if (x->cols != w->cols || (b && b->cols != w->rows))
        return pare_tape_fail(t, pare_fail(PARE_INTERNAL,
                                           "linear: x[%lld,%lld] does not meet w[%lld,%lld]",
                                           (long long)x->rows, (long long)x->cols,
                                           (long long)w->rows, (long long)w->cols));
    const bool needs_grad = x->needs_grad || w->needs_grad || (b && b->needs_grad);
    pare_tensor *y = pare_tape_output(t, x->rows, w->rows, needs_grad);
    const pare_mark mark = pare_arena_mark(t->scratch);
    if (y)
        product(t, y->data, activated(t, x, act), w, b ? b->data : NULL, x->rows);
    pare_arena_release(t->scratch, mark);
    if (t->status != PARE_OK)
        return NULL;
    return pare_tape_record(t, PARE_OP_linear, y, (pare_tensor *[]){x, w, b}, 3, &act, sizeof act);
}

typedef struct sum_args {
    real *partial; /* [tiles, cols] */
    const real *x;
    int64_t rows, cols;
} sum_args;

static void sum_tile(void *context, int64_t tile)
{
    const sum_args *a = context;
    const int64_t first = tile * SUM_ROWS;
    const int64_t end = first + SUM_ROWS < a->rows ? first + SUM_ROWS : a->rows;
    real *sum = a->partial + tile * a->cols;
    memcpy(sum, a->x + first * a->cols, (size_t)a->cols * sizeof(real));
    for (int64_t r = first + 1; r < end; r++)
        pare_kernels_get()->add(sum, a->x + r * a->cols, a->cols);
}

/* out[cols] (+)= the sum of x's rows, in tiles of SUM_ROWS added in order. */
static void sum_rows(pare_tape *t, real *out, const real *x, int64_t rows, int64_t cols, bool add)
{
    const int64_t n = tiles(rows, SUM_ROWS);
    sum_args args = {NULL, x, rows, cols};
    args.partial = pare_tape_scratch(t, (size_t)(n * cols) * sizeof(real));
    if (!args.partial)
        return;
    pare_parallel_work(n, (double)(rows * cols), sum_tile, &args);
    if (!add)
        memset(out, 0, (size_t)cols * sizeof(real));
    for (int64_t i = 0; i < n; i++)
        pare_kernels_get()->add(out, args.partial + i * cols, cols);
}

/* dw[out,in] (+)= dyᵀ·a for a[rows,in], dy[rows,out]. */
static void weight_grad(pare_tape *t, pare_tensor *w, const real *dy, const real *a, int64_t rows)
{
    bool add;
    real *dw = pare_tape_gradient(t, w, &add);
    void *workspace =
        dw && a ? pare_tape_scratch(t, pare_gemm_workspace(w->rows, w->cols, rows)) : NULL;
    if (workspace)
        pare_gemm(dw, w->cols, dy, w->rows, true, a, w->cols, false, w->rows, w->cols, rows, add,
                  NULL, workspace);
}

/* da[rows,in] = or += dy·w for dy[rows,out]. */
static void input_product(pare_tape *t, real *da, const real *dy, const pare_tensor *w,
                          int64_t rows, bool add)
{
    void *workspace =
        da ? pare_tape_scratch(t, pare_gemm_workspace(rows, w->cols, w->rows)) : NULL;
    if (workspace)
        pare_gemm(da, w->cols, dy, w->rows, false, w->data, w->cols, false, rows, w->cols, w->rows,
                  add, NULL, workspace);
}

/* dx (+)= (dy·w) act'(x). */
static void input_grad(pare_tape *t, pare_tensor *x, pare_activation act, const real *dy,
                       const pare_tensor *w)
{
    bool add;
    real *dx = pare_tape_gradient(t, x, &add);
    if (!dx)
        return;
    const bool direct = act == PARE_ACT_NONE || !add;
    real *da = direct ? dx : pare_tape_scratch(t, (size_t)pare_tensor_size(x) * sizeof(real));
    input_product(t, da, dy, w, x->rows, direct && add);
    if (act != PARE_ACT_NONE && da && t->status == PARE_OK)
        activate_rows(dx, da, x, act, add);
}

static void bias_grad(pare_tape *t, pare_tensor *b, const real *dy, int64_t rows)
{
    bool add;
    real *db = b ? pare_tape_gradient(t, b, &add) : NULL;
    if (db)
        sum_rows(t, db, dy, rows, b->cols, add);
}

/* Scratch is given back between the parts, so that only the largest counts. */
void pare_linear_grad(pare_tape *t, const pare_node *node)
{
    pare_tensor *x = node->in[0], *w = node->in[1];
    const pare_activation act = *(const pare_activation *)node->saved;
    const real *dy = node->out->grad;
    const pare_mark mark = pare_arena_mark(t->scratch);
    bias_grad(t, node->in[2], dy, x->rows);
    if (w->needs_grad)
        weight_grad(t, w, dy, activated(t, x, act), x->rows);
    pare_arena_release(t->scratch, mark);
    input_grad(t, x, act, dy, w);
    pare_arena_release(t->scratch, mark);
}

/* ---- gated linear: two factors with a gate between ---- */

typedef struct gate_rows_args {
    const pare_kernels *k;
    real *out;       /* [rows, n]; or partial sums [tiles, n] */
    const real *x, *y; /* [rows, n] */
    const real *z;   /* [n] */
    int64_t rows, n;
} gate_rows_args;

/* out = x ⊙ z in every row */
static void gate_rows_tile(void *context, int64_t tile)
{
    const gate_rows_args *a = context;
    for (int64_t r = tile * SUM_ROWS; r < (tile + 1) * SUM_ROWS && r < a->rows; r++)
        a->k->multiply(a->out + r * a->n, a->x + r * a->n, a->z, a->n);
}

static void gate_rows(real *out, const real *x, const pare_tensor *z, int64_t rows)
{
    gate_rows_args args = {pare_kernels_get(), out, x, NULL, z->data, rows, z->cols};
    pare_parallel_work(tiles(rows, SUM_ROWS), (double)(rows * z->cols), gate_rows_tile, &args);
}

/* out[tile] = the tile's rows of x ⊙ y, added up in order */
static void dot_rows_tile(void *context, int64_t tile)
{
    const gate_rows_args *a = context;
    real *sum = a->out + tile * a->n;
    memset(sum, 0, (size_t)a->n * sizeof(real));
    for (int64_t r = tile * SUM_ROWS; r < (tile + 1) * SUM_ROWS && r < a->rows; r++)
        for (int64_t i = 0; i < a->n; i++)
            sum[i] += a->x[r * a->n + i] * a->y[r * a->n + i];
}

/* dz[n] (+)= the column sums of h ⊙ dhz, in tiles added in order. */
static void gate_grad(pare_tape *t, pare_tensor *z, const real *h, const real *dhz, int64_t rows)
{
    bool add;
    real *dz = pare_tape_gradient(t, z, &add);
    const int64_t n = z->cols, n_tiles = tiles(rows, SUM_ROWS);
    real *partial = dz ? pare_tape_scratch(t, (size_t)(n_tiles * n) * sizeof(real)) : NULL;
    if (!partial)
        return;
    gate_rows_args args = {pare_kernels_get(), partial, h, dhz, NULL, rows, n};
    pare_parallel_work(n_tiles, (double)(rows * n), dot_rows_tile, &args);
    if (!add)
        memset(dz, 0, (size_t)n * sizeof(real));
    for (int64_t i = 0; i < n_tiles; i++)
        pare_kernels_get()->add(dz, partial + i * n, n);
}

typedef struct gated_saved {
    pare_activation act;
    const real *h; /* act(x)·pᵀ [rows, rank] */
} gated_saved;

/* h ⊙ z, or h where there are no gates. */
static const real *gated(pare_tape *t, const real *h, const pare_tensor *z, int64_t rows)
{
    real *hz = z ? pare_tape_scratch(t, (size_t)(rows * z->cols) * sizeof(real)) : NULL;
    if (hz)
        gate_rows(hz, h, z, rows);
    return z ? hz : h;
}

pare_tensor *pare_gated_linear(pare_tape *t, pare_tensor *x, pare_activation act, pare_tensor *p,
                               pare_tensor *z, pare_tensor *q, pare_tensor *b)
{
    if (!x || !p || !q)
        return NULL;
    const int64_t rows = x->rows, rank = p->rows;
    if (x->cols != p->cols || q->cols != rank || (z && z->cols != rank) ||
        (b && b->cols != q->rows))
        return pare_tape_fail(
            t, pare_fail(PARE_INTERNAL, "gated_linear: x[%lld,%lld], p[%lld,%lld] and "
                         "q[%lld,%lld] do not meet", (long long)rows, (long long)x->cols,
                         (long long)rank, (long long)p->cols, (long long)q->rows,
                         (long long)q->cols));
    pare_tensor *y = pare_tape_output(t, rows, q->rows,
                                      x->needs_grad || p->needs_grad || q->needs_grad ||
                                          (z && z->needs_grad) || (b && b->needs_grad));
    pare_tensor *h = pare_tape_output(t, rows, rank, false);
    if (!y || !h)
        return NULL;
    const pare_mark mark = pare_arena_mark(t->scratch);
    product(t, h->data, activated(t, x, act), p, NULL, rows);
    pare_arena_release(t->scratch, mark);
    product(t, y->data, gated(t, h->data, z, rows), q, b ? b->data : NULL, rows);
    pare_arena_release(t->scratch, mark);
    const gated_saved saved = {act, h->data};
    return pare_tape_record(t, PARE_OP_gated_linear, y, (pare_tensor *[]){x, p, z, q, b}, 5, &saved,
                            sizeof saved);
}

/* With hz = h ⊙ z: dq = dyᵀ·hz, dhz = dy·q, dz = Σ h ⊙ dhz, dh = dhz ⊙ z; p and x as in
 * linear. */
void pare_gated_linear_grad(pare_tape *t, const pare_node *node)
{
    pare_tensor *x = node->in[0], *p = node->in[1], *z = node->in[2], *q = node->in[3];
    const gated_saved *saved = node->saved;
    const real *dy = node->out->grad;
    const int64_t rows = x->rows, rank = p->rows;
    const pare_mark start = pare_arena_mark(t->scratch);
    bias_grad(t, node->in[4], dy, rows);
    if (q->needs_grad)
        weight_grad(t, q, dy, gated(t, saved->h, z, rows), rows);
    pare_arena_release(t->scratch, start);
    real *dh = pare_tape_scratch(t, (size_t)(rows * rank) * sizeof(real));
    const pare_mark mark = pare_arena_mark(t->scratch);
    input_product(t, dh, dy, q, rows, false);
    if (z && dh && t->status == PARE_OK) {
        gate_grad(t, z, saved->h, dh, rows);
        gate_rows(dh, dh, z, rows);
    }
    pare_arena_release(t->scratch, mark);
    if (p->needs_grad && dh && t->status == PARE_OK)
        weight_grad(t, p, dh, activated(t, x, saved->act), rows);
    pare_arena_release(t->scratch, mark);
    if (dh && t->status == PARE_OK)
        input_grad(t, x, saved->act, dh, p);
    pare_arena_release(t->scratch, start);
}

/* ---- first rows ---- */

pare_tensor *pare_first_rows(pare_tape *t, pare_tensor *x, const pare_packed *batch)
{
    if (!x)
        return NULL;
    pare_tensor *y = pare_tape_output(t, batch->n_sentences, x->cols, x->needs_grad);
    if (!y)
        return NULL;
    for (int64_t s = 0; s < batch->n_sentences; s++)
        memcpy(y->data + s * x->cols, x->data + batch->offset[s] * x->cols,
               (size_t)x->cols * sizeof(real));
    return pare_tape_record(t, PARE_OP_first_rows, y, (pare_tensor *[]){x}, 1, &batch,
                            sizeof batch);
}

void pare_first_rows_grad(pare_tape *t, const pare_node *node)
{
    const pare_packed *batch = *(const pare_packed *const *)node->saved;
    pare_tensor *x = node->in[0];
    bool add;
    real *dx = pare_tape_gradient(t, x, &add);
    if (!dx)
        return;
    if (!add)
        memset(dx, 0, (size_t)pare_tensor_size(x) * sizeof(real));
    for (int64_t s = 0; s < batch->n_sentences; s++)
        pare_kernels_get()->add(dx + batch->offset[s] * x->cols, node->out->grad + s * x->cols,
                                x->cols);
}
