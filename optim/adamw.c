/* adamw.c: see adamw.h. */
#include "optim/adamw.h"

#include <math.h>
#include <string.h>

#include "core/elementary.h"
#include "core/kernels.h"
#include "core/threads.h"

enum { CHUNK = 1 << 16 };

#define ADAM_EPSILON 1e-8

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

/* Gradient and moments of one parameter. */
static bool add_state(pare_optimizer *o, pare_arena *arena, int i)
{
    pare_tensor *x = &o->params[i]->tensor;
    const size_t bytes = (size_t)pare_tensor_size(x) * sizeof(real);
    x->needs_grad = true;
    x->has_grad = false;
    x->row_state = NULL;
    if (pare_param_is_table(o->params[i])) {
        x->row_state = pare_arena_zalloc(arena, (size_t)x->rows);
        o->zeros = pare_arena_zalloc(arena, (size_t)x->cols * sizeof(real));
        if (!x->row_state || !o->zeros)
            return false;
    }
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
    for (int i = 0; i < o->n; i++) {
        const pare_tensor *x = &o->params[i]->tensor;
        for (int64_t e = 0; x->row_state && e < pare_tensor_size(x); e++)
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

/* ---- the step ---- */

typedef struct step_args {
    pare_optimizer *optimizer;
    const double *learning_rate; /* [PARE_GROUPS] */
    pare_adamw_step step;
    double correction1, correction2; /* of the bias of the moments */
} step_args;

static void step_rows(const pare_optimizer *o, const pare_optimizer_chunk *c,
                      const pare_adamw_step *step)
{
    const pare_tensor *x = &o->params[c->slot]->tensor;
    const pare_kernels *k = pare_kernels_get();
    const real shrink = (real)(1 - step->learning_rate * step->decay);
    for (int64_t at = c->start; at < c->start + c->size; at += x->cols) {
        const uint8_t state = x->row_state[at / x->cols];
        const bool has_grad = x->has_grad && state == PARE_ROW_GRADIENT;
        if (state != PARE_ROW_STILL)
            k->adamw(x->data + at, o->m[c->slot] + at, o->v[c->slot] + at,
                     has_grad ? x->grad + at : o->zeros, x->cols, step);
        else if (shrink != 1)
            k->scale(x->data + at, shrink, x->cols);
    }
}

static void step_tile(void *context, int64_t tile)
{
    const step_args *a = context;
    const pare_optimizer *o = a->optimizer;
    const pare_optimizer_chunk *c = &o->chunks[tile];
    const pare_param *p = o->params[c->slot];
    const pare_tensor *x = &p->tensor;
    pare_adamw_step step = a->step;
    step.decay = p->decay ? o->weight_decay : 0;
    step.learning_rate = a->learning_rate[p->group];
    if (p->group != PARE_GROUP_WEIGHTS) {
        step.clip = 1;
        step.epsilon = ADAM_EPSILON;
    }
    if (p->group != PARE_GROUP_WEIGHTS || o->bias_correction) {
        step.correction1 = a->correction1;
        step.correction2 = a->correction2;
    }
    if (x->row_state) {
        step_rows(o, c, &step);
        return;
    }
    if (!x->has_grad)
        memset(x->grad + c->start, 0, (size_t)c->size * sizeof(real));
    pare_kernels_get()->adamw(x->data + c->start, o->m[c->slot] + c->start,
                              o->v[c->slot] + c->start, x->grad + c->start, c->size, &step);
}

void pare_optimizer_step(pare_optimizer *o, const double learning_rate[PARE_GROUPS], double clip)
{
    o->updates++;
    step_args args = {.optimizer = o, .learning_rate = learning_rate,
                      .step = {0, o->beta1, o->beta2, o->epsilon, 0, clip, 1, 1},
                      .correction1 = 1 / (1 - pare_power(o->beta1, o->updates)),
                      .correction2 = 1 / (1 - pare_power(o->beta2, o->updates))};
    pare_parallel_work(o->n_chunks, 4.0 * (double)o->n_weights, step_tile, &args);
    for (int i = 0; i < o->n; i++)
        o->params[i]->tensor.has_grad = false;
}
