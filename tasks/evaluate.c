/* evaluate.c: see evaluate.h. */
#include "tasks/evaluate.h"

#include <math.h>
#include <string.h>

#include "core/elementary.h"
#include "models/answer.h"
#include "models/model_file.h"
#include "tasks/head.h"
#include "tasks/submission.h"

int64_t pare_sequence_length(const pare_model *model, int64_t asked)
{
    int64_t length = asked > 0 ? asked : model->trained_length > 0 ? model->trained_length : 128;
    const int64_t most = model->config.max_position_embeddings;
    return length < most ? length : most;
}

/* ---- inference ---- */

static void count_batch(pare_progress_info *info, const pare_packed *batch)
{
    info->step++;
    info->examples += batch->n_sentences;
    info->tokens += batch->n_tokens;
}

static pare_status run_batches(const pare_encoded *encoded, const int64_t *order,
                               int64_t batch_size, const pare_infer_space *space,
                               const pare_progress *progress, const char *what,
                               pare_batch_function *function, void *context)
{
    pare_progress_info info = {.what = what, .loss = NAN, .learning_rate = -1};
    info.steps = (encoded->n + batch_size - 1) / batch_size;
    for (int64_t first = 0; first < encoded->n; first += batch_size) {
        const int64_t n = encoded->n - first < batch_size ? encoded->n - first : batch_size;
        const pare_mark mark = pare_arena_mark(space->step);
        pare_packed batch;
        pare_progress_update(progress, &info);
        pare_status status = pare_pack(space->step, encoded, order + first, n, &batch);
        if (status == PARE_OK)
            status = function(context, &batch, order + first, space);
        if (status == PARE_OK)
            count_batch(&info, &batch);
        pare_arena_release(space->step, mark);
        PARE_TRY(status);
    }
    pare_progress_update(progress, &info);
    return PARE_OK;
}

/* The same in arenas of its own. */
static pare_status each_in_new_space(const pare_encoded *encoded, int64_t batch_size,
                                     const pare_progress *progress, const char *what,
                                     pare_batch_function *function, void *context)
{
    const pare_infer_space space = {pare_arena_new("step"), pare_arena_new("scratch")};
    pare_status status = PARE_MEMORY;
    if (space.step && space.scratch)
        status = pare_each_batch(encoded, batch_size, &space, progress, what, function, context);
    pare_arena_free(space.scratch);
    pare_arena_free(space.step);
    return status;
}

pare_status pare_each_batch(const pare_encoded *encoded, int64_t batch_size,
                            const pare_infer_space *space, const pare_progress *progress,
                            const char *what, pare_batch_function *function, void *context)
{
    if (!space)
        return each_in_new_space(encoded, batch_size, progress, what, function, context);
    int64_t *order = pare_malloc((size_t)encoded->n * sizeof *order);
    if (!order)
        return PARE_MEMORY;
    for (int64_t i = 0; i < encoded->n; i++)
        order[i] = i;
    pare_status status = pare_order_by_length(encoded, order, encoded->n);
    if (status == PARE_OK)
        status = run_batches(encoded, order, batch_size, space, progress, what, function, context);
    pare_free(order);
    return status;
}

pare_status pare_logits_store(const pare_tensor *from, const int64_t *examples, real *logits)
{
    for (int64_t s = 0; s < from->rows; s++)
        for (int64_t c = 0; c < from->cols; c++) {
            const real logit = from->data[s * from->cols + c];
            if (!isfinite(logit))
                return pare_fail(PARE_DIVERGED, "the logits of example %lld are not finite",
                                 (long long)examples[s]);
            logits[examples[s] * from->cols + c] = logit;
        }
    return PARE_OK;
}

typedef struct infer_args {
    const pare_model *model;
    pare_answerer *answerer;
    real *logits;
} infer_args;

static pare_status infer_batch(void *context, const pare_packed *batch, const int64_t *examples,
                               const pare_infer_space *space)
{
    const infer_args *a = context;
    pare_tensor *logits = pare_tensor_new(space->step, batch->n_sentences, a->model->n_labels);
    if (!logits)
        return PARE_MEMORY;
    PARE_TRY(pare_answer(a->answerer, a->model, batch, logits->data));
    return pare_logits_store(logits, examples, a->logits);
}

