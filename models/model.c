/* model.c: the structure of a BERT, made from tables of its tensors. */
#include "models/model.h"

#include <stddef.h>
#include <stdio.h>
#include <math.h>
#include <string.h>

#include "core/checksum.h"
#include "core/status.h"

/* ---- The tensors of a BERT, in the order and under the names of Hugging Face ---- */

/* A side of a tensor: a size of the config, the columns of a layer's heads, or the labels. */
typedef enum side {
    ONE, TWO, HIDDEN, HEADS, INTERMEDIATE, VOCABULARY, POSITIONS, TYPES, LABELS, RANK
} side;

/* When a row has a tensor: by the kind of its matrix; LAGRANGIAN: with gates in the model. */
typedef enum presence { ALWAYS, DENSE, FACTORISED, GATED, LAGRANGIAN } presence;

/* place: the offset of the pointer to the tensor, in pare_model or in pare_layer. */
typedef struct row {
    const char *name;
    side rows, cols; /* rows ONE: a vector */
    bool decay;
    size_t place;
    presence when;      /* the matrix is of this kind */
    pare_matrix matrix;
} row;

#define MAP(name_, rows_, cols_, type_, weight_)                                                   \
    {name_ ".weight", rows_, cols_, true, offsetof(type_, weight_.weight), ALWAYS, 0},             \
    {name_ ".bias", ONE, rows_, false, offsetof(type_, weight_.bias), ALWAYS, 0}
#define MATRIX(name_, rows_, cols_, weight_, matrix_)                                              \
    {name_ ".weight", rows_, cols_, true, offsetof(pare_layer, weight_.weight), DENSE, matrix_},   \
    {name_ ".p", RANK, cols_, true, offsetof(pare_layer, weight_.p), FACTORISED, matrix_},         \
    {name_ ".q", rows_, RANK, true, offsetof(pare_layer, weight_.q), FACTORISED, matrix_},         \
    {name_ ".log_alpha", ONE, RANK, false, offsetof(pare_layer, weight_.log_alpha), GATED,         \
     matrix_},                                                                                     \
    {name_ ".bias", ONE, rows_, false, offsetof(pare_layer, weight_.bias), ALWAYS, matrix_}
#define NORM(name_, type_, norm_)                                                                  \
    {name_ ".weight", ONE, HIDDEN, false, offsetof(type_, norm_.weight), ALWAYS, 0},               \
    {name_ ".bias", ONE, HIDDEN, false, offsetof(type_, norm_.bias), ALWAYS, 0}
#define TABLE(name_, rows_, place_)                                                                \
    {name_ ".weight", rows_, HIDDEN, true, offsetof(pare_model, place_), ALWAYS, 0}

static const row embedding_rows[] = {
    TABLE("bert.embeddings.word_embeddings", VOCABULARY, word_embeddings),
    TABLE("bert.embeddings.position_embeddings", POSITIONS, position_embeddings),
    TABLE("bert.embeddings.token_type_embeddings", TYPES, token_type_embeddings),
    NORM("bert.embeddings.LayerNorm", pare_model, embeddings_norm),
};
static const row layer_rows[] = {
    MATRIX("attention.self.query", HEADS, HIDDEN, query, PARE_QUERY),
    MATRIX("attention.self.key", HEADS, HIDDEN, key, PARE_KEY),
    MATRIX("attention.self.value", HEADS, HIDDEN, value, PARE_VALUE),
    MATRIX("attention.output.dense", HIDDEN, HEADS, attention_output, PARE_ATTENTION_OUTPUT),
    NORM("attention.output.LayerNorm", pare_layer, attention_norm),
    MATRIX("intermediate.dense", INTERMEDIATE, HIDDEN, intermediate, PARE_INTERMEDIATE),
    MATRIX("output.dense", HIDDEN, INTERMEDIATE, output, PARE_OUTPUT),
    NORM("output.LayerNorm", pare_layer, output_norm),
};
static const row pooler_rows[] = {MAP("bert.pooler.dense", HIDDEN, HIDDEN, pare_model, pooler)};
static const row lambda_row = {"flop.lambda", ONE, TWO, false, offsetof(pare_model, lambda),
                               LAGRANGIAN, 0};
