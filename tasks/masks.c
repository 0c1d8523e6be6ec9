/* masks.c: see masks.h. */
#include "tasks/masks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optim/schedule.h"

static const double guarded = 0.005; /* how far from the target the guard lets the gates go */

pare_flop_rule pare_mask_rule(const char *name)
{
    return strcmp(name, "stretch") == 0 ? PARE_FLOP_STRETCH : PARE_FLOP_TOPK;
}

pare_flop_fold pare_mask_fold(const char *name)
{
    return strcmp(name, "time") == 0 ? PARE_FLOP_FOLD_TIME : PARE_FLOP_FOLD_SIZE;
}

/* ---- sizes ---- */

double pare_masks_gone(const pare_flop_list *list, double encoder, double cost)
{
    return (list->dense - cost) / encoder;
}

/* The sparsity against the factorised size at which `gone` of the dense encoder is gone. */
static double factorised_target(const pare_masks *m, double gone)
{
    return 1 - (m->list.dense - gone * m->options.encoder) / m->list.prunable;
}

/* ---- the staircase ---- */

/* The stair of update `step` (from 1), and the steps at which it begins and ends. */
static int stair_of(const pare_masks *m, int64_t step, int64_t total, int64_t *start, int64_t *end)
{
    const int64_t n = m->options.n_targets;
    int64_t i = 0;
    *end = total / n;
    for (*start = 0; step > *end && i + 1 < n; i++) {
        *start = *end;
        *end = i + 2 == n ? total : (i + 2) * total / n;
    }
    return (int)i;
}

/* The target of an update, and whether its ramp is over. */
static double target_at(const pare_masks *m, int64_t step, int64_t total, bool *held)
{
    int64_t start, end;
    const int i = stair_of(m, step, total, &start, &end);
    const double to = factorised_target(m, m->options.targets[i]);
    const double from =
        i > 0 ? factorised_target(m, m->options.targets[i - 1]) : m->options.initial;
    const double part =
        (double)(step - start) / fmax(1, m->options.ramp * (double)(end - start));
    *held = part >= 1;
    return *held ? to : from + (to - from) * part;
}

/* ---- the method ---- */

static pare_masks *masks_of(const pare_training *t)
{
    return t->options->method_state;
}

static pare_status begin(pare_training *t)
{
    pare_masks *m = masks_of(t);
    if (!t->model->config.gated)
        return pare_hint(pare_fail(PARE_INPUT, "the model has no gates to train"),
                         "make them: pare flop factorize --gates");
    if (t->total_steps < m->options.n_targets)
        return pare_fail(PARE_USAGE, "%lld steps are too few for %d targets",
                         (long long)t->total_steps, m->options.n_targets);
    for (int i = 0; m->options.learning_rate == 0 && i < t->model->n_params; i++)
        if (t->model->params[i]->group == PARE_GROUP_WEIGHTS)
            t->model->params[i]->frozen = true;
    return pare_flop_list_new(t->arena, t->model, &m->list);
}

void pare_masks_recipe(const pare_mask_options *o, pare_json *r)
{
    pare_json_set_double(r, "temperature", o->temperature);
    pare_json_set_double(r, "mask_learning_rate", o->learning_rate);
    pare_json_set_double(r, "gate_learning_rate", o->gate_learning_rate);
    pare_json_set_double(r, "multiplier_learning_rate", o->multiplier_learning_rate);
    pare_json_set_string(r, "gate_schedule", o->gate_schedule);
    pare_json_set_int(r, "noam_warmup", o->noam_warmup);
    pare_json_set_double(r, "noam_dimension", o->noam_dimension);
    pare_json_set_double(r, "ramp", o->ramp);
    pare_json_set_string(r, "mask_rule", o->mask_rule);
    pare_json_set_string(r, "guard", o->guard);
    pare_json_set_string(r, "fold", o->fold);
    pare_json_set_bool(r, "projection", o->projection);
    pare_json_set_double(r, "regularization_scale", o->regularization_scale);
}

static void recipe(const pare_training *t, pare_json *r)
{
    const pare_mask_options *o = &masks_of(t)->options;
    char targets[PARE_MAX_TARGETS * 24] = "";
    for (int i = 0, used = 0; i < o->n_targets; i++)
        used += snprintf(targets + used, sizeof targets - (size_t)used, "%s%.15g", i ? "," : "",
                         o->targets[i]);
    pare_json_set_string(r, "targets", targets);
    pare_masks_recipe(o, r);
}

static pare_status forward(pare_training *t, pare_bert_pass *pass)
{
    const pare_masks *m = masks_of(t);
    const size_t n = (size_t)(t->model->config.num_hidden_layers * PARE_MATRICES);
    pass->rank_gates = pare_arena_zalloc(t->step, n * sizeof *pass->rank_gates);
    return pass->rank_gates ? pare_flop_sample(pass->tape, &m->list, m->options.temperature,
                                               pass->rank_gates)
                            : PARE_MEMORY;
}

static double scheduled(const pare_mask_options *o, double base, int64_t step)
{
    return strcmp(o->gate_schedule, "noam") == 0
               ? pare_noam_schedule(base, step, o->noam_warmup, o->noam_dimension)
               : base;
}

