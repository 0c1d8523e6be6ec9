/* latency.c: see latency.h. */
#include "tasks/latency.h"

#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "core/philox.h"
#include "models/answer.h"
#include "models/model_file.h"
#include "tasks/evaluate.h"

/* Where the plan leaves it open: enough turns for a median and its interval, or as many as three
 * seconds of each model hold, but never so few that one odd batch decides. */
enum { FEW_TURNS = 10, ENOUGH_TURNS = 100, RESAMPLES = 1000 };
#define ENOUGH_SECONDS 3.0
#define BOOTSTRAP_SEED 1

/* ---- numbers out of times ---- */

/* The middle 95 % of the medians of resamples of ratios[n]; sample[n] is room to work in. */
static void bootstrap(const double *ratios, int64_t n, double *sample, pare_latency *out)
{
    double medians[RESAMPLES];
    for (int r = 0; r < RESAMPLES; r++) {
        for (int64_t i = 0; i < n; i++) {
            const double u = pare_random_uniform(BOOTSTRAP_SEED, PARE_RANDOM_DATA, (uint64_t)r,
                                                 (uint64_t)i);
            sample[i] = ratios[(int64_t)(u * (double)n)];
        }
        pare_sort_doubles(sample, n);
        medians[r] = pare_quantile(sample, n, 0.5);
    }
    pare_sort_doubles(medians, RESAMPLES);
    out->ratio_low = pare_quantile(medians, RESAMPLES, 0.025);
    out->ratio_high = pare_quantile(medians, RESAMPLES, 0.975);
}

/* ms[n]: this model's times; first[n]: the first model's in the same turns; room[2n]. */
static void sum_up(const double *ms, const double *first, int64_t n, double *room,
                   pare_latency *out)
{
    double total = 0, *ratios = room, *sorted = room + n;
    for (int64_t i = 0; i < n; i++) {
        total += ms[i];
        ratios[i] = ms[i] / first[i];
        sorted[i] = ms[i];
    }
    pare_sort_doubles(sorted, n);
    out->passes = n;
    out->ms_median = pare_quantile(sorted, n, 0.5);
    out->ms_p95 = pare_quantile(sorted, n, 0.95);
    out->examples_per_second = 1e3 * (double)(n * out->batch) / total;
    bootstrap(ratios, n, sorted, out);
    pare_sort_doubles(ratios, n);
    out->ratio = pare_quantile(ratios, n, 0.5);
}

/* ---- turns ---- */

/* One batch size, all models. */
typedef struct contest {
    const pare_latency_entry *entries;
    int n;
    int64_t batch, turns; /* turns: the most there can be */
    pare_arena *step;
    pare_answerer *answerer;
    int64_t *order; /* [batch] room for a batch's example numbers */
    double *ms;     /* [n, turns] */
    double *tokens; /* [n] of all batches so far */
    double *room;   /* [2 * turns] */
} contest;

/* The examples of a turn. */
static void choose_examples(const contest *c, int64_t turn)
{
    const int64_t n = c->entries[0].encoded->n;
    for (int64_t i = 0; i < c->batch; i++)
        c->order[i] = (turn * c->batch + i) % n;
}

/* One model answers the examples that were chosen. */
static pare_status pass(contest *c, int entry, double *ms, int64_t *tokens)
{
    const pare_mark mark = pare_arena_mark(c->step);
    const pare_model *model = c->entries[entry].model;
    pare_packed batch;
    pare_status status = pare_pack(c->step, c->entries[entry].encoded, c->order, c->batch, &batch);
    real *logits =
        pare_arena_alloc(c->step, (size_t)(c->batch * model->n_labels) * sizeof *logits);
    if (!logits)
        status = PARE_MEMORY;
    if (status == PARE_OK) {
        const double start = pare_seconds();
        status = pare_answer(c->answerer, model, &batch, logits);
        *ms = 1e3 * (pare_seconds() - start);
        *tokens = batch.n_tokens;
    }
    pare_arena_release(c->step, mark);
    return status;
}

