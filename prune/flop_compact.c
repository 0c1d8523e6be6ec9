/* flop_compact.c: from gates to a smaller model (flop.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/threads.h"
#include "models/factors.h"
#include "prune/flop.h"

double pare_flop_cost(const pare_flop_matrix *m, int64_t rank)
{
    const double factors = (double)(rank * (m->in + m->out)), dense = (double)(m->in * m->out);
    return factors < dense ? factors : dense;
}

int64_t pare_flop_rank_block(int64_t rank)
{
    return rank < 256 ? 1 : 32;
}

int64_t pare_flop_block(const pare_flop_list *list)
{
    int64_t least = INT64_MAX;
    for (int64_t k = 0; k < list->n; k++)
        least = list->at[k].rank < least ? list->at[k].rank : least;
    return pare_flop_rank_block(least);
}

pare_status pare_flop_choice_new(pare_arena *arena, const pare_flop_list *list,
                                 pare_flop_choice *c)
{
    c->keep = pare_arena_alloc(arena, (size_t)list->n * sizeof *c->keep);
    c->z = pare_arena_alloc(arena, (size_t)list->n * sizeof *c->z);
    if (!c->keep || !c->z)
        return PARE_MEMORY;
    for (int64_t k = 0; k < list->n; k++) {
        const int64_t rank = list->at[k].rank;
        c->keep[k] = pare_arena_zalloc(arena, (size_t)rank * sizeof *c->keep[k]);
        c->z[k] = pare_arena_alloc(arena, (size_t)rank * sizeof *c->z[k]);
        if (!c->keep[k] || !c->z[k])
            return PARE_MEMORY;
        for (int64_t i = 0; i < rank; i++)
            c->z[k][i] = 1;
    }
    return PARE_OK;
}

/* ---- projection ---- */

