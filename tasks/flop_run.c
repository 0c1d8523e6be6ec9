/* flop_run.c: see flop_run.h. */
#include "tasks/flop_run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/file.h"
#include "models/bounded_json.h"
#include "tasks/head.h"
#include "tasks/layer_study.h"
#include "tasks/recipe.h"
#include "tasks/source.h"

enum { LEAST_MASK_STEPS = 1000 };
#define RECIPE "recipe.json" /* the first file that a run makes */

static char *name_in(const pare_flop_state *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A path in the run's folder, owned by the arena; NULL without memory. */
static char *name_in(const pare_flop_state *s, const char *format, ...)
{
    char name[128];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return pare_arena_printf(s->arena, "%s/%s", s->options->train.output, name);
}

static void note_phase(const pare_flop_state *s, const char *phase, const char *what)
{
    char text[256];
    snprintf(text, sizeof text, "phase %s: %s", phase, what);
    pare_progress_message(s->options->train.progress, text);
}

static bool learns(const pare_flop_state *s)
{
    return strcmp(s->options->method, "flop") == 0;
}

/* ---- the run's recipe ---- */

static pare_status fill_recipe(const pare_flop_state *s, pare_json *r)
{
    const pare_flop_options *o = s->options;
    char targets[PARE_MAX_TARGETS * 24] = "", which[PARE_MATRICES + 1] = "";
    for (int i = 0, used = 0; i < s->n; i++)
        used += snprintf(targets + used, sizeof targets - (size_t)used, "%s%.15g", i ? "," : "",
                         s->models[i].asked);
    for (int m = 0; m < PARE_MATRICES; m++)
        which[m] = o->which[m] ? '1' : '0';
    pare_json_set_string(r, "method", o->method);
    pare_json_set_string(r, "targets", targets);
    pare_json_set_bool(r, "target_of_factorised", o->of_factorised);
    pare_json_set_string(r, "modules", which);
    pare_json_set_double(r, "mask_epochs", o->mask_epochs);
    pare_json_set_int(r, "gate_start", o->start);
    pare_json_set_double(r, "gate_mean", o->gate_mean);
    pare_json_set_double(r, "gate_spread", o->gate_spread);
    pare_json_set_double(r, "final_epochs", o->final_epochs);
    pare_json_set_double(r, "final_learning_rate", o->final_learning_rate);
    pare_json_set_bool(r, "distill", o->distill);
    if (o->distill)
        pare_json_set_double(r, "distill_weight", o->train.distill_weight);
    pare_json_set_int(r, "training data (crc32)", s->data_crc);
    pare_masks_recipe(&o->masks, r);
    return pare_recipe_add_options(r, &o->train);
}

/* Written when the run begins; later calls must have the same. */
static pare_status settle_recipe(pare_flop_state *s)
{
    const char *path = name_in(s, RECIPE);
    pare_json *now = pare_json_new_object(), *then = NULL;
    pare_status status = path ? fill_recipe(s, now) : PARE_MEMORY;
    if (status == PARE_OK && pare_path_exists(path)) {
        status = pare_bounded_json_read(path, &then);
        if (status == PARE_OK)
            status = pare_recipe_compare(path, then, now,
                                         "repeat the run with the options it was begun with, or "
                                         "name another --output");
    } else if (status == PARE_OK) {
        char *text = pare_json_dump(now, 2, 17);
        status = text ? pare_run_write(&s->run, RECIPE, text) : PARE_MEMORY;
        pare_free(text);
    }
    pare_json_free(now);
    pare_json_free(then);
    return status;
}

/* ---- training phases ---- */

/* A phase of training in a folder of its own, unless it is done. */
static pare_status train(const pare_flop_state *s, const char *phase, pare_train_options *t)
{
    pare_json *result = NULL;
    char *last = pare_path_join(t->output, "last.h5");
    char *summary = pare_path_join(t->output, "eval_results.json");
    pare_status status = last && summary ? PARE_OK : PARE_MEMORY;
    if (status == PARE_OK && !(pare_path_exists(last) && pare_path_exists(summary))) {
        note_phase(s, phase, t->output);
        t->resume = true;
        t->overwrite = false;
        t->config_text = NULL;
        t->max_seconds = pare_seconds_left(t->max_seconds, s->began);
        status = pare_finetune(t, &result);
    }
    pare_json_free(result);
    pare_free(last);
    pare_free(summary);
    return status;
}

/* Updates in an epoch, as the trainer will count them, and those of the masks: one a target at
 * least. */
static pare_status count_steps(pare_flop_state *s, const pare_dataset *d)
{
    const pare_train_options *t = &s->options->train;
    const int64_t update = t->batch_size * t->grad_accumulation;
    s->steps_per_epoch = (d->n + update - 1) / update;
    const double epochs = s->options->mask_epochs > 0 ? s->options->mask_epochs : t->epochs;
    s->mask_steps = (int64_t)ceil(epochs * (double)s->steps_per_epoch);
    if (s->options->mask_epochs == 0 && s->mask_steps < LEAST_MASK_STEPS)
        s->mask_steps = LEAST_MASK_STEPS;
    if (t->max_steps > 0)
        s->mask_steps = t->max_steps;
    if (s->mask_steps >= s->n)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "%lld steps of masks are too few for %d targets",
                               (long long)s->mask_steps, s->n),
                     "give more --mask-epochs or --max-steps");
}