static int64_t tokens_of(const contest *c)
{
    const int64_t *offset = c->entries[0].encoded->offset;
    int64_t tokens = 0;
    for (int64_t i = 0; i < c->batch; i++)
        tokens += offset[c->order[i] + 1] - offset[c->order[i]];
    return tokens;
}

/* The largest batch, untimed: caches and arenas are as they will be. */
static pare_status warm_up(contest *c)
{
    int64_t largest = 0, most = -1, tokens;
    double ms;
    for (int64_t turn = 0; turn < c->turns; turn++) {
        choose_examples(c, turn);
        if (tokens_of(c) > most) {
            most = tokens_of(c);
            largest = turn;
        }
    }
    choose_examples(c, largest);
    for (int i = 0; i < c->n; i++)
        PARE_TRY(pass(c, i, &ms, &tokens));
    return PARE_OK;
}

/* Every model once, beginning with another one each time: who goes first has colder caches. */
static pare_status one_turn(contest *c, int64_t turn, double *seconds)
{
    choose_examples(c, turn);
    for (int i = 0; i < c->n; i++) {
        const int entry = (int)((turn + i) % c->n);
        double *ms = &c->ms[entry * c->turns + turn];
        int64_t tokens = 0;
        PARE_TRY(pass(c, entry, ms, &tokens));
        c->tokens[entry] += (double)tokens;
        *seconds += *ms / 1e3;
    }
    return PARE_OK;
}

/* Fills out[i * stride] for each model i. `fixed`: all turns, however long they take. */
static pare_status hold(contest *c, bool fixed, const pare_progress *progress, pare_latency *out,
                        int stride)
{
    pare_progress_info info = {.what = "latency", .steps = c->turns, .loss = NAN,
                               .learning_rate = -1};
    double seconds = 0;
    PARE_TRY(warm_up(c));
    for (; info.step < c->turns; info.step++) {
        if (!fixed && info.step >= FEW_TURNS && seconds >= ENOUGH_SECONDS * c->n)
            break;
        pare_progress_update(progress, &info);
        PARE_TRY(one_turn(c, info.step, &seconds));
        info.examples += c->n * c->batch;
    }
    const int64_t turns = info.step;
    info.steps = turns;
    pare_progress_update(progress, &info);
    for (int i = 0; i < c->n; i++) {
        pare_latency *one = &out[i * stride];
        *one = (pare_latency){.batch = c->batch, .tokens = c->tokens[i] / (double)turns};
        sum_up(c->ms + i * c->turns, c->ms, turns, c->room, one);
    }
    return PARE_OK;
}

static pare_status time_batch(const pare_latency_plan *plan, int size,
                              const pare_latency_entry *entries, int n,
                              const pare_progress *progress, pare_latency *out)
{
    contest c = {.entries = entries, .n = n, .batch = plan->batch_sizes[size],
                 .turns = plan->turns > 0 ? plan->turns : ENOUGH_TURNS};
    c.step = pare_arena_new("batch");
    c.order = pare_calloc((size_t)c.batch, sizeof *c.order);
    c.ms = pare_calloc((size_t)(n * c.turns), sizeof *c.ms);
    c.tokens = pare_calloc((size_t)n, sizeof *c.tokens);
    c.room = pare_calloc((size_t)(2 * c.turns), sizeof *c.room);
    pare_status status = pare_answerer_new(NULL, NULL, &c.answerer);
    if (!c.step || !c.order || !c.ms || !c.tokens || !c.room)
        status = PARE_MEMORY;
    if (status == PARE_OK)
        status = hold(&c, plan->turns > 0, progress, out + size, plan->n_batch_sizes);
    pare_free(c.room);
    pare_free(c.tokens);
    pare_free(c.ms);
    pare_free(c.order);
    pare_answerer_free(c.answerer);
    pare_arena_free(c.step);
    return status;
}

/* ---- sentences of one length ---- */

