/* model_file.c: from a model to the entries of a store, and back. */
#include "models/model_file.h"

#include <string.h>

#include "models/bounded_json.h"

#define PREFIX "model/"
#define VOCABULARY "model/vocab.txt"

enum { MAX_ATTRIBUTES = 16, MAX_LABELS = 1 << 20 };

/* ---- Writing ---- */

/* The JSON's text in the arena; takes the value over. */
static char *json_text(pare_arena *arena, pare_json *value)
{
    char *text = value ? pare_json_dump(value, 0, 17) : NULL;
    char *copy = text ? pare_arena_strdup(arena, text) : NULL;
    pare_free(text);
    pare_json_free(value);
    return copy;
}

static char *labels_text(pare_arena *arena, const pare_model *model)
{
    pare_json *names = pare_json_new_array();
    for (int64_t i = 0; names && i < model->n_labels; i++)
        pare_json_append_string(names, model->label_names[i]);
    return json_text(arena, names);
}

/* Each tensor as it lies in memory: nothing is copied. */
static pare_status list_arrays(const pare_model *model, pare_arena *arena, pare_array **out)
{
    pare_array *arrays = pare_arena_zalloc(arena, (size_t)model->n_params * sizeof *arrays);
    for (int i = 0; arrays && i < model->n_params; i++) {
        const pare_param *p = model->params[i];
        pare_array *a = &arrays[i];
        a->name = pare_arena_printf(arena, PREFIX "%s", p->name);
        a->dtype = PARE_REAL_DTYPE;
        a->rank = p->rank;
        a->shape[0] = p->rank == 1 ? p->tensor.cols : p->tensor.rows;
        a->shape[1] = p->rank == 1 ? 0 : p->tensor.cols;
        a->data = p->tensor.data;
        if (!a->name)
            return PARE_MEMORY;
    }
    *out = arrays;
    return arrays ? PARE_OK : PARE_MEMORY;
}

static void add_int(pare_attribute *list, size_t *n, const char *name, int64_t value)
{
    list[(*n)++] = (pare_attribute){.name = name, .type = PARE_ATTR_INT, .integer = value};
}

/* NULL adds nothing. */
static void add_string(pare_attribute *list, size_t *n, const char *name, const char *value)
{
    if (value)
        list[(*n)++] = (pare_attribute){.name = name, .type = PARE_ATTR_STRING, .string = value};
}

/* Everything but the tensors. What the model does not have is left out. */
static pare_status list_attributes(const pare_model *model, pare_arena *arena,
                                   pare_attribute **out, size_t *n)
{
    const pare_vocabulary_spec *v = &model->vocabulary;
    pare_attribute *list = pare_arena_zalloc(arena, MAX_ATTRIBUTES * sizeof *list);
    char *config = json_text(arena, pare_config_to_json(&model->config));
    char *labels = model->label_names ? labels_text(arena, model) : NULL;
    *out = list;
    *n = 0;
    if (!list || !config || (model->label_names && !labels))
        return PARE_MEMORY;
    add_string(list, n, "model.config", config);
    add_string(list, n, "model.task", model->task);
    add_string(list, n, "model.labels", labels);
    add_int(list, n, "model.trained_length", model->trained_length);
    add_string(list, n, "model.history", model->history);
    if (v->text) {
        add_int(list, n, "model.do_lower_case", v->do_lower_case);
        add_int(list, n, "model.strip_accents", v->strip_accents);
        add_int(list, n, "model.tokenize_chinese_chars", v->tokenize_chinese_chars);
        add_string(list, n, VOCABULARY, v->text);
    }
    return PARE_OK;
}

pare_status pare_model_entries(const pare_model *model, pare_arena *arena, pare_array **arrays,
                               size_t *n_arrays, pare_attribute **attributes,
                               size_t *n_attributes)
{
    *n_arrays = (size_t)model->n_params;
    PARE_TRY(list_arrays(model, arena, arrays));
    return list_attributes(model, arena, attributes, n_attributes);
}

pare_status pare_model_save(const pare_model *model, const char *path)
{
    pare_array *arrays = NULL;
    pare_attribute *attributes = NULL;
    size_t n_arrays, n_attributes;
    pare_arena *arena = pare_arena_new("model file");
    if (!arena)
        return PARE_MEMORY;
    pare_status status = pare_model_check_finite(model);
    if (status == PARE_OK)
        status = pare_model_entries(model, arena, &arrays, &n_arrays, &attributes, &n_attributes);
    if (status == PARE_OK)
        status = pare_store_write(path, arrays, n_arrays, attributes, n_attributes);
    pare_arena_free(arena);
    return status;
}

