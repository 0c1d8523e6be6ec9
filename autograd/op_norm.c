/* op_norm.c: embeddings, residual sums and LayerNorm, and dropout: the ops that walk rows.
 *
 * Rows are cut into tiles of TILE_ROWS. The gradients of gamma and beta are summed within a tile,
 * then over the tiles in order, so that they do not depend on the number of threads. */
#include <string.h>

#include "autograd/ops.h"
#include "core/threads.h"

enum { TILE_ROWS = 16, TILE_COLUMNS = 64 };

/* One struct serves all passes over rows; each reads the members it needs. */
typedef struct row_args {
    const pare_kernels *k;
    const pare_packed *batch;                       /* embed */
    const real *word, *position, *type;             /* embed: tables */
    real *y, *sum, *stats;                          /* [n,cols], [n,cols], [n,2] */
    const real *x, *residual, *gamma, *beta;
    const real *dy;
    real *dsum, *partial;                           /* gradient of the sum; [tiles, 2, cols] */
    real *da, *dresidual;
    bool add_a, add_residual;
    const pare_rows *rows;
    int64_t n, cols;
    double eps;
    pare_dropout_key dropout;
    real *factors;                                  /* [threads, cols] */
} row_args;

static pare_dropout_key dropout_key(const pare_tape *t, pare_dropout_site site)
{
    return (pare_dropout_key){t->mode.seed, t->mode.step, site.site, 0,
                              t->mode.training ? site.probability : 0};
}

/* The dropout factors of row r, or NULL where dropout is off. */
static real *row_factor(const row_args *a, int64_t r)
{
    if (a->dropout.probability <= 0)
        return NULL;
    real *factor = a->factors + pare_thread_index() * a->cols;
    pare_dropout_key key = a->dropout;
    key.example = a->rows->example[r];
    const int32_t place = a->rows->position ? a->rows->position[r] : 0;
    a->k->dropout(factor, &key, (uint32_t)place, a->cols);
    return factor;
}

static int64_t count_tiles(const row_args *a)
{
    return (a->n + TILE_ROWS - 1) / TILE_ROWS;
}

/* Allocates the factors' buffers and runs the tiles. False where memory ran out. */
static bool run_rows(pare_tape *t, row_args *args, pare_tile_function *tile)
{
    const pare_mark mark = pare_arena_mark(t->scratch);
    args->k = pare_kernels_get();
    args->factors = pare_tape_scratch(t, (size_t)(pare_threads() * args->cols) * sizeof(real));
    if (args->factors)
        pare_parallel_work(count_tiles(args), 3.0 * (double)(args->n * args->cols), tile, args);
    pare_arena_release(t->scratch, mark);
    return args->factors;
}

#define FOR_ROWS(a, tile)                                                                          \
    for (int64_t r = (tile)*TILE_ROWS; r < (a)->n && r < ((tile) + 1) * TILE_ROWS; r++)

/* ---- gradients of gamma and beta ---- */

/* dgamma, dbeta (+)= the tiles' partial sums, in order. */
static void reduce_partials(pare_tape *t, const row_args *a, pare_tensor *gamma, pare_tensor *beta)
{
    const int64_t n_tiles = count_tiles(a);
    pare_tensor *target[2] = {gamma, beta};
    for (int i = 0; i < 2; i++) {
        bool add;
        real *grad = pare_tape_gradient(t, target[i], &add);
        if (!grad)
            continue;
        if (!add)
            memset(grad, 0, (size_t)a->cols * sizeof(real));
        for (int64_t tile = 0; tile < n_tiles; tile++)
            a->k->add(grad, a->partial + (2 * tile + i) * a->cols, a->cols);
    }
}

static bool new_partials(pare_tape *t, row_args *a)
{
    a->partial = pare_tape_scratch(t, (size_t)(count_tiles(a) * 2 * a->cols) * sizeof(real));
    return a->partial;
}

/* ---- embed ---- */

typedef struct embed_saved {
    const pare_packed *batch;
    real *sum, *stats;
    int64_t padding;
    pare_dropout_site dropout;
} embed_saved;

