/* setup.c: opens a training run: model, data, run folder, optimiser, checkpoint. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/gemm.h"
#include "core/philox.h"
#include "core/threads.h"
#include "tasks/head.h"
#include "tasks/layer_study.h"
#include "tasks/recipe.h"
#include "tasks/source.h"
#include "tasks/teacher.h"
#include "tasks/training.h"

enum { GROUP_BATCHES = 50 };

void pare_training_note(const pare_training *t, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pare_progress_message(t->options->progress, text);
}

/* ---- options ---- */

static pare_status check_options(const pare_train_options *o)
{
    if (!o->model || !o->task || !o->data || !o->output)
        return pare_fail(PARE_USAGE, "--model, --task, --data and --output are needed");
    if (o->batch_size < 1 || o->eval_batch_size < 1 || o->grad_accumulation < 1)
        return pare_fail(PARE_USAGE, "batch sizes and --grad-accumulation must be at least 1");
    return PARE_OK;
}

/* The metric that picks the best: the task's first one unless another is named. */
static pare_status choose_metric(pare_training *t)
{
    const char *names[PARE_MAX_TASK_METRICS + 1], *asked = t->options->metric_for_best;
    pare_task_metrics(t->task, (int)t->n_labels, names);
    t->best_metric = asked ? asked : names[0];
    return pare_task_check_metric(t->task, (int)t->n_labels, t->best_metric);
}

/* Marks one part of "embeddings,0-3" as frozen; false if it is none. */
static bool freeze_part(pare_model *model, const char *part)
{
    char *end;
    const char *number = part;
    long long first = strtoll(part, &end, 10), last = first;
    if (end != part && *end == '-') {
        number = end + 1;
        last = strtoll(number, &end, 10);
    }
    if (strcmp(part, "embeddings") == 0)
        first = last = -1;
    else if (end == number || *end || first < 0 || last < first ||
             last >= model->config.num_hidden_layers)
        return false;
    for (int i = 0; i < model->n_params; i++)
        if (model->params[i]->group == PARE_GROUP_WEIGHTS && model->params[i]->layer >= first &&
            model->params[i]->layer <= last)
            model->params[i]->frozen = true;
    return true;
}

pare_status pare_train_freeze(pare_model *model, const char *parts)
{
    char *copy = pare_strdup(parts ? parts : ""), *state;
    pare_status status = copy ? PARE_OK : PARE_MEMORY;
    for (char *part = copy ? strtok_r(copy, ",+ ", &state) : NULL; part && status == PARE_OK;
         part = strtok_r(NULL, ",+ ", &state))
        if (!freeze_part(model, part))
            status = pare_hint(pare_fail(PARE_USAGE, "--freeze %s: '%s' is no part of this model",
                                         parts, part),
                               "name embeddings and layers from 0 to %lld: embeddings,0-3",
                               (long long)model->config.num_hidden_layers - 1);
    pare_free(copy);
    return status;
}

/* ---- data ---- */

pare_data_options pare_train_data(const pare_train_options *o, const char *split)
{
    return (pare_data_options){.task = o->task, .data = o->data, .split = split,
                               .text_column = o->text_column, .pair_column = o->pair_column,
                               .label_column = o->label_column, .strict = o->strict};
}

static pare_status read_training_data(pare_training *t)
{
    pare_data_options data = pare_train_data(t->options, "train");
    data.limit = t->options->train_examples;
    PARE_TRY(pare_dataset_read(&data, &t->dataset));
    t->n_labels = t->task->regression ? 1 : t->dataset->n_labels;
    if (!t->task->regression && t->n_labels == 1)
        return pare_hint(pare_fail(PARE_INPUT, "%s: every row has the label \"%s\"",
                                   t->dataset->path, t->dataset->label_names[0]),
                         "there is nothing to learn: is --label-column the right one?");
    t->max_length = pare_sequence_length(t->model, t->options->max_seq_length);
    PARE_TRY(pare_encode(t->arena, t->tokenizer, t->dataset, t->max_length, &t->encoded));
    return pare_encoded_fits(&t->encoded, &t->model->config, t->options->model);
}

