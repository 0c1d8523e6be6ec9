/* adamw.c: see adamw.h. */
#include "optim/adamw.h"

#include <math.h>
#include <string.h>

#include "core/elementary.h"
#include "core/kernels.h"
#include "core/threads.h"

enum { CHUNK = 1 << 16 };

#define ADAM_EPSILON 1e-8

typedef struct late_row {
    int64_t row, done; /* updates that it has had */
} late_row;

/* A table of embeddings. */
typedef struct pare_optimizer_table {
    pare_late_rows late; /* what its tensor knows of it: the first field */
    const pare_optimizer *optimizer;
    int slot;       /* index into params[] */
    int64_t *done;  /* [rows] updates that each row has had */
    late_row *rows; /* room for those of one call */
} pare_optimizer_table;

static pare_optimizer_table *table_of(const pare_tensor *x)
{
    return (pare_optimizer_table *)x->late;
}

/* Whole rows, where they have states. */
static int64_t chunk_size(const pare_tensor *x)
{
    return x->row_state ? (CHUNK + x->cols - 1) / x->cols * x->cols : CHUNK;
}

static int64_t count_chunks(const pare_optimizer *o)
{
    int64_t n = 0;
    for (int i = 0; i < o->n; i++) {
        const pare_tensor *x = &o->params[i]->tensor;
        n += (pare_tensor_size(x) + chunk_size(x) - 1) / chunk_size(x);
    }
    return n;
}

static void cut_chunks(pare_optimizer *o)
{
    int64_t c = 0;
    for (int i = 0; i < o->n; i++) {
        const int64_t size = pare_tensor_size(&o->params[i]->tensor);
        const int64_t chunk = chunk_size(&o->params[i]->tensor);
        o->n_weights += size;
        for (int64_t start = 0; start < size; start += chunk)
            o->chunks[c++] =
                (pare_optimizer_chunk){i, start, size - start < chunk ? size - start : chunk};
    }
}

static void update_late_rows(pare_late_rows *late, const int32_t *rows, int64_t n);

static bool add_table(pare_optimizer *o, pare_arena *arena, int i)
{
    pare_tensor *x = &o->params[i]->tensor;
    pare_optimizer_table *table = pare_arena_zalloc(arena, sizeof *table);
    x->row_state = pare_arena_zalloc(arena, (size_t)x->rows);
    o->zeros = pare_arena_zalloc(arena, (size_t)x->cols * sizeof(real));
    if (!table || !x->row_state || !o->zeros)
        return false;
    table->late.update = update_late_rows;
    table->optimizer = o;
    table->slot = i;
    table->done = pare_arena_zalloc(arena, (size_t)x->rows * sizeof *table->done);
    table->rows = pare_arena_alloc(arena, (size_t)x->rows * sizeof *table->rows);
    x->late = &table->late;
    return table->done && table->rows;
}

/* Gradient and moments of one parameter. */
static bool add_state(pare_optimizer *o, pare_arena *arena, int i)
{
    pare_tensor *x = &o->params[i]->tensor;
    const size_t bytes = (size_t)pare_tensor_size(x) * sizeof(real);
    x->has_grad = false;
    if (pare_param_is_table(o->params[i]) && !add_table(o, arena, i))
        return false;
    x->grad = pare_arena_alloc(arena, bytes);
    o->m[i] = pare_arena_zalloc(arena, bytes);
    o->v[i] = pare_arena_zalloc(arena, bytes);
    return x->grad && o->m[i] && o->v[i];
}

