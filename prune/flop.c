/* flop.c: see flop.h. */
#include "prune/flop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/elementary.h"
#include "core/philox.h"
#include "core/svd.h"
#include "core/threads.h"

/* -log(-l / r) for gates stretched from l = -0.1 to r = 1.1. */
#define STRETCH_LOG 2.3978952727983707
static const double smallest_u = 1e-6; /* samples are drawn from (1e-6, 1 - 1e-6) */

static double sigmoid(double x)
{
    return 1 / (1 + pare_exp(-x));
}

/* ---- the list ---- */

static int64_t count_factorised(const pare_model *model)
{
    int64_t n = 0;
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++)
        for (int m = 0; m < PARE_MATRICES; m++)
            n += pare_layer_matrix(&model->layers[i], m)->p != NULL;
    return n;
}

double pare_flop_dense_size(const pare_model *model)
{
    double size = 0;
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++)
        for (int m = 0; m < PARE_MATRICES; m++) {
            const pare_weight *w = pare_layer_matrix(&model->layers[i], m);
            size += (double)(w->in * w->out);
        }
    return size;
}

pare_status pare_flop_list_new(pare_arena *arena, pare_model *model, pare_flop_list *out)
{
    *out = (pare_flop_list){.n = count_factorised(model)};
    out->at = pare_arena_alloc(arena, (size_t)out->n * sizeof *out->at);
    if (!out->at)
        return PARE_MEMORY;
    int64_t k = 0;
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++)
        for (int m = 0; m < PARE_MATRICES; m++) {
            pare_weight *w = pare_layer_matrix(&model->layers[i], m);
            if (!w->p)
                continue;
            const int64_t rank = w->p->tensor.rows;
            out->at[k++] = (pare_flop_matrix){i, m, w, w->in, w->out, rank};
            out->prunable += (double)((w->in + w->out) * rank);
            out->dense += (double)(w->in * w->out);
        }
    return PARE_OK;
}

/* ---- factorising ---- */

static pare_config factorised_config(const pare_model *old, const bool which[PARE_MATRICES],
                                     pare_layer_shape *shapes)
{
    pare_config config = old->config;
    for (int64_t i = 0; i < config.num_hidden_layers; i++) {
        shapes[i] = pare_config_layer(&old->config, i);
        for (int m = 0; m < PARE_MATRICES; m++) {
            const pare_weight *w = pare_layer_matrix(&old->layers[i], m);
            if (which[m] && w->in > 0 && w->out > 0)
                shapes[i].rank[m] = w->in < w->out ? w->in : w->out;
        }
    }
    config.layers = shapes;
    return config;
}

/* W[out,in] = Qm·Pm with Pm[rank,in] = √S·Vᵀ and Qm[out,rank] = U·√S: the transposes of the
 * formula's, whose W is [in,out]. */
static pare_status split(const pare_tensor *w, pare_tensor *p, pare_tensor *q)
{
    const int64_t out = w->rows, in = w->cols, rank = p->rows;
    double *a = pare_malloc((size_t)(out * in) * sizeof *a);
    double *u = pare_malloc((size_t)(out * rank) * sizeof *u);
    double *s = pare_malloc((size_t)rank * sizeof *s);
    double *vt = pare_malloc((size_t)(rank * in) * sizeof *vt);
    pare_status status = a && u && s && vt ? PARE_OK : PARE_MEMORY;
    for (int64_t i = 0; status == PARE_OK && i < out * in; i++)
        a[i] = w->data[i];
    if (status == PARE_OK)
        status = pare_svd(a, out, in, u, s, vt);
    for (int64_t k = 0; status == PARE_OK && k < rank; k++) {
        for (int64_t i = 0; i < in; i++)
            p->data[k * in + i] = (real)(sqrt(s[k]) * vt[k * in + i]);
        for (int64_t i = 0; i < out; i++)
            q->data[i * rank + k] = (real)(sqrt(s[k]) * u[i * rank + k]);
    }
    pare_free(a);
    pare_free(u);
    pare_free(s);
    pare_free(vt);
    return status;
}

/* Matrices are decomposed side by side. */
typedef struct split_args {
    const pare_model *old;
    pare_model *new;
} split_args;

