/* head_study.c: see head_study.h. */
#include "tasks/head_study.h"

#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "core/philox.h"
#include "core/threads.h"

enum { RESAMPLINGS = 1000 };

/* The answers to one data set: those of the whole model first, then one a head. */
typedef struct sweep {
    const pare_model *model;
    const pare_head_list *heads;
    const pare_encoded *encoded;
    const pare_task *task;
    pare_ablation kind;
    real *logits;             /* [1 + heads][examples][labels] */
    const int64_t *examples;  /* of the batch at hand */
} sweep;

static int64_t answer_size(const sweep *s)
{
    return s->encoded->n * s->model->n_labels;
}

static real *answers(const sweep *s, int64_t index)
{
    return s->logits + index * answer_size(s);
}

/* ---- running ---- */

static pare_status take(void *context, int64_t head, const pare_tensor *logits)
{
    const sweep *s = context;
    return pare_logits_store(logits, s->examples, answers(s, 1 + head));
}

static pare_status sweep_batch(void *context, const pare_packed *batch, const int64_t *examples,
                               const pare_infer_space *space)
{
    sweep *s = context;
    pare_tape tape;
    pare_tape_begin(&tape, space->step, space->scratch, &(pare_tape_mode){0});
    const pare_bert_pass pass = {&tape, s->model, batch, 0, NULL, NULL};
    s->examples = examples;
    return pare_heads_ablate(&pass, s->heads, s->kind, take, s);
}

/* All answers; the whole model's are made only once, for the first kind. */
static pare_status run_sweep(sweep *s, const pare_evaluate_options *o,
                             const pare_progress *progress, bool baseline)
{
    if (baseline)
        PARE_TRY(pare_infer(s->model, s->encoded, o->batch_size, NULL, progress, answers(s, 0)));
    return pare_each_batch(s->encoded, o->batch_size, NULL, progress, "heads", sweep_batch, s);
}

/* ---- the noise of a data set ---- */

/* Labels and answers in the order of a resampling. */
typedef struct resampled {
    int32_t *label, *prediction;
    double *target, *score;
} resampled;

typedef struct bootstrap {
    const sweep *s;
    const pare_metric *metric;
    const int32_t *picks;  /* [RESAMPLINGS][n] */
    const int32_t *prediction; /* [1 + heads][n] */
    double *values;        /* [1 + heads][RESAMPLINGS] */
    resampled *space;      /* [threads] */
} bootstrap;

static double resample_once(const bootstrap *b, int64_t index, const int32_t *pick, resampled *r)
{
    const pare_encoded *e = b->s->encoded;
    double value = NAN;
    for (int64_t i = 0; i < e->n; i++) {
        r->label[i] = e->labels[pick[i]];
        r->target[i] = e->targets[pick[i]];
        r->prediction[i] = b->prediction[index * e->n + pick[i]];
        r->score[i] = answers(b->s, index)[pick[i] * b->s->model->n_labels];
    }
    const pare_outcomes outcomes = {e->n, r->label, r->prediction, r->target, r->score};
    (void)pare_metric_compute(b->metric, &outcomes, &value);
    return value;
}

static void bootstrap_tile(void *context, int64_t index)
{
    bootstrap *b = context;
    resampled *r = &b->space[pare_thread_index()];
    for (int64_t k = 0; k < RESAMPLINGS; k++)
        b->values[index * RESAMPLINGS + k] =
            resample_once(b, index, b->picks + k * b->s->encoded->n, r);
}

static int32_t *draw_picks(pare_arena *arena, int64_t n)
{
    int32_t *picks = pare_arena_alloc(arena, (size_t)(RESAMPLINGS * n) * sizeof *picks);
    for (int64_t k = 0; picks && k < RESAMPLINGS; k++)
        for (int64_t i = 0; i < n; i++)
            picks[k * n + i] = (int32_t)((double)n * pare_random_uniform(
                                             1, PARE_RANDOM_DATA, (uint64_t)k, (uint64_t)i));
    return picks;
}