/* ---- Reading ---- */

/* What a model file says of its model before any tensor is read. */
typedef struct outline {
    pare_store *store;
    const char *path;
    pare_arena *arena; /* owns the config's list of layers */
    pare_config config;
    bool with_pooler;
    int64_t n_labels;
} outline;

/* The array of a tensor by its Hugging Face name. */
static pare_status find_array(const outline *o, const char *name, const pare_array **out)
{
    char full[sizeof PREFIX + PARE_NAME_SIZE];
    snprintf(full, sizeof full, PREFIX "%s", name);
    *out = pare_store_find(o->store, full);
    return *out ? PARE_OK : pare_fail(PARE_INPUT, "%s: array %s is missing", o->path, full);
}

/* pare_config_read refuses what is no BERT. */
static pare_status read_config(outline *o)
{
    const char *text = pare_store_string(o->store, "model.config", NULL);
    pare_json *json = NULL;
    if (!text) {
        pare_fail(PARE_INPUT, "%s: it holds no model (attribute model.config is missing)",
                  o->path);
        return pare_hint(PARE_INPUT, "make a model file from a Hugging Face directory: "
                         "pare import DIR OUT.h5");
    }
    PARE_TRY(pare_bounded_json_parse(text, strlen(text), o->path, &json));
    pare_status status = pare_config_read(json, o->path, &o->config);
    if (status == PARE_OK)
        status = pare_config_read_layers(json, o->path, o->arena, &o->config);
    pare_json_free(json);
    return pare_context(status, "model.config");
}

/* The tensor's array, of its very shape. */
static pare_status check_slot(const outline *o, const pare_slot *slot)
{
    const pare_array *a;
    PARE_TRY(find_array(o, slot->name, &a));
    bool same = a->rank == slot->rank && (a->dtype == PARE_F32 || a->dtype == PARE_F64);
    same = same && a->shape[0] == (slot->rank == 1 ? slot->cols : slot->rows);
    same = same && (slot->rank == 1 || a->shape[1] == slot->cols);
    if (same)
        return PARE_OK;
    return pare_fail(PARE_INPUT, "%s: array %s has %d dimensions [%lld,%lld], its config wants %d "
                     "[%lld,%lld] of F32 or F64", o->path, a->name, a->rank,
                     (long long)a->shape[0], (long long)(a->rank > 1 ? a->shape[1] : 1), slot->rank,
                     (long long)(slot->rank == 1 ? slot->cols : slot->rows),
                     (long long)(slot->rank == 1 ? 1 : slot->cols));
}

/* Every tensor of the config is there, and no other: before memory is taken for it. */
static pare_status check_outline(outline *o)
{
    const pare_array *head = pare_store_find(o->store, PREFIX "classifier.weight");
    o->with_pooler = pare_store_find(o->store, PREFIX "bert.pooler.dense.weight") != NULL;
    o->n_labels = head ? head->shape[0] : 0;
    int64_t n_slots = pare_slot_count(&o->config, o->with_pooler, o->n_labels);
    int64_t n_wanted = 0, n_arrays = 0;
    for (int64_t i = 0; i < n_slots; i++) {
        pare_slot slot;
        pare_slot_at(&o->config, o->with_pooler, o->n_labels, i, &slot);
        if (slot.rows == 0 || slot.cols == 0)
            continue;
        PARE_TRY(check_slot(o, &slot));
        n_wanted++;
    }
    for (size_t i = 0; i < pare_store_count(o->store); i++)
        n_arrays += strncmp(pare_store_array(o->store, i)->name, PREFIX, strlen(PREFIX)) == 0;
    if (n_arrays == n_wanted)
        return PARE_OK;
    return pare_fail(PARE_INPUT, "%s: it holds %lld arrays that belong to no BERT of its config",
                     o->path, (long long)(n_arrays - n_wanted));
}

static pare_status read_tensors(const outline *o, pare_model *model)
{
    for (int i = 0; i < model->n_params; i++) {
        const pare_array *a;
        pare_tensor *x = &model->params[i]->tensor;
        PARE_TRY(find_array(o, model->params[i]->name, &a));
        real *place = pare_store_find_mapped(o->store, &model->file, a->name, PARE_REAL_DTYPE);
        if (place)
            x->data = place;
        else
            PARE_TRY(pare_store_read(o->store, a->name, PARE_REAL_DTYPE, x->data));
    }
    return PARE_OK;
}