static pare_status split_tile(void *context, int64_t tile)
{
    const split_args *a = context;
    const int64_t layer = tile / PARE_MATRICES;
    const pare_matrix matrix = (pare_matrix)(tile % PARE_MATRICES);
    const pare_weight *from = pare_layer_matrix(&a->old->layers[layer], matrix);
    const pare_weight *to = pare_layer_matrix(&a->new->layers[layer], matrix);
    if (!to->p)
        return PARE_OK;
    return pare_context(split(&from->weight->tensor, &to->p->tensor, &to->q->tensor),
                        "layer %lld's %s cannot be factorised", (long long)layer,
                        pare_matrix_name(matrix));
}

static pare_status factorize_all(const pare_model *old, pare_model *new)
{
    pare_model_copy_same(new, old);
    PARE_TRY(pare_parallel_try(old->config.num_hidden_layers * PARE_MATRICES,
                               INFINITY, split_tile, &(split_args){old, new}));
    pare_json *event = pare_json_new_object();
    if (!event)
        return PARE_MEMORY;
    pare_json_set_string(event, "command", "flop factorize");
    return pare_model_add_history(new, event);
}

pare_status pare_flop_factorize(const pare_model *old, const bool which[PARE_MATRICES],
                                bool gated, pare_model **out)
{
    const int64_t layers = old->config.num_hidden_layers;
    pare_model *new = NULL;
    *out = NULL;
    if (count_factorised(old) > 0)
        return pare_hint(pare_fail(PARE_INPUT, "the model is factorised already"),
                         "start from a dense one");
    pare_layer_shape *shapes = pare_malloc((size_t)layers * sizeof *shapes);
    if (!shapes)
        return PARE_MEMORY;
    pare_config config = factorised_config(old, which, shapes);
    config.gated = gated;
    pare_status status = pare_model_like(old, &config, &new);
    pare_free(shapes);
    PARE_TRY(status);
    status = factorize_all(old, new);
    if (status == PARE_OK)
        *out = new;
    else
        pare_model_free(new);
    return status;
}

static double row_norm(const real *x, int64_t n, int64_t step)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i * step] * x[i * step];
    return sqrt(squares);
}

void pare_flop_rank_by(const pare_flop_list *list, pare_flop_order order)
{
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        const real *p = m->weight->p->tensor.data, *q = m->weight->q->tensor.data;
        real *log_alpha = m->weight->log_alpha->tensor.data;
        for (int64_t i = 0; i < m->rank; i++)
            log_alpha[i] = (real)(order == PARE_FLOP_UNIFORM
                                      ? -(double)i / (double)m->rank
                                      : pare_log(row_norm(p + i * m->in, m->in, 1) *
                                                     row_norm(q + i, m->out, m->rank) + 1e-300));
    }
}

/* ---- gates ---- */

double pare_flop_open(double log_alpha, double beta)
{
    return sigmoid(log_alpha + beta * STRETCH_LOG);
}

double pare_flop_expected(const real *log_alpha, int64_t n, double beta)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += pare_flop_open(log_alpha[i], beta);
    return sum;
}

typedef struct ranked {
    real log_alpha;
    int64_t index;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->log_alpha != y->log_alpha)
        return x->log_alpha < y->log_alpha ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

double pare_flop_soft(double log_alpha, double beta)
{
    return sigmoid(0.8 * log_alpha / beta);
}

static pare_status mask_topk(const real *log_alpha, int64_t n, double beta, real *z)
{
    ranked *order = pare_malloc((size_t)n * sizeof *order);
    if (!order)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        order[i] = (ranked){log_alpha[i], i};
        z[i] = (real)pare_flop_soft(log_alpha[i], beta);
    }
    qsort(order, (size_t)n, sizeof *order, compare_ranked);
    const int64_t shut = (int64_t)rint((double)n - pare_flop_expected(log_alpha, n, beta));
    for (int64_t i = 0; i < shut; i++)
        z[order[i].index] = 0;
    pare_free(order);
    return PARE_OK;
}

pare_status pare_flop_mask(pare_flop_rule rule, const real *log_alpha, int64_t n, double beta,
                           real *z)
{
    if (rule == PARE_FLOP_TOPK)
        return mask_topk(log_alpha, n, beta, z);
    for (int64_t i = 0; i < n; i++)
        z[i] = (real)fmin(fmax(1.2 * sigmoid(log_alpha[i]) - 0.1, 0), 1);
    return PARE_OK;
}

