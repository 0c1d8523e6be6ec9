/* op_linear.c: linear maps, activations, and the choice of rows. */
#include <string.h>

#include "autograd/linear_parts.h"
#include "autograd/ops.h"
#include "core/gemm.h"
#include "core/threads.h"

enum {
    TILE_ROWS = 16,
    SUM_ROWS = 64,
    PIECE = 512, /* numbers that become halves, or come from them, in the L1 cache */
    KEPT_MAX = 8 << 20 /* bytes of act(x) that are kept for the gradient instead of made again */
};

static int64_t tiles(int64_t n, int64_t tile)
{
    return (n + tile - 1) / tile;
}

/* ---- rows through an activation, a tile at a time ---- */

typedef struct activation_args {
    const pare_kernels *k;
    pare_output out;    /* = act(x) if dy is NULL; else (+)= dy act'(x) */
    const real *dy, *x;
    int64_t rows, cols;
    pare_activation act;
} activation_args;

static void activate_part(const activation_args *a, real *out, int64_t at, int64_t n)
{
    if (a->dy)
        a->k->activate_grad(out, a->dy + at, a->x + at, n, a->act, a->out.add);
    else
        a->k->activate(out, a->x + at, n, a->act);
}

static void activation_tile(void *context, int64_t tile)
{
    const activation_args *a = context;
    const int64_t first = tile * TILE_ROWS, last = first + TILE_ROWS;
    const int64_t start = first * a->cols, end = (last < a->rows ? last : a->rows) * a->cols;
    real piece[PIECE];
    if (a->out.data)
        activate_part(a, a->out.data + start, start, end - start);
    for (int64_t at = start; a->out.half && at < end; at += PIECE) {
        const int64_t n = end - at < PIECE ? end - at : PIECE;
        activate_part(a, piece, at, n);
        a->k->narrow(a->out.half + at, n, piece, n, 1, n);
    }
}

static void activate_rows(pare_output out, const real *dy, const pare_tensor *x,
                          pare_activation act)
{
    activation_args args = {pare_kernels_get(), out, dy, x->data, x->rows, x->cols, act};
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
    activate_rows((pare_output){.data = y->data}, NULL, x, act);
    return pare_tape_record(t, PARE_OP_activate, y, (pare_tensor *[]){x}, 1, &act, sizeof act);
}

void pare_activate_grad(pare_tape *t, const pare_node *node)
{
    const pare_activation *act = node->saved;
    pare_output dx = {0};
    dx.data = pare_tape_gradient(t, node->in[0], &dx.add);
    if (dx.data)
        activate_rows(dx, node->out->grad, node->in[0], *act);
}

/* ---- linear ---- */

/* The bytes of a matrix like x that only products read. */
static size_t operand_bytes(const pare_tensor *x)
{
    return (size_t)pare_tensor_size(x) *
           (pare_gemm_takes_halves() ? sizeof(pare_half) : sizeof(real));
}

/* memory = act(x), as products take it; NULL in gives none out. */
static pare_numbers activate_into(void *memory, const pare_tensor *x, pare_activation act)
{
    const bool half = pare_gemm_takes_halves();
    const pare_output out = {half ? NULL : memory, half ? memory : NULL, false};
    if (memory)
        activate_rows(out, NULL, x, act);
    return (pare_numbers){memory, half};
}

pare_numbers pare_activated(pare_tape *t, const pare_tensor *x, pare_activation act)
{
    if (act == PARE_ACT_NONE)
        return pare_tensor_numbers(x);
    return activate_into(pare_tape_scratch(t, operand_bytes(x)), x, act);
}

void pare_product(pare_tape *t, real *y, pare_numbers x, const pare_tensor *w, const real *bias,
                  int64_t rows)
{
    const bool packed = w->packed && !t->mode.recording, own_x = rows > w->rows;
    void *workspace = pare_tape_scratch(t, pare_gemm_workspace(rows, w->rows, w->cols));
    const pare_numbers of_w = pare_reals(w->data);
    const pare_gemm_part part = {y, own_x ? x : of_w, bias, false, false};
    if (!workspace || !x.data)
        return;
    if (packed)
        pare_gemm_packed(y, w->rows, x, w->cols, w->packed, rows, w->rows, w->cols, bias,
                         workspace);
    else
        pare_gemm_parts(&part, 1, own_x, w->rows, own_x ? of_w : x, w->cols, false, w->cols, true,
                        rows, w->rows, w->cols, workspace);
}

