/* initialize.c: random weights, as BERT is initialised.
 *
 * Element i of a tensor is a function of (seed, the tensor's name, i): it depends neither on other
 * tensors nor on threads. */
#include <math.h>

#include "core/elementary.h"
#include "core/philox.h"
#include "core/status.h"
#include "core/threads.h"
#include "models/model.h"

/* FNV-1a (Fowler, Noll, Vo), folded to the 28 bits that a stream's step has. */
static uint64_t name_stream(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return (hash >> 56 ^ hash >> 28 ^ hash) & 0xfffffff;
}

typedef struct fill_args {
    real *out;
    int64_t n;
    uint64_t seed, stream;
    double scale;
} fill_args;

enum { TILE = 1 << 16, BLOCK = 4 };

/* Two standard normals from two words (Box and Muller 1958), rounded to single precision in every
 * build: a model from scratch is then the same in each. */
static void two_normals(uint32_t a, uint32_t b, float out[2])
{
    double cosine, sine, radius = sqrt(-2 * pare_log((a + 0.5) * 0x1p-32)); /* never log(0) */
    pare_circle(b * 0x1p-32, &cosine, &sine);
    out[0] = (float)(radius * cosine);
    out[1] = (float)(radius * sine);
}

/* out[TILE * tile ...]: a block of random words makes four elements. */
static void fill_tile(void *context, int64_t tile)
{
    const fill_args *args = context;
    int64_t begin = tile * TILE, end = begin + TILE < args->n ? begin + TILE : args->n;
    for (int64_t i = begin; i < end; i += BLOCK) {
        uint64_t index = (uint64_t)i / BLOCK;
        pare_random_block r = pare_random(args->seed, PARE_RANDOM_INIT, args->stream,
                                          (uint32_t)index, (uint32_t)(index >> 32), 0);
        float normal[BLOCK];
        two_normals(r.word[0], r.word[1], normal);
        two_normals(r.word[2], r.word[3], normal + 2);
        for (int64_t k = i; k < end && k < i + BLOCK; k++)
            args->out[k] = (real)(args->scale * normal[k - i]);
    }
}

/* normal(0, scale) in all elements, in parallel. */
static void fill_normal(pare_param *param, uint64_t seed, double scale)
{
    int64_t n = pare_tensor_size(&param->tensor);
    fill_args args = {param->tensor.data, n, seed, name_stream(param->name), scale};
    pare_parallel((n + TILE - 1) / TILE, fill_tile, &args);
}

static void fill_constant(pare_param *param, real value)
{
    int64_t n = pare_tensor_size(&param->tensor);
    for (int64_t i = 0; i < n; i++)
        param->tensor.data[i] = value;
}

/* LayerNorm begins as no more than normalising. */
static void initialize_norm(const pare_norm *norm)
{
    fill_constant(norm->weight, 1);
    fill_constant(norm->bias, 0);
}

/* A map that the model does not have (a pooler, a head) is left out. */
static void initialize_map(const pare_weight *map, uint64_t seed, double scale)
{
    if (!map->weight)
        return;
    fill_normal(map->weight, seed, scale);
    fill_constant(map->bias, 0);
}

/* As transformers' BertPreTrainedModel does: not truncated, and the padding token's row 0. */
void pare_model_initialize(pare_model *model, uint64_t seed)
{
    double scale = model->config.initializer_range;
    int64_t padding = model->config.pad_token_id, hidden = model->config.hidden_size;
    fill_normal(model->word_embeddings, seed, scale);
    for (int64_t i = 0; padding >= 0 && i < hidden; i++)
        model->word_embeddings->tensor.data[padding * hidden + i] = 0;
    fill_normal(model->position_embeddings, seed, scale);
    fill_normal(model->token_type_embeddings, seed, scale);
    initialize_norm(&model->embeddings_norm);
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++) {
        pare_layer *l = &model->layers[i];
        for (int k = 0; k < PARE_MATRICES; k++)
            initialize_map(pare_layer_matrix(l, (pare_matrix)k), seed, scale);
        initialize_norm(&l->attention_norm);
        initialize_norm(&l->output_norm);
    }
    initialize_map(&model->pooler, seed, scale);
    initialize_map(&model->classifier, seed, scale);
}

pare_status pare_model_ensure_head(pare_model *model, int64_t n_labels, uint64_t seed,
                                   bool *made_head)
{
    double scale = model->config.initializer_range;
    if (made_head)
        *made_head = false;
    if (!model->pooler.weight) {
        PARE_TRY(pare_model_add_pooler(model));
        initialize_map(&model->pooler, seed, scale);
    }
    if (model->classifier.weight && model->classifier.out == n_labels)
        return PARE_OK;
    PARE_TRY(pare_model_add_head(model, n_labels));
    initialize_map(&model->classifier, seed, scale);
    if (made_head)
        *made_head = true;
    return PARE_OK;
}