static const row head_rows[] = {MAP("classifier", LABELS, HIDDEN, pare_model, classifier)};

enum {
    N_EMBEDDING = sizeof embedding_rows / sizeof *embedding_rows,
    N_LAYER = sizeof layer_rows / sizeof *layer_rows,
    N_PAIR = 2 /* the pooler's and the head's weight and bias */
};

/* Whether a layer of this shape has the row's tensor. */
static bool has_row(const pare_config *config, int64_t layer, const row *r)
{
    const bool factorised = pare_config_layer(config, layer).rank[r->matrix] > 0;
    switch (r->when) {
    case DENSE: return !factorised;
    case FACTORISED: return factorised;
    case GATED: return factorised && config->gated;
    case LAGRANGIAN:
    case ALWAYS: break;
    }
    return true;
}

static int64_t count_layer(const pare_config *config, int64_t layer)
{
    int64_t n = 0;
    for (int i = 0; i < N_LAYER; i++)
        n += has_row(config, layer, &layer_rows[i]);
    return n;
}

static int64_t count_layers(const pare_config *config)
{
    int64_t n = 0;
    if (!config->layers)
        return config->num_hidden_layers * count_layer(config, 0);
    for (int64_t i = 0; i < config->num_hidden_layers; i++)
        n += count_layer(config, i);
    return n;
}

/* The layer's `index`-th row that it has. */
static const row *layer_row(const pare_config *config, int64_t layer, int64_t index)
{
    const row *r = layer_rows;
    for (;; r++)
        if (has_row(config, layer, r) && index-- == 0)
            return r;
}

/* The row of tensor `index`; *layer is its layer as in pare_param. */
static const row *find_row(const pare_config *config, bool with_pooler, int64_t index, int *layer)
{
    *layer = -1;
    if (index < N_EMBEDDING)
        return &embedding_rows[index];
    index -= N_EMBEDDING;
    for (*layer = 0; *layer < config->num_hidden_layers; (*layer)++) {
        const int64_t n = count_layer(config, *layer);
        if (index < n)
            return layer_row(config, *layer, index);
        index -= n;
    }
    if (config->gated && index-- == 0)
        return &lambda_row;
    if (with_pooler && index < N_PAIR)
        return &pooler_rows[index];
    return &head_rows[index - (with_pooler ? N_PAIR : 0)];
}

/* The number that a side stands for in this layer of this config. */
static int64_t side_size(const pare_config *config, int64_t n_labels, int layer, side which)
{
    switch (which) {
    case HIDDEN: return config->hidden_size;
    case HEADS:
        return pare_config_layer(config, layer).num_attention_heads * pare_config_head_size(config);
    case INTERMEDIATE: return config->intermediate_size;
    case VOCABULARY: return config->vocab_size;
    case POSITIONS: return config->max_position_embeddings;
    case TYPES: return config->type_vocab_size;
    case LABELS: return n_labels;
    case TWO: return 2;
    case RANK: return 0; /* a matrix's own: see row_size */
    case ONE: break;
    }
    return 1;
}

/* The same for a side of the row's tensor. */
static int64_t row_size(const pare_config *config, int64_t n_labels, int layer, const row *r,
                        side which)
{
    return which == RANK ? pare_config_layer(config, layer).rank[r->matrix]
                         : side_size(config, n_labels, layer, which);
}

int64_t pare_slot_count(const pare_config *config, bool with_pooler, int64_t n_labels)
{
    return N_EMBEDDING + count_layers(config) + config->gated + (with_pooler ? N_PAIR : 0) +
           (n_labels > 0 ? N_PAIR : 0);
}

