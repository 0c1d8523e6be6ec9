/* cmd_flop.c: pare flop: matrices as products of two thinner ones, whose ranks are learnt. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/progress_line.h"
#include "core/signals.h"
#include "tasks/flop_run.h"

/* "all", or names of matrices: "query,key". */
static pare_status read_modules(const char *text, bool which[PARE_MATRICES])
{
    static const char help[] = "query, key, value, attention_output, intermediate, output, or all";
    const bool all = strcmp(text, "all") == 0;
    memset(which, all, PARE_MATRICES * sizeof *which);
    if (text[strspn(text, ", ")] == '\0')
        return pare_hint(pare_fail(PARE_USAGE, "--modules: no matrix is named"), "%s", help);
    for (const char *name = text; !all && *name;) {
        const size_t n = strcspn(name, ", ");
        int m = 0;
        while (m < PARE_MATRICES && (strlen(pare_matrix_name((pare_matrix)m)) != n ||
                                     strncmp(pare_matrix_name((pare_matrix)m), name, n) != 0))
            m++;
        if (m == PARE_MATRICES)
            return pare_hint(pare_fail(PARE_USAGE, "--modules %s: '%.*s' is no matrix of a layer",
                                       text, (int)n, name), "%s", help);
        which[m] = true;
        name += n + strspn(name + n, ", ");
    }
    return PARE_OK;
}

/* ---- results ---- */