pare_status pare_infer(const pare_model *model, const pare_encoded *encoded, int64_t batch_size,
                       const pare_infer_space *space, const pare_progress *progress, real *logits)
{
    infer_args args = {model, NULL, logits};
    pare_status status = pare_answerer_new(space ? space->step : NULL,
                                           space ? space->scratch : NULL, &args.answerer);
    if (status == PARE_OK)
        status = pare_each_batch(encoded, batch_size, space, progress, "eval", infer_batch, &args);
    pare_answerer_free(args.answerer);
    return status;
}

/* ---- judging ---- */

/* Cross entropy of one row, and the index of its largest logit (the first of equals). */
static double row_loss(const real *row, int64_t n, int32_t label, int32_t *prediction)
{
    int64_t best = 0;
    double sum = 0;
    for (int64_t c = 1; c < n; c++)
        if (row[c] > row[best])
            best = c;
    for (int64_t c = 0; c < n; c++)
        sum += pare_exp((double)row[c] - row[best]);
    *prediction = (int32_t)best;
    return label < 0 ? 0 : row[best] + pare_log(sum) - row[label];
}

static pare_status compute_metrics(const pare_task *task, int64_t n_labels,
                                   const pare_outcomes *outcomes, pare_json *metrics)
{
    const char *names[PARE_MAX_TASK_METRICS + 1];
    const int n = pare_task_metrics(task, (int)n_labels, names);
    for (int i = 0; i < n; i++) {
        double value;
        PARE_TRY(pare_metric_compute(pare_metric_find(names[i]), outcomes, &value));
        pare_json_set_double(metrics, names[i], value);
    }
    return PARE_OK;
}

const char *const pare_binary_metrics[4] = {"accuracy", "precision", "recall", "f1"};

static void judge_binary(const pare_task *task, int64_t n_labels, const pare_outcomes *outcomes,
                         double binary[4])
{
    for (int i = 0; i < 4; i++) {
        binary[i] = NAN;
        if (!task->regression && n_labels == 2)
            (void)pare_metric_compute(pare_metric_find(pare_binary_metrics[i]), outcomes,
                                      &binary[i]);
    }
}

/* Answers can be judged only where every example has a label. */
static pare_status check_labels(const pare_task *task, const int32_t *labels,
                                const double *targets, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (task->regression ? isnan(targets[i]) : labels[i] < 0)
            return pare_hint(pare_fail(PARE_INPUT, "%s: these examples have no labels", task->name),
                             "evaluate on --split dev; pare predict answers test sets");
    return PARE_OK;
}

pare_status pare_judge(const pare_task *task, int64_t n_labels, const pare_encoded *encoded,
                       const real *logits, pare_evaluation *out)
{
    const int64_t n = encoded->n;
    PARE_TRY(check_labels(task, encoded->labels, encoded->targets, n));
    int32_t *prediction = pare_malloc((size_t)n * sizeof *prediction);
    double *score = pare_malloc((size_t)n * sizeof *score);
    *out = (pare_evaluation){.examples = n, .metrics = pare_json_new_object()};
    pare_status status = PARE_MEMORY;
    if (prediction && score && out->metrics) {
        double total = 0;
        for (int64_t i = 0; i < n; i++)
            if (task->regression) {
                score[i] = logits[i];
                total += (score[i] - encoded->targets[i]) * (score[i] - encoded->targets[i]);
            } else {
                total += row_loss(logits + i * n_labels, n_labels, encoded->labels[i],
                                  &prediction[i]);
            }
        out->loss = n > 0 ? total / (double)n : NAN;
        const pare_outcomes outcomes = {n, encoded->labels, prediction, encoded->targets, score};
        status = compute_metrics(task, n_labels, &outcomes, out->metrics);
        judge_binary(task, n_labels, &outcomes, out->binary);
    }
    pare_free(prediction);
    pare_free(score);
    return status;
}

/* ---- a task's evaluation sets ---- */

static pare_status open_one(pare_arena *arena, const pare_tokenizer *tokenizer,
                            const pare_data_options *options, int64_t max_length,
                            pare_eval_set *set)
{
    PARE_TRY(pare_dataset_read(options, &set->dataset[set->n]));
    set->n++;
    if (!tokenizer)
        return PARE_OK;
    return pare_encode(arena, tokenizer, set->dataset[set->n - 1], max_length,
                       &set->encoded[set->n - 1]);
}