/* A row of the tables with the config's numbers; a layer's rows get its number in the name. */
static void fill_slot(const pare_config *config, int64_t n_labels, const row *r, int layer,
                      pare_slot *out)
{
    bool in_layer = layer >= 0 && layer < config->num_hidden_layers;
    out->rank = r->rows == ONE ? 1 : 2;
    out->rows = row_size(config, n_labels, layer, r, r->rows);
    out->cols = row_size(config, n_labels, layer, r, r->cols);
    out->layer = layer;
    out->group = r->when == GATED        ? PARE_GROUP_GATES
                 : r->when == LAGRANGIAN ? PARE_GROUP_MULTIPLIERS
                                         : PARE_GROUP_WEIGHTS;
    out->decay = r->decay;
    if (in_layer)
        snprintf(out->name, sizeof out->name, "bert.encoder.layer.%d.%s", layer, r->name);
    else
        snprintf(out->name, sizeof out->name, "%s", r->name);
}

void pare_slot_at(const pare_config *config, bool with_pooler, int64_t n_labels, int64_t index,
                  pare_slot *out)
{
    int layer;
    const row *r = find_row(config, with_pooler, index, &layer);
    fill_slot(config, n_labels, r, layer, out);
}

/* ---- Making a model ---- */

enum { ALIGN_REALS = 64 / sizeof(real) }; /* every tensor begins on a cache line */

/* The reals that all tensors take together; PARE_INPUT if that passes 64 bits of bytes. */
static pare_status count_reals(const pare_config *config, bool with_pooler, int64_t n_labels,
                               int64_t *total)
{
    int64_t n = pare_slot_count(config, with_pooler, n_labels), bytes;
    *total = 0;
    for (int64_t i = 0; i < n; i++) {
        pare_slot slot;
        int64_t size;
        pare_slot_at(config, with_pooler, n_labels, i, &slot);
        if (__builtin_mul_overflow(slot.rows, slot.cols, &size) ||
            __builtin_add_overflow(size, ALIGN_REALS - 1, &size) ||
            __builtin_add_overflow(*total, size / ALIGN_REALS * ALIGN_REALS, total) ||
            __builtin_mul_overflow(*total, (int64_t)sizeof(real), &bytes))
            return pare_fail(PARE_INPUT, "%s[%lld,%lld] makes a model that is too large",
                             slot.name, (long long)slot.rows, (long long)slot.cols);
    }
    return PARE_OK;
}

/* A parameter without a gradient that trains: what every tensor starts as. */
static void set_param(pare_param *param, const pare_slot *slot, real *data)
{
    *param = (pare_param){.rank = slot->rank, .layer = slot->layer, .group = slot->group,
                          .decay = slot->decay};
    memcpy(param->name, slot->name, sizeof param->name);
    param->tensor = (pare_tensor){.data = data, .rows = slot->rows, .cols = slot->cols};
}

/* Points the structure at a tensor. Rows of one kind name a member of pare_model or pare_layer. */
static void place_param(pare_model *model, const row *r, int layer, pare_param *param)
{
    bool in_layer = layer >= 0 && layer < model->config.num_hidden_layers;
    char *base = in_layer ? (char *)&model->layers[layer] : (char *)model;
    memcpy(base + r->place, &param, sizeof param);
}

pare_weight *pare_layer_matrix(pare_layer *l, pare_matrix matrix)
{
    pare_weight *const maps[PARE_MATRICES] = {&l->query, &l->key, &l->value,
                                              &l->attention_output, &l->intermediate, &l->output};
    return maps[matrix];
}

/* in and out of a linear map are its weight's columns and rows, [out, in] in memory. */
static void set_size(pare_weight *w)
{
    const pare_param *from = w->p ? w->p : w->weight, *to = w->q ? w->q : w->weight;
    w->in = from ? from->tensor.cols : 0;
    w->out = to ? to->tensor.rows : 0;
}

/* The sizes beside the pointers, from the tensors. */
static void set_sizes(pare_model *model)
{
    const pare_config *c = &model->config;
    for (int64_t i = 0; i < c->num_hidden_layers; i++) {
        pare_layer *l = &model->layers[i];
        l->num_heads = pare_config_layer(c, i).num_attention_heads;
        l->head_size = pare_config_head_size(c);
        for (int m = 0; m < PARE_MATRICES; m++)
            set_size(pare_layer_matrix(l, m));
    }
    set_size(&model->pooler);
    set_size(&model->classifier);
}