static pare_status read_dev_data(pare_training *t)
{
    bool has = false;
    PARE_TRY(pare_source_has_dev(t->task, t->options->data, &has));
    if (!has) {
        pare_training_note(t, "no dev set beside the training data: nothing is evaluated");
        return PARE_OK;
    }
    pare_data_options data = pare_train_data(t->options, "dev");
    data.label_names = t->dataset->label_names;
    data.n_labels = t->dataset->n_labels;
    return pare_eval_set_open(t->arena, t->tokenizer, &data, t->max_length, &t->dev);
}

pare_status pare_training_order(pare_training *t, int64_t epoch)
{
    const int64_t n = t->encoded.n, group = t->options->batch_size * GROUP_BATCHES;
    if (t->order_epoch == epoch)
        return PARE_OK;
    if (t->options->shuffle)
        pare_random_shuffle(t->order, n, (uint64_t)t->options->seed, (uint64_t)epoch);
    else
        for (int64_t i = 0; i < n; i++)
            t->order[i] = i;
    if (t->options->group_by_length)
        for (int64_t i = 0; i < n; i += group)
            PARE_TRY(pare_order_by_length(&t->encoded, t->order + i,
                                          n - i < group ? n - i : group));
    t->order_epoch = epoch;
    return PARE_OK;
}

/* ---- the model ---- */

static pare_json *finetune_event(const pare_training *t)
{
    pare_json *event = pare_json_new_object();
    pare_json_set_string(event, "command", "finetune");
    pare_json_set_string(event, "task", t->task->name);
    pare_json_set_int(event, "steps", t->total_steps);
    pare_json_set_int(event, "seed", t->options->seed);
    pare_json_set_double(event, "learning_rate", t->options->learning_rate);
    pare_json_set_string(event, "kernels", pare_gemm_path());
    return event;
}

/* "dropped layers 3, 4 of 6; kept 0, 1, 2, 5" */
static void note_dropped(const pare_training *t, const pare_layer_choice *c)
{
    char lists[2][512] = {"", ""};
    for (int64_t i = 0; i < c->n_layers; i++) {
        char *list = lists[!c->drop[i]];
        const size_t n = strlen(list);
        snprintf(list + n, sizeof lists[0] - n, "%s%lld", n ? ", " : "", (long long)i);
    }
    pare_training_note(t, "dropped layers %s of %lld (%s); kept %s", lists[0],
                       (long long)c->n_layers, c->strategy, lists[1]);
}

/* Layer drop before fine-tuning; by contribution it reads the dev set, or else the training set. */
static pare_status drop_layers(pare_training *t)
{
    const pare_train_options *o = t->options;
    const pare_encoded *texts = t->dev.n > 0 ? &t->dev.encoded[0] : &t->encoded;
    pare_layer_choice choice;
    pare_model *smaller = NULL;
    if (pare_layers_none(o->drop_layers))
        return PARE_OK;
    PARE_TRY(pare_context(pare_layers_parse(o->drop_layers, t->model, texts, o->eval_batch_size,
                                            o->progress, &choice), "--drop-layers"));
    PARE_TRY(pare_layers_drop(t->model, &choice, &smaller));
    pare_model_free(t->model);
    t->model = smaller;
    note_dropped(t, &choice);
    return PARE_OK;
}

/* One dropout for all is given to each pass; two are written into the model's config. */
static void settle_dropout(pare_training *t)
{
    const pare_train_options *o = t->options;
    pare_config *c = &t->model->config;
    t->dropout = o->dropout;
    if (o->attention_dropout < 0)
        return;
    c->attention_probs_dropout_prob = o->attention_dropout;
    if (o->dropout >= 0)
        c->hidden_dropout_prob = c->classifier_dropout = o->dropout;
    t->dropout = -1;
}