static int32_t *predictions_of(pare_arena *arena, const sweep *s)
{
    const int64_t n = s->encoded->n, labels = s->model->n_labels, rows = (1 + s->heads->n) * n;
    int32_t *best = pare_arena_zalloc(arena, (size_t)rows * sizeof *best);
    for (int64_t r = 0; best && r < rows; r++)
        for (int64_t c = 1; c < labels; c++)
            if (s->logits[r * labels + c] > s->logits[r * labels + best[r]])
                best[r] = (int32_t)c;
    return best;
}

static resampled *new_space(pare_arena *arena, int64_t n)
{
    resampled *r = pare_arena_alloc(arena, (size_t)pare_threads() * sizeof *r);
    for (int i = 0; r && i < pare_threads(); i++) {
        r[i] = (resampled){pare_arena_alloc(arena, (size_t)n * sizeof(int32_t)),
                           pare_arena_alloc(arena, (size_t)n * sizeof(int32_t)),
                           pare_arena_alloc(arena, (size_t)n * sizeof(double)),
                           pare_arena_alloc(arena, (size_t)n * sizeof(double))};
        if (!r[i].label || !r[i].prediction || !r[i].target || !r[i].score)
            return NULL;
    }
    return r;
}

/* values[1 + heads][RESAMPLINGS] of the metric; NULL without memory. */
static double *resample(pare_arena *arena, const sweep *s, const pare_metric *metric)
{
    const int64_t rows = 1 + s->heads->n;
    bootstrap b = {.s = s, .metric = metric, .picks = draw_picks(arena, s->encoded->n),
                   .prediction = predictions_of(arena, s),
                   .values = pare_arena_alloc(arena, (size_t)(rows * RESAMPLINGS) * sizeof(double)),
                   .space = new_space(arena, s->encoded->n)};
    if (!b.picks || !b.prediction || !b.values || !b.space)
        return NULL;
    pare_parallel(rows, bootstrap_tile, &b);
    return b.values;
}

/* The 2.5 % and 97.5 % points of the differences of two rows of values; sorts them into row[]. */
static void interval(const double *base, double *row, double *low, double *high)
{
    for (int k = 0; k < RESAMPLINGS; k++) {
        row[k] -= base[k];
        if (isnan(row[k]))
            row[k] = 0; /* undefined on a side: no difference to be seen */
    }
    pare_sort_doubles(row, RESAMPLINGS);
    *low = row[RESAMPLINGS / 40 - 1];
    *high = row[RESAMPLINGS - RESAMPLINGS / 40];
}

/* ---- the result of a sweep ---- */

static const char *verdict(double low, double high)
{
    return low > 0 ? "helps" : high < 0 ? "hurts" : "neutral";
}

static pare_json *judged_json(const sweep *s, int64_t index, pare_status *status)
{
    pare_evaluation evaluation = {0};
    *status = pare_judge(s->task, s->model->n_labels, s->encoded, answers(s, index), &evaluation);
    pare_json *one = pare_json_new_object();
    pare_json_set(one, "metrics", evaluation.metrics);
    pare_json_set_double(one, "loss", evaluation.loss);
    return one;
}

static double metric_in(const pare_json *judged, const char *metric)
{
    return pare_json_get_double(pare_json_get(judged, "metrics"), metric, NAN);
}

static void add_interval(pare_json *one, double difference, const double *base, double *row,
                         pare_json *verdicts)
{
    double low = NAN, high = NAN;
    if (!isnan(difference))
        interval(base, row, &low, &high);
    const char *word = isnan(difference) ? "undefined" : verdict(low, high);
    pare_json_set_double(one, "difference", difference);
    pare_json_set_double(one, "low", low);
    pare_json_set_double(one, "high", high);
    pare_json_set_string(one, "verdict", word);
    if (verdicts)
        pare_json_set_int(verdicts, word, pare_json_get_int(verdicts, word, 0) + 1);
}