pare_status pare_eval_set_open(pare_arena *arena, const pare_tokenizer *tokenizer,
                               const pare_data_options *options, int64_t max_length,
                               pare_eval_set *out)
{
    const pare_task *task = pare_task_find(options->task);
    pare_data_options one = *options;
    *out = (pare_eval_set){0};
    if (!task || !task->two_dev_sets || strcmp(options->split, "dev") != 0)
        return open_one(arena, tokenizer, &one, max_length, out);
    one.split = "dev_matched";
    PARE_TRY(open_one(arena, tokenizer, &one, max_length, out));
    one.split = "dev_mismatched";
    return open_one(arena, tokenizer, &one, max_length, out);
}

void pare_eval_set_close(pare_eval_set *set)
{
    for (int i = 0; i < set->n; i++)
        pare_dataset_free(set->dataset[i]);
    set->n = 0;
}

/* Puts the second set's metrics beside the first's: "accuracy_mismatched". */
static void merge_metrics(pare_json *into, const pare_json *from)
{
    for (void *i = pare_json_iter(from); i; i = pare_json_iter_next(from, i)) {
        char name[64];
        snprintf(name, sizeof name, "%s_mismatched", pare_json_iter_key(i));
        pare_json_set_double(into, name, pare_json_as_double(pare_json_iter_value(i), NAN));
    }
}

/* Before any work is done: sets that cannot be judged. */
static pare_status check_set(const pare_eval_set *set)
{
    for (int i = 0; i < set->n; i++)
        PARE_TRY(check_labels(set->dataset[i]->task, set->encoded[i].labels,
                              set->encoded[i].targets, set->encoded[i].n));
    return PARE_OK;
}

static pare_status run_one(const pare_eval_set *set, int i, const pare_model *model,
                           int64_t batch_size, const pare_infer_space *space,
                           const pare_progress *progress, pare_evaluation *out)
{
    const pare_encoded *encoded = &set->encoded[i];
    real *logits = pare_malloc((size_t)(encoded->n * model->n_labels) * sizeof *logits);
    if (!logits)
        return PARE_MEMORY;
    pare_status status = pare_infer(model, encoded, batch_size, space, progress, logits);
    if (status == PARE_OK)
        status = pare_judge(set->dataset[i]->task, model->n_labels, encoded, logits, out);
    pare_free(logits);
    return status;
}

pare_status pare_eval_set_run(const pare_eval_set *set, const pare_model *model,
                              int64_t batch_size, const pare_infer_space *space,
                              const pare_progress *progress, pare_evaluation *out)
{
    pare_evaluation second = {0};
    *out = (pare_evaluation){0};
    PARE_TRY(check_set(set));
    pare_status status = run_one(set, 0, model, batch_size, space, progress, out);
    if (status == PARE_OK && set->n == 2) {
        status = run_one(set, 1, model, batch_size, space, progress, &second);
        if (status == PARE_OK)
            merge_metrics(out->metrics, second.metrics);
        pare_json_free(second.metrics);
    }
    if (status != PARE_OK) {
        pare_json_free(out->metrics);
        out->metrics = NULL;
    }
    return status;
}

/* ---- the command ---- */

static pare_json *result_of(const pare_evaluate_options *options, pare_evaluation *evaluation)
{
    pare_json *result = pare_json_new_object();
    const pare_task *task = pare_task_find(options->data.task);
    pare_json_set_string(result, "task", task ? task->name : options->data.task);
    pare_json_set_string(result, "split", options->data.split);
    pare_json_set_int(result, "examples", evaluation->examples);
    pare_json_set_double(result, "loss", evaluation->loss);
    pare_json_set(result, "metrics", evaluation->metrics);
    evaluation->metrics = NULL;
    return result;
}

/* The model must have a head that answers this task. */
static pare_status check_head(const pare_model *model, const char *path, const pare_dataset *d)
{
    const int64_t labels = d->task->regression ? 1 : d->n_labels;
    if (!model->classifier.weight)
        return pare_hint(pare_fail(PARE_INPUT, "%s has no head for a task", path),
                         "fine-tune it first: pare finetune --model %s --task %s", path,
                         d->task->name);
    if (model->n_labels != labels)
        return pare_hint(pare_fail(PARE_INPUT, "%s answers with %lld labels, %s has %lld", path,
                                   (long long)model->n_labels, d->task->name, (long long)labels),
                         "it was trained on %s", model->task ? model->task : "another task");
    return PARE_OK;
}

