/* flop_report.c: what a FLOP run came to: sizes, scores, times (flop_run.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/text.h"
#include "models/bounded_json.h"
#include "tasks/flop_run.h"
#include "tasks/latency.h"

static const int64_t batches[] = {1, 8, 32};
enum { N_BATCHES = sizeof batches / sizeof *batches };

/* A measured model. */
typedef struct measure {
    pare_evaluation evaluation; /* its metrics are owned here */
    double score;               /* the task's first metric */
    double eval_seconds;
    int64_t parameters, encoder, bytes, memory_bytes;
    pare_json *ranks;           /* of each layer's factorised matrices, owned */
    pare_json *masks;           /* the "flop masks" event of its history, owned; or NULL */
    pare_latency latency[N_BATCHES];
} measure;

/* ---- measuring ---- */

static pare_status find_event(const pare_model *model, const char *path, pare_json **out)
{
    pare_json *history = NULL;
    *out = NULL;
    if (!model->history)
        return PARE_OK;
    PARE_TRY(pare_json_parse(model->history, strlen(model->history), path, &history));
    for (size_t i = 0; i < pare_json_size(history); i++) {
        const pare_json *event = pare_json_at(history, i);
        if (strcmp(pare_json_get_string(event, "command", ""), "flop masks") == 0) {
            pare_json_free(*out);
            *out = pare_json_copy(event);
        }
    }
    pare_json_free(history);
    return PARE_OK;
}

/* The dev set's score, and the memory that weights and activations take. */
static pare_status evaluate(pare_eval_session *session, const pare_train_options *t, measure *m)
{
    const pare_infer_space space = {pare_arena_new("step"), pare_arena_new("scratch")};
    pare_status status = PARE_MEMORY;
    const double start = pare_seconds();
    if (space.step && space.scratch)
        status = pare_eval_set_run(&session->set, session->model, t->eval_batch_size, &space,
                                   t->progress, &m->evaluation);
    m->eval_seconds = pare_seconds() - start;
    if (status == PARE_OK)
        m->memory_bytes = (int64_t)(pare_arena_used(session->model->arena) +
                                    pare_arena_peak(space.step) + pare_arena_peak(space.scratch));
    pare_arena_free(space.step);
    pare_arena_free(space.scratch);
    return status;
}

static pare_status measure_model(const pare_flop_state *s, const char *path, measure *m)
{
    const pare_train_options *t = &s->options->train;
    const pare_evaluate_options eval = {.model = path, .data = pare_train_data(t, "dev"),
                                        .max_seq_length = t->max_seq_length,
                                        .batch_size = t->eval_batch_size};
    const char *names[PARE_MAX_TASK_METRICS + 1];
    pare_eval_session session;
    pare_status status = pare_eval_session_open(&eval, &session);
    if (status == PARE_OK)
        status = evaluate(&session, t, m);
    if (status == PARE_OK)
        status = find_event(session.model, path, &m->masks);
    if (status == PARE_OK) {
        pare_task_metrics(session.set.dataset[0]->task, (int)session.model->n_labels, names);
        m->score = pare_json_get_double(m->evaluation.metrics, names[0], NAN);
        m->parameters = pare_model_parameters(session.model);
        m->encoder = pare_model_encoder_parameters(session.model);
        m->bytes = m->parameters * (int64_t)sizeof(real);
        m->ranks = pare_json_new_array();
        for (int64_t i = 0; i < session.model->config.num_hidden_layers; i++)
            pare_json_append(m->ranks, pare_config_ranks(&session.model->config, i));
    }
    pare_eval_session_close(&session);
    return status;
}

/* All models against each other, batch by batch. */
static pare_status time_models(const pare_flop_state *s, measure *all)
{
    const pare_train_options *t = &s->options->train;
    const pare_latency_plan plan = {.batch_sizes = batches, .n_batch_sizes = N_BATCHES};
    const pare_data_options data = pare_train_data(t, "dev");
    const char *files[PARE_MAX_TARGETS + 1];
    pare_latency *out =
        pare_arena_alloc(s->arena, (size_t)((s->n + 1) * N_BATCHES) * sizeof *out);
    if (!out)
        return PARE_MEMORY;
    files[0] = s->dense;
    for (int i = 0; i < s->n; i++)
        files[i + 1] = s->models[i].last;
    PARE_TRY(pare_latency_files(&plan, files, s->n + 1, &data, t->max_seq_length, t->progress,
                                out));
    for (int i = 0; i <= s->n; i++)
        memcpy(all[i].latency, out + i * N_BATCHES, sizeof all[i].latency);
    return PARE_OK;
}