pare_status pare_optimizer_new(pare_arena *arena, pare_param *const *params, int n,
                               const char *variant, double weight_decay, pare_optimizer **out)
{
    const bool bert = strcmp(variant, "bert") == 0;
    if (!bert && strcmp(variant, "adamw") != 0)
        return pare_hint(pare_fail(PARE_USAGE, "unknown optimizer '%s'", variant),
                         "use adamw or bert");
    pare_optimizer *o = pare_arena_zalloc(arena, sizeof *o);
    if (!o)
        return PARE_MEMORY;
    o->params = pare_arena_alloc(arena, (size_t)n * sizeof *o->params);
    o->m = pare_arena_alloc(arena, (size_t)n * sizeof *o->m);
    o->v = pare_arena_alloc(arena, (size_t)n * sizeof *o->v);
    if (!o->params || !o->m || !o->v)
        return PARE_MEMORY;
    o->beta1 = 0.9;
    o->beta2 = 0.999;
    o->epsilon = bert ? 1e-6 : ADAM_EPSILON;
    o->bias_correction = !bert;
    o->weight_decay = weight_decay;
    for (int i = 0; i < n; i++) {
        params[i]->tensor.needs_grad = !params[i]->frozen;
        params[i]->tensor.row_state = NULL;
        params[i]->tensor.late = NULL;
        if (!params[i]->frozen)
            o->params[o->n++] = params[i];
    }
    for (int i = 0; i < o->n; i++)
        if (!add_state(o, arena, i))
            return PARE_MEMORY;
    o->n_chunks = count_chunks(o);
    o->chunks = pare_arena_alloc(arena, (size_t)o->n_chunks * sizeof *o->chunks);
    o->chunk_squares = pare_arena_alloc(arena, (size_t)o->n_chunks * sizeof(double));
    if (!o->chunks || !o->chunk_squares)
        return PARE_MEMORY;
    cut_chunks(o);
    *out = o;
    return PARE_OK;
}

void pare_optimizer_moments_changed(pare_optimizer *o)
{
    o->settled = o->updates;
    for (int i = 0; i < o->n; i++) {
        const pare_tensor *x = &o->params[i]->tensor;
        if (!x->late)
            continue;
        for (int64_t r = 0; r < x->rows; r++)
            table_of(x)->done[r] = o->updates;
        for (int64_t e = 0; e < pare_tensor_size(x); e++)
            if (o->m[i][e] != 0 || o->v[i][e] != 0)
                x->row_state[e / x->cols] = PARE_ROW_MOVING;
    }
}

/* ---- the gradients' norm ---- */

static double squares_of_rows(const pare_tensor *x, const pare_optimizer_chunk *c)
{
    double sum = 0;
    for (int64_t at = c->start; at < c->start + c->size; at += x->cols)
        if (x->row_state[at / x->cols] == PARE_ROW_GRADIENT)
            sum += pare_kernels_get()->sum_squares(x->grad + at, x->cols);
    return sum;
}

static void squares_tile(void *context, int64_t tile)
{
    pare_optimizer *o = context;
    const pare_optimizer_chunk *c = &o->chunks[tile];
    const pare_tensor *x = &o->params[c->slot]->tensor;
    double sum = 0;
    if (x->has_grad)
        sum = x->row_state ? squares_of_rows(x, c)
                           : pare_kernels_get()->sum_squares(x->grad + c->start, c->size);
    o->chunk_squares[tile] = sum;
}

pare_status pare_optimizer_norm(pare_optimizer *o, double *norm)
{
    pare_parallel_work(o->n_chunks, (double)o->n_weights, squares_tile, o);
    double total = 0;
    for (int64_t i = 0; i < o->n_chunks; i++) {
        if (!isfinite(o->chunk_squares[i]))
            return pare_fail(PARE_DIVERGED, "the gradient of %s is not finite",
                             o->params[o->chunks[i].slot]->name);
        if (o->params[o->chunks[i].slot]->group == PARE_GROUP_WEIGHTS)
            total += o->chunk_squares[i];
    }
    *norm = sqrt(total);
    return PARE_OK;
}

double pare_clip_factor(double norm, double limit)
{
    if (limit <= 0)
        return 1;
    const double factor = limit / (norm + 1e-6);
    return factor < 1 ? factor : 1;
}

/* ---- the update ---- */

/* An update as one parameter meets it. */
static pare_adamw_step step_of(const pare_optimizer *o, const pare_param *p,
                               const pare_optimizer_update *u)
{
    const bool weights = p->group == PARE_GROUP_WEIGHTS;
    const bool corrected = !weights || o->bias_correction;
    return (pare_adamw_step){.learning_rate = u->learning_rate[p->group],
                             .beta1 = o->beta1,
                             .beta2 = o->beta2,
                             .epsilon = weights ? o->epsilon : ADAM_EPSILON,
                             .decay = p->decay ? o->weight_decay : 0,
                             .clip = weights ? u->clip : 1,
                             .correction1 = corrected ? u->correction1 : 1,
                             .correction2 = corrected ? u->correction2 : 1};
}

