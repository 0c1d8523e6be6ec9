/* trainer.c: the training loop. Every step ends in a state that a checkpoint can hold whole. */
#include "tasks/trainer.h"

#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/gemm.h"
#include "core/signals.h"
#include "models/bert.h"
#include "optim/schedule.h"
#include "tasks/training.h"

enum { LOG_SCHEMA = 1 };

/* What one update did. */
typedef struct step_result {
    double loss, task_loss, learning_rate, grad_norm;
    int64_t tokens, examples;
    const char *skipped; /* why nothing was updated; or NULL */
} step_result;

/* ---- one update ---- */

/* Calls a function that the run's method may have. */
#define METHOD(t, function, ...)                                                                   \
    ((t)->options->method && (t)->options->method->function                                        \
         ? (t)->options->method->function(t, ##__VA_ARGS__)                                        \
         : PARE_OK)

/* The labels' loss, sum over the batch times weight. */
static pare_tensor *task_loss(pare_training *t, pare_tape *tape, pare_tensor *logits,
                              const int64_t *order, double weight)
{
    const int64_t n = logits ? logits->rows : 0;
    int32_t *labels = pare_arena_alloc(t->step, (size_t)n * sizeof *labels);
    double *targets = pare_arena_alloc(t->step, (size_t)n * sizeof *targets);
    if (!labels || !targets)
        return pare_tape_fail(tape, PARE_MEMORY);
    for (int64_t i = 0; i < n; i++) {
        labels[i] = t->encoded.labels[order[i]];
        targets[i] = t->encoded.targets[order[i]];
    }
    return t->task->regression ? pare_squared_error(tape, logits, targets, weight)
                               : pare_cross_entropy(tape, logits, labels, weight);
}

/* The same against a mixture of labels and the teacher's answers: of equal gradient with the
 * mixture of both losses, as each is linear in its target (a squared error but for a constant). */
static pare_tensor *taught_loss(pare_training *t, pare_tape *tape, pare_tensor *logits,
                                const int64_t *order, double weight)
{
    const int64_t n = logits ? logits->rows : 0, k = t->n_labels;
    const double share = t->options->distill_weight;
    double *targets = pare_arena_alloc(t->step, (size_t)(n * k) * sizeof *targets);
    if (!targets)
        return pare_tape_fail(tape, PARE_MEMORY);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++) {
            const double label = t->task->regression ? t->encoded.targets[order[i]]
                                                     : t->encoded.labels[order[i]] == c;
            targets[i * k + c] = (1 - share) * label + share * t->answers[order[i] * k + c];
        }
    return t->task->regression ? pare_squared_error(tape, logits, targets, weight)
                               : pare_soft_cross_entropy(tape, logits, targets, weight);
}

/* The loss, and the weight that it comes from where it is one. */
static pare_status loss_not_finite(const pare_training *t)
{
    const pare_param *bad = pare_model_not_finite(t->model);
    return bad ? pare_fail(PARE_DIVERGED, "the loss is not finite, nor is the tensor %s", bad->name)
               : pare_fail(PARE_DIVERGED, "the loss is not finite");
}

/* Forward and backward of examples order[0..n); their mean loss counts n / update of the whole. */
static pare_status add_gradients(pare_training *t, const int64_t *order, int64_t n, int64_t update,
                                 step_result *result)
{
    const pare_mark mark = pare_arena_mark(t->step);
    const pare_tape_mode mode = {.recording = true, .training = true,
                                 .seed = (uint64_t)t->options->seed,
                                 .step = (uint64_t)t->state.step};
    pare_packed batch;
    pare_tape tape;
    PARE_TRY(pare_pack(t->step, &t->encoded, order, n, &batch));
    pare_tape_begin(&tape, t->step, t->scratch, &mode);
    pare_bert_pass pass = {&tape, t->model, &batch, t->dropout, NULL, NULL};
    PARE_TRY(METHOD(t, forward, &pass));
    pare_tensor *logits = pare_bert_logits(&pass);
    const double weight = 1.0 / (double)update;
    pare_tensor *task = task_loss(t, &tape, logits, order, weight);
    pare_tensor *loss = t->answers ? taught_loss(t, &tape, logits, order, weight) : task;
    PARE_TRY(pare_tape_status(&tape));
    if (!isfinite(loss->data[0]))
        return loss_not_finite(t);
    PARE_TRY(pare_tape_backward(&tape, loss));
    result->loss += loss->data[0];
    result->task_loss += task->data[0];
    result->tokens += batch.n_tokens;
    result->examples += n;
    pare_arena_release(t->step, mark);
    return PARE_OK;
}

