/* config.c: config.json to pare_config and back, as two tables of members. */
#include "models/config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Sizes are bounded far above any BERT, so that products of them fit 64 bits. */
enum { MAX_SIZE = 1 << 24, MAX_LAYERS = 1 << 16 };

static const struct size_member {
    const char *name;
    size_t place;
    int64_t otherwise; /* transformers' default */
    int64_t most;
} sizes[] = {
    {"vocab_size", offsetof(pare_config, vocab_size), 30522, MAX_SIZE},
    {"hidden_size", offsetof(pare_config, hidden_size), 768, MAX_SIZE},
    {"num_hidden_layers", offsetof(pare_config, num_hidden_layers), 12, MAX_LAYERS},
    {"num_attention_heads", offsetof(pare_config, num_attention_heads), 12, MAX_SIZE},
    {"intermediate_size", offsetof(pare_config, intermediate_size), 3072, MAX_SIZE},
    {"max_position_embeddings", offsetof(pare_config, max_position_embeddings), 512, MAX_SIZE},
    {"type_vocab_size", offsetof(pare_config, type_vocab_size), 2, MAX_SIZE},
};

static const struct number_member {
    const char *name;
    size_t place;
    double otherwise;
    double below; /* 0 <= value < below */
} numbers[] = {
    {"hidden_dropout_prob", offsetof(pare_config, hidden_dropout_prob), 0.1, 1},
    {"attention_probs_dropout_prob", offsetof(pare_config, attention_probs_dropout_prob), 0.1, 1},
    {"classifier_dropout", offsetof(pare_config, classifier_dropout), -1, 1},
    {"layer_norm_eps", offsetof(pare_config, layer_norm_eps), 1e-12, HUGE_VAL},
    {"initializer_range", offsetof(pare_config, initializer_range), 0.02, HUGE_VAL},
};