/* Tensor by tensor: name, place, and its part of `data`. Empty ones (of a layer without heads) are
 * placed, so that nobody needs to ask, and not listed. */
static void lay_out(pare_model *model, bool with_pooler, int64_t n_labels, pare_param *params,
                    int n_slots, real *data)
{
    int64_t used = 0;
    for (int i = 0; i < n_slots; i++) {
        pare_slot slot;
        int layer;
        const row *r = find_row(&model->config, with_pooler, i, &layer);
        fill_slot(&model->config, n_labels, r, layer, &slot);
        set_param(&params[i], &slot, data + used);
        place_param(model, r, layer, &params[i]);
        if (slot.rows * slot.cols > 0)
            model->params[model->n_params++] = &params[i];
        used += (slot.rows * slot.cols + ALIGN_REALS - 1) / ALIGN_REALS * ALIGN_REALS;
    }
    set_sizes(model);
}

/* The config's list of shapes becomes the model's own: none where all layers are whole. */
static bool copy_shapes(pare_model *model)
{
    pare_config *c = &model->config;
    const pare_layer_shape *from = c->layers;
    bool whole = true;
    for (int64_t i = 0; from && i < c->num_hidden_layers; i++)
        whole = whole && pare_config_layer_whole(c, i);
    c->layers = NULL;
    if (whole)
        return true;
    const size_t bytes = (size_t)c->num_hidden_layers * sizeof *from;
    pare_layer_shape *to = pare_arena_alloc(model->arena, bytes);
    if (to)
        c->layers = memcpy(to, from, bytes);
    return to;
}

/* Everything but the numbers, in the model's arena. */
static pare_model *new_structure(const pare_config *config, int n_slots, pare_param **params)
{
    pare_arena *arena = pare_arena_new("model");
    pare_model *model = arena ? pare_arena_zalloc(arena, sizeof *model) : NULL;
    if (model) {
        model->arena = arena;
        model->config = *config;
        size_t n = (size_t)n_slots, layers = (size_t)config->num_hidden_layers;
        model->params = pare_arena_zalloc(arena, n * sizeof *model->params);
        *params = pare_arena_zalloc(arena, n * sizeof **params);
        model->layers = pare_arena_zalloc(arena, layers * sizeof *model->layers);
        if (model->params && *params && model->layers && copy_shapes(model))
            return model;
    }
    pare_arena_free(arena);
    return NULL;
}

pare_status pare_model_new(const pare_config *config, bool with_pooler, int64_t n_labels,
                           pare_model **out)
{
    int64_t total, n_slots = pare_slot_count(config, with_pooler, n_labels);
    *out = NULL;
    if (config->num_hidden_layers < 1 || n_slots > INT32_MAX || n_labels < 0 ||
        config->num_attention_heads < 1 || config->hidden_size % config->num_attention_heads != 0)
        return pare_fail(PARE_INPUT, "a model of %lld layers, hidden size %lld and %lld heads "
                         "cannot be made", (long long)config->num_hidden_layers,
                         (long long)config->hidden_size, (long long)config->num_attention_heads);
    PARE_TRY(count_reals(config, with_pooler, n_labels, &total));
    pare_param *params = NULL;
    pare_model *model = new_structure(config, (int)n_slots, &params);
    if (!model)
        return PARE_MEMORY;
    /* One block for all: pages of zeros that cost nothing until they are touched. */
    real *data = pare_arena_zalloc(model->arena, (size_t)total * sizeof *data);
    if (!data) {
        pare_model_free(model);
        return PARE_MEMORY;
    }
    lay_out(model, with_pooler, n_labels, params, (int)n_slots, data);
    model->n_labels = n_labels;
    *out = model;
    return PARE_OK;
}

void pare_model_free(pare_model *model)
{
    if (!model)
        return;
    pare_arena_free(model->packed);
    pare_map_close(&model->file);
    pare_arena_free(model->arena); /* the model lies in it */
}

/* ---- Asking ---- */

pare_param *pare_model_find(const pare_model *model, const char *name)
{
    for (int i = 0; i < model->n_params; i++)
        if (strcmp(model->params[i]->name, name) == 0)
            return model->params[i];
    return NULL;
}