/* A head that is kept answers by its labels' names. */
static pare_status order_head(const pare_training *t)
{
    bool moved = false;
    PARE_TRY(pare_head_order(t->model, t->dataset, &moved));
    if (moved)
        pare_training_note(t, "put the head's outputs into the order of the task's labels");
    if (!pare_head_answers(t->model, t->dataset))
        pare_training_note(t, "kept a head whose labels had other names");
    return PARE_OK;
}

/* A fresh model gets the task's head, its labels and a line of history. */
static pare_status prepare_model(pare_training *t)
{
    bool made = false;
    PARE_TRY(drop_layers(t));
    pare_model *m = t->model;
    PARE_TRY(pare_model_ensure_head(m, t->n_labels, (uint64_t)t->options->seed, &made));
    if (made)
        pare_training_note(t, "made a new head for %s with %lld output%s from seed %lld",
                           t->task->name, (long long)t->n_labels, t->n_labels == 1 ? "" : "s",
                           (long long)t->options->seed);
    else
        PARE_TRY(order_head(t));
    PARE_TRY(pare_model_set_labels(m, t->task->name,
                                   (const char *const *)t->dataset->label_names, t->n_labels));
    m->trained_length = t->max_length;
    return pare_model_add_history(m, finetune_event(t));
}

/* ---- resuming ---- */

/* Every option that the bits of the result depend on. */
static pare_status fill_recipe(const pare_training *t, bool resumed, pare_json *r)
{
    const pare_train_options *o = t->options;
    const char *metrics[PARE_MAX_TASK_METRICS + 1];
    pare_task_metrics(t->task, (int)t->n_labels, metrics);
    pare_json_set_string(r, "task", t->task->name);
    pare_json_set_int(r, "training data (crc32)", pare_encoded_crc(&t->encoded));
    for (int i = 0; i < t->dev.n; i++) /* the best score so far is one of theirs */
        pare_json_set_int(r, i ? "second dev set (crc32)" : "dev set (crc32)",
                          pare_encoded_crc(&t->dev.encoded[i]));
    pare_json_set_int(r, "steps", t->total_steps);
    pare_json_set_int(r, "max_seq_length", t->max_length);
    if (strcmp(t->best_metric, metrics[0]) != 0) /* the best score so far is one of this metric */
        pare_json_set_string(r, "metric_for_best", t->best_metric);
    if (o->method && o->method->recipe)
        o->method->recipe(t, r);
    if (resumed)
        PARE_TRY(pare_recipe_add_model(r, o));
    else
        pare_json_set_int(r, PARE_RECIPE_MODEL, pare_model_crc(t->model));
    return pare_recipe_add_training(r, o);
}

/* How a run is begun anew. */
static const char *start_over(const pare_train_options *o)
{
    return o->has_overwrite ? "start over with --overwrite" : "start over in another --output";
}

static pare_status compare_recipe(const pare_training *t, const char *path, const pare_json *now)
{
    char advice[128];
    pare_json *then = NULL;
    snprintf(advice, sizeof advice, "resume with the options of the run's config.ini, or %s",
             start_over(t->options));
    pare_status status = pare_json_parse(t->text.recipe, strlen(t->text.recipe), path, &then);
    if (status == PARE_OK)
        status = pare_recipe_compare(path, then, now, advice);
    pare_json_free(then);
    return status;
}

/* Opens the newest checkpoint that is whole; says what is wrong with the others. One that the disk
 * or the memory keeps from being read may be whole, and is not passed over. *found is false if
 * there are no checkpoints. */
static pare_status open_newest(pare_training *t, char **path, bool *found)
{
    int64_t *steps = NULL;
    size_t n = 0;
    PARE_TRY(pare_run_checkpoints(&t->run, &steps, &n));
    pare_status status = PARE_INPUT;
    *found = false;
    for (size_t i = 0; i < n && status == PARE_INPUT; i++) {
        pare_free(*path);
        *path = pare_run_checkpoint(&t->run, steps[i]);
        status = *path ? pare_checkpoint_open(*path, t->arena, &t->model, &t->state, &t->text)
                       : PARE_MEMORY;
        if (status == PARE_INPUT)
            pare_training_note(t, "passed over: %s", pare_error_message());
    }
    pare_free(steps);
    *found = status == PARE_OK;
    if (status != PARE_INPUT)
        return status;
    pare_free(*path);
    *path = NULL;
    if (n == 0)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "no checkpoint in %s is whole", t->run.path), "%s",
                     start_over(t->options));
}