/* Every sentence's tokens over and over, up to `length`. */
static pare_status stretch(pare_arena *arena, const pare_encoded *from, int64_t length,
                           pare_encoded *out)
{
    int64_t *offset = pare_arena_alloc(arena, (size_t)(from->n + 1) * sizeof *offset);
    int32_t *ids = pare_arena_alloc(arena, (size_t)(from->n * length) * sizeof *ids);
    uint8_t *types = pare_arena_alloc(arena, (size_t)(from->n * length));
    if (!offset || !ids || !types)
        return PARE_MEMORY;
    for (int64_t i = 0; i < from->n; i++) {
        const int64_t first = from->offset[i], n = from->offset[i + 1] - first;
        for (int64_t k = 0; k < length; k++) {
            ids[i * length + k] = from->ids[first + k % n];
            types[i * length + k] = from->types[first + k % n];
        }
        offset[i] = i * length;
    }
    offset[from->n] = from->n * length;
    *out = (pare_encoded){.n = from->n, .offset = offset, .ids = ids, .types = types};
    return PARE_OK;
}

/* The entries with their sentences at the plan's length; models that share sentences still do. */
static pare_status stretch_all(pare_arena *arena, int64_t length, const pare_latency_entry *from,
                               int n, pare_latency_entry *out)
{
    pare_encoded *encoded = pare_arena_alloc(arena, (size_t)n * sizeof *encoded);
    if (!encoded)
        return PARE_MEMORY;
    for (int i = 0; i < n; i++) {
        const int64_t most = from[i].model->config.max_position_embeddings;
        if (length > most)
            return pare_hint(pare_fail(PARE_USAGE, "%lld tokens a sentence: a model has %lld "
                                       "positions", (long long)length, (long long)most),
                             "give at most %lld", (long long)most);
        out[i] = (pare_latency_entry){from[i].model, &encoded[i]};
        if (i > 0 && from[i].encoded == from[i - 1].encoded)
            out[i].encoded = out[i - 1].encoded;
        else
            PARE_TRY(stretch(arena, from[i].encoded, length, &encoded[i]));
    }
    return PARE_OK;
}

static pare_status measure(pare_arena *arena, const pare_latency_plan *plan,
                           const pare_latency_entry *entries, int n, const pare_progress *progress,
                           pare_latency *out)
{
    if (plan->length > 0) {
        pare_latency_entry *same = pare_arena_alloc(arena, (size_t)n * sizeof *same);
        if (!same)
            return PARE_MEMORY;
        PARE_TRY(stretch_all(arena, plan->length, entries, n, same));
        entries = same;
    }
    for (int size = 0; size < plan->n_batch_sizes; size++)
        PARE_TRY(time_batch(plan, size, entries, n, progress, out));
    return PARE_OK;
}

pare_status pare_latency_measure(const pare_latency_plan *plan, const pare_latency_entry *entries,
                                 int n_entries, const pare_progress *progress, pare_latency *out)
{
    for (int i = 0; i < n_entries; i++)
        if (!entries[i].model->classifier.weight || entries[i].encoded->n < 1 ||
            entries[i].encoded->n != entries[0].encoded->n)
            return pare_fail(PARE_INPUT, "latency: model %d has no head, or not the examples of "
                             "the others", i);
    pare_arena *arena = pare_arena_new("latency");
    if (!arena)
        return PARE_MEMORY;
    const pare_status status = measure(arena, plan, entries, n_entries, progress, out);
    pare_arena_free(arena);
    return status;
}

/* ---- files ---- */

typedef struct latency_files {
    pare_arena *arena;
    pare_dataset *dataset;
    int n;
    pare_model **models;          /* [n] */
    pare_latency_entry *entries;  /* [n] */
} latency_files;

static pare_status open_models(latency_files *f, const char *const *files)
{
    for (int i = 0; i < f->n; i++) {
        PARE_TRY(pare_model_map(files[i], &f->models[i]));
        if (!f->models[i]->classifier.weight)
            return pare_hint(pare_fail(PARE_INPUT, "%s has no head for a task", files[i]),
                             "fine-tune it first: pare finetune --model %s", files[i]);
        PARE_TRY(pare_model_pack(f->models[i]));
    }
    return PARE_OK;
}