/* The list of all heads, and how many of them help, hurt or do neither (verdicts may be NULL). */
static pare_status heads_json(pare_arena *arena, const sweep *s, const char *metric,
                              pare_json **baseline, pare_json *list, pare_json *verdicts)
{
    pare_status status;
    const pare_mark mark = pare_arena_mark(arena);
    double *values = resample(arena, s, pare_metric_find(metric));
    if (!values)
        return PARE_MEMORY;
    *baseline = judged_json(s, 0, &status);
    for (int64_t k = 0; k < s->heads->n && status == PARE_OK; k++) {
        pare_json *one = pare_json_new_object(), *judged = judged_json(s, 1 + k, &status);
        pare_json_set_int(one, "layer", s->heads->at[k].layer);
        pare_json_set_int(one, "head", s->heads->at[k].head);
        pare_json_set(one, "metrics", pare_json_copy(pare_json_get(judged, "metrics")));
        pare_json_set_double(one, "loss", pare_json_get_double(judged, "loss", NAN));
        add_interval(one, metric_in(judged, metric) - metric_in(*baseline, metric), values,
                     values + (1 + k) * RESAMPLINGS, verdicts);
        pare_json_free(judged);
        pare_json_append(list, one);
    }
    pare_arena_release(arena, mark);
    return status;
}

static pare_json *header(const pare_eval_session *session, const pare_evaluate_options *o)
{
    const pare_dataset *d = session->set.dataset[0];
    pare_json *result = pare_json_new_object();
    pare_json_set_string(result, "task", d->task->name);
    pare_json_set_string(result, "split", o->data.split);
    pare_json_set_int(result, "examples", session->set.encoded[0].n);
    return result;
}

/* The first data set's sweep of one kind, into `result`. */
static pare_status sweep_kind(pare_eval_session *session, sweep *s,
                              const pare_head_sweep_options *o, const pare_progress *progress,
                              pare_json *result)
{
    const char *names[PARE_MAX_TASK_METRICS + 1];
    const bool alone = s->kind == PARE_ONE_LEFT;
    pare_json *list = pare_json_new_array(), *baseline = NULL;
    pare_json *verdicts = alone ? NULL : pare_json_new_object();
    pare_task_metrics(s->task, (int)s->model->n_labels, names);
    for (int i = 0; verdicts && i < 3; i++)
        pare_json_set_int(verdicts, (const char *[]){"helps", "hurts", "neutral"}[i], 0);
    pare_status status = run_sweep(s, &o->eval, progress, !alone);
    if (status == PARE_OK)
        status = heads_json(session->arena, s, names[0], &baseline, list, verdicts);
    if (alone) {
        pare_json_free(baseline);
    } else {
        pare_json_set_string(result, "metric", names[0]);
        pare_json_set(result, "baseline", baseline);
        pare_json_set(result, "verdicts", verdicts);
    }
    pare_json_set(result, alone ? "alone" : "heads", list);
    return status;
}

static pare_status sweep_session(pare_eval_session *session, const pare_head_sweep_options *o,
                                 const pare_progress *progress, pare_json *result)
{
    pare_head_list heads;
    PARE_TRY(pare_heads_list(session->arena, session->model, &heads));
    sweep s = {.model = session->model, .heads = &heads, .encoded = &session->set.encoded[0],
               .task = session->set.dataset[0]->task};
    if (s.encoded->n < 1)
        return pare_fail(PARE_INPUT, "no examples to measure the heads on");
    s.logits = pare_arena_alloc(session->arena,
                                (size_t)((1 + heads.n) * answer_size(&s)) * sizeof(real));
    if (!s.logits)
        return PARE_MEMORY;
    PARE_TRY(sweep_kind(session, &s, o, progress, result));
    s.kind = PARE_ONE_LEFT;
    return o->all_but_one ? sweep_kind(session, &s, o, progress, result) : PARE_OK;
}

pare_status pare_head_sweep(const pare_head_sweep_options *options, const pare_progress *progress,
                            pare_json **result)
{
    pare_eval_session session;
    *result = NULL;
    pare_status status = pare_eval_session_open(&options->eval, &session);
    if (status == PARE_OK)
        status = pare_model_pack(session.model);
    if (status == PARE_OK) {
        *result = header(&session, &options->eval);
        status = sweep_session(&session, options, progress, *result);
    }
    if (status != PARE_OK) {
        pare_json_free(*result);
        *result = NULL;
    }
    pare_eval_session_close(&session);
    return status;
}

/* ---- importance ---- */

typedef struct importance_args {
    const pare_model *model;
    const pare_encoded *encoded;
    const pare_head_list *heads;
    bool regression;
    pare_head_sums sums;
    int64_t tokens;
} importance_args;

