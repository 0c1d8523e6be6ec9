/* cmd_flop.c: pare flop: matrices as products of two thinner ones. */
#include <string.h>

#include "cli/console.h"
#include "cli/options.h"
#include "prune/flop.h"

/* "all", or names of matrices: "query,key". */
static pare_status read_modules(const char *text, bool which[PARE_MATRICES])
{
    char copy[256], *state;
    memset(which, strcmp(text, "all") == 0, PARE_MATRICES * sizeof *which);
    if (which[0])
        return PARE_OK;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *name = strtok_r(copy, ", ", &state); name; name = strtok_r(NULL, ", ", &state)) {
        int m = 0;
        while (m < PARE_MATRICES && strcmp(pare_matrix_name((pare_matrix)m), name) != 0)
            m++;
        if (m == PARE_MATRICES)
            return pare_hint(pare_fail(PARE_USAGE, "--modules %s: '%s' is no matrix of a layer",
                                       text, name),
                             "query, key, value, attention_output, intermediate, output, or all");
        which[m] = true;
    }
    return PARE_OK;
}

/* ---- truncation ---- */

/* Flags and gates of 1 for every rank of every matrix. */
typedef struct choice {
    bool **keep;
    real **z;
} choice;

static pare_status new_choice(pare_arena *arena, const pare_flop_list *list, choice *c)
{
    c->keep = pare_arena_alloc(arena, (size_t)list->n * sizeof *c->keep);
    c->z = pare_arena_alloc(arena, (size_t)list->n * sizeof *c->z);
    for (int64_t k = 0; c->keep && c->z && k < list->n; k++) {
        const int64_t rank = list->at[k].rank;
        c->keep[k] = pare_arena_alloc(arena, (size_t)rank * sizeof *c->keep[k]);
        c->z[k] = pare_arena_alloc(arena, (size_t)rank * sizeof *c->z[k]);
        if (!c->keep[k] || !c->z[k])
            return PARE_MEMORY;
        for (int64_t i = 0; i < rank; i++)
            c->z[k][i] = 1;
    }
    return c->keep && c->z ? PARE_OK : PARE_MEMORY;
}

/* What the factorised matrices may keep, so that `target` of all matrices' weights goes. */
static pare_status budget_of(const pare_model *dense, const pare_flop_list *list, double target,
                             double *budget)
{
    const double encoder = (double)pare_model_encoder_parameters(dense);
    *budget = list->dense - target * encoder;
    if (*budget > 0)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "--target %g: the matrices to be factorised hold only "
                               "%.3g of the encoder's weights", target, list->dense / encoder),
                     "take a smaller target, or more --modules");
}

static pare_status truncate_model(const pare_options *o, const pare_model *dense,
                                  pare_model *factorised, pare_model **out)
{
    pare_flop_list list;
    choice c;
    double budget, cost;
    pare_arena *arena = pare_arena_new("truncation");
    pare_status status = arena ? pare_flop_list_new(arena, factorised, &list) : PARE_MEMORY;
    if (status == PARE_OK)
        status = budget_of(dense, &list, o->target, &budget);
    if (status == PARE_OK)
        status = new_choice(arena, &list, &c);
    if (status == PARE_OK) {
        pare_flop_rank_by(&list, strcmp(o->method, "svd") == 0 ? PARE_FLOP_UNIFORM
                                                               : PARE_FLOP_SINGULAR_VALUES);
        status = pare_flop_project(&list, budget, c.keep, &cost);
    }
    if (status == PARE_OK)
        status = pare_flop_compact(factorised, &list, c.keep, c.z, out);
    pare_arena_free(arena);
    return status;
}

/* ---- the command ---- */

static pare_json *result_of(const pare_model *before, const pare_model *after)
{
    pare_json *result = pare_json_new_object(), *ranks = pare_json_new_array();
    const double dense = (double)pare_model_encoder_parameters(before);
    const double left = (double)pare_model_encoder_parameters(after);
    for (int64_t i = 0; i < after->config.num_hidden_layers; i++)
        pare_json_append(ranks, pare_config_ranks(&after->config, i));
    pare_json_set_int(result, "parameters_before", pare_model_parameters(before));
    pare_json_set_int(result, "parameters", pare_model_parameters(after));
    pare_json_set_int(result, "encoder_before", pare_model_encoder_parameters(before));
    pare_json_set_int(result, "encoder_after", pare_model_encoder_parameters(after));
    pare_json_set_double(result, "sparsity_dense", 1 - left / dense);
    pare_json_set(result, "ranks", ranks);
    return result;
}

/* What people read: a line a layer. */
static pare_status print(const pare_options *o, pare_json *result)
{
    const pare_json *ranks = pare_json_get(result, "ranks");
    for (size_t i = 0; !o->json && i < pare_json_size(ranks); i++) {
        char *line = pare_json_dump(pare_json_at(ranks, i), 0, 9);
        if (!line)
            return PARE_MEMORY;
        pare_out("layer %2zu  ranks %s\n", i, line);
        pare_free(line);
    }
    return pare_out_result(result, o->json);
}

static pare_status factorize(const pare_options *o, const pare_model *model, pare_model **out)
{
    bool which[PARE_MATRICES];
    const bool truncated = o->given.target;
    pare_model *factorised = NULL;
    PARE_TRY(read_modules(o->modules, which));
    PARE_TRY(pare_flop_factorize(model, which, truncated, &factorised));
    if (!truncated) {
        *out = factorised;
        return PARE_OK;
    }
    const pare_status status = truncate_model(o, model, factorised, out);
    pare_model_free(factorised);
    return status;
}

pare_status pare_command_flop(const pare_options *o)
{
    pare_model *model = NULL, *out = NULL;
    pare_json *result = NULL;
    if (strcmp(o->operands[0], "factorize") != 0)
        return pare_hint(pare_fail(PARE_USAGE, "pare flop: unknown step \"%s\"", o->operands[0]),
                         "factorize");
    PARE_TRY(pare_option_need(o, "model", o->model));
    pare_status status = pare_model_open(o->model, &model);
    if (status == PARE_OK)
        status = factorize(o, model, &out);
    if (status == PARE_OK)
        status = pare_model_save(out, o->operands[1]);
    if (status == PARE_OK)
        result = result_of(model, out);
    pare_model_free(out);
    pare_model_free(model);
    return status == PARE_OK ? print(o, result) : status;
}