static int64_t final_steps(const pare_flop_state *s)
{
    const int64_t most = s->options->train.max_steps;
    const int64_t steps = (int64_t)ceil(s->options->final_epochs * (double)s->steps_per_epoch);
    return most > 0 && most < steps ? most : steps;
}

/* The dense model: the one at hand, or fine-tuned from it. */
static pare_status make_dense(pare_flop_state *s)
{
    pare_train_options t = s->options->train;
    if (s->headed) {
        s->dense = t.model;
        return PARE_OK;
    }
    t.output = name_in(s, "dense");
    s->dense = name_in(s, "dense/last.h5");
    return t.output && s->dense ? train(s, "dense", &t) : PARE_MEMORY;
}

static pare_status teach(const pare_flop_state *s, pare_train_options *t)
{
    if (!s->options->distill)
        return PARE_OK;
    t->teacher = s->dense;
    t->answers = name_in(s, "teacher.h5");
    return t->answers ? PARE_OK : PARE_MEMORY;
}

/* ---- from dense to compact ---- */

static pare_status write_factorised(const pare_flop_state *s, const char *path)
{
    const pare_flop_options *o = s->options;
    pare_model *dense = NULL, *factorised = NULL;
    note_phase(s, "factorise", path);
    PARE_TRY(pare_model_open(s->dense, &dense));
    pare_status status = pare_flop_gated(dense, o->which, o->start, o->gate_mean, o->gate_spread,
                                         (uint64_t)o->train.seed, &factorised);
    if (status == PARE_OK)
        status = pare_model_save(factorised, path);
    pare_model_free(factorised);
    pare_model_free(dense);
    return status;
}

/* How sparse the gates are before they are trained: the ramp begins there. */
static pare_status initial_sparsity(const pare_flop_state *s, const char *path, double *initial)
{
    pare_model *m = NULL;
    pare_flop_list list;
    PARE_TRY(pare_model_open(path, &m));
    const pare_status status = pare_flop_list_new(s->arena, m, &list);
    if (status == PARE_OK)
        *initial = pare_flop_sparsity(&list, s->options->masks.temperature);
    pare_model_free(m);
    return status;
}

/* The trainer's options for the masks, trained from the model in `from`. */
typedef struct mask_phase {
    double targets[PARE_MAX_TARGETS];
    char *files[PARE_MAX_TARGETS];
    pare_masks masks;
    pare_train_options train;
} mask_phase;

static pare_status plan_masks(const pare_flop_state *s, const char *from, mask_phase *p)
{
    p->masks = (pare_masks){.options = s->options->masks};
    p->train = s->options->train;
    PARE_TRY(initial_sparsity(s, from, &p->masks.options.initial));
    for (int i = 0; i < s->n; i++) {
        p->targets[i] = s->models[i].gone;
        p->files[i] = s->models[i].compact;
    }
    p->masks.options.targets = p->targets;
    p->masks.options.files = p->files;
    p->masks.options.n_targets = s->n;
    p->masks.options.encoder = s->encoder;
    p->train.model = from;
    p->train.max_steps = s->mask_steps;
    p->train.patience = 0; /* every target is to be reached */
    p->train.drop_layers = NULL;
    p->train.method = &pare_masks_method;
    p->train.method_state = &p->masks;
    return PARE_OK;
}

static pare_status train_masks(const pare_flop_state *s, const char *factorised)
{
    mask_phase p;
    PARE_TRY(plan_masks(s, factorised, &p));
    p.train.output = name_in(s, "masks");
    PARE_TRY(teach(s, &p.train));
    return p.train.output ? train(s, "masks", &p.train) : PARE_MEMORY;
}

static pare_status learn(pare_flop_state *s)
{
    const char *factorised = name_in(s, "factorised.h5");
    if (!factorised)
        return PARE_MEMORY;
    if (!pare_path_exists(factorised))
        PARE_TRY(write_factorised(s, factorised));
    return train_masks(s, factorised);
}