static pare_status importance_batch(void *context, const pare_packed *batch,
                                    const int64_t *examples, const pare_infer_space *space)
{
    importance_args *a = context;
    const int64_t n = batch->n_sentences;
    pare_tape tape;
    pare_tape_begin(&tape, space->step, space->scratch, &(pare_tape_mode){.recording = true});
    int32_t *labels = pare_arena_alloc(space->step, (size_t)n * sizeof *labels);
    double *targets = pare_arena_alloc(space->step, (size_t)n * sizeof *targets);
    if (!labels || !targets)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        labels[i] = a->encoded->labels[examples[i]];
        targets[i] = a->encoded->targets[examples[i]];
        if (a->regression ? isnan(targets[i]) : labels[i] < 0)
            return pare_fail(PARE_INPUT, "importance needs labels; example %lld has none",
                             (long long)examples[i]);
    }
    a->tokens += batch->n_tokens;
    return pare_heads_importance(&tape, a->model, batch, a->regression ? NULL : labels,
                                 a->regression ? targets : NULL, a->heads, &a->sums);
}

static void random_scores(double *scores, int64_t n, uint64_t seed)
{
    for (int64_t k = 0; k < n; k++)
        scores[k] = pare_random_uniform(seed, PARE_RANDOM_INIT, 0, (uint64_t)k);
}

pare_status pare_head_scores(const pare_eval_session *session, const pare_model *model,
                             const pare_head_list *heads, int64_t batch_size,
                             const pare_head_score_options *o, const pare_progress *progress,
                             double *scores)
{
    const size_t bytes = (size_t)heads->n * sizeof(double);
    const bool token = strcmp(o->score, "token") == 0;
    if (strcmp(o->score, "random") == 0) { /* without a session */
        random_scores(scores, heads->n, o->seed);
        return PARE_OK;
    }
    importance_args a = {.model = model, .encoded = &session->set.encoded[0], .heads = heads,
                         .regression = session->set.dataset[0]->task->regression};
    a.sums = (pare_head_sums){pare_arena_zalloc(session->arena, bytes),
                              pare_arena_zalloc(session->arena, bytes)};
    if (!a.sums.token || !a.sums.example)
        return PARE_MEMORY;
    PARE_TRY(pare_each_batch(a.encoded, batch_size, NULL, progress, "importance",
                             importance_batch, &a));
    for (int64_t k = 0; k < heads->n; k++)
        scores[k] = token ? a.sums.token[k] / (double)a.tokens
                          : a.sums.example[k] / (double)a.encoded->n;
    if (o->normalize)
        pare_heads_normalize(heads, scores);
    return PARE_OK;
}

static pare_json *scores_json(const pare_head_list *heads, const double *scores)
{
    pare_json *list = pare_json_new_array();
    for (int64_t k = 0; k < heads->n; k++) {
        pare_json *one = pare_json_new_object();
        pare_json_set_int(one, "layer", heads->at[k].layer);
        pare_json_set_int(one, "head", heads->at[k].head);
        pare_json_set_double(one, "importance", scores[k]);
        pare_json_append(list, one);
    }
    return list;
}

pare_status pare_head_importance(const pare_evaluate_options *options,
                                 const pare_head_score_options *score,
                                 const pare_progress *progress, pare_json **result)
{
    pare_eval_session session;
    pare_head_list heads;
    double *scores = NULL;
    *result = NULL;
    pare_status status = pare_eval_session_open(options, &session);
    if (status == PARE_OK)
        status = pare_heads_list(session.arena, session.model, &heads);
    if (status == PARE_OK &&
        !(scores = pare_arena_alloc(session.arena, (size_t)heads.n * sizeof *scores)))
        status = PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_head_scores(&session, session.model, &heads, options->batch_size, score,
                                  progress, scores);
    if (status == PARE_OK) {
        *result = header(&session, options);
        pare_json_set_string(*result, "score", score->score);
        pare_json_set_bool(*result, "normalized", score->normalize);
        pare_json_set(*result, "heads", scores_json(&heads, scores));
    }
    pare_eval_session_close(&session);
    return status;
}