/* A resume by other kernels warns, and the model's history tells of it. */
static pare_status note_kernels(const pare_training *t, const char *path)
{
    const char *then = t->text.kernels, *now = pare_gemm_path();
    if (!then[0] || strcmp(then, now) == 0 || t->state.step >= t->total_steps)
        return PARE_OK;
    pare_training_note(t,
                       "warning: %s was made by the kernels %s, this run goes on with %s: the "
                       "result will differ in the last digits",
                       path, then, now);
    pare_json *event = pare_json_new_object();
    pare_json_set_string(event, "command", "resume");
    pare_json_set_int(event, "step", t->state.step);
    pare_json_set_string(event, "kernels_before", then);
    pare_json_set_string(event, "kernels", now);
    return pare_model_add_history(t->model, event);
}

/* ---- all together ---- */

static void plan_steps(pare_training *t)
{
    const pare_train_options *o = t->options;
    const int64_t update = o->batch_size * o->grad_accumulation;
    t->steps_per_epoch = (t->encoded.n + update - 1) / update;
    t->total_steps = o->max_steps > 0 ? o->max_steps
                                      : (int64_t)ceil(o->epochs * (double)t->steps_per_epoch);
    t->warmup_steps = o->warmup_steps > 0
                          ? o->warmup_steps
                          : (int64_t)ceil(o->warmup_ratio * (double)t->total_steps);
}

static pare_status open_optimizer(pare_training *t, const char *checkpoint)
{
    PARE_TRY(pare_train_freeze(t->model, t->options->freeze));
    if (t->options->method && t->options->method->open)
        PARE_TRY(t->options->method->open(t));
    PARE_TRY(pare_optimizer_new(t->arena, t->model->params, t->model->n_params,
                                t->options->optimizer, t->options->weight_decay, &t->optimizer));
    t->optimizer->updates = t->state.step - t->state.skipped;
    return checkpoint ? pare_checkpoint_moments(checkpoint, t->optimizer) : PARE_OK;
}

/* How many more checkpoints there will be at once: one is written before the oldest goes. */
static pare_status count_new_checkpoints(const pare_training *t, int64_t *n)
{
    const pare_train_options *o = t->options;
    const int64_t left = t->total_steps - t->state.step;
    const int64_t saves = left / o->save_steps + left / t->steps_per_epoch + 1;
    int64_t *steps = NULL;
    size_t there = 0;
    PARE_TRY(pare_run_checkpoints(&t->run, &steps, &there));
    pare_free(steps);
    *n = o->keep + 1 - (int64_t)there;
    *n = *n < 1 ? 1 : *n < saves ? *n : saves;
    return PARE_OK;
}

/* What the run will write must fit the disk before it begins. */
static pare_status check_space(const pare_training *t)
{
    uint64_t size, available;
    int64_t n;
    if (t->state.step >= t->total_steps)
        return PARE_OK;
    PARE_TRY(pare_checkpoint_estimate(t->model, t->optimizer, &size));
    PARE_TRY(count_new_checkpoints(t, &n));
    PARE_TRY(pare_free_space(t->run.path, &available));
    const uint64_t needed = size * (uint64_t)n + size / 2; /* best.h5 is a third of one */
    if (available >= needed)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_IO, "%s: %lld checkpoint%s and best.h5 need %llu bytes, %llu "
                               "are free", t->run.path, (long long)n, n == 1 ? "" : "s",
                               (unsigned long long)needed, (unsigned long long)available),
                     "free some space, lower --keep, or name another --output");
}