static void embed_tile(void *context, int64_t tile)
{
    const row_args *a = context;
    const int64_t n = a->cols;
    FOR_ROWS(a, tile)
    {
        real *sum = a->sum + r * n, *y = a->y + r * n;
        memcpy(sum, a->word + a->batch->ids[r] * n, (size_t)n * sizeof(real));
        a->k->add(sum, a->type + a->batch->types[r] * n, n);
        a->k->norm(y, sum, a->stats + 2 * r, sum, NULL, a->position + a->batch->positions[r] * n,
                   a->gamma, a->beta, a->eps, n);
        const real *factor = row_factor(a, r);
        if (factor)
            a->k->multiply(y, y, factor, n);
    }
}

/* A row that a table lacks: a vocabulary, length or second text that the model was not made for. */
static pare_status check_rows(const char *what, const int32_t *index, int64_t n,
                              const pare_tensor *table)
{
    for (int64_t i = 0; i < n; i++)
        if (index[i] < 0 || index[i] >= table->rows)
            return pare_fail(PARE_INPUT, "%s %d: the model has embeddings for 0 to %lld", what,
                             (int)index[i], (long long)table->rows - 1);
    return PARE_OK;
}

static pare_status check_batch(const pare_packed *b, const pare_tensor *word,
                               const pare_tensor *position, const pare_tensor *type)
{
    PARE_TRY(check_rows("token id", b->ids, b->n_tokens, word));
    PARE_TRY(check_rows("position", b->positions, b->n_tokens, position));
    return check_rows("token type", b->types, b->n_tokens, type);
}

static void update_late(const pare_tensor *table, const int32_t *index, int64_t n)
{
    if (table->late)
        table->late->update(table->late, index, n);
}

pare_tensor *pare_embed(pare_tape *t, const pare_packed *batch, pare_tensor *word, int64_t padding,
                        pare_tensor *position, pare_tensor *type, pare_tensor *gamma,
                        pare_tensor *beta, double eps, pare_dropout_site dropout)
{
    const pare_status status = check_batch(batch, word, position, type);
    if (status != PARE_OK)
        return pare_tape_fail(t, status);
    const int64_t n = batch->n_tokens, cols = word->cols;
    update_late(word, batch->ids, n);
    update_late(position, batch->positions, n);
    update_late(type, batch->types, n);
    const bool needs_grad = word->needs_grad || position->needs_grad || type->needs_grad ||
                            gamma->needs_grad || beta->needs_grad;
    pare_tensor *y = pare_tape_output(t, n, cols, needs_grad);
    pare_tensor *sum = pare_tape_output(t, n, cols, false);
    pare_tensor *stats = pare_tape_output(t, n, 2, false);
    if (!y || !sum || !stats)
        return NULL;
    row_args args = {.batch = batch, .word = word->data, .position = position->data,
                     .type = type->data, .y = y->data, .sum = sum->data, .stats = stats->data,
                     .gamma = gamma->data, .beta = beta->data, .rows = &batch->tokens, .n = n,
                     .cols = cols, .eps = eps, .dropout = dropout_key(t, dropout)};
    if (!run_rows(t, &args, embed_tile))
        return NULL;
    const embed_saved saved = {batch, sum->data, stats->data, padding, dropout};
    return pare_tape_record(t, PARE_OP_embed, y,
                            (pare_tensor *[]){word, position, type, gamma, beta}, 5, &saved,
                            sizeof saved);
}

static void embed_grad_tile(void *context, int64_t tile)
{
    const row_args *a = context;
    const int64_t n = a->cols;
    real *dgamma = a->partial + 2 * tile * n, *dbeta = dgamma + n;
    memset(dgamma, 0, (size_t)(2 * n) * sizeof(real));
    FOR_ROWS(a, tile)
    {
        real *dsum = a->dsum + r * n;
        const real *dy = a->dy + r * n, *factor = row_factor(a, r);
        if (factor) {
            a->k->multiply(dsum, dy, factor, n);
            dy = dsum;
        }
        a->k->norm_grad(dsum, dgamma, dbeta, dy, a->sum + r * n, a->stats + 2 * r, a->gamma, n);
    }
}

/* Adds rows of dsum to the rows of a table that the tokens name, but for the row `none`. A tile is
 * a slice of columns and walks all tokens in order, so that equal ids are added in order too. */
typedef struct scatter_args {
    real *table;
    const real *dsum;
    const int32_t *index;
    int64_t none, n, cols;
} scatter_args;

static void scatter_tile(void *context, int64_t tile)
{
    const scatter_args *a = context;
    const int64_t first = tile * TILE_COLUMNS;
    const int64_t width = a->cols - first < TILE_COLUMNS ? a->cols - first : TILE_COLUMNS;
    for (int64_t r = 0; r < a->n; r++)
        if (a->index[r] != a->none)
            pare_kernels_get()->add(a->table + a->index[r] * a->cols + first,
                                    a->dsum + r * a->cols + first, width);
}

