/* head_prune.c: heads pruned step by step, with the score after each step (head_study.h). */
#include <math.h>
#include <string.h>

#include "core/signals.h"
#include "tasks/head_study.h"

/* A pruning under way. Heads are those of the model that was opened, whatever has gone. */
typedef struct pruning {
    const pare_head_prune_options *options;
    const pare_progress *progress;
    pare_eval_session measured; /* the model, and what it is measured on */
    pare_eval_session scored;   /* arena NULL: not opened */
    pare_head_list heads;
    double *scores;             /* [heads.n] */
    bool *off;                  /* [heads.n] */
    int64_t gone;
    pare_model *smaller;        /* without them; NULL: nothing has gone yet */
    pare_json *curve;
} pruning;

static const pare_model *current(const pruning *p)
{
    return p->smaller ? p->smaller : p->measured.model;
}

/* ---- scores ---- */

/* Scores of the heads that are left, to their places among all. */
static pare_status score(pruning *p)
{
    const pare_head_prune_options *o = p->options;
    pare_head_list left;
    PARE_TRY(pare_heads_list(p->measured.arena, current(p), &left));
    double *scores = pare_arena_alloc(p->measured.arena, (size_t)left.n * sizeof *scores);
    if (!scores)
        return PARE_MEMORY;
    PARE_TRY(pare_head_scores(&p->scored, current(p), &left, o->scored.batch_size, &o->score,
                              p->progress, scores));
    for (int64_t k = 0, i = 0; k < p->heads.n; k++)
        if (!p->off[k])
            p->scores[k] = scores[i++];
    return PARE_OK;
}

/* ---- the curve ---- */

/* Measures the model as it is; the metrics stay in *metrics too, if it is not NULL. */
static pare_status measure(pruning *p, pare_json **metrics)
{
    pare_evaluation e = {0};
    PARE_TRY(pare_eval_set_run(&p->measured.set, current(p), p->options->eval.batch_size, NULL,
                               p->progress, &e));
    if (metrics)
        *metrics = pare_json_copy(e.metrics);
    pare_json *point = pare_json_new_object();
    pare_json_set_int(point, "removed", p->gone);
    pare_json_set(point, "metrics", e.metrics);
    pare_json_set_double(point, "loss", e.loss);
    pare_json_append(p->curve, point);
    return PARE_OK;
}

/* Removes up to `count` more heads; *went tells how many went. */
static pare_status prune_step(pruning *p, int64_t count, int64_t *went)
{
    if (p->options->exact || p->gone == 0)
        PARE_TRY(score(p));
    *went = pare_heads_choose(&p->heads, p->scores, count, p->options->at_least_one, p->off);
    p->gone += *went;
    pare_model_free(p->smaller);
    p->smaller = NULL;
    return pare_heads_remove(p->measured.model, &p->heads, p->off, &p->smaller);
}

/* ---- how many ---- */

static int64_t share(const pruning *p, double fraction)
{
    return (int64_t)llround(fraction * (double)p->heads.n);
}

/* How many heads are to go: from 1 to all, or all but one a layer. */
static pare_status target(const pruning *p, int64_t *count)
{
    const pare_head_prune_options *o = p->options;
    int64_t most = p->heads.n;
    for (int64_t i = 0; i < p->heads.n_layers && o->at_least_one; i++)
        most -= p->heads.first[i + 1] > p->heads.first[i];
    *count = o->fraction >= 0 ? share(p, o->fraction) : o->count;
    if (most < 1)
        return pare_hint(pare_fail(PARE_INPUT, "%s has no head to prune", o->eval.model),
                         "take a model whose layers have more heads");
    if (*count < 1 || *count > most)
        return pare_hint(pare_fail(PARE_USAGE, "%lld of %lld heads to prune",
                                   (long long)*count, (long long)p->heads.n),
                         "give a --count from 1 to %lld, or that --fraction of all%s",
                         (long long)most, o->at_least_one ? "; every layer keeps one" : "");
    return PARE_OK;
}

static pare_status run_steps(pruning *p, pare_json **before, pare_json **after)
{
    int64_t count, went = 1;
    PARE_TRY(target(p, &count));
    int64_t each = p->options->step > 0 ? share(p, p->options->step) : count;
    each = each < 1 ? 1 : each;
    PARE_TRY(measure(p, before));
    while (p->gone < count && went > 0) {
        const int64_t left = count - p->gone;
        if (pare_signal_stop_requested())
            return pare_hint(pare_fail(PARE_STOPPED, "stopped with %lld of %lld heads pruned: a "
                                       "pruning that is not finished is not kept",
                                       (long long)p->gone, (long long)count),
                             "prune again with the same command");
        PARE_TRY(prune_step(p, left < each ? left : each, &went));
        pare_json_free(*after);
        *after = NULL;
        if (went > 0)
            PARE_TRY(measure(p, after));
    }
    return PARE_OK;
}

/* ---- together ---- */

static pare_status open_pruning(pruning *p)
{
    const pare_head_prune_options *o = p->options;
    PARE_TRY(pare_eval_session_open(&o->eval, &p->measured));
    PARE_TRY(pare_heads_removable(p->measured.model));
    if (strcmp(o->score.score, "random") != 0)
        PARE_TRY(pare_eval_session_open(&o->scored, &p->scored));
    PARE_TRY(pare_heads_list(p->measured.arena, p->measured.model, &p->heads));
    p->scores = pare_arena_zalloc(p->measured.arena, (size_t)p->heads.n * sizeof *p->scores);
    p->off = pare_arena_zalloc(p->measured.arena, (size_t)p->heads.n * sizeof *p->off);
    p->curve = pare_json_new_array();
    return p->scores && p->off && p->curve ? PARE_OK : PARE_MEMORY;
}

static pare_json *result_of(pruning *p, pare_json *before, pare_json *after)
{
    pare_json *result = pare_json_new_object();
    pare_json_set_string(result, "task", p->measured.set.dataset[0]->task->name);
    pare_json_set_string(result, "score", p->options->score.score);
    pare_json_set_int(result, "heads_before", p->heads.n);
    pare_json_set_int(result, "heads", p->heads.n - p->gone);
    pare_json_set(result, "removed", pare_heads_json(&p->heads, p->off));
    pare_json_set(result, "metrics_before", before);
    pare_json_set(result, "metrics", after);
    pare_json_set_int(result, "parameters_before", pare_model_parameters(p->measured.model));
    pare_json_set_int(result, "parameters", pare_model_parameters(p->smaller));
    pare_json_set(result, "curve", p->curve);
    p->curve = NULL;
    return result;
}

pare_status pare_head_prune(const pare_head_prune_options *options, const pare_progress *progress,
                            pare_model **smaller, pare_json **result)
{
    pruning p = {.options = options, .progress = progress};
    pare_json *before = NULL, *after = NULL;
    *smaller = NULL;
    *result = NULL;
    pare_status status = open_pruning(&p);
    if (status == PARE_OK)
        status = run_steps(&p, &before, &after);
    if (status == PARE_OK) {
        *result = result_of(&p, before, after);
        *smaller = p.smaller;
        p.smaller = NULL;
    } else {
        pare_json_free(before);
        pare_json_free(after);
    }
    pare_json_free(p.curve);
    pare_model_free(p.smaller);
    pare_eval_session_close(&p.scored);
    pare_eval_session_close(&p.measured);
    return status;
}