typedef struct linear_saved {
    pare_activation act;
    pare_numbers a; /* act(x); no data: made again */
} linear_saved;

/* The batches that decide how much memory a run needs are too large to keep it. */
static bool is_kept(const pare_tape *t, const pare_tensor *x, pare_activation act,
                    const pare_tensor *w)
{
    return act != PARE_ACT_NONE && t->mode.recording && w->needs_grad &&
           operand_bytes(x) <= KEPT_MAX;
}

/* act(x) in the step arena. */
static pare_numbers keep_activated(pare_tape *t, const pare_tensor *x, pare_activation act)
{
    void *memory = pare_arena_alloc(t->step, operand_bytes(x));
    if (!memory)
        pare_tape_fail(t, PARE_MEMORY);
    return activate_into(memory, x, act);
}

static pare_numbers kept_or_made(pare_tape *t, const pare_tensor *x, const linear_saved *saved)
{
    return saved->a.data ? saved->a : pare_activated(t, x, saved->act);
}

static bool meets(pare_tape *t, const pare_tensor *x, const pare_tensor *w, const pare_tensor *b)
{
    if (x->cols == w->cols && (!b || b->cols == w->rows))
        return true;
    pare_tape_fail(t, pare_fail(PARE_INTERNAL, "linear: x[%lld,%lld] does not meet w[%lld,%lld]",
                                (long long)x->rows, (long long)x->cols, (long long)w->rows,
                                (long long)w->cols));
    return false;
}

pare_tensor *pare_linear(pare_tape *t, pare_tensor *x, pare_activation act, pare_tensor *w,
                         pare_tensor *b)
{
    if (!x || !w || !meets(t, x, w, b))
        return NULL;
    const bool needs_grad = x->needs_grad || w->needs_grad || (b && b->needs_grad);
    pare_tensor *y = pare_tape_output(t, x->rows, w->rows, needs_grad);
    linear_saved saved = {.act = act};
    if (is_kept(t, x, act, w))
        saved.a = keep_activated(t, x, act);
    const pare_mark mark = pare_arena_mark(t->scratch);
    if (y)
        pare_product(t, y->data, kept_or_made(t, x, &saved), w, b ? b->data : NULL, x->rows);
    pare_arena_release(t->scratch, mark);
    if (!y || t->status != PARE_OK)
        return NULL;
    y->grad_is_operand = true;
    return pare_tape_record(t, PARE_OP_linear, y, (pare_tensor *[]){x, w, b}, 3, &saved,
                            sizeof saved);
}

typedef struct sum_args {
    real *partial; /* [tiles, cols] */
    pare_numbers x;
    int64_t rows, cols;
} sum_args;

static void add_row(real *sum, pare_numbers row, int64_t cols)
{
    const pare_kernels *k = pare_kernels_get();
    real piece[PIECE];
    if (!row.half)
        k->add(sum, row.data, cols);
    for (int64_t c = 0; row.half && c < cols; c += PIECE) {
        const int64_t n = cols - c < PIECE ? cols - c : PIECE;
        k->widen(piece, n, (const pare_half *)row.data + c, n, 1, n);
        k->add(sum + c, piece, n);
    }
}

static void sum_tile(void *context, int64_t tile)
{
    const sum_args *a = context;
    const int64_t first = tile * SUM_ROWS;
    const int64_t end = first + SUM_ROWS < a->rows ? first + SUM_ROWS : a->rows;
    real *sum = a->partial + tile * a->cols;
    memset(sum, 0, (size_t)a->cols * sizeof(real));
    for (int64_t r = first; r < end; r++)
        add_row(sum, pare_numbers_at(a->x, r * a->cols), a->cols);
}

/* out[cols] (+)= the sum of x's rows, in tiles of SUM_ROWS added in order. */
static void sum_rows(pare_tape *t, real *out, pare_numbers x, int64_t rows, int64_t cols, bool add)
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