/* Several names compute the same function; the first one of each is what we write. */
static const struct activation_name {
    const char *name;
    pare_activation activation;
} activations[] = {
    {"gelu", PARE_ACT_GELU},
    {"gelu_python", PARE_ACT_GELU},
    {"gelu_new", PARE_ACT_GELU_NEW},
    {"gelu_pytorch_tanh", PARE_ACT_GELU_NEW},
    {"gelu_python_tanh", PARE_ACT_GELU_NEW},
    {"gelu_fast", PARE_ACT_GELU_NEW},
    {"gelu_accurate", PARE_ACT_GELU_NEW},
    {"relu", PARE_ACT_RELU},
    {"tanh", PARE_ACT_TANH},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

const char *pare_activation_name(pare_activation activation)
{
    for (size_t i = 0; i < COUNT(activations); i++)
        if (activations[i].activation == activation)
            return activations[i].name;
    return "none";
}

/* ---- Reading ---- */

/* The member that a row of the tables describes. */
static int64_t *size_at(pare_config *config, size_t place)
{
    return (int64_t *)(void *)((char *)config + place);
}

static double *number_at(pare_config *config, size_t place)
{
    return (double *)(void *)((char *)config + place);
}

/* A size that is there must be a whole number within bounds: a string is no default. */
static pare_status read_size(const pare_json *json, const char *where,
                             const struct size_member *member, pare_config *out)
{
    const pare_json *value = pare_json_get(json, member->name);
    int64_t size = value ? pare_json_as_int(value, INT64_MIN) : member->otherwise;
    if (size == INT64_MIN)
        return pare_fail(PARE_INPUT, "%s: %s is not a whole number", where, member->name);
    if (size < 1 || size > member->most)
        return pare_fail(PARE_INPUT, "%s: %s is %lld; it must be from 1 to %lld", where,
                         member->name, (long long)size, (long long)member->most);
    *size_at(out, member->place) = size;
    return PARE_OK;
}

/* null means "not given" only for classifier_dropout, whose default says so. */
static pare_status read_number(const pare_json *json, const char *where,
                               const struct number_member *member, pare_config *out)
{
    const pare_json *value = pare_json_get(json, member->name);
    double *number = number_at(out, member->place);
    *number = member->otherwise;
    if (!value || (pare_json_is_null(value) && member->otherwise < 0))
        return PARE_OK;
    if (!pare_json_is_number(value))
        return pare_fail(PARE_INPUT, "%s: %s is not a number", where, member->name);
    *number = pare_json_as_double(value, NAN);
    if (!(*number >= 0 && *number < member->below))
        return pare_fail(PARE_INPUT, "%s: %s is %g; it must be at least 0 and below %g", where,
                         member->name, *number, member->below);
    return PARE_OK;
}

/* Anything but a known name is refused: another function would give other logits. */
static pare_status read_activation(const pare_json *json, const char *where, pare_config *out)
{
    const pare_json *value = pare_json_get(json, "hidden_act");
    const char *name = value ? pare_json_as_string(value, "") : "gelu";
    for (size_t i = 0; i < COUNT(activations); i++) {
        if (strcmp(activations[i].name, name) == 0) {
            out->hidden_act = activations[i].activation;
            return PARE_OK;
        }
    }
    return pare_hint(pare_fail(PARE_INPUT, "%s: hidden_act \"%.64s\" is not known", where, name),
                     "known are gelu, gelu_new, gelu_pytorch_tanh, relu and tanh");
}

/* null is a model without a padding row: -1. A negative number counts from the end, as torch's
 * Embedding takes it. */
static pare_status read_padding(const pare_json *json, const char *where, pare_config *out)
{
    const pare_json *value = pare_json_get(json, "pad_token_id");
    const int64_t n = out->vocab_size, id = value ? pare_json_as_int(value, n) : 0;
    const bool none = pare_json_is_null(value);
    out->pad_token_id = none ? -1 : id < 0 ? id + n : id;
    if (none || (id >= -n && id < n))
        return PARE_OK;
    return pare_fail(PARE_INPUT, "%s: pad_token_id is no row of a vocabulary of %lld", where,
                     (long long)out->vocab_size);
}

static pare_status refuse_family(const char *where, const char *member, const char *value)
{
    return pare_hint(pare_fail(PARE_INPUT, "%s: %s is \"%.64s\"; only BERT is supported", where,
                               member, value),
                     "take a model whose config.json has \"model_type\": \"bert\"");
}

/* Without model_type and architectures (early files have neither) BERT's own spelling of the sizes
 * decides: DistilBERT says dim, ALBERT and ELECTRA also have embedding_size. */
static pare_status check_spelling(const pare_json *json, const char *where)
{
    if (pare_json_get(json, "hidden_size") && pare_json_get(json, "num_hidden_layers") &&
        !pare_json_get(json, "embedding_size"))
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: has no model_type and does not look like BERT's",
                               where),
                     "add \"model_type\": \"bert\" if it is one");
}

/* Refuses what is no BERT encoder, by the member that says so. */
static pare_status check_family(const pare_json *json, const char *where)
{
    const pare_json *type = pare_json_get(json, "model_type");
    const char *architecture =
        pare_json_as_string(pare_json_at(pare_json_get(json, "architectures"), 0), NULL);
    if (type && strcmp(pare_json_as_string(type, "?"), "bert") != 0)
        return refuse_family(where, "model_type", pare_json_as_string(type, "?"));
    if (!type && architecture && strncmp(architecture, "Bert", 4) != 0)
        return refuse_family(where, "architectures", architecture);
    if (!type && !architecture)
        PARE_TRY(check_spelling(json, where));
    const char *position = pare_json_get_string(json, "position_embedding_type", "absolute");
    if (strcmp(position, "absolute") != 0)
        return pare_fail(PARE_INPUT, "%s: position_embedding_type is \"%.64s\"; only absolute is "
                         "supported", where, position);
    static const char *const decoders[] = {"is_decoder", "add_cross_attention",
                                           "is_encoder_decoder"};
    for (size_t i = 0; i < COUNT(decoders); i++)
        if (pare_json_get_bool(json, decoders[i], false))
            return pare_fail(PARE_INPUT, "%s: %s is true; only encoders are supported", where,
                             decoders[i]);
    return PARE_OK;
}