/* The decompositions of the i-th target. */
static pare_status truncate_dense(const pare_flop_state *s, const pare_model *dense, int i,
                                  pare_model **out)
{
    const pare_flop_options *o = s->options;
    const pare_flop_order order = strcmp(o->method, "svd-global") == 0 ? PARE_FLOP_SINGULAR_VALUES
                                                                       : PARE_FLOP_UNIFORM;
    return pare_flop_truncate(dense, o->which, s->models[i].gone, order,
                              pare_mask_fold(o->masks.fold), out);
}

/* Truncated decompositions instead of masks. */
static pare_status truncate_all(const pare_flop_state *s)
{
    pare_model *dense = NULL;
    PARE_TRY(pare_model_open(s->dense, &dense));
    pare_status status = PARE_OK;
    for (int i = 0; i < s->n && status == PARE_OK; i++) {
        pare_model *smaller = NULL;
        if (pare_path_exists(s->models[i].compact))
            continue;
        note_phase(s, "truncate", s->models[i].compact);
        status = truncate_dense(s, dense, i, &smaller);
        if (status == PARE_OK)
            status = pare_model_save(smaller, s->models[i].compact);
        pare_model_free(smaller);
    }
    pare_model_free(dense);
    return status;
}

/* The last fine-tuning of a target's model. A truncated one trains for as long as the masks did up
 * to there, too. */
static pare_status finetune_model(const pare_flop_state *s, int i)
{
    pare_train_options t = s->options->train;
    t.model = s->models[i].compact;
    t.output = s->models[i].folder;
    t.drop_layers = NULL;
    t.max_steps = final_steps(s);
    if (!learns(s))
        t.max_steps += (i + 1) * s->mask_steps / s->n;
    if (s->options->final_learning_rate > 0)
        t.learning_rate = s->options->final_learning_rate;
    PARE_TRY(teach(s, &t));
    return train(s, "finetune", &t);
}

/* ---- the run ---- */

static pare_status check(const pare_train_options *t)
{
    const pare_task *task;
    if (!pare_layers_none(t->drop_layers))
        return pare_hint(pare_fail(PARE_USAGE, "--drop-layers is no part of pare flop run"),
                         "drop them first: pare drop-layers");
    return pare_task_named(t->task, &task);
}

static pare_status look_at_data(pare_flop_state *s, const pare_model *m)
{
    pare_data_options data = pare_train_data(&s->options->train, "train");
    pare_dataset *d = NULL;
    data.limit = s->options->train.train_examples;
    PARE_TRY(pare_dataset_read(&data, &d));
    s->headed = pare_head_is_for(m, d);
    s->data_crc = pare_dataset_crc(d);
    const pare_status status = count_steps(s, d);
    pare_dataset_free(d);
    return status;
}

/* The run's scores are those of the dev set, and its teacher is the dense model. */
static pare_status check_run(const pare_train_options *t)
{
    const pare_task *task;
    bool has = false;
    if (t->teacher)
        return pare_hint(pare_fail(PARE_USAGE, "--teacher is no part of pare flop run"),
                         "the dense model is the teacher, or none is: --no-distill");
    PARE_TRY(pare_task_named(t->task, &task));
    PARE_TRY(pare_source_has_dev(task, t->data, &has));
    if (has)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: no dev set of %s beside the training data", t->data,
                               task->name),
                     "pare flop run compares the models on it; pare flop train needs none");
}

/* The files of each target. */
static pare_status name_files(pare_flop_state *s)
{
    for (int i = 0; i < s->n; i++) {
        pare_flop_model *m = &s->models[i];
        m->compact = name_in(s, "compact-%.15g.h5", m->asked);
        m->folder = name_in(s, "finetuned-%.15g", m->asked);
        m->last = name_in(s, "finetuned-%.15g/last.h5", m->asked);
        if (!m->compact || !m->folder || !m->last)
            return PARE_MEMORY;
    }
    return PARE_OK;
}

/* Everything that can be refused is, before anything is written. */
static pare_status look(pare_flop_state *s, bool gated)
{
    pare_model *m = NULL;
    PARE_TRY(check(&s->options->train));
    PARE_TRY(pare_flop_list_targets(s));
    PARE_TRY(pare_model_open(s->options->train.model, &m));
    pare_status status = pare_flop_aim(s, m, gated);
    if (status == PARE_OK)
        status = look_at_data(s, m);
    if (status == PARE_OK) /* of a model that is not used any more */
        status = pare_train_freeze(m, s->options->train.freeze);
    pare_model_free(m);
    return status == PARE_OK ? name_files(s) : status;
}