static void set_rates(pare_training *t, pare_masks *m, double rates[PARE_GROUPS])
{
    const pare_mask_options *o = &m->options;
    const double steps = (double)t->total_steps;
    const double gates =
        o->gate_learning_rate > 0 ? o->gate_learning_rate : fmax(0.05, 150 / steps);
    const double multipliers =
        o->multiplier_learning_rate > 0 ? o->multiplier_learning_rate : 300 / steps;
    rates[PARE_GROUP_WEIGHTS] =
        o->learning_rate * fmin(1, (double)(t->state.step + 1) / fmax(1, (double)t->warmup_steps));
    rates[PARE_GROUP_GATES] = scheduled(o, gates, t->state.step);
    rates[PARE_GROUP_MULTIPLIERS] = scheduled(o, multipliers, t->state.step);
    memcpy(m->rates, rates, sizeof m->rates);
}

/* The L2 term of one factor. */
static double regularize(pare_param *factor, double scale)
{
    pare_tensor *x = &factor->tensor;
    double squares = 0;
    if (factor->frozen)
        return 0;
    for (int64_t i = 0; i < pare_tensor_size(x); i++) {
        squares += (double)x->data[i] * x->data[i];
        x->grad[i] += (real)(scale * x->data[i]);
    }
    return scale / 2 * squares;
}

static pare_status update(pare_training *t, double rates[PARE_GROUPS])
{
    pare_masks *m = masks_of(t);
    const pare_mask_options *o = &m->options;
    const real *lambda = t->model->lambda->tensor.data;
    bool held;
    m->terms = (pare_flop_terms){.lambda1 = lambda[0], .lambda2 = lambda[1],
                                 .beta = o->temperature,
                                 .target = target_at(m, t->state.step + 1, t->total_steps, &held)};
    pare_flop_lagrangian(&m->list, t->model->lambda, &m->terms);
    m->regularization = 0;
    for (int64_t k = 0; o->regularization_scale > 0 && o->learning_rate > 0 && k < m->list.n; k++)
        m->regularization +=
            regularize(m->list.at[k].weight->p, o->regularization_scale) +
            regularize(m->list.at[k].weight->q, o->regularization_scale);
    set_rates(t, m, rates);
    return PARE_OK;
}

static pare_status save_stair(pare_training *t, pare_masks *m, int stair)
{
    pare_model *compact = NULL;
    pare_optimizer_settle(t->optimizer);
    pare_status status =
        pare_masks_compact(m, t->model, m->options.targets[stair], &t->encoded, &compact);
    if (status == PARE_OK)
        status = pare_model_save(compact, m->options.files[stair]);
    pare_model_free(compact);
    if (status == PARE_OK)
        pare_training_note(t, "step %lld: compacted to target %g in %s", (long long)t->state.step,
                           m->options.targets[stair], m->options.files[stair]);
    return status;
}

static bool guards(const pare_mask_options *o, bool held)
{
    return strcmp(o->guard, "always") == 0 || (held && strcmp(o->guard, "held") == 0);
}

/* The guard, and the model of a stair that has come to its end. */
static pare_status updated(pare_training *t)
{
    pare_masks *m = masks_of(t);
    const double beta = m->options.temperature;
    int64_t start, end;
    bool held;
    const int stair = stair_of(m, t->state.step, t->total_steps, &start, &end);
    const double target = target_at(m, t->state.step, t->total_steps, &held);
    m->guard = 0;
    if (guards(&m->options, held) && target > 0 && target < 1 &&
        fabs(pare_flop_sparsity(&m->list, beta) - target) > guarded)
        m->guard = pare_flop_shift(&m->list, beta, target);
    return t->state.step == end ? save_stair(t, m, stair) : PARE_OK;
}

static pare_status evaluate(pare_training *t)
{
    const pare_masks *m = masks_of(t);
    return pare_flop_set_masks(t->model, &m->list, pare_mask_rule(m->options.mask_rule),
                               m->options.temperature);
}

static void log_step(const pare_training *t, pare_json *record)
{
    const pare_masks *m = masks_of(t);
    const pare_flop_terms *terms = &m->terms;
    const double kept = (1 - terms->sparsity) * m->list.prunable;
    pare_json_set_double(record, "target_sparsity", terms->target);
    pare_json_set_double(record, "expected_sparsity", terms->sparsity);
    pare_json_set_double(record, "expected_sparsity_dense",
                         pare_masks_gone(&m->list, m->options.encoder, kept));
    pare_json_set_double(record, "lagrangian", terms->value);
    pare_json_set_double(record, "lambda_1", terms->lambda1);
    pare_json_set_double(record, "lambda_2", terms->lambda2);
    pare_json_set_double(record, "model_lr", m->rates[PARE_GROUP_WEIGHTS]);
    pare_json_set_double(record, "alpha_lr", m->rates[PARE_GROUP_GATES]);
    pare_json_set_double(record, "lambda_lr", m->rates[PARE_GROUP_MULTIPLIERS]);
    if (m->options.regularization_scale > 0)
        pare_json_set_double(record, "l2_regularization_loss", m->regularization);
    if (m->guard != 0)
        pare_json_set_double(record, "guard", m->guard);
}

const pare_method pare_masks_method = {.open = begin, .recipe = recipe, .forward = forward,
                                       .update = update, .updated = updated,
                                       .evaluate = evaluate, .log = log_step};