/* A row's updates up to number `last`, with a gradient of zeros. */
static void catch_up(const pare_optimizer_table *table, late_row late, int64_t last)
{
    const pare_optimizer *o = table->optimizer;
    const int slot = table->slot;
    const pare_tensor *x = &o->params[slot]->tensor;
    const pare_kernels *k = pare_kernels_get();
    const int64_t at = late.row * x->cols;
    for (int64_t t = late.done + 1; t <= last; t++) {
        const pare_adamw_step step =
            step_of(o, o->params[slot], &o->latest[t % PARE_LATE_UPDATES]);
        const real shrink = (real)(1 - step.learning_rate * step.decay);
        if (x->row_state[late.row] != PARE_ROW_STILL)
            k->adamw(x->data + at, o->m[slot] + at, o->v[slot] + at, o->zeros, x->cols, &step);
        else if (shrink != 1)
            k->scale(x->data + at, shrink, x->cols);
    }
}

static void late_row_tile(void *context, int64_t tile)
{
    const pare_optimizer_table *table = context;
    catch_up(table, table->rows[tile], table->optimizer->updates);
}

static void update_late_rows(pare_late_rows *late, const int32_t *rows, int64_t n)
{
    pare_optimizer_table *table = (pare_optimizer_table *)late;
    const pare_optimizer *o = table->optimizer;
    int64_t count = 0, waiting = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t *done = &table->done[rows[i]];
        if (*done == o->updates)
            continue;
        waiting += o->updates - *done;
        table->rows[count++] = (late_row){rows[i], *done};
        *done = o->updates;
    }
    pare_parallel_work(count, (double)(waiting * o->params[table->slot]->tensor.cols),
                       late_row_tile, table);
}

static void settle_tile(void *context, int64_t tile)
{
    const pare_optimizer *o = context;
    const pare_optimizer_chunk *c = &o->chunks[tile];
    const pare_tensor *x = &o->params[c->slot]->tensor;
    const pare_optimizer_table *table = table_of(x);
    for (int64_t r = c->start / x->cols; table && r < (c->start + c->size) / x->cols; r++) {
        catch_up(table, (late_row){r, table->done[r]}, o->updates);
        table->done[r] = o->updates;
    }
}

void pare_optimizer_settle(pare_optimizer *o)
{
    if (o->settled < o->updates)
        pare_parallel_work(o->n_chunks, (double)o->n_weights, settle_tile, o);
    o->settled = o->updates;
}

/* Rows that have a gradient; the others wait. */
static void update_rows(const pare_optimizer *o, const pare_optimizer_chunk *c,
                        const pare_adamw_step *step)
{
    const pare_tensor *x = &o->params[c->slot]->tensor;
    const pare_optimizer_table *table = table_of(x);
    for (int64_t at = c->start; x->has_grad && at < c->start + c->size; at += x->cols) {
        const int64_t r = at / x->cols;
        if (x->row_state[r] != PARE_ROW_GRADIENT)
            continue;
        catch_up(table, (late_row){r, table->done[r]}, o->updates - 1);
        pare_kernels_get()->adamw(x->data + at, o->m[c->slot] + at, o->v[c->slot] + at,
                                  x->grad + at, x->cols, step);
        table->done[r] = o->updates;
    }
}

static void update_tile(void *context, int64_t tile)
{
    const pare_optimizer *o = context;
    const pare_optimizer_chunk *c = &o->chunks[tile];
    const pare_tensor *x = &o->params[c->slot]->tensor;
    const pare_adamw_step step =
        step_of(o, o->params[c->slot], &o->latest[o->updates % PARE_LATE_UPDATES]);
    if (x->late) {
        update_rows(o, c, &step);
        return;
    }
    if (!x->has_grad)
        memset(x->grad + c->start, 0, (size_t)c->size * sizeof(real));
    pare_kernels_get()->adamw(x->data + c->start, o->m[c->slot] + c->start,
                              o->v[c->slot] + c->start, x->grad + c->start, c->size, &step);
}

void pare_optimizer_step(pare_optimizer *o, const double learning_rate[PARE_GROUPS], double clip)
{
    if (o->updates - o->settled == PARE_LATE_UPDATES)
        pare_optimizer_settle(o);
    o->updates++;
    pare_optimizer_update *u = &o->latest[o->updates % PARE_LATE_UPDATES];
    memcpy(u->learning_rate, learning_rate, sizeof u->learning_rate);
    u->clip = clip;
    u->correction1 = 1 / (1 - pare_power(o->beta1, o->updates));
    u->correction2 = 1 / (1 - pare_power(o->beta2, o->updates));
    pare_parallel_work(o->n_chunks, 4.0 * (double)o->n_weights, update_tile, o);
    for (int i = 0; i < o->n; i++)
        o->params[i]->tensor.has_grad = false;
}