/* ---- the result ---- */

/* {"before": a, "after": b} */
static void set_pair(pare_json *to, const char *key, double before, double after)
{
    pare_json *pair = pare_json_new_object();
    pare_json_set_double(pair, "before", before);
    pare_json_set_double(pair, "after", after);
    pare_json_set(to, key, pair);
}

static pare_json *sparsity(double expected, double realised)
{
    pare_json *one = pare_json_new_object();
    pare_json_set_double(one, "expected", expected);
    pare_json_set_double(one, "realised", realised);
    return one;
}

/* What is gone of the dense encoder, and of the factors at full rank. */
static double realised(const pare_flop_state *s, const measure *m)
{
    return 1 - (double)m->encoder / s->encoder;
}

static double realised_factorised(const pare_flop_state *s, const measure *m)
{
    return 1 - ((double)m->encoder - s->rest) / s->factorised;
}

/* Truncated models have no gates: what is expected is what is there. */
static void set_sparsity(const pare_flop_state *s, int i, const measure *m, pare_json *to)
{
    const double dense = realised(s, m), factorised = realised_factorised(s, m);
    pare_json *both = pare_json_new_object();
    pare_json_set(both, "factorised",
                  sparsity(pare_json_get_double(m->masks, "expected_factorised", factorised),
                           factorised));
    pare_json_set(both, "dense",
                  sparsity(pare_json_get_double(m->masks, "expected_dense", dense), dense));
    pare_json_set(to, "sparsity", both);
    if (m->masks) {
        pare_json_set_double(to, "miss_before_projection",
                             pare_json_get_double(m->masks, "masked_dense", NAN) -
                                 s->models[i].gone);
        pare_json_set_double(to, "undecided_gates",
                             pare_json_get_double(m->masks, "undecided", NAN));
    }
}

static pare_json *latencies(const measure *m)
{
    pare_json *all = pare_json_new_object();
    char name[24];
    for (int b = 0; b < N_BATCHES; b++) {
        snprintf(name, sizeof name, "%lld", (long long)batches[b]);
        pare_json_set_double(all, name, m->latency[b].ms_median);
    }
    return all;
}

static void set_latency(const measure *before, const measure *after, pare_json *to)
{
    pare_json *both = pare_json_new_object(), *ratio = pare_json_new_object();
    pare_json_set(both, "before", latencies(before));
    pare_json_set(both, "after", latencies(after));
    for (int b = 0; b < N_BATCHES; b++) {
        char name[24];
        snprintf(name, sizeof name, "%lld", (long long)batches[b]);
        pare_json_set_double(ratio, name, after->latency[b].ratio);
    }
    pare_json_set(to, "latency_ms", both);
    pare_json_set(to, "latency_ratio", ratio);
}

static pare_json *model_json(const pare_flop_state *s, int i, const measure *before,
                             const measure *m)
{
    pare_json *one = pare_json_new_object(), *parameters = pare_json_new_object();
    pare_json *metrics = pare_json_new_object();
    pare_json_set_double(one, "target", s->models[i].asked);
    set_sparsity(s, i, m, one);
    pare_json_set_int(parameters, "before", before->parameters);
    pare_json_set_int(parameters, "after", m->parameters);
    pare_json_set_int(parameters, "encoder_before", before->encoder);
    pare_json_set_int(parameters, "encoder_after", m->encoder);
    pare_json_set(one, "parameters", parameters);
    pare_json_set(one, "ranks", pare_json_copy(m->ranks));
    pare_json_set(metrics, "before", pare_json_copy(before->evaluation.metrics));
    pare_json_set(metrics, "after", pare_json_copy(m->evaluation.metrics));
    pare_json_set(one, "metrics", metrics);
    set_latency(before, m, one);
    set_pair(one, "bytes", (double)before->bytes, (double)m->bytes);
    set_pair(one, "memory_bytes", (double)before->memory_bytes, (double)m->memory_bytes);
    set_pair(one, "eval_seconds", before->eval_seconds, m->eval_seconds);
    pare_json_set_bool(one, "missed", pare_flop_missed(s, i, m->encoder));
    pare_json_set_string(one, "model", s->models[i].last);
    return one;
}

