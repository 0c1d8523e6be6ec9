/* export.c: a model becomes a directory that transformers loads with equal logits.
 *
 * The weights are written last: config.json with model.safetensors beside it is then whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/note.h"
#include "core/status.h"
#include "models/factors.h"
#include "models/model.h"
#include "models/safetensors.h"

/* ---- config.json ---- */

/* id2label and its inverse; regression has one label that means nothing. */
static void set_labels(pare_json *json, const pare_model *model)
{
    pare_json *names = pare_json_new_object(), *ids = pare_json_new_object();
    for (int64_t i = 0; i < model->n_labels; i++) {
        char id[32], otherwise[40];
        snprintf(id, sizeof id, "%lld", (long long)i);
        snprintf(otherwise, sizeof otherwise, "LABEL_%s", id);
        const char *name = model->label_names ? model->label_names[i] : otherwise;
        pare_json_set_string(names, id, name);
        pare_json_set_int(ids, name, i);
    }
    pare_json_set(json, "id2label", names);
    pare_json_set(json, "label2id", ids);
    pare_json_set_int(json, "num_labels", model->n_labels);
    if (!model->label_names && model->n_labels == 1)
        pare_json_set_string(json, "problem_type", "regression");
}

/* What only pare knows, and cannot tell from the rest; transformers keeps members that it does not
 * know. */
static void set_own(pare_json *json, const pare_model *model)
{
    bool named = model->task && strcmp(model->task, "classify") != 0 &&
                 strcmp(model->task, "regress") != 0;
    if (!named && model->trained_length <= 0)
        return;
    pare_json *own = pare_json_new_object();
    if (named)
        pare_json_set_string(own, "task", model->task);
    if (model->trained_length > 0)
        pare_json_set_int(own, "trained_length", model->trained_length);
    pare_json_set(json, "pare", own);
}

/* Digits that give every number of the config back: 15 where they do (0.1), else 17. */
static int config_digits(const pare_config *c)
{
    const double numbers[] = {c->hidden_dropout_prob, c->attention_probs_dropout_prob,
                              c->classifier_dropout, c->layer_norm_eps, c->initializer_range};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[40];
        snprintf(text, sizeof text, "%.15g", numbers[i]);
        if (strtod(text, NULL) != numbers[i])
            return 17;
    }
    return 15;
}

/* ---- Layers that were pruned ----
 * transformers knows dense matrices: factors are multiplied out. And it gives every layer the same
 * heads. So heads that were removed come back as rows and columns of zeros: their context is zero,
 * and the logits stay. Version 4 can also do without them: config.json's pruned_heads names as
 * many, the last ones, and the tensors stay small. */

/* to[rows of `to`, :] begins with from's rows and columns; the rest stays zero. */
static void copy_corner(pare_tensor *to, const pare_tensor *from)
{
    for (int64_t r = 0; r < from->rows; r++)
        memcpy(to->data + r * to->cols, from->data + r * from->cols,
               (size_t)from->cols * sizeof(real));
}

static pare_status multiply_out_layer(pare_layer *to, pare_layer *from)
{
    for (int m = 0; m < PARE_MATRICES; m++) {
        const pare_weight *w = pare_layer_matrix(from, (pare_matrix)m);
        if (w->p)
            PARE_TRY(pare_factors_multiply(
                w, NULL, NULL, &pare_layer_matrix(to, (pare_matrix)m)->weight->tensor));
    }
    return PARE_OK;
}

/* The same model with dense matrices, and with `heads` in the place of its layers' own. */
static pare_status make_plain(const pare_model *model, const pare_layer_shape *heads,
                              pare_model **out)
{
    pare_config config = model->config;
    config.layers = heads;
    config.gated = false;
    PARE_TRY(pare_model_like(model, &config, out));
    for (int i = 0; i < model->n_params; i++) {
        pare_param *to = pare_model_find(*out, model->params[i]->name);
        if (to)
            copy_corner(&to->tensor, &model->params[i]->tensor);
    }
    for (int64_t i = 0; i < config.num_hidden_layers; i++)
        PARE_TRY(multiply_out_layer(&(*out)->layers[i], &model->layers[i]));
    return PARE_OK;
}