static pare_status fail_labels(const outline *o, size_t found)
{
    return pare_fail(PARE_INPUT, "%s: model.labels names %zu labels, the head has %lld", o->path,
                     found, (long long)o->n_labels);
}

/* A head with names is for classes; a head of one row without names is for regression. */
static pare_status read_labels(const outline *o, pare_model *model)
{
    const char *task = pare_store_string(o->store, "model.task", NULL);
    const char *text = pare_store_string(o->store, "model.labels", NULL);
    pare_json *json = NULL;
    if (!text)
        return pare_model_set_labels(model, task, NULL, o->n_labels);
    PARE_TRY(pare_bounded_json_parse(text, strlen(text), o->path, &json));
    size_t n = pare_json_is_array(json) ? pare_json_size(json) : 0;
    pare_status status = PARE_OK;
    if (n < 1 || (int64_t)n != o->n_labels || n > MAX_LABELS)
        status = fail_labels(o, n);
    const char **names = status == PARE_OK ? pare_calloc(n, sizeof *names) : NULL;
    if (status == PARE_OK && !names)
        status = PARE_MEMORY;
    for (size_t i = 0; status == PARE_OK && i < n; i++)
        if (!(names[i] = pare_json_as_string(pare_json_at(json, i), NULL)))
            status = pare_fail(PARE_INPUT, "%s: model.labels[%zu] is no string", o->path, i);
    if (status == PARE_OK)
        status = pare_model_set_labels(model, task, names, o->n_labels);
    pare_free(names);
    pare_json_free(json);
    return status;
}

/* History, vocabulary and what belongs to it. */
static pare_status read_texts(const outline *o, pare_model *model)
{
    pare_store *store = o->store;
    const char *history = pare_store_string(store, "model.history", NULL);
    const char *vocabulary = pare_store_string(store, VOCABULARY, NULL);
    pare_vocabulary_spec spec = {
        .do_lower_case = pare_store_int(store, "model.do_lower_case", 1) != 0,
        .strip_accents = (int)pare_store_int(store, "model.strip_accents", -1),
        .tokenize_chinese_chars = pare_store_int(store, "model.tokenize_chinese_chars", 1) != 0};
    model->trained_length = pare_store_int(store, "model.trained_length", 0);
    if (model->trained_length < 0 || model->trained_length > model->config.max_position_embeddings)
        return pare_fail(PARE_INPUT, "%s: model.trained_length is %lld, the config allows 0 to "
                         "%lld", o->path, (long long)model->trained_length,
                         (long long)model->config.max_position_embeddings);
    if (history && !(model->history = pare_arena_strdup(model->arena, history)))
        return PARE_MEMORY;
    if (!vocabulary)
        return PARE_OK;
    char *text = pare_arena_strdup(model->arena, vocabulary);
    if (!text)
        return PARE_MEMORY;
    model->vocabulary = spec;
    model->vocabulary.text = text;
    return PARE_OK;
}

/* A model of zeros of the file's shape, once the file has been found to hold it. */
static pare_status make_model(outline *o, pare_model **model)
{
    PARE_TRY(read_config(o));
    PARE_TRY(check_outline(o));
    return pare_model_new(&o->config, o->with_pooler, o->n_labels, model);
}

static pare_status load(pare_store *store, const char *path, bool mapped, pare_model **out)
{
    outline o = {.store = store, .path = path, .arena = pare_arena_new("model file")};
    pare_model *model = NULL;
    *out = NULL;
    pare_status status = o.arena ? make_model(&o, &model) : PARE_MEMORY;
    pare_arena_free(o.arena);
    if (status == PARE_OK)
        status = read_labels(&o, model);
    if (status == PARE_OK)
        status = read_texts(&o, model);
    if (status == PARE_OK && mapped) /* what cannot be mapped is read */
        (void)pare_store_map(store, &model->file);
    if (status == PARE_OK)
        status = read_tensors(&o, model);
    if (status == PARE_OK)
        *out = model;
    else
        pare_model_free(model);
    return status;
}

pare_status pare_model_from_store(pare_store *store, const char *path, pare_model **out)
{
    return load(store, path, false, out);
}

static pare_status open_and_load(const char *path, bool mapped, pare_model **out)
{
    pare_store *store = NULL;
    *out = NULL;
    PARE_TRY(pare_store_open(path, &store));
    pare_status status = load(store, path, mapped, out);
    pare_store_close(store);
    return status;
}

pare_status pare_model_open(const char *path, pare_model **out)
{
    return open_and_load(path, false, out);
}

pare_status pare_model_map(const char *path, pare_model **out)
{
    return open_and_load(path, true, out);
}
