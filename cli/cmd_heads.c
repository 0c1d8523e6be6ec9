/* cmd_heads.c: pare heads: which attention heads matter, and a model without those that do not. */
#include <string.h>

#include "cli/console.h"
#include "cli/heads_run.h"
#include "cli/options.h"
#include "cli/progress_line.h"
#include "tasks/head_study.h"

/* The examples that importance is taken from: the training set, or the split that was named. */
static pare_evaluate_options scored_on(const pare_options *o)
{
    pare_evaluate_options what = pare_options_evaluate(o);
    if (!o->given.split)
        what.data.split = "train";
    what.data.limit = o->train_examples;
    return what;
}

static pare_head_score_options score_options(const pare_options *o)
{
    return (pare_head_score_options){o->score, o->normalize, (uint64_t)o->seed};
}

static pare_status check_data(const pare_options *o)
{
    PARE_TRY(pare_option_need(o, "model", o->model));
    PARE_TRY(pare_option_need(o, "task", o->task));
    return pare_option_need(o, "data", o->data);
}

static pare_status operands(const pare_options *o, int wanted, const char *usage)
{
    if (o->n_operands - 1 == wanted)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "pare heads %s: %d files are named, %d wanted",
                               o->operands[0], o->n_operands - 1, wanted),
                     "%s", usage);
}

struct study {
    const char *name;
    pare_status (*run)(const pare_options *o, const pare_progress *progress, pare_json **result);
    bool makes_folder; /* --output is a folder, not a file for the result */
};

/* ---- what they print ---- */

/* One line a head, of the members that people compare. */
static void print_heads(const pare_json *list)
{
    for (size_t i = 0; i < pare_json_size(list); i++) {
        const pare_json *one = pare_json_at(list, i);
        const pare_json *importance = pare_json_get(one, "importance");
        pare_out("layer %2lld head %2lld", (long long)pare_json_get_int(one, "layer", -1),
                 (long long)pare_json_get_int(one, "head", -1));
        if (importance)
            pare_out("  importance %.6g\n", pare_json_as_double(importance, 0));
        else if (!pare_json_is_number(pare_json_get(one, "difference")))
            pare_out("  undefined\n");
        else
            pare_out("  %+.4f  [%+.4f, %+.4f]  %s\n", pare_json_get_double(one, "difference", 0),
                     pare_json_get_double(one, "low", 0), pare_json_get_double(one, "high", 0),
                     pare_json_get_string(one, "verdict", ""));
    }
}

/* Prints a result: one line of JSON, or for people its members and its heads. */
static pare_status finish(const pare_options *o, const struct study *study, pare_json *result)
{
    if (!o->json)
        print_heads(pare_json_get(result, "heads"));
    return pare_out_result_and_file(result, o->json, study->makes_folder ? NULL : o->output);
}

/* ---- the studies ---- */

static pare_status sweep(const pare_options *o, const pare_progress *progress, pare_json **result)
{
    PARE_TRY(check_data(o));
    PARE_TRY(operands(o, 0, "the result goes to --output F.json"));
    pare_head_sweep_options what = {pare_options_evaluate(o), o->all_but_one};
    what.eval.data.limit = o->train_examples;
    return pare_head_sweep(&what, progress, result);
}

static pare_status importance(const pare_options *o, const pare_progress *progress,
                              pare_json **result)
{
    PARE_TRY(check_data(o));
    PARE_TRY(operands(o, 0, "the result goes to --output F.json"));
    const pare_evaluate_options data = scored_on(o);
    pare_head_score_options score = score_options(o);
    score.normalize = o->given.normalize && o->normalize; /* raw, unless asked: it is looked at */
    return pare_head_importance(&data, &score, progress, result);
}

static pare_status prune_options(const pare_options *o, pare_head_prune_options *out)
{
    PARE_TRY(check_data(o));
    if (!o->given.fraction == !o->given.count)
        return pare_hint(pare_fail(PARE_USAGE, "give --fraction or --count, and not both"),
                         "--fraction 0.4 removes 40 %% of all heads");
    *out = (pare_head_prune_options){
        .eval = pare_options_evaluate(o), .scored = scored_on(o), .score = score_options(o),
        .fraction = o->given.fraction ? o->fraction : -1, .count = o->count, .step = o->step,
        .exact = o->exact, .at_least_one = o->at_least_one};
    return PARE_OK;
}

static pare_status prune(const pare_options *o, const pare_progress *progress, pare_json **result)
{
    pare_model *smaller = NULL;
    pare_head_prune_options what;
    PARE_TRY(prune_options(o, &what));
    PARE_TRY(operands(o, 1, "name the model file to write"));
    pare_status status = pare_head_prune(&what, progress, &smaller, result);
    if (status == PARE_OK)
        status = pare_model_save(smaller, o->operands[1]);
    pare_model_free(smaller);
    return status;
}

static pare_status run(const pare_options *o, const pare_progress *progress, pare_json **result)
{
    pare_head_prune_options what;
    PARE_TRY(prune_options(o, &what));
    PARE_TRY(operands(o, 0, "the run's folder is --output"));
    return pare_heads_run(o, &what, progress, result);
}

static pare_status correlate(const pare_options *o, const pare_progress *progress,
                             pare_json **result)
{
    (void)progress;
    if (o->n_operands < 3)
        return pare_hint(pare_fail(PARE_USAGE, "pare heads correlate needs two files or more"),
                         "name results of pare heads sweep --output");
    return pare_head_correlate(o->operands + 1, o->n_operands - 1, result);
}

/* ---- the command ---- */

static const struct study studies[] = {
    {"sweep", sweep, false}, {"importance", importance, false}, {"prune", prune, false},
    {"run", run, true}, {"correlate", correlate, false}};

static const struct study *find_study(const char *name)
{
    for (size_t i = 0; i < sizeof studies / sizeof *studies; i++)
        if (strcmp(studies[i].name, name) == 0)
            return &studies[i];
    return NULL;
}

pare_status pare_command_heads(const pare_options *o)
{
    const struct study *study = find_study(o->operands[0]);
    pare_json *result = NULL;
    if (!study)
        return pare_hint(pare_fail(PARE_USAGE, "pare heads: unknown study \"%s\"", o->operands[0]),
                         "sweep, importance, prune, run or correlate");
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);
    pare_status status = study->makes_folder ? PARE_OK : pare_result_writable(o->output);
    if (status == PARE_OK)
        status = study->run(o, &progress, &result);
    pare_progress_view_end(&view);
    if (status == PARE_OK)
        return finish(o, study, result);
    pare_json_free(result);
    return status;
}