/* The family is checked first: another model's sizes would only confuse. */
pare_status pare_config_read(const pare_json *json, const char *where, pare_config *out)
{
    *out = (pare_config){0};
    if (!pare_json_is_object(json))
        return pare_fail(PARE_INPUT, "%s: is not a JSON object", where);
    PARE_TRY(check_family(json, where));
    for (size_t i = 0; i < COUNT(sizes); i++)
        PARE_TRY(read_size(json, where, &sizes[i], out));
    for (size_t i = 0; i < COUNT(numbers); i++)
        PARE_TRY(read_number(json, where, &numbers[i], out));
    PARE_TRY(read_activation(json, where, out));
    PARE_TRY(read_padding(json, where, out));
    if (out->hidden_size % out->num_attention_heads != 0)
        return pare_fail(PARE_INPUT, "%s: hidden_size %lld is no multiple of num_attention_heads "
                         "%lld", where, (long long)out->hidden_size,
                         (long long)out->num_attention_heads);
    return PARE_OK;
}

/* ---- Layers that were pruned ---- */

pare_layer_shape pare_config_layer(const pare_config *config, int64_t layer)
{
    if (config->layers)
        return config->layers[layer];
    return (pare_layer_shape){.num_attention_heads = config->num_attention_heads};
}

bool pare_config_layer_whole(const pare_config *config, int64_t layer)
{
    const pare_layer_shape s = pare_config_layer(config, layer);
    bool dense = true;
    for (int m = 0; m < PARE_MATRICES; m++)
        dense = dense && s.rank[m] == 0;
    return dense && s.num_attention_heads == config->num_attention_heads;
}

const char *pare_matrix_name(pare_matrix matrix)
{
    static const char *const names[PARE_MATRICES] = {"query", "key", "value", "attention_output",
                                                     "intermediate", "output"};
    return names[matrix];
}

int64_t pare_config_head_size(const pare_config *config)
{
    return config->hidden_size / config->num_attention_heads;
}

/* "ranks": {"query": 64, ...}: those of the factorised matrices. */
static pare_status read_ranks(const pare_json *json, const char *where, int64_t layer,
                              pare_layer_shape *out)
{
    const pare_json *ranks = pare_json_get(json, "ranks");
    size_t known = 0;
    for (int m = 0; m < PARE_MATRICES; m++) {
        const pare_json *rank = pare_json_get(ranks, pare_matrix_name(m));
        if (!rank)
            continue;
        known++;
        out->rank[m] = pare_json_as_int(rank, -1);
        if (out->rank[m] < 1 || out->rank[m] > MAX_SIZE)
            return pare_fail(PARE_INPUT, "%s: layers[%lld].ranks.%s is no number from 1 to %d",
                             where, (long long)layer, pare_matrix_name(m), MAX_SIZE);
    }
    if (known == pare_json_size(ranks))
        return PARE_OK;
    return pare_fail(PARE_INPUT, "%s: layers[%lld].ranks names a matrix that is not known", where,
                     (long long)layer);
}

static pare_status read_layer(const pare_json *json, const char *where, int64_t layer,
                              const pare_config *config, pare_layer_shape *out)
{
    const pare_json *heads = pare_json_get(json, "num_attention_heads");
    const int64_t most = config->num_attention_heads;
    *out = (pare_layer_shape){.num_attention_heads = heads ? pare_json_as_int(heads, -1) : most};
    if (out->num_attention_heads >= 0 && out->num_attention_heads <= most)
        return read_ranks(json, where, layer, out);
    return pare_fail(PARE_INPUT, "%s: layers[%lld].num_attention_heads is no number from 0 to %lld",
                     where, (long long)layer, (long long)most);
}

pare_status pare_config_read_layers(const pare_json *json, const char *where, pare_arena *arena,
                                    pare_config *config)
{
    const pare_json *list = pare_json_get(json, "layers");
    const int64_t n = config->num_hidden_layers;
    config->gated = pare_json_get_bool(json, "gated", false);
    if (!list)
        return PARE_OK;
    if (!pare_json_is_array(list) || (int64_t)pare_json_size(list) != n)
        return pare_fail(PARE_INPUT, "%s: layers is no list of %lld", where, (long long)n);
    pare_layer_shape *layers = pare_arena_alloc(arena, (size_t)n * sizeof *layers);
    if (!layers)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++)
        PARE_TRY(read_layer(pare_json_at(list, (size_t)i), where, i, config, &layers[i]));
    config->layers = layers;
    return PARE_OK;
}