static pare_json *result_of(const pare_model *before, const pare_model *after)
{
    pare_json *result = pare_json_new_object(), *ranks = pare_json_new_array();
    const double dense = pare_flop_dense_size(before);
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

static double member(const pare_json *of, const char *one, const char *two, const char *three)
{
    const pare_json *inner = two ? pare_json_get(pare_json_get(of, one), two)
                                 : pare_json_get(of, one);
    return pare_json_get_double(inner, three, NAN);
}

/* The first metric of a model, before and after. */
static void print_score(const pare_json *model)
{
    const pare_json *before = pare_json_get(pare_json_get(model, "metrics"), "before");
    void *first = pare_json_iter(before);
    const char *name = first ? pare_json_iter_key(first) : "";
    pare_out("  %s %.4f -> %.4f", name, pare_json_get_double(before, name, NAN),
             member(model, "metrics", "after", name));
}

/* What people read of a run: a line a model, smallest last. */
static pare_status print_models(pare_json *result)
{
    const pare_json *models = pare_json_get(result, "models");
    for (size_t i = 0; i < pare_json_size(models); i++) {
        const pare_json *m = pare_json_at(models, i);
        pare_out("target %-5g %5.1f %% of the encoder gone, %5.1f %% of all weights left",
                 pare_json_get_double(m, "target", NAN),
                 100 * member(m, "sparsity", "dense", "realised"),
                 100 * member(m, "parameters", NULL, "after") /
                     member(m, "parameters", NULL, "before"));
        print_score(m);
        pare_out("  time x %.3f at batch 1, x %.3f at batch 32\n",
                 member(m, "latency_ratio", NULL, "1"), member(m, "latency_ratio", NULL, "32"));
    }
    pare_json_free(result);
    return PARE_OK;
}

/* What people read: a line a layer. */
static pare_status print(const pare_options *o, pare_json *result)
{
    if (!o->json && pare_json_get(result, "models"))
        return print_models(result);
    const pare_json *ranks = pare_json_get(result, "ranks");
    for (size_t i = 0; !o->json && i < pare_json_size(ranks); i++) {
        char *line = pare_json_dump(pare_json_at(ranks, i), 0, 9);
        if (!line) {
            pare_json_free(result);
            return PARE_MEMORY;
        }
        pare_out("layer %2zu  ranks %s\n", i, line);
        pare_free(line);
    }
    return pare_out_result(result, o->json);
}

/* ---- options ---- */

/* "0.3,0.5" */
static pare_status read_targets(const char *text, pare_flop_options *out)
{
    const char *at = text;
    for (bool more = text != NULL; more; at++) {
        char *end;
        if (out->n_targets == PARE_MAX_TARGETS)
            return pare_fail(PARE_USAGE, "--targets: more than %d", PARE_MAX_TARGETS);
        out->targets[out->n_targets++] = strtod(at, &end);
        if (end == at || (*end && *end != ','))
            return pare_hint(pare_fail(PARE_USAGE, "--targets %s: '%s' is no number", text, at),
                             "0.3,0.5,0.7");
        more = *end;
        at = end;
    }
    return PARE_OK;
}

static pare_flop_start start_of(const char *name)
{
    return strcmp(name, "equal") == 0    ? PARE_FLOP_START_EQUAL
           : strcmp(name, "global") == 0 ? PARE_FLOP_START_GLOBAL
                                         : PARE_FLOP_START_MATRIX;
}

static pare_mask_options mask_options(const pare_options *o)
{
    return (pare_mask_options){
        .temperature = o->temperature,
        .learning_rate = o->mask_learning_rate >= 0 ? o->mask_learning_rate : o->learning_rate,
        .gate_learning_rate = o->gate_learning_rate,
        .multiplier_learning_rate = o->multiplier_learning_rate,
        .gate_schedule = o->gate_schedule, .noam_warmup = o->noam_warmup,
        .noam_dimension = o->noam_dimension, .ramp = o->ramp, .mask_rule = o->mask_rule,
        .guard = o->guard, .fold = o->fold, .projection = o->projection,
        .regularization_scale = o->regularization_scale};
}

static pare_status flop_options(const pare_options *o, pare_flop_options *out)
{
    static const double usual[] = {0.2, 0.3, 0.4, 0.5, 0.6, 0.7};
    *out = (pare_flop_options){
        .masks = mask_options(o), .method = o->method,
        .target = o->target >= 0 ? o->target : -1,
        .of_factorised = strcmp(o->target_of, "factorised") == 0, .mask_epochs = o->mask_epochs,
        .start = start_of(o->gate_start), .gate_mean = o->gate_mean,
        .gate_spread = o->gate_spread,
        .final_epochs = o->final_epochs > 0 ? o->final_epochs : o->epochs,
        .final_learning_rate = o->final_learning_rate, .distill = o->distill,
        .max_score_drop = o->max_score_drop >= 0 ? o->max_score_drop : -1};
    pare_options_train(o, &out->train);
    PARE_TRY(read_modules(o->modules, out->which));
    PARE_TRY(read_targets(o->targets, out));
    if (o->max_score_drop >= 0 && o->target < 0 && out->n_targets == 0) {
        out->n_targets = sizeof usual / sizeof *usual;
        memcpy(out->targets, usual, sizeof usual);
    }
    return PARE_OK;
}

/* ---- the steps ---- */

static pare_status factorize_model(const pare_options *o, const pare_flop_options *f,
                                   pare_model *model, pare_model **out, bool *missed)
{
    if (o->target >= 0 && o->gates)
        return pare_hint(pare_fail(PARE_USAGE, "both --target and --gates are given"),
                         "--target drops ranks now, --gates are for pare flop train");
    if (o->target >= 0)
        return pare_flop_truncate_model(f, model, out, missed);
    return o->gates ? pare_flop_gated(model, f->which, f->start, f->gate_mean, f->gate_spread,
                                      (uint64_t)o->seed, out)
                    : pare_flop_factorize(model, f->which, false, out);
}

/* The parts that make a model file of another. */
typedef pare_status make_function(const pare_options *o, const pare_flop_options *f,
                                  pare_model *model, pare_model **out, bool *missed);

static pare_status make_file(const pare_options *o, const pare_flop_options *f,
                             make_function *make, pare_json **result)
{
    pare_model *model = NULL, *out = NULL;
    bool missed = false;
    if (o->targets)
        return pare_hint(pare_fail(PARE_USAGE, "--targets: one model is made here"),
                         "give one --target");
    pare_status status = pare_model_open(o->model, &model);
    if (status == PARE_OK)
        status = make(o, f, model, &out, &missed);
    if (status == PARE_OK)
        status = pare_model_save(out, o->operands[1]);
    if (status == PARE_OK) {
        *result = result_of(model, out);
        pare_json_set_bool(*result, "missed", missed);
    }
    pare_model_free(out);
    pare_model_free(model);
    return status;
}

static pare_status factorize(const pare_options *o, pare_flop_options *f, pare_json **result)
{
    return make_file(o, f, factorize_model, result);
}

static pare_status compact_model(const pare_options *o, const pare_flop_options *f,
                                 pare_model *model, pare_model **out, bool *missed)
{
    (void)o;
    return pare_flop_compact_gated(f, model, out, missed);
}

static pare_status compact(const pare_options *o, pare_flop_options *f, pare_json **result)
{
    return make_file(o, f, compact_model, result);
}

static pare_status check_run(const pare_options *o)
{
    PARE_TRY(pare_option_need(o, "task", o->task));
    PARE_TRY(pare_option_need(o, "data", o->data));
    return pare_option_need(o, "output", o->output);
}

static pare_status train(const pare_options *o, pare_flop_options *f, pare_json **result)
{
    PARE_TRY(check_run(o));
    f->train.resume = o->resume;
    return pare_flop_train(f, result);
}

static pare_status run(const pare_options *o, pare_flop_options *f, pare_json **result)
{
    PARE_TRY(check_run(o));
    return pare_flop_run(f, result);
}

static const struct part {
    const char *name;
    int files; /* operands behind its name */
    pare_status (*function)(const pare_options *o, pare_flop_options *f, pare_json **result);
} parts[] = {{"factorize", 1, factorize}, {"train", 0, train}, {"compact", 1, compact},
             {"run", 0, run}};

static const struct part *find_part(const char *name)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}

