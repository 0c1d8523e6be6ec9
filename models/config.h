/* config.h: BERT's hyper-parameters, named and meant as in Hugging Face's config.json. */
#ifndef PARE_MODELS_CONFIG_H
#define PARE_MODELS_CONFIG_H

#include "core/json.h"
#include "core/kernels.h" /* pare_activation */
#include "core/memory.h"

/* The matrices of a layer, by the last parts of their names. */
typedef enum pare_matrix {
    PARE_QUERY,
    PARE_KEY,
    PARE_VALUE,
    PARE_ATTENTION_OUTPUT,
    PARE_INTERMEDIATE,
    PARE_OUTPUT,
    PARE_MATRICES
} pare_matrix;
const char *pare_matrix_name(pare_matrix matrix); /* "query", "attention_output", ... */

/* What pruning left of one layer. */
typedef struct pare_layer_shape {
    int64_t num_attention_heads; /* 0: nothing but the attention output's bias */
    int64_t rank[PARE_MATRICES]; /* of a factorised matrix; 0: it is dense */
} pare_layer_shape;

typedef struct pare_config {
    int64_t vocab_size;
    int64_t hidden_size;
    int64_t num_hidden_layers;
    int64_t num_attention_heads; /* of a layer that was not pruned */
    int64_t intermediate_size;
    int64_t max_position_embeddings;
    int64_t type_vocab_size;
    pare_activation hidden_act;
    double hidden_dropout_prob;
    double attention_probs_dropout_prob;
    double classifier_dropout; /* < 0: null, hidden_dropout_prob is used */
    double layer_norm_eps;
    double initializer_range;
    int64_t pad_token_id;        /* -1: null, no row is for padding */
    bool gated; /* factorised matrices have a gate a rank: their masks are being trained */
    const pare_layer_shape *layers; /* [num_hidden_layers]; NULL: no layer was pruned; borrowed */
} pare_config;

/* Reads a config.json. Defaults as in transformers' BertConfig. Refused by name, as PARE_INPUT:
 * another model_type than bert, position_embedding_type other than absolute, unknown hidden_act,
 * decoders, sizes < 1, hidden_size no multiple of num_attention_heads. `where` is a path. */
pare_status pare_config_read(const pare_json *json, const char *where, pare_config *out);

/* The members of config.json that describe the network; the caller adds labels and frees it. */
pare_json *pare_config_to_json(const pare_config *config);

/* Reads "layers", which only model files have, into `arena`: an object a layer, with the sizes that
 * differ from the config's. Without it config->layers is NULL. */
pare_status pare_config_read_layers(const pare_json *json, const char *where, pare_arena *arena,
                                    pare_config *config);

/* Reads "pruned_heads" of a config.json by transformers 4, {"layer": [heads]}, into `arena`: how
 * many heads are left in each layer. Without it config->layers stays NULL. */
pare_status pare_config_read_pruned_heads(const pare_json *json, const char *where,
                                          pare_arena *arena, pare_config *config);

/* The shape of one layer, and whether it is whole: all heads, every matrix dense. */
bool pare_config_layer_whole(const pare_config *config, int64_t layer);
pare_layer_shape pare_config_layer(const pare_config *config, int64_t layer);
/* Columns of a head: hidden_size / num_attention_heads, in every layer. */
int64_t pare_config_head_size(const pare_config *config);

/* {"query": 64, ...}: the ranks of a layer's factorised matrices. */
pare_json *pare_config_ranks(const pare_config *config, int64_t layer);

const char *pare_activation_name(pare_activation activation); /* "gelu", ... */

#endif
