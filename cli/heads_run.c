/* heads_run.c: see heads_run.h. */
#include "cli/heads_run.h"

#include <string.h>

#include "cli/config_file.h"
#include "cli/console.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/signals.h"
#include "models/bounded_json.h"
#include "tasks/layer_study.h"
#include "tasks/recipe.h"
#include "tasks/run_folder.h"

#define PRUNED "pruned.h5" /* the first file that such a run makes */

/* The files of a run's folder. */
typedef struct run_paths {
    char *pruned, *heads, *finetuned, *result;
} run_paths;

static pare_status name_paths(const char *folder, run_paths *p)
{
    *p = (run_paths){pare_path_join(folder, PRUNED), pare_path_join(folder, "heads.json"),
                     pare_path_join(folder, "finetuned"), pare_path_join(folder, "run.json")};
    return p->pruned && p->heads && p->finetuned && p->result ? PARE_OK : PARE_MEMORY;
}

static void free_paths(run_paths *p)
{
    pare_free(p->pruned);
    pare_free(p->heads);
    pare_free(p->finetuned);
    pare_free(p->result);
}

/* ---- pruning ---- */

static pare_status crc_of_data(const pare_options *o, uint32_t *crc)
{
    pare_data_options data = pare_options_data(o);
    pare_dataset *dataset = NULL;
    data.split = "train";
    data.limit = o->train_examples;
    PARE_TRY(pare_dataset_read(&data, &dataset));
    *crc = pare_dataset_crc(dataset);
    pare_dataset_free(dataset);
    return PARE_OK;
}

/* What the choice of heads and the training depend on. */
static pare_status fill_recipe(const pare_options *o, const pare_head_prune_options *prune,
                               pare_json *recipe)
{
    uint32_t data_crc;
    pare_train_options train;
    PARE_TRY(crc_of_data(o, &data_crc));
    pare_options_train(o, &train);
    pare_json_set_string(recipe, "split", prune->scored.data.split);
    pare_json_set_double(recipe, "fraction", prune->fraction);
    pare_json_set_int(recipe, "count", prune->count);
    pare_json_set_double(recipe, "step", prune->step);
    pare_json_set_string(recipe, "score", prune->score.score);
    pare_json_set_bool(recipe, "normalize", prune->score.normalize);
    pare_json_set_bool(recipe, "exact", prune->exact);
    pare_json_set_bool(recipe, "at_least_one", prune->at_least_one);
    pare_json_set_int(recipe, "training data (crc32)", data_crc);
    return pare_recipe_add_options(recipe, &train);
}

/* heads.json is written last: where it is, pruned.h5 is whole. */
static pare_status prune_now(const pare_head_prune_options *prune, const run_paths *p,
                             const pare_progress *progress, pare_json *recipe, pare_json **heads)
{
    pare_model *smaller = NULL;
    pare_status status = pare_head_prune(prune, progress, &smaller, heads);
    if (status == PARE_OK)
        status = pare_model_save(smaller, p->pruned);
    pare_model_free(smaller);
    if (status != PARE_OK) {
        pare_json_free(recipe);
        return status;
    }
    pare_json_set(*heads, "recipe", recipe);
    return pare_result_file(p->heads, *heads);
}

static pare_status prune_heads(const pare_options *o, const pare_head_prune_options *prune,
                               const run_paths *p, const pare_progress *progress,
                               pare_json **heads)
{
    pare_json *recipe = pare_json_new_object();
    pare_status status = fill_recipe(o, prune, recipe);
    if (status == PARE_OK && !pare_path_exists(p->heads))
        return prune_now(prune, p, progress, recipe, heads);
    if (status == PARE_OK)
        status = pare_bounded_json_read(p->heads, heads);
    if (status == PARE_OK)
        status = pare_recipe_compare(p->heads, pare_json_get(*heads, "recipe"), recipe,
                                     "repeat the run with the options it was begun with, or name "
                                     "another --output");
    pare_json_free(recipe);
    return status;
}

/* ---- fine-tuning ---- */

/* As pare finetune --model pruned.h5 --output finetuned --resume. The clock runs since `began`. */
static pare_status finetune(const pare_options *o, const run_paths *p, double began,
                            const pare_progress *progress, pare_json **result)
{
    pare_options own = *o;
    pare_train_options train;
    pare_text config = {0};
    own.command = pare_command_find("finetune");
    own.model = p->pruned;
    own.output = p->finetuned;
    pare_options_write(&own, &config);
    pare_status status = pare_text_status(&config);
    if (status == PARE_OK) {
        pare_options_train(&own, &train);
        train.resume = true;
        train.progress = progress;
        train.config_text = config.bytes;
        train.max_seconds = pare_seconds_left(o->max_seconds, began);
        status = pare_finetune(&train, result);
    }
    pare_text_free(&config);
    return status;
}

/* ---- comparing ---- */

static pare_json *result_of(const pare_json *heads, const pare_json *finetuned)
{
    static const char *const same[] = {"task", "heads_before", "heads", "removed",
                                       "parameters_before", "parameters"};
    pare_json *result = pare_json_new_object(), *metrics = pare_json_new_object();
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        pare_json_set(result, same[i], pare_json_copy(pare_json_get(heads, same[i])));
    pare_json_set(metrics, "before", pare_json_copy(pare_json_get(heads, "metrics_before")));
    pare_json_set(metrics, "pruned", pare_json_copy(pare_json_get(heads, "metrics")));
    pare_json_set(metrics, "after", pare_json_copy(pare_json_get(finetuned, "metrics")));
    pare_json_set(result, "metrics", metrics);
    return result;
}

/* With the run's folder open. */
static pare_status run(const pare_options *o, const pare_head_prune_options *prune,
                       const pare_progress *progress, pare_json **result)
{
    run_paths p = {0};
    pare_json *heads = NULL, *finetuned = NULL;
    const double began = pare_seconds();
    pare_status status = name_paths(o->output, &p);
    if (status == PARE_OK)
        status = prune_heads(o, prune, &p, progress, &heads);
    if (status == PARE_OK)
        status = finetune(o, &p, began, progress, &finetuned);
    if (status == PARE_OK) {
        *result = result_of(heads, finetuned);
        status = pare_result_file(p.result, *result);
    }
    pare_json_free(heads);
    pare_json_free(finetuned);
    free_paths(&p);
    return status;
}

pare_status pare_heads_run(const pare_options *o, const pare_head_prune_options *prune,
                           const pare_progress *progress, pare_json **result)
{
    pare_run_folder folder;
    *result = NULL;
    PARE_TRY(pare_option_need(o, "output", o->output));
    if (!pare_layers_none(o->drop_layers))
        return pare_hint(pare_fail(PARE_USAGE, "--drop-layers is no part of pare heads run"),
                         "drop them first: pare drop-layers");
    pare_signals_install();
    PARE_TRY(pare_run_open(o->output, PRUNED, "it holds no pare heads run: name another --output",
                           &folder));
    const pare_status status = run(o, prune, progress, result);
    pare_run_close(&folder);
    return status;
}