/* The same as the checkpoint's, which stays; or the run's from now on. */
static pare_status settle_recipe(pare_training *t, const char *checkpoint)
{
    pare_json *recipe = pare_json_new_object();
    pare_status status = fill_recipe(t, checkpoint, recipe);
    if (status == PARE_OK && checkpoint)
        status = compare_recipe(t, checkpoint, recipe);
    char *text = checkpoint ? NULL : pare_json_dump(recipe, 0, 17);
    if (!checkpoint)
        t->text.recipe = text ? pare_arena_strdup(t->arena, text) : NULL;
    t->text.kernels = pare_arena_strdup(t->arena, pare_gemm_path());
    pare_free(text);
    pare_json_free(recipe);
    return status == PARE_OK && (!t->text.recipe || !t->text.kernels) ? PARE_MEMORY : status;
}

static pare_status open_parts(pare_training *t, char **checkpoint)
{
    bool found = false;
    if (t->options->resume && !t->options->dry_run) /* whose plan is that of a whole run */
        PARE_TRY(open_newest(t, checkpoint, &found));
    if (!found)
        PARE_TRY(pare_model_open(t->options->model, &t->model));
    PARE_TRY(pare_tokenizer_new(&t->model->vocabulary, &t->tokenizer));
    PARE_TRY(read_training_data(t));
    PARE_TRY(read_dev_data(t));
    PARE_TRY(choose_metric(t));
    plan_steps(t);
    if (found)
        PARE_TRY(note_kernels(t, *checkpoint));
    PARE_TRY(settle_recipe(t, *checkpoint));
    if (!found)
        PARE_TRY(prepare_model(t));
    settle_dropout(t);
    if (t->options->teacher)
        PARE_TRY(pare_teacher_answers(t));
    pare_dataset_free(t->dataset); /* its texts are not needed any more */
    t->dataset = NULL;
    PARE_TRY(open_optimizer(t, *checkpoint));
    t->order = pare_arena_alloc(t->arena, (size_t)t->encoded.n * sizeof *t->order);
    return t->order ? PARE_OK : PARE_MEMORY;
}

/* With its folder, unless nothing is to be written. */
static pare_status open_folder(pare_training *t)
{
    const pare_train_options *o = t->options;
    const char *otherwise = o->has_overwrite
                                ? "go on with --resume, clear it with --overwrite, or name another "
                                  "--output"
                                : "go on with --resume, or name another --output";
    if (o->dry_run)
        return PARE_OK;
    return pare_run_open(o->output, NULL, o->resume || o->overwrite ? NULL : otherwise, &t->run);
}

pare_status pare_training_open(pare_training *t, const pare_train_options *options)
{
    char *checkpoint = NULL;
    *t = (pare_training){.options = options, .order_epoch = -1, .session_start = pare_seconds()};
    t->run.lock = -1;
    PARE_TRY(check_options(options));
    PARE_TRY(pare_task_named(options->task, &t->task));
    pare_threads_set((int)options->threads);
    t->arena = pare_arena_new("run");
    t->step = pare_arena_new("step");
    t->scratch = pare_arena_new("scratch");
    if (!t->arena || !t->step || !t->scratch)
        return PARE_MEMORY;
    PARE_TRY(open_folder(t));
    pare_status status = open_parts(t, &checkpoint);
    pare_free(checkpoint);
    t->earlier_seconds = t->state.run_seconds;
    if (status != PARE_OK || options->dry_run)
        return status;
    PARE_TRY(check_space(t));
    return options->overwrite && !options->resume ? pare_run_clear(&t->run) : PARE_OK;
}

void pare_training_close(pare_training *t)
{
    pare_eval_set_close(&t->dev);
    pare_dataset_free(t->dataset);
    pare_tokenizer_free(t->tokenizer);
    pare_model_free(t->model);
    if (t->run.path)
        pare_run_close(&t->run);
    pare_arena_free(t->scratch);
    pare_arena_free(t->step);
    pare_arena_free(t->arena);
}