/* The gradients of one update's batches, the method's, and the rates of the update. */
static pare_status gradients(pare_training *t, step_result *result, double rates[PARE_GROUPS])
{
    const pare_train_options *o = t->options;
    const int64_t epoch = t->state.step / t->steps_per_epoch;
    const int64_t first = t->state.step % t->steps_per_epoch * o->batch_size * o->grad_accumulation;
    int64_t update = t->encoded.n - first;
    if (update > o->batch_size * o->grad_accumulation)
        update = o->batch_size * o->grad_accumulation;
    PARE_TRY(pare_training_order(t, epoch));
    for (int64_t i = 0; i < update; i += o->batch_size) {
        const int64_t n = update - i < o->batch_size ? update - i : o->batch_size;
        PARE_TRY(add_gradients(t, t->order + first + i, n, update, result));
    }
    rates[PARE_GROUP_WEIGHTS] =
        pare_linear_schedule(o->learning_rate, t->state.step, t->warmup_steps, t->total_steps);
    PARE_TRY(METHOD(t, update, rates));
    result->learning_rate = rates[PARE_GROUP_WEIGHTS];
    return pare_optimizer_norm(t->optimizer, &result->grad_norm);
}

/* What is not finite updates nothing: as if the step had not been, but that it counts. Where that
 * happens again and again the run is lost, and ends. */
static pare_status skip_update(pare_training *t, step_result *result)
{
    enum { ALWAYS_ALLOWED = 10 };
    if (++t->state.skipped > ALWAYS_ALLOWED + t->state.step / 10)
        return pare_context(PARE_DIVERGED, "after %lld skipped steps",
                            (long long)t->state.skipped - 1);
    for (int i = 0; i < t->optimizer->n; i++)
        t->optimizer->params[i]->tensor.has_grad = false;
    result->loss = result->task_loss = NAN;
    result->skipped = pare_error_message();
    pare_training_note(t, "step %lld skipped: %s", (long long)t->state.step + 1, result->skipped);
    return PARE_OK;
}

/* One update: its batches, the norm, the clip, AdamW. */
static pare_status train_step(pare_training *t, step_result *result)
{
    const pare_train_options *o = t->options;
    const pare_mark mark = pare_arena_mark(t->step);
    double rates[PARE_GROUPS] = {0};
    *result = (step_result){0};
    const pare_status status = gradients(t, result, rates);
    pare_arena_release(t->step, mark);
    if (status == PARE_OK)
        pare_optimizer_step(t->optimizer, rates,
                            pare_clip_factor(result->grad_norm, o->max_grad_norm));
    else if (status == PARE_DIVERGED && o->on_nan && strcmp(o->on_nan, "skip") == 0)
        PARE_TRY(skip_update(t, result));
    else
        return status;
    t->state.step++;
    t->state.examples += result->examples;
    t->state.tokens += result->tokens;
    return METHOD(t, updated);
}

/* ---- logging ---- */

static pare_status log_head(const pare_training *t)
{
    pare_json *record = pare_json_new_object();
    pare_json_set_int(record, "schema", LOG_SCHEMA);
    pare_json_set_string(record, "version", PARE_VERSION);
    pare_json_set_string(record, "kernels", pare_gemm_path());
    pare_json_set_int(record, "resumed_at", t->state.step);
    return pare_run_log(&t->run, record, 9);
}

static pare_status log_step(const pare_training *t, const step_result *r)
{
    pare_json *record = pare_json_new_object();
    pare_json_set_int(record, "step", t->state.step);
    pare_json_set_double(record, "loss", r->loss);
    if (t->answers)
        pare_json_set_double(record, "task_loss", r->task_loss);
    pare_json_set_double(record, "learning_rate", r->learning_rate);
    pare_json_set_double(record, "grad_norm", r->grad_norm);
    pare_json_set_int(record, "tokens", r->tokens);
    pare_json_set_int(record, "examples", r->examples);
    pare_json_set_double(record, "epoch", (double)t->state.step / (double)t->steps_per_epoch);
    pare_json_set_double(record, "seconds", t->state.run_seconds);
    if (t->options->method && t->options->method->log)
        t->options->method->log(t, record);
    if (r->skipped)
        pare_json_set_string(record, "skipped", r->skipped);
    return pare_run_log(&t->run, record, 9);
}

static pare_status log_evaluation(const pare_training *t, const pare_evaluation *e)
{
    pare_json *record = pare_json_new_object(), *eval = pare_json_copy(e->metrics);
    pare_json_set_int(record, "step", t->state.step);
    for (int i = 0; i < 4; i++)
        if (!isnan(e->binary[i]))
            pare_json_set_double(eval, pare_binary_metrics[i], e->binary[i]);
    pare_json_set_double(eval, "loss", e->loss);
    pare_json_set(record, "eval", eval);
    return pare_run_log(&t->run, record, 17);
}