/* C_i (+)= dy_iᵀ·x of w's shape; dy's (own_dy) or x are the parts' own, the other is in common. The
 * optimiser alone reads them, when all are there. */
static void weight_products(pare_tape *t, const pare_gemm_part *parts, int n, bool own_dy,
                            pare_numbers common, const pare_tensor *w, int64_t rows)
{
    void *workspace =
        pare_tape_scratch(t, pare_gemm_parts_workspace(own_dy, w->rows, w->cols, rows));
    if (workspace)
        pare_gemm_parts(parts, n, own_dy, w->cols, common, w->rows, true, w->cols, false, w->rows,
                        w->cols, rows, workspace);
}

void pare_weight_grad(pare_tape *t, pare_tensor *w, pare_numbers dy, pare_numbers a, int64_t rows)
{
    bool add;
    real *dw = pare_tape_gradient(t, w, &add);
    const bool own_dy = w->rows > w->cols;
    if (!dw || !a.data)
        return;
    const pare_gemm_part part = {dw, own_dy ? dy : a, NULL, add, true};
    weight_products(t, &part, 1, own_dy, own_dy ? a : dy, w, rows);
}

void pare_input_product(pare_tape *t, real *da, pare_numbers dy, const pare_tensor *w,
                        int64_t rows, bool add)
{
    const bool own_dy = rows > w->cols;
    void *workspace =
        da ? pare_tape_scratch(t, pare_gemm_workspace(rows, w->cols, w->rows)) : NULL;
    const pare_numbers of_w = pare_reals(w->data);
    const pare_gemm_part part = {da, own_dy ? dy : of_w, NULL, add, false};
    if (workspace)
        pare_gemm_parts(&part, 1, own_dy, w->cols, own_dy ? of_w : dy, w->rows, false, w->cols,
                        false, rows, w->cols, w->rows, workspace);
}

void pare_input_grad(pare_tape *t, pare_tensor *x, pare_activation act, pare_numbers dy,
                     const pare_tensor *w)
{
    pare_output dx = {0};
    if (act == PARE_ACT_NONE)
        dx.data = pare_tape_gradient(t, x, &dx.add);
    else
        dx = pare_tape_any_gradient(t, x);
    if (!dx.data && !dx.half)
        return;
    const bool direct = dx.data && (act == PARE_ACT_NONE || !dx.add);
    real *da = direct ? dx.data : pare_tape_scratch(t, (size_t)pare_tensor_size(x) * sizeof(real));
    pare_input_product(t, da, dy, w, x->rows, direct && dx.add);
    if (act != PARE_ACT_NONE && da && t->status == PARE_OK)
        activate_rows(dx, da, x, act);
}

void pare_bias_grad(pare_tape *t, pare_tensor *b, pare_numbers dy, int64_t rows)
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
    const linear_saved *saved = node->saved;
    const pare_numbers dy = pare_tensor_gradient(node->out);
    const pare_mark mark = pare_arena_mark(t->scratch);
    pare_bias_grad(t, node->in[2], dy, x->rows);
    if (w->needs_grad)
        pare_weight_grad(t, w, dy, kept_or_made(t, x, saved), x->rows);
    pare_arena_release(t->scratch, mark);
    pare_input_grad(t, x, saved->act, dy, w);
    pare_arena_release(t->scratch, mark);
}

/* ---- several maps of one input ---- */

typedef struct linears_saved {
    int n;
    pare_tensor *y[PARE_MAPS_MAX];
} linears_saved;

/* x is the smaller side of all the maps together, so it is the one to be shared. */
static bool shares_x(const pare_tape *t, const pare_tensor *x, const pare_tensor *w, int n)
{
    return x->rows <= n * w->rows && (t->mode.recording || !w->packed);
}