pare_status pare_flop_make_masks(pare_model *model, const pare_flop_list *list)
{
    if (model->masks)
        return PARE_OK;
    const int64_t n = model->config.num_hidden_layers * PARE_MATRICES;
    pare_tensor **masks = pare_arena_zalloc(model->arena, (size_t)n * sizeof *masks);
    if (!masks)
        return PARE_MEMORY;
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        pare_tensor **z = &masks[m->layer * PARE_MATRICES + m->matrix];
        *z = pare_tensor_new(model->arena, 1, m->rank);
        if (!*z)
            return PARE_MEMORY;
    }
    model->masks = masks;
    return PARE_OK;
}

pare_status pare_flop_set_masks(pare_model *model, const pare_flop_list *list,
                                pare_flop_rule rule, double beta)
{
    PARE_TRY(pare_flop_make_masks(model, list));
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        PARE_TRY(pare_flop_mask(rule, m->weight->log_alpha->tensor.data, m->rank, beta,
                                model->masks[m->layer * PARE_MATRICES + m->matrix]->data));
    }
    return PARE_OK;
}

/* One matrix's sample, keyed by its place among all matrices of the model. */
static pare_tensor *sample_one(pare_tape *t, const pare_flop_matrix *m, double beta)
{
    const int64_t place = m->layer * PARE_MATRICES + m->matrix;
    double *u = pare_arena_alloc(t->step, (size_t)m->rank * sizeof *u);
    for (int64_t i = 0; u && i < m->rank; i++) {
        const uint64_t index = (uint64_t)place << 32 | (uint64_t)i;
        u[i] = smallest_u + (1 - 2 * smallest_u) *
                                pare_random_uniform(t->mode.seed, PARE_RANDOM_GATE, t->mode.step,
                                                    index);
    }
    return u ? pare_hard_concrete(t, &m->weight->log_alpha->tensor, u, beta) : NULL;
}

pare_status pare_flop_sample(pare_tape *t, const pare_flop_list *list, double beta,
                             pare_tensor **gates)
{
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        pare_tensor *z = sample_one(t, m, beta);
        if (!z)
            return PARE_MEMORY;
        gates[m->layer * PARE_MATRICES + m->matrix] = z;
    }
    return PARE_OK;
}

/* ---- the augmented Lagrangian ---- */

double pare_flop_sparsity(const pare_flop_list *list, double beta)
{
    double expected = 0;
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        expected += (double)(m->in + m->out) *
                    pare_flop_expected(m->weight->log_alpha->tensor.data, m->rank, beta);
    }
    return 1 - expected / list->prunable;
}

/* dL/dlog_alpha = slope * ds/dlog_alpha, ds/dlog_alpha = -(in + out) sigmoid' / prunable */
static void add_gradient(const pare_flop_list *list, const pare_flop_matrix *m, double beta,
                         double slope)
{
    pare_tensor *log_alpha = &m->weight->log_alpha->tensor;
    const double scale = -slope * (double)(m->in + m->out) / list->prunable;
    for (int64_t i = 0; i < m->rank; i++) {
        const double p = pare_flop_open(log_alpha->data[i], beta);
        const real part = (real)(scale * p * (1 - p));
        log_alpha->grad[i] = log_alpha->has_grad ? log_alpha->grad[i] + part : part;
    }
    log_alpha->has_grad = true;
}

void pare_flop_lagrangian(const pare_flop_list *list, pare_param *lambda, pare_flop_terms *t)
{
    t->sparsity = pare_flop_sparsity(list, t->beta);
    const double miss = t->sparsity - t->target;
    t->value = t->lambda1 * miss + t->lambda2 * miss * miss;
    t->grad_lambda1 = miss;
    t->grad_lambda2 = miss * miss;
    for (int64_t k = 0; k < list->n; k++)
        add_gradient(list, &list->at[k], t->beta, t->lambda1 + 2 * t->lambda2 * miss);
    if (lambda) {
        lambda->tensor.grad[0] = (real)-t->grad_lambda1;
        lambda->tensor.grad[1] = (real)-t->grad_lambda2;
        lambda->tensor.has_grad = true;
    }
}