static bool within(const pare_flop_state *s, const measure *all, int i)
{
    const double drop = s->options->max_score_drop;
    return drop < 0 || all[i + 1].score >= all[0].score - drop; /* not if a score is undefined */
}

/* The main target's model; with a tolerance, the smallest that is within it (all of them miss it:
 * the largest). */
static int choose(const pare_flop_state *s, const measure *all)
{
    const double drop = s->options->max_score_drop;
    int chosen = drop >= 0 ? 0 : s->main;
    for (int i = 0; drop >= 0 && i < s->n; i++)
        if (within(s, all, i))
            chosen = i;
    return chosen;
}

/* What a phase took; 0 if there was none. */
static pare_status add_seconds(pare_json *to, const char *phase, const char *folder)
{
    pare_json *result = NULL;
    char *path = folder ? pare_path_join(folder, "eval_results.json") : NULL;
    pare_status status = path ? PARE_OK : PARE_MEMORY;
    if (path && pare_path_exists(path))
        status = pare_bounded_json_read(path, &result);
    pare_json_set_double(to, phase, pare_json_get_double(result, "train_seconds", 0));
    pare_json_free(result);
    pare_free(path);
    return status;
}

static pare_status add_train_seconds(const pare_flop_state *s, int chosen, pare_json *to)
{
    pare_json *all = pare_json_new_object();
    char *masks = pare_path_join(s->options->train.output, "masks");
    pare_status status = add_seconds(all, "masks", masks);
    if (status == PARE_OK)
        status = add_seconds(all, "finetune", s->models[chosen].folder);
    pare_json_set(to, "train_seconds", all);
    pare_free(masks);
    return status;
}

static pare_json *result_of(const pare_flop_state *s, const measure *all, int chosen)
{
    pare_json *r = model_json(s, chosen, &all[0], &all[chosen + 1]);
    pare_json *models = pare_json_new_array();
    bool any = false;
    for (int i = 0; i < s->n; i++) {
        pare_json_append(models, model_json(s, i, &all[0], &all[i + 1]));
        any |= pare_flop_missed(s, i, all[i + 1].encoder);
    }
    pare_json_set_string(r, "task", pare_task_find(s->options->train.task)->name);
    pare_json_set_string(r, "method", s->options->method);
    pare_json_set_string(r, "target_of", s->options->of_factorised ? "factorised" : "dense");
    pare_json_set_bool(r, "missed", any);
    pare_json_set_bool(r, "score_missed", !within(s, all, chosen));
    pare_json_set(r, "models", models);
    return r;
}

/* ---- files ---- */

static void print_metrics(pare_text *text, const char *when, const pare_json *metrics)
{
    for (void *i = pare_json_iter(metrics); i; i = pare_json_iter_next(metrics, i))
        pare_text_printf(text, "%s_%s = %.17g\n", when, pare_json_iter_key(i),
                         pare_json_as_double(pare_json_iter_value(i), NAN));
}

/* "key = value" of scores, times and sizes. */
static void eval_text(const measure *before, const measure *after, const pare_json *result,
                      pare_text *text)
{
    const pare_json *train = pare_json_get(result, "train_seconds");
    print_metrics(text, "before", before->evaluation.metrics);
    print_metrics(text, "after", after->evaluation.metrics);
    pare_text_printf(text, "train_seconds_masks = %.3f\ntrain_seconds_finetune = %.3f\n",
                     pare_json_get_double(train, "masks", 0),
                     pare_json_get_double(train, "finetune", 0));
    pare_text_printf(text, "eval_seconds_before = %.3f\neval_seconds_after = %.3f\n",
                     before->eval_seconds, after->eval_seconds);
}