static pare_status run(pare_flop_state *s, pare_json **result)
{
    const pare_train_options *t = &s->options->train;
    PARE_TRY(look(s, false));
    PARE_TRY(check_run(t));
    PARE_TRY(pare_run_open(t->output, RECIPE, "it holds no pare flop run: name another --output",
                           &s->run));
    PARE_TRY(settle_recipe(s));
    if (t->config_text)
        PARE_TRY(pare_run_write(&s->run, "config.ini", t->config_text));
    PARE_TRY(make_dense(s));
    PARE_TRY(learns(s) ? learn(s) : truncate_all(s));
    for (int i = 0; i < s->n; i++)
        PARE_TRY(finetune_model(s, i));
    note_phase(s, "measure", t->output);
    return pare_flop_report(s, result);
}

static pare_status begin(pare_flop_state *s, const pare_flop_options *options)
{
    *s = (pare_flop_state){.options = options, .arena = pare_arena_new("flop run"),
                           .began = pare_seconds(), .run.lock = -1};
    return s->arena ? PARE_OK : PARE_MEMORY;
}

static void end(pare_flop_state *s)
{
    if (s->run.path)
        pare_run_close(&s->run);
    pare_arena_free(s->arena);
}

pare_status pare_flop_run(const pare_flop_options *options, pare_json **result)
{
    pare_flop_state s;
    *result = NULL;
    pare_status status = begin(&s, options);
    if (status == PARE_OK)
        status = run(&s, result);
    end(&s);
    if (status != PARE_OK) {
        pare_json_free(*result);
        *result = NULL;
    }
    return status;
}

/* ---- its parts by themselves ---- */

/* A finished run's models may have been moved away. */
static pare_status look_at_compact(const pare_flop_state *s, int i, bool *missed)
{
    pare_model *m = NULL;
    if (!pare_path_exists(s->models[i].compact))
        return PARE_OK;
    PARE_TRY(pare_model_open(s->models[i].compact, &m));
    *missed = *missed || pare_flop_missed(s, i, pare_model_encoder_parameters(m));
    pare_model_free(m);
    return PARE_OK;
}

static pare_status train_alone(pare_flop_state *s, pare_json **result)
{
    mask_phase p;
    PARE_TRY(look(s, true));
    PARE_TRY(plan_masks(s, s->options->train.model, &p));
    PARE_TRY(pare_finetune(&p.train, result));
    bool any = false;
    for (int i = 0; i < s->n; i++)
        PARE_TRY(look_at_compact(s, i, &any));
    pare_json_set_bool(*result, "missed", any);
    return PARE_OK;
}

pare_status pare_flop_train(const pare_flop_options *options, pare_json **result)
{
    pare_flop_state s;
    *result = NULL;
    pare_status status = begin(&s, options);
    if (status == PARE_OK)
        status = train_alone(&s, result);
    end(&s);
    return status;
}

/* A model of the first target, by what makes it of another. */
typedef pare_status make_function(pare_flop_state *s, pare_model *from, pare_model **out);

static pare_status make_alone(const pare_flop_options *options, make_function *make, bool gated,
                              pare_model *from, pare_model **out, bool *missed)
{
    pare_flop_state s;
    *out = NULL;
    pare_status status = begin(&s, options);
    if (status == PARE_OK)
        status = pare_flop_list_targets(&s);
    if (status == PARE_OK)
        status = pare_flop_aim(&s, from, gated);
    if (status == PARE_OK)
        status = make(&s, from, out);
    if (status == PARE_OK)
        *missed = pare_flop_missed(&s, 0, pare_model_encoder_parameters(*out));
    end(&s);
    return status;
}

static pare_status truncate_alone(pare_flop_state *s, pare_model *dense, pare_model **out)
{
    return truncate_dense(s, dense, 0, out);
}

pare_status pare_flop_truncate_model(const pare_flop_options *options, pare_model *dense,
                                     pare_model **out, bool *missed)
{
    return make_alone(options, truncate_alone, false, dense, out, missed);
}

static pare_status compact_alone(pare_flop_state *s, pare_model *gated, pare_model **out)
{
    pare_masks masks = {.options = s->options->masks};
    masks.options.encoder = s->encoder;
    PARE_TRY(pare_flop_list_new(s->arena, gated, &masks.list));
    return pare_masks_compact(&masks, gated, s->models[0].gone, NULL, out);
}

pare_status pare_flop_compact_gated(const pare_flop_options *options, pare_model *gated,
                                    pare_model **out, bool *missed)
{
    return make_alone(options, compact_alone, true, gated, out, missed);
}
