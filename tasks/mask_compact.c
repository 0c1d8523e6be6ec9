/* mask_compact.c: from trained gates to a smaller model that answers alike (masks.h). */
#include <math.h>

#include "core/gemm.h"
#include "tasks/masks.h"

/* What the masks alone keep: gates that are not shut, or with "stretch" those above a half. */
static pare_status by_masks(const pare_masks *m, pare_flop_choice *s, double *cost)
{
    const pare_flop_rule rule = pare_mask_rule(m->options.mask_rule);
    *cost = 0;
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
        *cost += pare_flop_cost(matrix, kept);
    }
    return PARE_OK;
}

/* Gates of ranks that the projection keeps although their mask is shut. */
static void open_kept(const pare_masks *m, pare_flop_choice *s)
{
    for (int64_t k = 0; k < m->list.n; k++)
        for (int64_t i = 0; i < m->list.at[k].rank; i++)
            if (s->keep[k][i] && s->z[k][i] == 0)
                s->z[k][i] = (real)pare_flop_soft(
                    m->list.at[k].weight->log_alpha->tensor.data[i], m->options.temperature);
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

/* ---- the check ---- */

/* model->masks: the gates of what is kept, and 0. */
static pare_status put_in_force(const pare_masks *m, pare_model *model, const pare_flop_choice *s)
{
    PARE_TRY(pare_flop_make_masks(model, &m->list));
    for (int64_t k = 0; k < m->list.n; k++) {
        const pare_flop_matrix *matrix = &m->list.at[k];
        real *z = model->masks[matrix->layer * PARE_MATRICES + matrix->matrix]->data;
        for (int64_t i = 0; i < matrix->rank; i++)
            z[i] = s->keep[k][i] ? s->z[k][i] : 0;
    }
    return PARE_OK;
}

/* Both models' logits, in fp32: what bf16 rounds differs between a factor and its parts. */
static pare_status answer(const pare_model *masked, const pare_model *compact,
                          const pare_encoded *encoded, real *a, real *b)
{
    const pare_precision precision = pare_gemm_precision();
    PARE_TRY(pare_gemm_precision_set(PARE_PRECISION_FP32));
    pare_status status = pare_infer(masked, encoded, encoded->n, NULL, NULL, a);
    if (status == PARE_OK)
        status = pare_infer(compact, encoded, encoded->n, NULL, NULL, b);
    const pare_status back = pare_gemm_precision_set(precision);
    return status == PARE_OK ? back : status;
}

static pare_status compare_logits(pare_arena *arena, const pare_model *masked,
                                  const pare_model *compact, const pare_encoded *encoded)
{
    enum { EXAMPLES = 64 };
    static const double tolerance = 1e-4;
    pare_encoded few = *encoded;
    few.n = few.n < EXAMPLES ? few.n : EXAMPLES;
    const int64_t n = few.n * masked->n_labels;
    real *a = pare_arena_alloc(arena, (size_t)n * sizeof *a);
    real *b = pare_arena_alloc(arena, (size_t)n * sizeof *b);
    if (!a || !b)
        return PARE_MEMORY;
    PARE_TRY(answer(masked, compact, &few, a, b));
    double size = 1, difference = 0;
    for (int64_t i = 0; i < n; i++) {
        size = fmax(size, fabs((double)a[i]));
        difference = fmax(difference, fabs((double)a[i] - b[i]));
    }
    return difference <= tolerance * size
               ? PARE_OK
               : pare_fail(PARE_INTERNAL, "the compacted model's logits differ by %g", difference);
}

/* ---- together ---- */

static pare_status choose(const pare_masks *m, double target, pare_flop_choice *s,
                          pare_json **event)
{
    double budget, cost;
    PARE_TRY(by_masks(m, s, &cost));
    *event = report(m, target, cost);
    if (m->options.projection) {
        PARE_TRY(pare_flop_budget(&m->list, m->options.encoder, target, &budget));
        PARE_TRY(pare_flop_project(&m->list, budget, pare_flop_block(&m->list), s->keep,
                                   &cost));
    }
    open_kept(m, s);
    return PARE_OK;
}

static pare_status compact(pare_arena *arena, const pare_masks *m, pare_model *model,
                           const pare_flop_choice *s, const pare_encoded *encoded, pare_model **out)
{
    PARE_TRY(pare_flop_compact(model, &m->list, s->keep, s->z,
                               pare_mask_fold(m->options.fold), out));
    PARE_TRY(put_in_force(m, model, s));
    return encoded ? compare_logits(arena, model, *out, encoded) : PARE_OK;
}

pare_status pare_masks_compact(pare_masks *m, pare_model *model, double target,
                               const pare_encoded *encoded, pare_model **out)
{
    pare_flop_choice s;
    pare_json *event = NULL;
    *out = NULL;
    pare_arena *arena = pare_arena_new("compaction");
    pare_status status = arena ? pare_flop_choice_new(arena, &m->list, &s) : PARE_MEMORY;
    if (status == PARE_OK)
        status = choose(m, target, &s, &event);
    if (status == PARE_OK)
        status = compact(arena, m, model, &s, encoded, out);
    if (status == PARE_OK) {
        status = pare_model_add_history(*out, event);
        event = NULL;
    }
    if (status != PARE_OK) {
        pare_model_free(*out);
        *out = NULL;
    }
    pare_json_free(event);
    pare_arena_free(arena);
    return status;
}