/* The gradient of these rows begins: with zeros, where they have none yet. */
static void begin_rows(pare_tensor *table, const scatter_args *a, bool add)
{
    uint8_t *state = table->row_state;
    for (int64_t i = 0; i < table->rows && !add; i++)
        state[i] = state[i] == PARE_ROW_GRADIENT ? PARE_ROW_MOVING : state[i];
    for (int64_t r = 0; r < a->n; r++) {
        if (a->index[r] == a->none)
            continue;
        if (state[a->index[r]] != PARE_ROW_GRADIENT)
            memset(a->table + a->index[r] * a->cols, 0, (size_t)a->cols * sizeof(real));
        state[a->index[r]] = PARE_ROW_GRADIENT;
    }
}

static void scatter_rows(pare_tape *t, pare_tensor *table, int64_t none, const real *dsum,
                         const int32_t *index, int64_t n)
{
    bool add;
    real *grad = pare_tape_gradient(t, table, &add);
    if (!grad)
        return;
    scatter_args args = {grad, dsum, index, none, n, table->cols};
    if (table->row_state)
        begin_rows(table, &args, add);
    else if (!add)
        memset(grad, 0, (size_t)pare_tensor_size(table) * sizeof(real));
    pare_parallel_work((table->cols + TILE_COLUMNS - 1) / TILE_COLUMNS, (double)(n * table->cols),
                       scatter_tile, &args);
}

void pare_embed_grad(pare_tape *t, const pare_node *node)
{
    const embed_saved *s = node->saved;
    pare_tensor *gamma = node->in[3];
    const pare_packed *batch = s->batch;
    row_args args = {.sum = s->sum, .stats = s->stats, .gamma = gamma->data,
                     .dy = node->out->grad, .rows = &batch->tokens, .n = batch->n_tokens,
                     .cols = gamma->cols, .dropout = dropout_key(t, s->dropout)};
    const pare_mark mark = pare_arena_mark(t->scratch);
    args.dsum = pare_tape_scratch(t, (size_t)(args.n * args.cols) * sizeof(real));
    if (args.dsum && new_partials(t, &args) && run_rows(t, &args, embed_grad_tile)) {
        reduce_partials(t, &args, gamma, node->in[4]);
        scatter_rows(t, node->in[0], s->padding, args.dsum, batch->ids, args.n);
        scatter_rows(t, node->in[1], -1, args.dsum, batch->positions, args.n);
        scatter_rows(t, node->in[2], -1, args.dsum, batch->types, args.n);
    }
    pare_arena_release(t->scratch, mark);
}

/* ---- add_norm ---- */

typedef struct norm_saved {
    const pare_rows *rows;
    real *sum, *stats;
    pare_dropout_site dropout;
} norm_saved;

static void add_norm_tile(void *context, int64_t tile)
{
    const row_args *a = context;
    const int64_t n = a->cols;
    FOR_ROWS(a, tile)
    {
        real *sum = a->sum + r * n;
        a->k->norm(a->y + r * n, sum, a->stats + 2 * r, sum, row_factor(a, r),
                   a->residual + r * n, a->gamma, a->beta, a->eps, n);
    }
}

pare_tensor *pare_add_norm(pare_tape *t, pare_tensor *a, pare_tensor *residual, pare_tensor *gamma,
                           pare_tensor *beta, double eps, const pare_rows *rows,
                           pare_dropout_site dropout)
{
    if (!a || !residual)
        return NULL;
    const bool needs_grad =
        a->needs_grad || residual->needs_grad || gamma->needs_grad || beta->needs_grad;
    pare_tensor *y = pare_tape_output(t, a->rows, a->cols, needs_grad);
    pare_tensor *stats = pare_tape_output(t, a->rows, 2, false);
    if (!y || !stats)
        return NULL;
    row_args args = {.y = y->data, .sum = a->data, .stats = stats->data,
                     .residual = residual->data, .gamma = gamma->data, .beta = beta->data,
                     .rows = rows, .n = a->rows, .cols = a->cols, .eps = eps,
                     .dropout = dropout_key(t, dropout)};
    if (!run_rows(t, &args, add_norm_tile))
        return NULL;
    const norm_saved saved = {rows, a->data, stats->data, dropout};
    return pare_tape_record(t, PARE_OP_add_norm, y, (pare_tensor *[]){a, residual, gamma, beta}, 4,
                            &saved, sizeof saved);
}