static void show_progress(const pare_training *t, const step_result *r)
{
    const pare_progress_info info = {"train", t->state.step, t->total_steps,
                                     r ? r->loss : NAN, r ? r->learning_rate : -1,
                                     t->state.examples, t->state.tokens};
    pare_progress_update(t->options->progress, &info);
}

/* ---- evaluating ---- */

static bool evaluation_due(const pare_training *t)
{
    const int64_t step = t->state.step, every = t->options->eval_steps;
    return step == t->total_steps || step % (every > 0 ? every : t->steps_per_epoch) == 0;
}

static pare_status save_best(pare_training *t)
{
    char *path = pare_run_file(&t->run, "best.h5");
    if (!path)
        return PARE_MEMORY;
    const pare_status status = pare_model_save(t->model, path);
    pare_free(path);
    return status;
}

/* Keeps the evaluation's metrics as text, where the checkpoint and the result find them. */
static char *keep_metrics(pare_training *t, const pare_evaluation *e)
{
    pare_json *all = pare_json_copy(e->metrics);
    pare_json_set_double(all, "loss", e->loss);
    char *text = pare_json_dump(all, 0, 17);
    char *kept = text ? pare_arena_strdup(t->arena, text) : NULL;
    pare_free(text);
    pare_json_free(all);
    return kept;
}

/* "step 345: accuracy 0.7990 f1 0.8605 loss 0.4781" */
static void note_evaluation(const pare_training *t, const pare_evaluation *e)
{
    char text[512];
    size_t used = 0;
    for (void *i = pare_json_iter(e->metrics); i; i = pare_json_iter_next(e->metrics, i))
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %.4f ",
                                 pare_json_iter_key(i),
                                 pare_json_as_double(pare_json_iter_value(i), NAN));
    pare_training_note(t, "step %lld: %sloss %.4f", (long long)t->state.step, used ? text : "",
                       e->loss);
}

static pare_status evaluate(pare_training *t)
{
    pare_evaluation e;
    pare_optimizer_settle(t->optimizer);
    PARE_TRY(METHOD(t, evaluate));
    const pare_infer_space space = {t->step, t->scratch};
    PARE_TRY(pare_eval_set_run(&t->dev, t->model, t->options->eval_batch_size, &space,
                               t->options->progress, &e));
    double score = strcmp(t->best_metric, "loss") == 0
                       ? -e.loss
                       : pare_json_get_double(e.metrics, t->best_metric, NAN);
    if (isnan(score)) /* undefined (a constant prediction): worse than anything defined */
        score = -INFINITY;
    pare_status status = log_evaluation(t, &e);
    t->text.metrics = keep_metrics(t, &e);
    t->state.evaluated_step = t->state.step;
    if (t->state.best_step == 0 || score > t->state.best_score) {
        t->state.best_step = t->state.step;
        t->state.best_score = score;
        t->state.bad_evaluations = 0;
        t->text.best_metrics = t->text.metrics;
        if (status == PARE_OK)
            status = save_best(t);
    } else {
        t->state.bad_evaluations++;
    }
    note_evaluation(t, &e);
    pare_json_free(e.metrics);
    return status == PARE_OK && !t->text.metrics ? PARE_MEMORY : status;
}

/* ---- saving ---- */

static pare_status save(pare_training *t)
{
    PARE_TRY(pare_run_sync_log(&t->run));
    pare_optimizer_settle(t->optimizer);
    char *path = pare_run_checkpoint(&t->run, t->state.step);
    if (!path)
        return PARE_MEMORY;
    pare_status status =
        pare_checkpoint_save(path, t->model, t->optimizer, &t->state, &t->text);
    if (status == PARE_OK)
        status = pare_run_prune(&t->run, t->state.step, t->options->keep);
    pare_free(path);
    return status;
}

static bool early_stop(const pare_training *t)
{
    return t->options->patience > 0 && t->state.bad_evaluations >= t->options->patience;
}

static bool finished(const pare_training *t)
{
    return t->state.step >= t->total_steps || early_stop(t);
}

/* ---- the loop ---- */

/* What is not finite is so since a step; weights that are not are not saved. */
static pare_status at_step(pare_status status, int64_t step)
{
    if (status != PARE_DIVERGED)
        return status;
    return pare_hint(pare_context(status, "step %lld", (long long)step), "lower --learning-rate");
}