/* For version 4: dense, with the heads that are left. */
static pare_status with_few_heads(const pare_model *model, pare_model **out)
{
    const int64_t n = model->config.num_hidden_layers;
    pare_layer_shape *shapes = pare_malloc((size_t)n * sizeof *shapes);
    if (!shapes)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++)
        shapes[i] = (pare_layer_shape){
            .num_attention_heads = pare_config_layer(&model->config, i).num_attention_heads};
    const pare_status status = make_plain(model, shapes, out);
    pare_free(shapes);
    return status;
}

/* {"3": [8, 9, 10, 11]}: of layer 3 the first 8 heads are left. */
static pare_json *pruned_heads(const pare_config *config)
{
    pare_json *object = pare_json_new_object();
    for (int64_t i = 0; i < config->num_hidden_layers; i++) {
        const int64_t left = pare_config_layer(config, i).num_attention_heads;
        char name[24];
        pare_json *list = pare_json_new_array();
        snprintf(name, sizeof name, "%lld", (long long)i);
        for (int64_t h = left; h < config->num_attention_heads; h++)
            pare_json_append_int(list, h);
        if (left < config->num_attention_heads)
            pare_json_set(object, name, list);
        else
            pare_json_free(list);
    }
    return object;
}

/* In version 4 a layer without any head cannot be built. */
static pare_status check_small_heads(const pare_config *config)
{
    for (int64_t i = 0; i < config->num_hidden_layers; i++)
        if (pare_config_layer(config, i).num_attention_heads == 0)
            return pare_hint(pare_fail(PARE_INPUT, "layer %lld has no head left, which "
                                       "transformers 4 cannot build", (long long)i),
                             "export without --for-transformers 4");
    return PARE_OK;
}

/* What transformers needs to build the model, under its names. */
static pare_json *make_config(const pare_model *model)
{
    pare_config whole = model->config;
    whole.layers = NULL; /* said by pruned_heads */
    pare_json *json = pare_config_to_json(&whole);
    if (model->config.layers)
        pare_json_set(json, "pruned_heads", pruned_heads(&model->config));
    pare_json *architectures = pare_json_new_array();
    bool head = model->classifier.weight != NULL;
    pare_json_append_string(architectures, head ? "BertForSequenceClassification" : "BertModel");
    pare_json_set(json, "architectures", architectures);
    pare_json_set_string(json, "dtype", "float32");
    if (head)
        set_labels(json, model);
    set_own(json, model);
    return json;
}

/* ---- The tokenizer's files ---- */

static const struct special_token {
    const char *key, *token;
} special_tokens[] = {
    {"cls_token", "[CLS]"}, {"mask_token", "[MASK]"}, {"pad_token", "[PAD]"},
    {"sep_token", "[SEP]"}, {"unk_token", "[UNK]"},
};

static pare_json *make_special_tokens(void)
{
    pare_json *json = pare_json_new_object();
    for (size_t i = 0; i < sizeof special_tokens / sizeof *special_tokens; i++)
        pare_json_set_string(json, special_tokens[i].key, special_tokens[i].token);
    return json;
}

/* BertTokenizer builds itself from these switches and vocab.txt. */
static pare_json *make_tokenizer(const pare_model *model)
{
    const pare_vocabulary_spec *v = &model->vocabulary;
    pare_json *json = make_special_tokens();
    pare_json_set_string(json, "tokenizer_class", "BertTokenizer");
    pare_json_set_bool(json, "do_lower_case", v->do_lower_case);
    if (v->strip_accents < 0)
        pare_json_set_string(json, "strip_accents", NULL);
    else
        pare_json_set_bool(json, "strip_accents", v->strip_accents != 0);
    pare_json_set_bool(json, "tokenize_chinese_chars", v->tokenize_chinese_chars);
    pare_json_set_int(json, "model_max_length", model->config.max_position_embeddings);
    return json;
}