/* What all models take. */
static int64_t common_length(const latency_files *f, int64_t asked)
{
    int64_t least = pare_sequence_length(f->models[0], asked);
    for (int i = 1; i < f->n; i++) {
        const int64_t length = pare_sequence_length(f->models[i], asked);
        least = length < least ? length : least;
    }
    return least;
}

static bool same_vocabulary(const pare_vocabulary_spec *a, const pare_vocabulary_spec *b)
{
    return a->text && b->text && strcmp(a->text, b->text) == 0 &&
           a->do_lower_case == b->do_lower_case && a->strip_accents == b->strip_accents &&
           a->tokenize_chinese_chars == b->tokenize_chinese_chars;
}

static pare_status encode(const latency_files *f, int i, int64_t length)
{
    pare_tokenizer *tokenizer = NULL;
    pare_encoded *encoded = pare_arena_alloc(f->arena, sizeof *encoded);
    if (!encoded)
        return PARE_MEMORY;
    PARE_TRY(pare_tokenizer_new(&f->models[i]->vocabulary, &tokenizer));
    const pare_status status = pare_encode(f->arena, tokenizer, f->dataset, length, encoded);
    pare_tokenizer_free(tokenizer);
    f->entries[i] = (pare_latency_entry){f->models[i], encoded};
    return status;
}

/* Models of one vocabulary share their sentences. */
static pare_status encode_all(const latency_files *f, int64_t length)
{
    for (int i = 0; i < f->n; i++)
        if (i > 0 && same_vocabulary(&f->models[i]->vocabulary, &f->models[i - 1]->vocabulary))
            f->entries[i] = (pare_latency_entry){f->models[i], f->entries[i - 1].encoded};
        else
            PARE_TRY(encode(f, i, length));
    return PARE_OK;
}

static pare_status measure_files(latency_files *f, const pare_latency_plan *plan,
                                 const char *const *files, const pare_data_options *data,
                                 int64_t max_seq_length, const pare_progress *progress,
                                 pare_latency *out)
{
    PARE_TRY(open_models(f, files));
    PARE_TRY(pare_dataset_read(data, &f->dataset));
    PARE_TRY(encode_all(f, common_length(f, max_seq_length)));
    return pare_latency_measure(plan, f->entries, f->n, progress, out);
}

pare_status pare_latency_files(const pare_latency_plan *plan, const char *const *files, int n_files,
                               const pare_data_options *data, int64_t max_seq_length,
                               const pare_progress *progress, pare_latency *out)
{
    latency_files f = {.arena = pare_arena_new("latency"), .n = n_files};
    f.models = pare_calloc((size_t)n_files, sizeof *f.models);
    f.entries = pare_calloc((size_t)n_files, sizeof *f.entries);
    pare_status status = PARE_MEMORY;
    if (f.arena && f.models && f.entries)
        status = measure_files(&f, plan, files, data, max_seq_length, progress, out);
    for (int i = 0; f.models && i < n_files; i++)
        pare_model_free(f.models[i]);
    pare_dataset_free(f.dataset);
    pare_free(f.entries);
    pare_free(f.models);
    pare_arena_free(f.arena);
    return status;
}

void pare_latency_report(const pare_latency *l, pare_json *object)
{
    pare_json_set_int(object, "batch", l->batch);
    pare_json_set_int(object, "passes", l->passes);
    pare_json_set_double(object, "tokens_per_batch", l->tokens);
    pare_json_set_double(object, "ms_median", l->ms_median);
    pare_json_set_double(object, "ms_p95", l->ms_p95);
    pare_json_set_double(object, "examples_per_second", l->examples_per_second);
    pare_json_set_double(object, "ratio_to_first", l->ratio);
    pare_json_set_double(object, "ratio_low", l->ratio_low);
    pare_json_set_double(object, "ratio_high", l->ratio_high);
}