/* to (+)= from * factor (factor may be NULL: 1) */
static void pass_row(const pare_kernels *k, real *to, real *from, const real *factor, int64_t n,
                     bool add)
{
    if (!add && factor)
        k->multiply(to, from, factor, n);
    else if (!add)
        memcpy(to, from, (size_t)n * sizeof(real));
    else {
        if (factor)
            k->multiply(from, from, factor, n); /* `from` is not used again */
        k->add(to, from, n);
    }
}

static void add_norm_grad_tile(void *context, int64_t tile)
{
    const row_args *a = context;
    const int64_t n = a->cols;
    real *dgamma = a->partial + 2 * tile * n, *dbeta = dgamma + n;
    memset(dgamma, 0, (size_t)(2 * n) * sizeof(real));
    FOR_ROWS(a, tile)
    {
        real *dsum = a->dsum + r * n; /* the output's gradient, overwritten: its use is over */
        a->k->norm_grad(dsum, dgamma, dbeta, dsum, a->sum + r * n, a->stats + 2 * r, a->gamma, n);
        if (a->dresidual)
            pass_row(a->k, a->dresidual + r * n, dsum, NULL, n, a->add_residual);
        if (a->da)
            pass_row(a->k, a->da + r * n, dsum, row_factor(a, r), n, a->add_a);
    }
}

void pare_add_norm_grad(pare_tape *t, const pare_node *node)
{
    const norm_saved *s = node->saved;
    pare_tensor *a = node->in[0], *residual = node->in[1], *gamma = node->in[2];
    row_args args = {.sum = s->sum, .stats = s->stats, .gamma = gamma->data,
                     .dsum = node->out->grad, .rows = s->rows, .n = a->rows, .cols = a->cols,
                     .dropout = dropout_key(t, s->dropout)};
    args.da = pare_tape_gradient(t, a, &args.add_a);
    args.dresidual = pare_tape_gradient(t, residual, &args.add_residual);
    const pare_mark mark = pare_arena_mark(t->scratch);
    if (new_partials(t, &args) && run_rows(t, &args, add_norm_grad_tile))
        reduce_partials(t, &args, gamma, node->in[3]);
    pare_arena_release(t->scratch, mark);
}

/* ---- dropout alone ---- */

typedef struct dropout_saved {
    const pare_rows *rows;
    pare_dropout_site dropout;
} dropout_saved;

static void dropout_tile(void *context, int64_t tile)
{
    const row_args *a = context;
    FOR_ROWS(a, tile)
    a->k->multiply(a->y + r * a->cols, a->x + r * a->cols, row_factor(a, r), a->cols);
}

pare_tensor *pare_dropout(pare_tape *t, pare_tensor *x, const pare_rows *rows,
                          pare_dropout_site dropout)
{
    if (!x || !t->mode.training || dropout.probability <= 0)
        return x;
    pare_tensor *y = pare_tape_output(t, x->rows, x->cols, x->needs_grad);
    if (!y)
        return NULL;
    row_args args = {.y = y->data, .x = x->data, .rows = rows, .n = x->rows, .cols = x->cols,
                     .dropout = dropout_key(t, dropout)};
    if (!run_rows(t, &args, dropout_tile))
        return NULL;
    const dropout_saved saved = {rows, dropout};
    return pare_tape_record(t, PARE_OP_dropout, y, (pare_tensor *[]){x}, 1, &saved, sizeof saved);
}

static void dropout_grad_tile(void *context, int64_t tile)
{
    const row_args *a = context;
    FOR_ROWS(a, tile)
    pass_row(a->k, a->da + r * a->cols, a->dsum + r * a->cols, row_factor(a, r), a->cols, a->add_a);
}

void pare_dropout_grad(pare_tape *t, const pare_node *node)
{
    const dropout_saved *s = node->saved;
    pare_tensor *x = node->in[0];
    row_args args = {.dsum = node->out->grad, .rows = s->rows, .n = x->rows, .cols = x->cols,
                     .dropout = dropout_key(t, s->dropout)};
    args.da = pare_tape_gradient(t, x, &args.add_a);
    if (args.da)
        run_rows(t, &args, dropout_grad_tile);
}