const pare_param *pare_model_not_finite(const pare_model *model)
{
    for (int i = 0; i < model->n_params; i++) {
        const pare_tensor *x = &model->params[i]->tensor;
        for (int64_t k = 0; k < pare_tensor_size(x); k++)
            if (!isfinite(x->data[k]))
                return model->params[i];
    }
    return NULL;
}

pare_status pare_model_check_finite(const pare_model *model)
{
    const pare_param *bad = pare_model_not_finite(model);
    if (!bad)
        return PARE_OK;
    return pare_fail(PARE_DIVERGED, "the tensor %s is not finite: nothing is saved", bad->name);
}

int64_t pare_model_parameters(const pare_model *model)
{
    int64_t sum = 0;
    for (int i = 0; i < model->n_params; i++)
        sum += pare_tensor_size(&model->params[i]->tensor);
    return sum;
}

uint32_t pare_model_crc(const pare_model *model)
{
    uint32_t crc = 0;
    for (int i = 0; i < model->n_params; i++) {
        const pare_tensor *x = &model->params[i]->tensor;
        crc = pare_crc32(crc, x->data, (size_t)pare_tensor_size(x) * sizeof(real));
    }
    return crc;
}

/* Matrices of the layers: 84,934,656 in BERT-base. No biases, LayerNorm, embeddings or pooler. */
int64_t pare_model_encoder_parameters(const pare_model *model)
{
    int64_t sum = 0;
    for (int i = 0; i < model->n_params; i++) {
        const pare_param *p = model->params[i];
        if (p->layer >= 0 && p->layer < model->config.num_hidden_layers && p->rank == 2)
            sum += pare_tensor_size(&p->tensor);
    }
    return sum;
}

/* ---- Changing ---- */

pare_status pare_model_set_vocabulary(pare_model *model, const pare_vocabulary_spec *spec)
{
    char *text = model->vocabulary.text;
    if (spec->text && !(text = pare_arena_strdup(model->arena, spec->text)))
        return PARE_MEMORY;
    model->vocabulary = *spec;
    model->vocabulary.text = text;
    return PARE_OK;
}

/* names[n_labels] in the arena, LABEL_0, ... where none are given; NULL on failure. */
static char **copy_names(pare_arena *arena, const char *const *names, int64_t n_labels)
{
    char **copy = pare_arena_zalloc(arena, (size_t)n_labels * sizeof *copy);
    for (int64_t i = 0; copy && i < n_labels; i++) {
        copy[i] = names ? pare_arena_strdup(arena, names[i])
                        : pare_arena_printf(arena, "LABEL_%lld", (long long)i);
        if (!copy[i])
            return NULL;
    }
    return copy;
}

pare_status pare_model_set_labels(pare_model *model, const char *task, const char *const *names,
                                  int64_t n_labels)
{
    char *task_copy = model->task, **labels = NULL;
    if (task && !(task_copy = pare_arena_strdup(model->arena, task)))
        return PARE_MEMORY;
    if ((names || n_labels > 1) && n_labels > 0 &&
        !(labels = copy_names(model->arena, names, n_labels)))
        return PARE_MEMORY;
    model->task = task_copy;
    model->label_names = labels;
    model->n_labels = n_labels;
    return PARE_OK;
}

pare_status pare_model_add_history(pare_model *model, pare_json *event)
{
    pare_json *history = NULL;
    pare_status status = PARE_OK;
    if (model->history)
        status = pare_json_parse(model->history, strlen(model->history), "the model's history",
                                 &history);
    else if (!(history = pare_json_new_array()))
        status = PARE_MEMORY;
    if (status != PARE_OK || !event) {
        pare_json_free(event);
        pare_json_free(history);
        return event ? status : PARE_MEMORY;
    }
    pare_json_append(history, event);
    char *text = pare_json_dump(history, 0, 17);
    char *copy = text ? pare_arena_strdup(model->arena, text) : NULL;
    pare_free(text);
    pare_json_free(history);
    if (!copy)
        return PARE_MEMORY;
    model->history = copy;
    return PARE_OK;
}

