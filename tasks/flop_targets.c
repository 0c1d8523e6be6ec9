/* flop_targets.c: what `pare flop` is asked for, and what that is of a model (flop_run.h). */
#include <math.h>
#include <stdio.h>

#include "tasks/flop_run.h"

static const double tolerated_miss = 0.01;

pare_status pare_flop_list_targets(pare_flop_state *s)
{
    const pare_flop_options *o = s->options;
    double all[PARE_MAX_TARGETS + 1];
    int n = 0;
    for (int i = 0; i < o->n_targets; i++) {
        if (!(o->targets[i] > 0 && o->targets[i] < 1)) /* nor NaN */
            return pare_hint(pare_fail(PARE_USAGE, "target %g is no share", o->targets[i]),
                             "give numbers between 0 and 1: 0.4 removes 40 %%");
        if (i > 0 && o->targets[i] <= o->targets[i - 1])
            return pare_hint(pare_fail(PARE_USAGE, "--targets: %g stands behind %g",
                                       o->targets[i], o->targets[i - 1]), "give them rising");
        if (o->target > 0 && o->target < o->targets[i] && (n == 0 || o->target > all[n - 1]))
            all[n++] = o->target;
        all[n++] = o->targets[i];
    }
    if (o->target == 0 || o->target >= 1 || (o->target < 0 && n == 0))
        return pare_hint(pare_fail(PARE_USAGE, "--target must be between 0 and 1"),
                         "--target 0.4 removes 40 %% of the encoder's weights");
    if (o->target > 0 && (n == 0 || o->target > all[n - 1]))
        all[n++] = o->target;
    if (n > PARE_MAX_TARGETS)
        return pare_fail(PARE_USAGE, "more than %d targets", PARE_MAX_TARGETS);
    s->n = n;
    s->models = pare_arena_zalloc(s->arena, (size_t)n * sizeof *s->models);
    for (int i = 0; s->models && i < n; i++) {
        s->models[i].asked = all[i];
        if (all[i] == o->target || (o->target < 0 && i == n - 1))
            s->main = i;
    }
    return s->models ? PARE_OK : PARE_MEMORY;
}

/* ---- sizes ---- */

static int64_t full_rank(const pare_weight *w)
{
    return w->in < w->out ? w->in : w->out;
}

/* One matrix into the sizes; ranks go in blocks of so many. */
static void count_matrix(pare_flop_state *s, const pare_weight *w, bool chosen, int64_t block)
{
    const int64_t rank = full_rank(w);
    const pare_flop_matrix m = {.in = w->in, .out = w->out};
    const double dense = (double)(w->in * w->out);
    s->factorised += chosen ? (double)(rank * (w->in + w->out)) : 0;
    s->rest += chosen ? 0 : dense;
    s->least += chosen ? pare_flop_cost(&m, block < rank ? block : rank) : dense;
}

static bool is_chosen(const pare_flop_state *s, const pare_weight *w, int k, bool gated)
{
    return gated ? w->p != NULL : s->options->which[k];
}

/* Sizes of the matrices, whose ranks go in the blocks that suit the smallest of them. */
static void count_sizes(pare_flop_state *s, const pare_model *m, bool gated)
{
    int64_t least = INT64_MAX;
    for (int64_t i = 0; i < m->config.num_hidden_layers; i++)
        for (int k = 0; k < PARE_MATRICES; k++) {
            const pare_weight *w = pare_layer_matrix(&m->layers[i], (pare_matrix)k);
            if (is_chosen(s, w, k, gated) && full_rank(w) < least)
                least = full_rank(w);
        }
    s->encoder = pare_flop_dense_size(m);
    s->factorised = s->rest = s->least = 0;
    for (int64_t i = 0; i < m->config.num_hidden_layers; i++)
        for (int k = 0; k < PARE_MATRICES; k++) {
            const pare_weight *w = pare_layer_matrix(&m->layers[i], (pare_matrix)k);
            count_matrix(s, w, is_chosen(s, w, k, gated), pare_flop_rank_block(least));
        }
}

static pare_status check_matrices(const pare_flop_state *s, const pare_model *m, bool gated)
{
    const char *path = s->options->train.model;
    int64_t factorised = 0;
    for (int64_t i = 0; i < m->config.num_hidden_layers; i++)
        for (int k = 0; k < PARE_MATRICES; k++) {
            const pare_weight *w = pare_layer_matrix(&m->layers[i], (pare_matrix)k);
            if (w->p && !gated)
                return pare_hint(pare_fail(PARE_INPUT, "%s: layer %lld's %s is factorised already",
                                           path, (long long)i, pare_matrix_name((pare_matrix)k)),
                                 "start from a dense model");
            factorised += w->p != NULL;
        }
    if (gated && factorised == 0)
        return pare_hint(pare_fail(PARE_INPUT, "%s: no matrix of a layer is factorised", path),
                         "make such a model by pare flop factorize --gates");
    return PARE_OK;
}

/* What each target is of the dense encoder; one that would need no pruning at all is refused. */
static pare_status convert_targets(pare_flop_state *s)
{
    for (int i = 0; i < s->n; i++) {
        pare_flop_model *m = &s->models[i];
        const double dense = s->encoder - s->rest; /* of the matrices that are factorised */
        m->gone = s->options->of_factorised
                      ? (dense - (1 - m->asked) * s->factorised) / s->encoder
                      : m->asked;
        if (m->gone <= 0)
            return pare_hint(pare_fail(PARE_USAGE, "target %g of the factorised size is no smaller "
                                       "than the dense matrices: factors begin at %g times that",
                                       m->asked, s->factorised / dense),
                             "take a target above %.3g, or --target-of dense",
                             1 - dense / s->factorised);
        if ((1 - m->gone) * s->encoder < s->least)
            return pare_hint(pare_fail(PARE_USAGE, "target %g is beyond reach: the least that "
                                       "these matrices can keep is %.3g of the encoder's weights",
                                       m->asked, s->least / s->encoder),
                             "take a smaller target, or more --modules");
    }
    return PARE_OK;
}

pare_status pare_flop_aim(pare_flop_state *s, const pare_model *m, bool gated)
{
    PARE_TRY(check_matrices(s, m, gated));
    count_sizes(s, m, gated);
    return convert_targets(s);
}

bool pare_flop_missed(const pare_flop_state *s, int i, int64_t encoder)
{
    return fabs(1 - (double)encoder / s->encoder - s->models[i].gone) > tolerated_miss;
}