/* ---- Writing ---- */

static pare_status write_bytes(const char *directory, const char *name, const char *bytes,
                               size_t size)
{
    char *path = pare_path_join(directory, name);
    if (!path)
        return PARE_MEMORY;
    pare_status status = pare_file_replace(path, bytes, size);
    pare_free(path);
    return status;
}

/* Takes json over. */
static pare_status write_json(const char *directory, const char *name, pare_json *json, int digits)
{
    char *text = json ? pare_json_dump(json, 2, digits) : NULL;
    pare_json_free(json);
    if (!text)
        return PARE_MEMORY;
    size_t length = strlen(text);
    text[length++] = '\n'; /* over the NUL */
    pare_status status = write_bytes(directory, name, text, length);
    pare_free(text);
    return status;
}

/* Sorted by name and in float32: equal weights give equal bytes. */
static pare_status write_weights(const pare_model *model, const char *directory)
{
    char *path = pare_path_join(directory, "model.safetensors");
    pare_safetensors_entry *entries = pare_calloc((size_t)model->n_params, sizeof *entries);
    pare_status status = PARE_MEMORY;
    if (path && entries) {
        bool head = model->classifier.weight != NULL;
        for (int i = 0; i < model->n_params; i++) {
            const pare_param *p = model->params[i];
            /* BertModel alone has its names without "bert." */
            bool cut = !head && strncmp(p->name, "bert.", 5) == 0;
            entries[i] = (pare_safetensors_entry){p->name + (cut ? 5 : 0), p->rank, p->tensor.rows,
                                                  p->tensor.cols, p->tensor.data};
        }
        status = pare_safetensors_write(path, entries, (size_t)model->n_params);
    }
    pare_free(entries);
    pare_free(path);
    return status;
}

/* Files that transformers would read instead of, or beside, what is written here. */
static void note_strangers(const char *directory)
{
    static const char *const names[] = {"tokenizer.json", "added_tokens.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = pare_path_join(directory, names[i]);
        if (path && pare_path_exists(path))
            pare_note("note: %s was there before and is left alone; transformers reads it beside "
                      "vocab.txt", path);
        pare_free(path);
    }
}

/* Every file, from a model that transformers can build. */
static pare_status write_all(const pare_model *model, const char *directory)
{
    const char *vocabulary = model->vocabulary.text;
    PARE_TRY(pare_make_directories(directory));
    note_strangers(directory);
    PARE_TRY(write_bytes(directory, "vocab.txt", vocabulary, strlen(vocabulary)));
    PARE_TRY(write_json(directory, "tokenizer_config.json", make_tokenizer(model), 17));
    PARE_TRY(write_json(directory, "special_tokens_map.json", make_special_tokens(), 17));
    PARE_TRY(write_json(directory, "config.json", make_config(model),
                        config_digits(&model->config)));
    return write_weights(model, directory);
}

pare_status pare_export_for(const pare_model *model, const char *directory, int transformers)
{
    pare_model *whole = NULL;
    if (!model->vocabulary.text)
        return pare_fail(PARE_INPUT, "the model has no vocabulary, so it cannot be exported");
    if (model->config.layers && transformers == 4)
        PARE_TRY(check_small_heads(&model->config));
    if (!model->config.layers)
        return write_all(model, directory);
    pare_status status =
        transformers == 4 ? with_few_heads(model, &whole) : make_plain(model, NULL, &whole);
    if (status == PARE_OK)
        status = write_all(whole, directory);
    pare_model_free(whole);
    return status;
}

pare_status pare_export(const pare_model *model, const char *directory)
{
    return pare_export_for(model, directory, 5);
}
