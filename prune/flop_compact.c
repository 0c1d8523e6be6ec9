/* flop_compact.c: from gates to a smaller model (flop.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "prune/flop.h"

double pare_flop_cost(const pare_flop_matrix *m, int64_t rank)
{
    const double factors = (double)(rank * (m->in + m->out)), dense = (double)(m->in * m->out);
    return factors < dense ? factors : dense;
}

/* ---- projection ---- */

typedef struct candidate {
    real log_alpha;
    int64_t matrix, rank; /* list->at[matrix], its rank */
} candidate;

static int compare_candidates(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->log_alpha != y->log_alpha)
        return x->log_alpha > y->log_alpha ? -1 : 1;
    if (x->matrix != y->matrix)
        return x->matrix < y->matrix ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static candidate *order_ranks(const pare_flop_list *list, int64_t *n)
{
    *n = 0;
    for (int64_t k = 0; k < list->n; k++)
        *n += list->at[k].rank;
    candidate *all = pare_malloc((size_t)*n * sizeof *all);
    int64_t at = 0;
    for (int64_t k = 0; all && k < list->n; k++)
        for (int64_t i = 0; i < list->at[k].rank; i++)
            all[at++] = (candidate){list->at[k].weight->log_alpha->tensor.data[i], k, i};
    if (all)
        qsort(all, (size_t)*n, sizeof *all, compare_candidates);
    return all;
}

/* Keeps a candidate if the budget allows. */
static void try_keep(const pare_flop_list *list, const candidate *c, double budget,
                     bool *const *keep, int64_t *kept, double *cost)
{
    const pare_flop_matrix *m = &list->at[c->matrix];
    const double more =
        pare_flop_cost(m, kept[c->matrix] + 1) - pare_flop_cost(m, kept[c->matrix]);
    if (keep[c->matrix][c->rank] || *cost + more > budget)
        return;
    keep[c->matrix][c->rank] = true;
    kept[c->matrix]++;
    *cost += more;
}

pare_status pare_flop_project(const pare_flop_list *list, double budget, bool *const *keep,
                              double *cost)
{
    int64_t n;
    candidate *all = order_ranks(list, &n);
    int64_t *kept = pare_calloc((size_t)list->n, sizeof *kept);
    *cost = 0;
    if (!all || !kept) {
        pare_free(all);
        pare_free(kept);
        return PARE_MEMORY;
    }
    for (int64_t k = 0; k < list->n; k++)
        memset(keep[k], 0, (size_t)list->at[k].rank);
    for (int64_t i = 0; i < n; i++)
        if (kept[all[i].matrix] == 0) /* each matrix's best */
            try_keep(list, &all[i], INFINITY, keep, kept, cost);
    pare_status status = PARE_OK;
    if (*cost > budget)
        status = pare_hint(pare_fail(PARE_USAGE, "one rank a matrix costs %.0f weights, the target "
                                     "leaves %.0f", *cost, budget), "take a smaller target");
    for (int64_t i = 0; i < n; i++)
        try_keep(list, &all[i], budget, keep, kept, cost);
    pare_free(all);
    pare_free(kept);
    return status;
}

/* ---- compaction ---- */

static int64_t count_kept(const bool *keep, int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        kept += keep[i];
    return kept;
}

/* The new rank of a matrix: 0, dense, where that is no larger. */
static int64_t new_rank(const pare_flop_matrix *m, const bool *keep)
{
    const int64_t kept = count_kept(keep, m->rank);
    return kept * (m->in + m->out) < m->in * m->out ? kept : 0;
}

/* p's and q's kept ranks; the gate goes half into each, so that both stay of like size. */
static void copy_factors(const pare_flop_matrix *m, const bool *keep, const real *z,
                         const pare_weight *to)
{
    const pare_tensor *p = &m->weight->p->tensor, *q = &m->weight->q->tensor;
    const int64_t rank = to->p->tensor.rows;
    int64_t at = 0;
    for (int64_t i = 0; i < m->rank; i++) {
        if (!keep[i])
            continue;
        const real root = (real)sqrt((double)z[i]);
        for (int64_t c = 0; c < m->in; c++)
            to->p->tensor.data[at * m->in + c] = root * p->data[i * m->in + c];
        for (int64_t r = 0; r < m->out; r++)
            to->q->tensor.data[r * rank + at] = root * q->data[r * m->rank + i];
        at++;
    }
}

/* w[out,in] = q·diag(z)·p over the kept ranks, summed in double. */
static pare_status multiply_back(const pare_flop_matrix *m, const bool *keep, const real *z,
                                 pare_tensor *w)
{
    const pare_tensor *p = &m->weight->p->tensor, *q = &m->weight->q->tensor;
    double *row = pare_malloc((size_t)m->in * sizeof *row);
    if (!row)
        return PARE_MEMORY;
    for (int64_t r = 0; r < m->out; r++) {
        memset(row, 0, (size_t)m->in * sizeof *row);
        for (int64_t i = 0; i < m->rank; i++) {
            const double factor = keep[i] ? (double)z[i] * q->data[r * m->rank + i] : 0;
            for (int64_t c = 0; keep[i] && c < m->in; c++)
                row[c] += factor * p->data[i * m->in + c];
        }
        for (int64_t c = 0; c < m->in; c++)
            w->data[r * m->in + c] = (real)row[c];
    }
    pare_free(row);
    return PARE_OK;
}

static pare_status fill(const pare_flop_list *list, bool *const *keep, real *const *z,
                        pare_model *new)
{
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        const pare_weight *to = pare_layer_matrix(&new->layers[m->layer], m->matrix);
        if (to->p)
            copy_factors(m, keep[k], z[k], to);
        else
            PARE_TRY(multiply_back(m, keep[k], z[k], &to->weight->tensor));
    }
    pare_json *event = pare_json_new_object(), *ranks = pare_json_new_array();
    for (int64_t i = 0; i < new->config.num_hidden_layers; i++)
        pare_json_append(ranks, pare_config_ranks(&new->config, i));
    pare_json_set_string(event, "command", "flop compact");
    pare_json_set(event, "ranks", ranks);
    return pare_model_add_history(new, event);
}

pare_status pare_flop_compact(const pare_model *old, const pare_flop_list *list,
                              bool *const *keep, real *const *z, pare_model **out)
{
    const int64_t layers = old->config.num_hidden_layers;
    pare_config config = old->config;
    pare_model *new = NULL;
    *out = NULL;
    pare_layer_shape *shapes = pare_malloc((size_t)layers * sizeof *shapes);
    if (!shapes)
        return PARE_MEMORY;
    for (int64_t i = 0; i < layers; i++)
        shapes[i] = pare_config_layer(&old->config, i);
    for (int64_t k = 0; k < list->n; k++)
        shapes[list->at[k].layer].rank[list->at[k].matrix] = new_rank(&list->at[k], keep[k]);
    config.layers = shapes;
    config.gated = false;
    pare_status status = pare_model_like(old, &config, &new);
    pare_free(shapes);
    PARE_TRY(status);
    pare_model_copy_same(new, old);
    status = fill(list, keep, z, new);
    if (status == PARE_OK)
        *out = new;
    else
        pare_model_free(new);
    return status;
}