/* How many heads a list names, each once; -1 where it is none. */
static int64_t count_heads(const pare_json *list, int64_t heads)
{
    const int64_t n = (int64_t)pare_json_size(list);
    if (!pare_json_is_array(list) || n > heads)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t head = pare_json_as_int(pare_json_at(list, (size_t)i), -1);
        if (head < 0 || head >= heads)
            return -1;
        for (int64_t k = 0; k < i; k++)
            if (pare_json_as_int(pare_json_at(list, (size_t)k), -1) == head)
                return -1;
    }
    return n;
}

pare_status pare_config_read_pruned_heads(const pare_json *json, const char *where,
                                          pare_arena *arena, pare_config *config)
{
    const pare_json *pruned = pare_json_get(json, "pruned_heads");
    if (pare_json_size(pruned) == 0)
        return PARE_OK;
    pare_layer_shape *layers =
        pare_arena_zalloc(arena, (size_t)config->num_hidden_layers * sizeof *layers);
    if (!layers)
        return PARE_MEMORY;
    for (int64_t i = 0; i < config->num_hidden_layers; i++) {
        char name[24];
        snprintf(name, sizeof name, "%lld", (long long)i);
        const pare_json *list = pare_json_get(pruned, name);
        const int64_t gone = list ? count_heads(list, config->num_attention_heads) : 0;
        if (gone < 0)
            return pare_fail(PARE_INPUT, "%s: pruned_heads of layer %s is no list of heads from 0 "
                             "to %lld", where, name, (long long)config->num_attention_heads - 1);
        layers[i].num_attention_heads = config->num_attention_heads - gone;
    }
    config->layers = layers;
    return PARE_OK;
}

pare_json *pare_config_ranks(const pare_config *config, int64_t layer)
{
    const pare_layer_shape s = pare_config_layer(config, layer);
    pare_json *ranks = pare_json_new_object();
    for (int m = 0; m < PARE_MATRICES; m++)
        if (s.rank[m] > 0)
            pare_json_set_int(ranks, pare_matrix_name(m), s.rank[m]);
    return ranks;
}

static pare_json *layers_to_json(const pare_config *config)
{
    pare_json *list = pare_json_new_array();
    for (int64_t i = 0; i < config->num_hidden_layers; i++) {
        pare_json *one = pare_json_new_object(), *ranks = pare_config_ranks(config, i);
        if (config->layers[i].num_attention_heads != config->num_attention_heads)
            pare_json_set_int(one, "num_attention_heads", config->layers[i].num_attention_heads);
        if (pare_json_size(ranks) > 0)
            pare_json_set(one, "ranks", ranks);
        else
            pare_json_free(ranks);
        pare_json_append(list, one);
    }
    return list;
}

/* ---- Writing ---- */

pare_json *pare_config_to_json(const pare_config *config)
{
    pare_json *json = pare_json_new_object();
    if (!json)
        return NULL;
    pare_config copy = *config;
    pare_json_set_string(json, "model_type", "bert");
    for (size_t i = 0; i < COUNT(sizes); i++)
        pare_json_set_int(json, sizes[i].name, *size_at(&copy, sizes[i].place));
    pare_json_set_string(json, "hidden_act", pare_activation_name(config->hidden_act));
    for (size_t i = 0; i < COUNT(numbers); i++) {
        double number = *number_at(&copy, numbers[i].place);
        if (number < 0) /* classifier_dropout: as hidden_dropout_prob */
            pare_json_set_string(json, numbers[i].name, NULL);
        else
            pare_json_set_double(json, numbers[i].name, number);
    }
    if (config->pad_token_id < 0)
        pare_json_set_string(json, "pad_token_id", NULL);
    else
        pare_json_set_int(json, "pad_token_id", config->pad_token_id);
    pare_json_set_string(json, "position_embedding_type", "absolute");
    if (config->layers)
        pare_json_set(json, "layers", layers_to_json(config));
    if (config->gated)
        pare_json_set_bool(json, "gated", true);
    return json;
}