/* ---- the command ---- */

/* A size or score that was missed is the last thing that is said. */
static pare_status verdict(const pare_options *o, bool missed, bool score_missed)
{
    if ((!missed && !score_missed) || o->allow_miss)
        return PARE_OK;
    if (score_missed)
        return pare_hint(pare_fail(PARE_MISSED, "no model is within --max-score-drop %g: the "
                                   "result is the largest", o->max_score_drop),
                         "give smaller --targets, or more epochs, or accept it with --allow-miss");
    const char *why = "single ranks are large parts of so small a model";
    if (strcmp(o->fold, "time") == 0)
        why = "matrices may have been multiplied back for speed (--fold time)";
    else if (!o->projection)
        why = "let it be projected (--projection)";
    return pare_hint(pare_fail(PARE_MISSED, "a model's size is more than 0.01 from its target"),
                     "%s, or accept it with --allow-miss", why);
}

static pare_status perform(const pare_options *o, const struct part *part, const char *config,
                           pare_json **result)
{
    pare_flop_options f;
    pare_progress_view view;
    PARE_TRY(flop_options(o, &f));
    pare_progress progress = pare_progress_view_init(&view);
    f.train.progress = &progress;
    f.train.config_text = config;
    pare_signals_install();
    const pare_status status = part->function(o, &f, result);
    pare_progress_view_end(&view);
    return status;
}

pare_status pare_command_flop(const pare_options *o)
{
    const struct part *part = find_part(o->operands[0]);
    pare_json *result = NULL;
    pare_text config = {0};
    if (!part)
        return pare_hint(pare_fail(PARE_USAGE, "pare flop: unknown step \"%s\"", o->operands[0]),
                         "factorize, train, compact or run");
    if (o->n_operands - 1 != part->files)
        return pare_hint(pare_fail(PARE_USAGE, "pare flop %s: %d files are named, %d wanted",
                                   part->name, o->n_operands - 1, part->files),
                         "%s", part->files ? "name the model file to write"
                                           : "the folder is --output");
    PARE_TRY(pare_option_need(o, "model", o->model));
    pare_options_write(o, &config);
    pare_status status = pare_text_status(&config);
    if (status == PARE_OK)
        status = perform(o, part, config.bytes, &result);
    pare_text_free(&config);
    if (status != PARE_OK) {
        pare_json_free(result);
        return status;
    }
    const bool missed = pare_json_get_bool(result, "missed", false);
    const bool score_missed = pare_json_get_bool(result, "score_missed", false);
    PARE_TRY(print(o, result));
    return verdict(o, missed, score_missed);
}
