/* export.c: a model becomes a directory that transformers loads with equal logits.
 *
 * The weights are written last: config.json with model.safetensors beside it is then whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
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

/* What transformers needs to build the model, under its names. */
static pare_json *make_config(const pare_model *model)
{
    pare_json *json = pare_config_to_json(&model->config);
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
    if (length == 0 || text[length - 1] != '\n')
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

/* transformers gives every layer the same heads, and every head hidden_size / heads columns. */
static pare_status check_layers(const pare_model *model)
{
    const pare_config *c = &model->config;
    for (int64_t i = 0; i < c->num_hidden_layers; i++) {
        const pare_layer *l = &model->layers[i];
        if (l->num_heads == c->num_attention_heads &&
            l->num_heads * l->head_size == c->hidden_size && l->query.out == c->hidden_size &&
            l->intermediate.out == c->intermediate_size)
            continue;
        return pare_fail(PARE_INPUT, "layer %lld has %lld heads of %lld and %lld intermediate "
                         "columns; transformers' BERT must have %lld of %lld and %lld in every "
                         "layer", (long long)i, (long long)l->num_heads, (long long)l->head_size,
                         (long long)l->intermediate.out, (long long)c->num_attention_heads,
                         (long long)(c->hidden_size / c->num_attention_heads),
                         (long long)c->intermediate_size);
    }
    return PARE_OK;
}

/* Files that transformers would read instead of, or beside, what is written here. */
static void note_strangers(const char *directory)
{
    static const char *const names[] = {"tokenizer.json", "added_tokens.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = pare_path_join(directory, names[i]);
        if (path && pare_path_exists(path))
            fprintf(stderr, "note: %s was there before and is left alone; transformers reads it "
                    "beside vocab.txt\n", path);
        pare_free(path);
    }
}

pare_status pare_export(const pare_model *model, const char *directory)
{
    const char *vocabulary = model->vocabulary.text;
    if (!vocabulary)
        return pare_fail(PARE_INPUT, "the model has no vocabulary, so it cannot be exported");
    PARE_TRY(check_layers(model));
    PARE_TRY(pare_make_directories(directory));
    note_strangers(directory);
    PARE_TRY(write_bytes(directory, "vocab.txt", vocabulary, strlen(vocabulary)));
    PARE_TRY(write_json(directory, "tokenizer_config.json", make_tokenizer(model), 17));
    PARE_TRY(write_json(directory, "special_tokens_map.json", make_special_tokens(), 17));
    PARE_TRY(write_json(directory, "config.json", make_config(model),
                        config_digits(&model->config)));
    return write_weights(model, directory);
}
