/* model.h: what a pare_model is made of.
 *
 * The structure is ragged from the start: each layer has its own heads and sizes, each linear map
 * its own kind. Dropping layers or heads, factorising, quantising are functions from one such
 * structure to another; the forward pass (models/bert.h) only walks it.
 *
 * Every trained tensor is in one list, params[], in Hugging Face's order and under its names: the
 * optimiser, the checkpoint, export and the accounts all walk that list. */
#ifndef PARE_MODELS_MODEL_H
#define PARE_MODELS_MODEL_H

#include "core/file.h"
#include "core/tensor.h"
#include "models/config.h"

/* y = x·Wᵀ + b for x[T, in], y[T, out]; factorised, y = ((x·Pᵀ) ⊙ z)·Qᵀ + b with gates z that come
 * from log_alpha while masks are trained, and are 1 otherwise (Wang et al. 2019, arXiv 1910.04732).
 * Members that a kind has no use for are NULL. */
typedef struct pare_weight {
    int64_t in, out;
    pare_param *weight;    /* [out, in] */
    pare_param *p, *q;     /* [rank, in], [out, rank]: then weight is NULL */
    pare_param *log_alpha; /* [rank] */
    pare_param *bias;      /* [out] */
} pare_weight;

typedef struct pare_norm {
    pare_param *weight; /* gamma [n] */
    pare_param *bias;   /* beta [n] */
} pare_norm;

typedef struct pare_layer {
    int64_t num_heads, head_size; /* heads * head_size columns of query, key and value */
    pare_weight query, key, value, attention_output;
    pare_norm attention_norm;
    pare_weight intermediate, output;
    pare_norm output_norm;
} pare_layer;

/* How text becomes tokens. */
typedef struct pare_vocabulary_spec {
    char *text;         /* vocab.txt: one token a line, "\n" ended */
    bool do_lower_case;
    int strip_accents;  /* 1, 0, or -1: as do_lower_case */
    bool tokenize_chinese_chars;
} pare_vocabulary_spec;

struct pare_model {
    pare_arena *arena;  /* owns everything below */
    pare_arena *packed; /* pare_model_pack's; else NULL */
    pare_map file;      /* where numbers are, if they were not copied from it (pare_model_map) */
    pare_config config;

    pare_param *word_embeddings, *position_embeddings, *token_type_embeddings;
    pare_norm embeddings_norm;
    pare_layer *layers; /* [config.num_hidden_layers] */
    pare_weight pooler;     /* weight == NULL: the model has none (it is made before training) */
    pare_weight classifier; /* weight == NULL: no head */
    pare_tensor **masks;    /* [layers * PARE_MATRICES] gates of ranks, in force where a pass names
                             * none; NULL, there or in the list: 1 (prune/flop.h sets them) */
    pare_param *lambda;     /* [2] multipliers of the Lagrangian, beside gates; else NULL */

    pare_param **params; /* every tensor that is not empty, in file order */
    int n_params;

    pare_vocabulary_spec vocabulary;
    char *task;          /* "MRPC", "classify", "regress"; NULL without a head */
    char **label_names;  /* [n_labels]; NULL for regression and without a head */
    int64_t n_labels;    /* rows of the head: 1 and label_names == NULL is regression */
    int64_t trained_length; /* tokens a sentence it was trained at; 0: unknown */
    char *history;       /* JSON array of what made it: import, finetune, ...; no dates */
};

/* A model of this shape with tensors of zeros, with or without a pooler and a head of n_labels
 * (0 = no head). Names begin with "bert." but for "classifier.". */
pare_status pare_model_new(const pare_config *config, bool with_pooler, int64_t n_labels,
                           pare_model **out);

/* What a dense model's tensors are, before there is one: tensor `index` of params[] of a model of
 * this config. Importing checks a file against it: nothing is allocated on a file's word. */
typedef struct pare_slot {
    char name[PARE_NAME_SIZE];
    int rank;
    int64_t rows, cols; /* a vector: rows 1 */
    int layer;
    pare_group group;
    bool decay;
} pare_slot;
int64_t pare_slot_count(const pare_config *config, bool with_pooler, int64_t n_labels);
void pare_slot_at(const pare_config *config, bool with_pooler, int64_t n_labels, int64_t index,
                  pare_slot *out);

/* A model of another shape that goes on where `old` stands: with a pooler and a head where it has
 * them, its texts, labels and history; tensors of zeros. */
pare_status pare_model_like(const pare_model *old, const pare_config *config, pare_model **out);

/* Copies the tensors that have the same name and shape in both. */
void pare_model_copy_same(pare_model *to, const pare_model *from);

/* One of a layer's matrices. */
pare_weight *pare_layer_matrix(pare_layer *layer, pare_matrix matrix);

/* NULL if the model has no such tensor. */
pare_param *pare_model_find(const pare_model *model, const char *name);

/* The first tensor with a value that is not finite, or NULL. */
const pare_param *pare_model_not_finite(const pare_model *model);
/* PARE_DIVERGED, naming that tensor: asked before a model is saved. */
pare_status pare_model_check_finite(const pare_model *model);

/* CRC-32 of all weights, in the order of params. */
uint32_t pare_model_crc(const pare_model *model);

/* Numbers of weights: all, and those of the encoder's matrices alone (what pruning counts). */
int64_t pare_model_parameters(const pare_model *model);
int64_t pare_model_encoder_parameters(const pare_model *model);

/* Copies the strings into the model's arena; a text or task that is NULL stays as it is. Without
 * names, one label is regression, and more are called LABEL_0, LABEL_1, ... */
pare_status pare_model_set_vocabulary(pare_model *model, const pare_vocabulary_spec *spec);
pare_status pare_model_set_labels(pare_model *model, const char *task, const char *const *names,
                                  int64_t n_labels);
/* Appends one object to the history; takes `event` over. */
pare_status pare_model_add_history(pare_model *model, pare_json *event);

/* A pooler of zeros where there is none; a head of zeros instead of any that was there. */
pare_status pare_model_add_pooler(pare_model *model);
pare_status pare_model_add_head(pare_model *model, int64_t n_labels);

/* Makes a missing pooler, and a head of n_labels where there is none of that size:
 * normal(0, initializer_range) from the seed and the tensor's name, biases 0. *made_head tells (it
 * may be NULL). A head of another size takes its label names with it: set them anew. */
pare_status pare_model_ensure_head(pare_model *model, int64_t n_labels, uint64_t seed,
                                   bool *made_head);

/* For a model that only answers: a second copy of what the layers and the head multiply by, as
 * products read it, so that passes without gradients need not pack it every time (for one sentence
 * that takes longer than the product). The weights, the kernels and the precision stay as they are
 * until pare_model_unpack; a model without the copy gives the same bits. */
pare_status pare_model_pack(pare_model *model);
void pare_model_unpack(pare_model *model);

/* Fills every tensor at random, as BERT is initialised: a model from scratch. */
void pare_model_initialize(pare_model *model, uint64_t seed);

#endif