static void info_text(const pare_flop_state *s, const measure *before, const measure *after,
                      pare_text *text)
{
    const double mb = 1e-6;
    pare_text_printf(text, "parameters: %lld -> %lld (%.1f %% of the whole model)\n",
                     (long long)before->parameters, (long long)after->parameters,
                     100.0 * (double)after->parameters / (double)before->parameters);
    pare_text_printf(text, "encoder matrices: %lld -> %lld (%.1f %% of the dense encoder removed, "
                     "%.1f %% of the factorised)\n", (long long)before->encoder,
                     (long long)after->encoder, 100 * realised(s, after),
                     100 * realised_factorised(s, after));
    pare_text_printf(text, "weights: %.1f MB -> %.1f MB\n", mb * (double)before->bytes,
                     mb * (double)after->bytes);
    pare_text_printf(text, "peak memory of weights and activations at evaluation: %.1f MB -> "
                     "%.1f MB\n", mb * (double)before->memory_bytes,
                     mb * (double)after->memory_bytes);
    for (int b = 0; b < N_BATCHES; b++)
        pare_text_printf(text, "latency at batch %lld: %.2f ms -> %.2f ms (x %.3f)\n",
                         (long long)batches[b], before->latency[b].ms_median,
                         after->latency[b].ms_median, after->latency[b].ratio);
}

static pare_status write_texts(const pare_flop_state *s, const measure *all, int chosen,
                               const pare_json *result)
{
    pare_text eval = {0}, info = {0};
    eval_text(&all[0], &all[chosen + 1], result, &eval);
    info_text(s, &all[0], &all[chosen + 1], &info);
    pare_status status = pare_text_status(&eval);
    if (status == PARE_OK)
        status = pare_text_status(&info);
    if (status == PARE_OK)
        status = pare_run_write(&s->run, "eval_results.txt", eval.bytes);
    if (status == PARE_OK)
        status = pare_run_write(&s->run, "info.txt", info.bytes);
    pare_text_free(&eval);
    pare_text_free(&info);
    return status;
}

/* last.h5 and best.h5 of the run: the chosen model's, weights alone. */
static pare_status write_models(const pare_flop_state *s, int chosen)
{
    pare_model *last = NULL;
    char *best = pare_path_join(s->models[chosen].folder, "best.h5");
    char *to_last = pare_run_file(&s->run, "last.h5"), *to_best = pare_run_file(&s->run, "best.h5");
    pare_status status = best && to_last && to_best ? PARE_OK : PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_model_open(s->models[chosen].last, &last);
    if (status == PARE_OK)
        status = pare_model_save(last, to_last);
    if (status == PARE_OK)
        status = pare_file_link(best, to_best);
    pare_model_free(last);
    pare_free(best);
    pare_free(to_last);
    pare_free(to_best);
    return status;
}

static pare_status write_all(const pare_flop_state *s, const measure *all, int chosen,
                             const pare_json *result)
{
    char *json = pare_json_dump(result, 2, 17);
    if (!json)
        return PARE_MEMORY;
    pare_status status = write_models(s, chosen);
    if (status == PARE_OK)
        status = write_texts(s, all, chosen, result);
    if (status == PARE_OK)
        status = pare_run_write(&s->run, "eval_results.json", json);
    pare_free(json);
    return status;
}

pare_status pare_flop_report(pare_flop_state *s, pare_json **result)
{
    measure *all = pare_arena_zalloc(s->arena, (size_t)(s->n + 1) * sizeof *all);
    if (!all)
        return PARE_MEMORY;
    pare_status status = measure_model(s, s->dense, &all[0]);
    for (int i = 0; i < s->n && status == PARE_OK; i++)
        status = measure_model(s, s->models[i].last, &all[i + 1]);
    if (status == PARE_OK)
        status = time_models(s, all);
    if (status == PARE_OK) {
        const int chosen = choose(s, all);
        *result = result_of(s, all, chosen);
        status = add_train_seconds(s, chosen, *result);
        if (status == PARE_OK)
            status = write_all(s, all, chosen, *result);
    }
    for (int i = 0; i <= s->n; i++) {
        pare_json_free(all[i].evaluation.metrics);
        pare_json_free(all[i].ranks);
        pare_json_free(all[i].masks);
    }
    return status;
}