/* The data, its labels numbered as the model's are. */
static pare_status open_set(pare_eval_session *s, const pare_evaluate_options *options)
{
    pare_data_options data = options->data;
    if (pare_head_named(s->model)) {
        data.label_names = (const char *const *)s->model->label_names;
        data.n_labels = (int)s->model->n_labels;
    }
    return pare_eval_set_open(s->arena, s->tokenizer, &data,
                              pare_sequence_length(s->model, options->max_seq_length), &s->set);
}

pare_status pare_eval_session_open(const pare_evaluate_options *options, pare_eval_session *s)
{
    *s = (pare_eval_session){.arena = pare_arena_new("evaluation")};
    if (!s->arena)
        return PARE_MEMORY;
    PARE_TRY(pare_model_map(options->model, &s->model));
    PARE_TRY(pare_tokenizer_new(&s->model->vocabulary, &s->tokenizer));
    PARE_TRY(open_set(s, options));
    PARE_TRY(pare_encoded_fits(&s->set.encoded[0], &s->model->config, options->model));
    PARE_TRY(check_head(s->model, options->model, s->set.dataset[0]));
    return pare_head_order(s->model, s->set.dataset[0], NULL);
}

void pare_eval_session_close(pare_eval_session *s)
{
    pare_eval_set_close(&s->set);
    pare_tokenizer_free(s->tokenizer);
    pare_model_free(s->model);
    pare_arena_free(s->arena);
}

static pare_status evaluate_model(const pare_evaluate_options *options,
                                  const pare_progress *progress, pare_json **result)
{
    pare_eval_session session;
    pare_evaluation evaluation = {0};
    pare_status status = pare_eval_session_open(options, &session);
    if (status == PARE_OK)
        status = pare_model_pack(session.model);
    if (status == PARE_OK)
        status = pare_eval_set_run(&session.set, session.model, options->batch_size, NULL,
                                   progress, &evaluation);
    if (status == PARE_OK)
        *result = result_of(options, &evaluation);
    pare_eval_session_close(&session);
    return status;
}

/* Scores predictions that were made elsewhere; there is no loss, which shows as null. */
static pare_status evaluate_predictions(const pare_evaluate_options *options, pare_json **result)
{
    pare_dataset *dataset = NULL;
    PARE_TRY(pare_dataset_read(&options->data, &dataset));
    const int64_t n = dataset->n;
    int32_t *label = pare_malloc((size_t)n * sizeof *label);
    int32_t *prediction = pare_malloc((size_t)n * sizeof *prediction);
    double *target = pare_malloc((size_t)n * sizeof *target);
    double *score = pare_malloc((size_t)n * sizeof *score);
    pare_evaluation evaluation = {.examples = n, .loss = NAN, .metrics = pare_json_new_object()};
    pare_status status = PARE_MEMORY;
    if (label && prediction && target && score && evaluation.metrics) {
        for (int64_t i = 0; i < n; i++) {
            label[i] = dataset->examples[i].label;
            target[i] = dataset->examples[i].target;
        }
        status = check_labels(dataset->task, label, target, n);
        if (status == PARE_OK)
            status = pare_submission_read(options->predictions, dataset, prediction, score);
        const pare_outcomes outcomes = {n, label, prediction, target, score};
        if (status == PARE_OK)
            status = compute_metrics(dataset->task, dataset->n_labels, &outcomes,
                                     evaluation.metrics);
        if (status == PARE_OK)
            *result = result_of(options, &evaluation);
    }
    pare_json_free(evaluation.metrics);
    pare_free(label);
    pare_free(prediction);
    pare_free(target);
    pare_free(score);
    pare_dataset_free(dataset);
    return status;
}

pare_status pare_evaluate(const pare_evaluate_options *options, const pare_progress *progress,
                          pare_json **result)
{
    *result = NULL;
    return options->predictions ? evaluate_predictions(options, result)
                                : evaluate_model(options, progress, result);
}