/* A weight and its bias, of zeros, put into the list at `at`. */
static pare_status insert_pair(pare_model *model, const row rows[N_PAIR], int64_t n_labels, int at)
{
    int layer = (int)model->config.num_hidden_layers;
    pare_param *params = pare_arena_zalloc(model->arena, N_PAIR * sizeof *params);
    pare_param **list = pare_arena_alloc(
        model->arena, ((size_t)model->n_params + N_PAIR) * sizeof *list);
    if (!params || !list)
        return PARE_MEMORY;
    memcpy(list, model->params, (size_t)at * sizeof *list);
    memcpy(list + at + N_PAIR, model->params + at, (size_t)(model->n_params - at) * sizeof *list);
    for (int i = 0; i < N_PAIR; i++) {
        pare_slot slot;
        fill_slot(&model->config, n_labels, &rows[i], layer, &slot);
        size_t bytes = (size_t)(slot.rows * slot.cols) * sizeof(real);
        real *data = pare_arena_zalloc(model->arena, bytes);
        if (!data)
            return PARE_MEMORY;
        set_param(&params[i], &slot, data);
        list[at + i] = &params[i];
    }
    for (int i = 0; i < N_PAIR; i++)
        place_param(model, &rows[i], layer, &params[i]);
    model->params = list;
    model->n_params += N_PAIR;
    return PARE_OK;
}

/* n_params if it is not in the list. */
static int index_of(const pare_model *model, const pare_param *param)
{
    int i = 0;
    while (i < model->n_params && model->params[i] != param)
        i++;
    return i;
}

/* The pooler stands before the head, as in a model that was made with both. */
pare_status pare_model_add_pooler(pare_model *model)
{
    if (model->pooler.weight)
        return PARE_OK;
    PARE_TRY(insert_pair(model, pooler_rows, 0, index_of(model, model->classifier.weight)));
    set_size(&model->pooler);
    return PARE_OK;
}

pare_status pare_model_add_head(pare_model *model, int64_t n_labels)
{
    if (n_labels < 1 || n_labels > INT64_MAX / (int64_t)sizeof(real) / model->config.hidden_size)
        return pare_fail(PARE_INPUT, "a head of %lld labels cannot be made", (long long)n_labels);
    pare_weight old = model->classifier;
    PARE_TRY(insert_pair(model, head_rows, n_labels, model->n_params));
    if (old.weight) { /* the old pair leaves the list; its memory goes with the arena */
        int at = index_of(model, old.weight);
        memmove(model->params + at, model->params + at + N_PAIR,
                (size_t)(model->n_params - at - N_PAIR) * sizeof *model->params);
        model->n_params -= N_PAIR;
    }
    set_size(&model->classifier);
    if (model->n_labels != n_labels)
        model->label_names = NULL;
    model->n_labels = n_labels;
    return PARE_OK;
}

pare_status pare_model_like(const pare_model *old, const pare_config *config, pare_model **out)
{
    const int64_t n_labels = old->classifier.weight ? old->n_labels : 0;
    pare_model *model = NULL;
    *out = NULL;
    PARE_TRY(pare_model_new(config, old->pooler.weight, n_labels, &model));
    pare_status status = pare_model_set_vocabulary(model, &old->vocabulary);
    if (status == PARE_OK && n_labels > 0)
        status = pare_model_set_labels(model, old->task, (const char *const *)old->label_names,
                                       n_labels);
    model->trained_length = old->trained_length;
    if (status == PARE_OK && old->history &&
        !(model->history = pare_arena_strdup(model->arena, old->history)))
        status = PARE_MEMORY;
    if (status == PARE_OK)
        *out = model;
    else
        pare_model_free(model);
    return status;
}

void pare_model_copy_same(pare_model *to, const pare_model *from)
{
    for (int i = 0; i < to->n_params; i++) {
        const pare_param *p = pare_model_find(from, to->params[i]->name);
        pare_tensor *x = &to->params[i]->tensor;
        if (p && p->tensor.rows == x->rows && p->tensor.cols == x->cols)
            memcpy(x->data, p->tensor.data, (size_t)pare_tensor_size(x) * sizeof(real));
    }
}