static pare_status one_step(pare_training *t)
{
    step_result r;
    const double start = pare_seconds();
    const int64_t step = t->state.step + 1; /* also where it fails after the update */
    const pare_status status = train_step(t, &r);
    if (status != PARE_OK)
        return at_step(status, step);
    t->state.train_seconds += pare_seconds() - start;
    t->state.run_seconds = t->earlier_seconds + pare_seconds() - t->session_start;
    PARE_TRY(log_step(t, &r));
    show_progress(t, &r);
    return PARE_OK;
}

static pare_status train(pare_training *t)
{
    const pare_train_options *o = t->options;
    show_progress(t, NULL);
    while (!finished(t)) {
        PARE_TRY(one_step(t));
        const int64_t step = t->state.step;
        if (t->dev.n > 0 && evaluation_due(t))
            PARE_TRY(at_step(evaluate(t), t->state.step));
        const double session = pare_seconds() - t->session_start;
        const bool stop = !finished(t) && (pare_signal_stop_requested() ||
                                           (o->max_seconds > 0 && session >= o->max_seconds));
        const bool asked = pare_signal_save_requested();
        if (stop || asked || finished(t) || step % o->save_steps == 0 ||
            step % t->steps_per_epoch == 0)
            PARE_TRY(at_step(save(t), t->state.step));
        if (stop)
            return pare_hint(pare_fail(PARE_STOPPED, "stopped after step %lld of %lld, saved in %s",
                                       (long long)step, (long long)t->total_steps, t->run.path),
                             "run the same command again (finetune and flop train: with "
                             "--resume)");
    }
    return PARE_OK;
}

/* ---- the end ---- */

/* result[key] = the metrics that were kept as text, but for the loss, which is returned. */
static double set_metrics(pare_json *result, const char *key, const char *text)
{
    pare_json *kept = NULL, *metrics = pare_json_new_object();
    double loss = NAN;
    if (text && *text && pare_json_parse(text, strlen(text), key, &kept) == PARE_OK) {
        loss = pare_json_get_double(kept, "loss", NAN);
        for (void *i = pare_json_iter(kept); i; i = pare_json_iter_next(kept, i))
            if (strcmp(pare_json_iter_key(i), "loss") != 0)
                pare_json_set(metrics, pare_json_iter_key(i),
                              pare_json_copy(pare_json_iter_value(i)));
    }
    pare_json_free(kept);
    pare_json_set(result, key, metrics);
    return loss;
}

static pare_json *result_of(const pare_training *t)
{
    const double seconds = t->state.train_seconds;
    pare_json *r = pare_json_new_object();
    pare_json_set_string(r, "task", t->task->name);
    pare_json_set_int(r, "steps", t->state.step);
    pare_json_set_int(r, "best_step", t->state.best_step);
    pare_json_set_double(r, "loss", set_metrics(r, "metrics", t->text.metrics));
    set_metrics(r, "best_metrics", t->text.best_metrics);
    pare_json_set_double(r, "train_seconds", seconds);
    pare_json_set_double(r, "tokens_per_second", (double)t->state.tokens / seconds);
    pare_json_set_double(r, "examples_per_second", (double)t->state.examples / seconds);
    pare_json_set_string(r, "kernels", pare_gemm_path());
    pare_json_set_string(r, "output", t->options->output);
    return r;
}

/* "key = value" lines of the last evaluation and the rates. */
static pare_status write_text(const pare_training *t, const pare_json *result)
{
    char text[4096];
    size_t used = 0;
    const pare_json *metrics = pare_json_get(result, "metrics");
    for (void *i = pare_json_iter(metrics); i; i = pare_json_iter_next(metrics, i))
        used += (size_t)snprintf(text + used, sizeof text - used, "%s = %.17g\n",
                                 pare_json_iter_key(i),
                                 pare_json_as_double(pare_json_iter_value(i), NAN));
    snprintf(text + used, sizeof text - used,
             "steps = %lld\nbest_step = %lld\ntrain_seconds = %.3f\n"
             "tokens_per_second = %.1f\nexamples_per_second = %.2f\n",
             (long long)t->state.step, (long long)t->state.best_step, t->state.train_seconds,
             pare_json_get_double(result, "tokens_per_second", 0),
             pare_json_get_double(result, "examples_per_second", 0));
    return pare_run_write(&t->run, "eval_results.txt", text);
}

/* eval_results.json is the last file: where it is, the run is over, and a run of several phases
 * knows by it that one is done. */
static pare_status write_results(const pare_training *t, const pare_json *result)
{
    PARE_TRY(write_text(t, result));
    char *json = pare_json_dump(result, 2, 17);
    const pare_status status =
        json ? pare_run_write(&t->run, "eval_results.json", json) : PARE_MEMORY;
    pare_free(json);
    return status;
}