static void products(pare_tape *t, const pare_tensor *x, const pare_linear_map *maps, int n,
                     pare_tensor **y)
{
    const pare_tensor *w = maps[0].w;
    const bool shares = shares_x(t, x, w, n);
    pare_gemm_part parts[PARE_MAPS_MAX];
    for (int i = 0; i < n; i++) {
        const real *bias = maps[i].b ? maps[i].b->data : NULL;
        if (shares)
            parts[i] = (pare_gemm_part){
                .c = y[i]->data, .own = pare_reals(maps[i].w->data), .bias = bias};
        else
            pare_product(t, y[i]->data, pare_tensor_numbers(x), maps[i].w, bias, x->rows);
    }
    if (!shares)
        return;
    void *workspace =
        pare_tape_scratch(t, pare_gemm_parts_workspace(false, x->rows, w->rows, w->cols));
    if (workspace)
        pare_gemm_parts(parts, n, false, w->rows, pare_tensor_numbers(x), x->cols, false, w->cols,
                        true, x->rows, w->rows, w->cols, workspace);
}

/* False on failure, noted. */
static bool make_outputs(pare_tape *t, const pare_tensor *x, const pare_linear_map *maps, int n,
                         pare_tensor **y)
{
    bool needs_grad = x->needs_grad, made = true;
    for (int i = 0; i < n; i++)
        needs_grad = needs_grad || maps[i].w->needs_grad || (maps[i].b && maps[i].b->needs_grad);
    for (int i = 0; i < n && made; i++) {
        made = meets(t, x, maps[i].w, maps[i].b);
        if (made && maps[i].w->rows != maps[0].w->rows) {
            pare_tape_fail(t, pare_fail(PARE_INTERNAL, "linears: w[%lld,] beside w[%lld,]",
                                        (long long)maps[i].w->rows, (long long)maps[0].w->rows));
            made = false;
        }
        y[i] = made ? pare_tape_output(t, x->rows, maps[i].w->rows, needs_grad) : NULL;
        made = y[i];
    }
    return made;
}

void pare_linears(pare_tape *t, pare_tensor *x, const pare_linear_map *maps, int n,
                  pare_tensor **y)
{
    linears_saved saved = {.n = n};
    pare_tensor *in[1 + 2 * PARE_MAPS_MAX] = {x};
    const pare_mark mark = pare_arena_mark(t->scratch);
    const bool made = x && make_outputs(t, x, maps, n, saved.y);
    if (made)
        products(t, x, maps, n, saved.y);
    pare_arena_release(t->scratch, mark);
    for (int i = 0; i < n; i++) {
        in[1 + 2 * i] = maps[i].w;
        in[2 + 2 * i] = maps[i].b;
        y[i] = made && t->status == PARE_OK ? saved.y[i] : NULL;
        if (y[i])
            y[i]->grad_is_operand = true;
    }
    if (y[0])
        y[0] = pare_tape_record(t, PARE_OP_linears, y[0], in, 1 + 2 * n, &saved, sizeof saved);
}

/* dW_i (+)= dy_iᵀ·x, x packed once. */
static void weight_grads(pare_tape *t, const pare_node *node, const linears_saved *s)
{
    const pare_tensor *x = node->in[0], *w = node->in[1];
    pare_gemm_part parts[PARE_MAPS_MAX];
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        bool add;
        real *dw = pare_tape_gradient(t, node->in[1 + 2 * i], &add);
        if (dw)
            parts[n++] = (pare_gemm_part){dw, pare_tensor_gradient(s->y[i]), NULL, add, true};
    }
    if (n > 0)
        weight_products(t, parts, n, true, pare_tensor_numbers(x), w, x->rows);
}

void pare_linears_grad(pare_tape *t, const pare_node *node)
{
    const linears_saved *s = node->saved;
    pare_tensor *x = node->in[0];
    const pare_mark mark = pare_arena_mark(t->scratch);
    for (int i = 0; i < s->n; i++)
        pare_bias_grad(t, node->in[2 + 2 * i], pare_tensor_gradient(s->y[i]), x->rows);
    pare_arena_release(t->scratch, mark);
    weight_grads(t, node, s);
    for (int i = 0; i < s->n; i++) {
        pare_arena_release(t->scratch, mark);
        pare_input_grad(t, x, PARE_ACT_NONE, pare_tensor_gradient(s->y[i]), node->in[1 + 2 * i]);
        if (i > 0)
            pare_tape_release(t, s->y[i]);
    }
    pare_arena_release(t->scratch, mark);
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
