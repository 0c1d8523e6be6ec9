/* mask_compact.c: from trained gates to a smaller model that answers alike (masks.h). */
#include <math.h>
#include <string.h>

#include "tasks/masks.h"

/* Gates and flags of every matrix, by the list's order. */
typedef struct selection {
    real **z;
    bool **keep;
    double cost;
} selection;

static pare_status new_selection(pare_arena *arena, const pare_flop_list *list, selection *s)
{
    s->z = pare_arena_alloc(arena, (size_t)list->n * sizeof *s->z);
    s->keep = pare_arena_alloc(arena, (size_t)list->n * sizeof *s->keep);
    if (!s->z || !s->keep)
        return PARE_MEMORY;
    for (int64_t k = 0; k < list->n; k++) {
        s->z[k] = pare_arena_alloc(arena, (size_t)list->at[k].rank * sizeof *s->z[k]);
        s->keep[k] = pare_arena_alloc(arena, (size_t)list->at[k].rank * sizeof *s->keep[k]);
        if (!s->z[k] || !s->keep[k])
            return PARE_MEMORY;
    }
    return PARE_OK;
}

/* What the masks alone keep: gates that are not shut, or with "stretch" those above a half. */
static pare_status by_masks(const pare_masks *m, selection *s)
{
    const pare_flop_rule rule = pare_mask_rule(m->options.mask_rule);
    s->cost = 0;
    for (int64_t k = 0; k < m->list.n; k++) {
        const pare_flop_matrix *matrix = &m->list.at[k];
        int64_t kept = 0;
        PARE_TRY(pare_flop_mask(rule, matrix->weight->log_alpha->tensor.data, matrix->rank,
                                m->options.temperature, s->z[k]));
        for (int64_t i = 0; i < matrix->rank; i++)
            kept += s->keep[k][i] = s->z[k][i] > (rule == PARE_FLOP_STRETCH ? (real)0.5 : 0);
        if (kept == 0) { /* a matrix cannot vanish: its best rank stays */
            int64_t best = 0;
            for (int64_t i = 1; i < matrix->rank; i++)
                if (matrix->weight->log_alpha->tensor.data[i] >
                    matrix->weight->log_alpha->tensor.data[best])
                    best = i;
            s->keep[k][best] = true;
            kept = 1;
        }
        s->cost += pare_flop_cost(matrix, kept);
    }
    return PARE_OK;
}

/* Gates of ranks that the projection keeps although their mask is shut. */
static void open_kept(const pare_masks *m, selection *s)
{
    for (int64_t k = 0; k < m->list.n; k++)
        for (int64_t i = 0; i < m->list.at[k].rank; i++)
            if (s->keep[k][i] && s->z[k][i] == 0) {
                const double x = m->list.at[k].weight->log_alpha->tensor.data[i];
                s->z[k][i] = (real)(1 / (1 + exp(-0.8 * x / m->options.temperature)));
            }
}

/* ---- the report ---- */

/* Before the projection: what was expected, and what the masks alone would have kept. */
static pare_json *report(const pare_masks *m, double target, double masked_cost)
{
    const double beta = m->options.temperature, size = m->list.prunable;
    const double expected = pare_flop_sparsity(&m->list, beta);
    pare_json *event = pare_json_new_object();
    pare_json_set_string(event, "command", "flop masks");
    pare_json_set_double(event, "target", target);
    pare_json_set_double(event, "encoder", m->options.encoder);
    pare_json_set_double(event, "factorised", size);
    pare_json_set_double(event, "expected_factorised", expected);
    pare_json_set_double(event, "expected_dense",
                         pare_masks_gone(&m->list, m->options.encoder, (1 - expected) * size));
    pare_json_set_double(event, "masked_dense",
                         pare_masks_gone(&m->list, m->options.encoder, masked_cost));
    pare_json_set_double(event, "undecided", pare_flop_undecided(&m->list, beta));
    return event;
}

pare_status pare_masks_compact(pare_masks *m, pare_model *model, double target, pare_model **out)
{
    selection s;
    pare_arena *arena = pare_arena_new("compaction");
    pare_json *event = NULL;
    pare_status status = arena ? new_selection(arena, &m->list, &s) : PARE_MEMORY;
    if (status == PARE_OK)
        status = by_masks(m, &s);
    if (status == PARE_OK) {
        event = report(m, target, s.cost);
        double budget;
        if (m->options.projection)
            status = pare_flop_budget(&m->list, m->options.encoder, target, &budget);
        if (m->options.projection && status == PARE_OK)
            status = pare_flop_project(&m->list, budget, pare_flop_block(&m->list), s.keep,
                                       &s.cost);
    }
    if (status == PARE_OK) {
        open_kept(m, &s);
        status = pare_flop_compact(model, &m->list, s.keep, s.z, out);
    }
    if (status == PARE_OK) {
        status = pare_model_add_history(*out, event);
        event = NULL;
    }
    pare_json_free(event);
    pare_arena_free(arena);
    return status;
}