/* Everything after the last step; safe to do again where an earlier end was interrupted. */
static pare_status finish(pare_training *t, pare_json **result)
{
    char *last = pare_run_file(&t->run, "last.h5");
    char *checkpoint = pare_run_checkpoint(&t->run, t->state.step);
    pare_status status = last && checkpoint ? pare_file_link(checkpoint, last) : PARE_MEMORY;
    pare_free(last);
    pare_free(checkpoint);
    PARE_TRY(status);
    /* The last save may have failed at this. */
    PARE_TRY(pare_run_prune(&t->run, t->state.step, t->options->keep));
    if (t->state.best_step == 0)
        PARE_TRY(save_best(t));
    *result = result_of(t);
    return write_results(t, *result);
}

/* ---- the plan ---- */

/* A batch of the run, by its epoch and place in that epoch's order. */
typedef struct batch_place {
    int64_t epoch, first, n, tokens;
} batch_place;

/* The batch with the most tokens of all that the run will see. */
static pare_status largest_batch(pare_training *t, batch_place *largest)
{
    const int64_t size = t->options->batch_size, *offset = t->encoded.offset;
    *largest = (batch_place){0};
    for (int64_t epoch = 0; epoch * t->steps_per_epoch < t->total_steps; epoch++) {
        PARE_TRY(pare_training_order(t, epoch));
        for (int64_t first = 0; first < t->encoded.n; first += size) {
            batch_place b = {epoch, first, 0, 0};
            for (; b.n < size && first + b.n < t->encoded.n; b.n++) {
                const int64_t example = t->order[first + b.n];
                b.tokens += offset[example + 1] - offset[example];
            }
            if (b.tokens > largest->tokens)
                *largest = b;
        }
    }
    return pare_training_order(t, largest->epoch);
}

/* What --dry-run tells: the run's size, and its memory and time as the largest batch shows them:
 * its gradients are computed once, and nothing is updated. */
static pare_status plan(pare_training *t, pare_json **result)
{
    enum { PROGRAM_BYTES = 24 << 20 }; /* code, libraries, threads' stacks */
    uint64_t disk;
    batch_place largest;
    step_result unused = {0};
    PARE_TRY(pare_checkpoint_estimate(t->model, t->optimizer, &disk));
    PARE_TRY(largest_batch(t, &largest));
    const double start = pare_seconds();
    PARE_TRY(add_gradients(t, t->order + largest.first, largest.n, largest.n, &unused));
    const double seconds = pare_seconds() - start;
    const size_t memory = pare_arena_used(t->arena) + pare_arena_used(t->model->arena) +
                          pare_arena_peak(t->step) + pare_arena_peak(t->scratch) + PROGRAM_BYTES;
    const double epochs = (double)t->total_steps / (double)t->steps_per_epoch;
    const int64_t tokens = t->encoded.offset[t->encoded.n];
    pare_json *r = pare_json_new_object();
    pare_json_set_string(r, "task", t->task->name);
    pare_json_set_int(r, "train_examples", t->encoded.n);
    pare_json_set_int(r, "train_tokens", tokens);
    pare_json_set_int(r, "steps", t->total_steps);
    pare_json_set_int(r, "parameters", pare_model_parameters(t->model));
    pare_json_set_int(r, "memory_bytes", (int64_t)memory);
    pare_json_set_int(r, "checkpoint_bytes", (int64_t)disk);
    pare_json_set_double(r, "seconds",
                         seconds / (double)largest.tokens * (double)tokens * epochs);
    *result = r;
    return PARE_OK;
}

static pare_status run(pare_training *t, pare_json **result)
{
    const pare_train_options *o = t->options;
    if (o->dry_run)
        return plan(t, result);
    PARE_TRY(pare_run_rewind(&t->run, t->state.step));
    if (o->config_text)
        PARE_TRY(pare_run_write(&t->run, "config.ini", o->config_text));
    if (finished(t)) {
        pare_training_note(t, "nothing to do: all %lld steps are done", (long long)t->state.step);
    } else {
        PARE_TRY(log_head(t));
        PARE_TRY(train(t));
    }
    return finish(t, result);
}

pare_status pare_finetune(const pare_train_options *options, pare_json **result)
{
    pare_training t;
    *result = NULL;
    pare_status status = pare_training_open(&t, options);
    if (status == PARE_OK)
        status = run(&t, result);
    if (status != PARE_OK) {
        pare_json_free(*result);
        *result = NULL;
    }
    pare_training_close(&t);
    return status;
}