typedef struct candidate {
    double log_alpha;
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

/* A projection under way. */
typedef struct projection {
    const pare_flop_list *list;
    double budget, cost;
    bool *const *keep;
    int64_t *kept;       /* [list->n] ranks kept of each matrix */
    int64_t *pending;    /* [list->n] ranks that wait for their block to be full */
    candidate *all;      /* [n] best first */
    int64_t n;
} projection;

/* Keeps so many more ranks of a matrix, if the budget allows: cost first, flags later. */
static bool afford(projection *p, int64_t matrix, int64_t ranks)
{
    const pare_flop_matrix *m = &p->list->at[matrix];
    const double more =
        pare_flop_cost(m, p->kept[matrix] + ranks) - pare_flop_cost(m, p->kept[matrix]);
    if (p->cost + more > p->budget)
        return false;
    p->kept[matrix] += ranks;
    p->cost += more;
    return true;
}

/* Blocks in the order of their last members; what is left of a matrix when all others are in is a
 * block too. */
static void keep_blocks(projection *p, int64_t block)
{
    for (int64_t i = 0; i < p->n; i++) {
        const int64_t k = p->all[i].matrix;
        const int64_t rest = p->list->at[k].rank - p->kept[k];
        if (++p->pending[k] < (rest < block ? rest : block))
            continue;
        if (afford(p, k, p->pending[k]))
            p->pending[k] = 0;
        else
            p->pending[k] = -p->list->at[k].rank; /* later blocks of this matrix cost the same */
    }
}

/* One block more where that comes nearer to the budget than staying below it does. */
static void round_up_once(projection *p, int64_t block)
{
    double nearest = p->budget - p->cost, chosen_cost = 0;
    int64_t chosen = -1, ranks = 0;
    for (int64_t k = 0; k < p->list->n; k++) {
        const pare_flop_matrix *m = &p->list->at[k];
        const int64_t rest = m->rank - p->kept[k], size = rest < block ? rest : block;
        const double more = pare_flop_cost(m, p->kept[k] + size) - pare_flop_cost(m, p->kept[k]);
        if (size > 0 && fabs(p->budget - p->cost - more) < nearest) {
            nearest = fabs(p->budget - p->cost - more);
            chosen = k;
            ranks = size;
            chosen_cost = more;
        }
    }
    if (chosen >= 0) {
        p->kept[chosen] += ranks;
        p->cost += chosen_cost;
    }
}

/* The best kept[k] ranks of each matrix. */
static void set_flags(const projection *p)
{
    int64_t *left = p->pending;
    memcpy(left, p->kept, (size_t)p->list->n * sizeof *left);
    for (int64_t k = 0; k < p->list->n; k++)
        memset(p->keep[k], 0, (size_t)p->list->at[k].rank);
    for (int64_t i = 0; i < p->n; i++)
        if (left[p->all[i].matrix]-- > 0)
            p->keep[p->all[i].matrix][p->all[i].rank] = true;
}

/* The first block of each matrix, then blocks by falling log_alpha. */
static pare_status project(projection *p, int64_t block)
{
    for (int64_t k = 0; k < p->list->n; k++) {
        const int64_t rank = p->list->at[k].rank;
        p->kept[k] = rank < block ? rank : block;
        p->cost += pare_flop_cost(&p->list->at[k], p->kept[k]);
        p->pending[k] = -p->kept[k];
    }
    if (p->cost > p->budget)
        return pare_hint(pare_fail(PARE_USAGE, "%lld rank%s of each matrix cost%s %.0f weights, "
                                   "the target leaves %.0f", (long long)block,
                                   block == 1 ? "" : "s", block == 1 ? "s" : "", p->cost,
                                   p->budget), "take a smaller target");
    keep_blocks(p, block);
    round_up_once(p, block);
    set_flags(p);
    return PARE_OK;
}

pare_status pare_flop_project(const pare_flop_list *list, double budget, int64_t block,
                              bool *const *keep, double *cost)
{
    projection p = {.list = list, .budget = budget, .keep = keep,
                    .kept = pare_calloc((size_t)list->n, sizeof *p.kept),
                    .pending = pare_calloc((size_t)list->n, sizeof *p.pending)};
    p.all = order_ranks(list, &p.n);
    pare_status status =
        p.all && p.kept && p.pending ? project(&p, block) : PARE_MEMORY;
    *cost = p.cost;
    pare_free(p.all);
    pare_free(p.kept);
    pare_free(p.pending);
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

/* The new rank of a matrix: 0, dense, where that is no larger, or faster. */
static int64_t new_rank(const pare_flop_matrix *m, const bool *keep, pare_flop_fold fold)
{
    const int64_t kept = count_kept(keep, m->rank);
    if (kept * (m->in + m->out) >= m->in * m->out)
        return 0;
    return fold == PARE_FLOP_FOLD_TIME && pare_flop_dense_is_faster(m->in, m->out, kept) ? 0 : kept;
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

static pare_status fill(const pare_flop_list *list, bool *const *keep, real *const *z,
                        pare_model *new)
{
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        const pare_weight *to = pare_layer_matrix(&new->layers[m->layer], m->matrix);
        if (to->p)
            copy_factors(m, keep[k], z[k], to);
        else
            PARE_TRY(pare_factors_multiply(m->weight, z[k], keep[k], &to->weight->tensor));
    }
    pare_json *event = pare_json_new_object(), *ranks = pare_json_new_array();
    for (int64_t i = 0; i < new->config.num_hidden_layers; i++)
        pare_json_append(ranks, pare_config_ranks(&new->config, i));
    pare_json_set_string(event, "command", "flop compact");
    pare_json_set(event, "ranks", ranks);
    return pare_model_add_history(new, event);
}

pare_status pare_flop_compact(const pare_model *old, const pare_flop_list *list,
                              bool *const *keep, real *const *z, pare_flop_fold fold,
                              pare_model **out)
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
        shapes[list->at[k].layer].rank[list->at[k].matrix] =
            new_rank(&list->at[k], keep[k], fold);
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
