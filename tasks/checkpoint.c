/* checkpoint.c: see checkpoint.h. */
#include "tasks/checkpoint.h"

#include <string.h>

#include "models/model_file.h"

/* The counters by name: saving and reading walk the same table. */
typedef struct counter {
    const char *name;
    size_t offset;
    pare_attribute_type type;
    bool later; /* earlier versions' files have none: it is 0 */
} counter;

#define INTEGER(field)                                                                             \
    {"training." #field, offsetof(pare_progress_state, field), PARE_ATTR_INT, false}
#define LATER(field)                                                                               \
    {"training." #field, offsetof(pare_progress_state, field), PARE_ATTR_INT, true}
#define NUMBER(field)                                                                              \
    {"training." #field, offsetof(pare_progress_state, field), PARE_ATTR_DOUBLE, false}
static const counter counters[] = {
    INTEGER(step),           INTEGER(best_step), NUMBER(best_score),    INTEGER(bad_evaluations),
    INTEGER(evaluated_step), INTEGER(examples),  INTEGER(tokens),       NUMBER(train_seconds),
    NUMBER(run_seconds),     LATER(skipped),
};

#define TEXT(field)                                                                                \
    {"training." #field, offsetof(pare_checkpoint_text, field), PARE_ATTR_STRING, false}
static const counter texts[] = {TEXT(recipe), TEXT(kernels), TEXT(metrics), TEXT(best_metrics)};
enum { N_COUNTERS = sizeof counters / sizeof *counters, N_TEXTS = sizeof texts / sizeof *texts };

/* Everything a file holds, ready for pare_store_write. */
typedef struct entries {
    pare_array *arrays;
    size_t n_arrays;
    pare_attribute *attributes;
    size_t n_attributes;
} entries;

static bool add_moment(pare_arena *arena, entries *e, const pare_param *p, char kind,
                       const real *data)
{
    pare_array *a = &e->arrays[e->n_arrays++];
    *a = (pare_array){.name = pare_arena_printf(arena, "training/%c/%s", kind, p->name),
                      .dtype = PARE_REAL_DTYPE, .rank = p->rank, .data = data};
    a->shape[0] = p->rank == 2 ? p->tensor.rows : p->tensor.cols;
    a->shape[1] = p->tensor.cols;
    return a->name;
}

static void add_attributes(entries *e, const pare_progress_state *state,
                           const pare_checkpoint_text *text)
{
    for (size_t i = 0; i < N_COUNTERS; i++) {
        const char *field = (const char *)state + counters[i].offset;
        pare_attribute *a = &e->attributes[e->n_attributes++];
        *a = (pare_attribute){.name = counters[i].name, .type = counters[i].type};
        if (a->type == PARE_ATTR_INT)
            memcpy(&a->integer, field, sizeof a->integer);
        else
            memcpy(&a->number, field, sizeof a->number);
    }
    for (size_t i = 0; i < N_TEXTS; i++) {
        char *string;
        memcpy(&string, (const char *)text + texts[i].offset, sizeof string);
        e->attributes[e->n_attributes++] = (pare_attribute){
            .name = texts[i].name, .type = PARE_ATTR_STRING, .string = string ? string : ""};
    }
}

static pare_status collect(pare_arena *arena, const pare_model *model,
                           const pare_optimizer *optimizer, const pare_progress_state *state,
                           const pare_checkpoint_text *text, entries *e)
{
    pare_array *arrays;
    pare_attribute *attributes;
    size_t n_arrays, n_attributes;
    PARE_TRY(pare_model_entries(model, arena, &arrays, &n_arrays, &attributes, &n_attributes));
    const size_t most = n_arrays + 2 * (size_t)optimizer->n;
    e->arrays = pare_arena_alloc(arena, most * sizeof *e->arrays);
    e->attributes = pare_arena_alloc(
        arena, (n_attributes + N_COUNTERS + N_TEXTS) * sizeof *e->attributes);
    if (!e->arrays || !e->attributes)
        return PARE_MEMORY;
    memcpy(e->arrays, arrays, n_arrays * sizeof *arrays);
    memcpy(e->attributes, attributes, n_attributes * sizeof *attributes);
    e->n_arrays = n_arrays;
    e->n_attributes = n_attributes;
    for (int i = 0; i < optimizer->n; i++)
        if (!add_moment(arena, e, optimizer->params[i], 'm', optimizer->m[i]) ||
            !add_moment(arena, e, optimizer->params[i], 'v', optimizer->v[i]))
            return PARE_MEMORY;
    add_attributes(e, state, text);
    return PARE_OK;
}

pare_status pare_checkpoint_save(const char *path, const pare_model *model,
                                 const pare_optimizer *optimizer,
                                 const pare_progress_state *state,
                                 const pare_checkpoint_text *text)
{
    entries e = {0};
    pare_arena *arena = pare_arena_new("checkpoint");
    if (!arena)
        return PARE_MEMORY;
    pare_status status = pare_model_check_finite(model);
    if (status == PARE_OK)
        status = collect(arena, model, optimizer, state, text, &e);
    if (status == PARE_OK)
        status = pare_store_write(path, e.arrays, e.n_arrays, e.attributes, e.n_attributes);
    pare_arena_free(arena);
    return status;
}

pare_status pare_checkpoint_estimate(const pare_model *model, const pare_optimizer *optimizer,
                                     uint64_t *bytes)
{
    static const pare_progress_state state;
    static const pare_checkpoint_text text;
    entries e = {0};
    pare_arena *arena = pare_arena_new("checkpoint");
    if (!arena)
        return PARE_MEMORY;
    const pare_status status = collect(arena, model, optimizer, &state, &text, &e);
    if (status == PARE_OK)
        *bytes = pare_store_estimate(e.arrays, e.n_arrays, e.attributes, e.n_attributes);
    pare_arena_free(arena);
    return status;
}

static pare_status read_counters(const pare_store *store, const char *path, pare_arena *arena,
                                 pare_progress_state *state, pare_checkpoint_text *text)
{
    for (size_t i = 0; i < N_COUNTERS; i++) {
        const counter *c = &counters[i];
        if (!c->later && !pare_store_has_attribute(store, c->name))
            return pare_hint(pare_fail(PARE_INPUT, "%s holds no training state: no %s", path,
                                       c->name),
                             "it is a model: start from it with --model");
        char *field = (char *)state + c->offset;
        const int64_t integer = pare_store_int(store, c->name, 0);
        const double number = pare_store_double(store, c->name, 0);
        if (c->type == PARE_ATTR_INT)
            memcpy(field, &integer, sizeof integer);
        else
            memcpy(field, &number, sizeof number);
    }
    for (size_t i = 0; i < N_TEXTS; i++) {
        char *copy = pare_arena_strdup(arena, pare_store_string(store, texts[i].name, ""));
        if (!copy)
            return PARE_MEMORY;
        memcpy((char *)text + texts[i].offset, &copy, sizeof copy);
    }
    return PARE_OK;
}

/* A file with right checksums may still hold what no run can have reached: a step below 0 would
 * be taken for a place in the data. */
static pare_status check_state(const char *path, const pare_progress_state *s)
{
    const int64_t up_to_step[] = {s->step, s->best_step, s->evaluated_step, s->skipped};
    const int64_t others[] = {s->bad_evaluations, s->examples, s->tokens};
    bool good = s->train_seconds >= 0 && s->run_seconds >= 0;
    for (size_t i = 0; i < sizeof up_to_step / sizeof *up_to_step; i++)
        good = good && up_to_step[i] >= 0 && up_to_step[i] <= s->step;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        good = good && others[i] >= 0;
    if (good)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: no run can be at step %lld with its counters",
                               path, (long long)s->step),
                     "start from it as a model, with --model");
}

pare_status pare_checkpoint_open(const char *path, pare_arena *arena, pare_model **model,
                                 pare_progress_state *state, pare_checkpoint_text *text)
{
    pare_store *store = NULL;
    PARE_TRY(pare_store_open(path, &store));
    pare_status status = read_counters(store, path, arena, state, text);
    if (status == PARE_OK)
        status = check_state(path, state);
    if (status == PARE_OK)
        status = pare_model_from_store(store, path, model);
    pare_store_close(store);
    return status;
}

static pare_status read_moment(pare_store *store, const char *path, const pare_param *p, char kind,
                               real *out)
{
    char name[PARE_NAME_SIZE + 16];
    snprintf(name, sizeof name, "training/%c/%s", kind, p->name);
    const pare_array *a = pare_store_find(store, name);
    int64_t size = a ? 1 : 0;
    for (int i = 0; a && i < a->rank; i++)
        size *= a->shape[i];
    if (size != pare_tensor_size(&p->tensor))
        return pare_fail(PARE_INPUT, "%s: %s is missing or has another shape", path, name);
    return pare_store_read(store, name, PARE_REAL_DTYPE, out);
}

pare_status pare_checkpoint_moments(const char *path, pare_optimizer *optimizer)
{
    pare_store *store = NULL;
    PARE_TRY(pare_store_open(path, &store));
    pare_status status = PARE_OK;
    for (int i = 0; i < optimizer->n && status == PARE_OK; i++) {
        status = read_moment(store, path, optimizer->params[i], 'm', optimizer->m[i]);
        if (status == PARE_OK)
            status = read_moment(store, path, optimizer->params[i], 'v', optimizer->v[i]);
    }
    pare_store_close(store);
    pare_optimizer_moments_changed(optimizer);
    return status;
}
