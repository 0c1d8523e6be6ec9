/* cmd_inspect.c: pare inspect M.h5: what a model file holds. */
#include <string.h>

#include "cli/console.h"
#include "cli/options.h"
#include "core/utf8.h"
#include "models/model.h"

/* ---- As JSON ---- */

/* {"heads":…,"head_size":…,"intermediate":…,"ranks":{…}}: ranks holds the factorised matrices. */
static pare_json *layer_json(const pare_model *model, int64_t index)
{
    const pare_layer *layer = &model->layers[index];
    pare_json *object = pare_json_new_object();

    pare_json_set_int(object, "heads", layer->num_heads);
    pare_json_set_int(object, "head_size", layer->head_size);
    pare_json_set_int(object, "intermediate", layer->intermediate.out);
    pare_json_set(object, "ranks", pare_config_ranks(&model->config, index));
    return object;
}

static pare_json *tensors_json(const pare_model *model)
{
    pare_json *tensors = pare_json_new_array();

    for (int i = 0; i < model->n_params; i++) {
        const pare_param *param = model->params[i];
        pare_json *one = pare_json_new_object(), *shape = pare_json_new_array();
        if (param->rank == 2)
            pare_json_append_int(shape, param->tensor.rows);
        pare_json_append_int(shape, param->tensor.cols);
        pare_json_set_string(one, "name", param->name);
        pare_json_set(one, "shape", shape);
        pare_json_append(tensors, one);
    }
    return tensors;
}

static pare_json *labels_json(const pare_model *model)
{
    pare_json *labels = pare_json_new_array();

    for (int64_t i = 0; model->label_names && i < model->n_labels; i++)
        pare_json_append_string(labels, model->label_names[i]);
    return labels;
}

static pare_status history_json(const pare_model *model, const char *path, pare_json **out)
{
    const char *text = model->history && model->history[0] ? model->history : "[]";
    size_t n = 0;

    while (text[n])
        n++;
    return pare_context(pare_json_parse(text, n, "history", out), "%s", path);
}

/* Takes `history` over. */
static pare_json *model_json(const pare_model *model, const char *path, pare_json *history)
{
    pare_json *object = pare_json_new_object(), *layers = pare_json_new_array();

    for (int64_t i = 0; i < model->config.num_hidden_layers; i++)
        pare_json_append(layers, layer_json(model, i));
    pare_json_set_string(object, "file", path);
    pare_json_set(object, "config", pare_config_to_json(&model->config));
    pare_json_set_int(object, "parameters", pare_model_parameters(model));
    pare_json_set_int(object, "encoder_parameters", pare_model_encoder_parameters(model));
    pare_json_set(object, "layers", layers);
    pare_json_set_string(object, "task", model->task);
    pare_json_set(object, "labels", labels_json(model));
    pare_json_set_int(object, "trained_length", model->trained_length);
    pare_json_set(object, "tensors", tensors_json(model));
    pare_json_set(object, "history", history);
    return object;
}

/* ---- For people ---- */

/* Of a layer's matrices, or their factors. */
static int64_t weights(const pare_model *model, int64_t layer)
{
    int64_t n = 0;
    for (int i = 0; i < model->n_params; i++)
        if (model->params[i]->layer == layer && model->params[i]->rank == 2)
            n += pare_tensor_size(&model->params[i]->tensor);
    return n;
}

/* The factorised matrices: a line a layer that has any. */
static pare_status print_ranks(const pare_model *model)
{
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++) {
        pare_json *ranks = pare_config_ranks(&model->config, i);
        char *line = pare_json_dump(ranks, 0, 9);
        if (line && pare_json_size(ranks) > 0)
            pare_out("%5lld  ranks %s\n", (long long)i, line);
        pare_json_free(ranks);
        if (!line)
            return PARE_MEMORY;
        pare_free(line);
    }
    return PARE_OK;
}

static void print_layers(const pare_model *model)
{
    pare_out("\nlayer  heads  head size  intermediate  matrices' weights\n");
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++) {
        const pare_layer *l = &model->layers[i];
        pare_out("%5lld  %5lld  %9lld  %12lld  %17lld\n", (long long)i, (long long)l->num_heads,
                 (long long)l->head_size, (long long)l->intermediate.out,
                 (long long)weights(model, i));
    }
}

/* Names are a stranger's: what a terminal would obey is printed as JSON escapes it. */
static void print_name(const char *name)
{
    uint32_t point;
    char bytes[4];
    while (*name) {
        name += pare_utf8_decode(name, strlen(name), &point);
        if (point < 0x20 || (point >= 0x7f && point < 0xa0))
            pare_out("\\u%04x", (unsigned)point);
        else
            pare_out("%.*s", (int)pare_utf8_encode(point, bytes), bytes);
    }
}

static void print_head(const pare_model *model)
{
    pare_out("pooler               %s\n", model->pooler.weight ? "yes" : "none");
    if (!model->classifier.weight) {
        pare_out("head                 none\n");
        return;
    }
    pare_out("head                 ");
    print_name(model->task ? model->task : "");
    pare_out(model->label_names ? " labels:" : " regression");
    for (int64_t i = 0; model->label_names && i < model->n_labels; i++) {
        pare_out(i > 0 ? ", " : " ");
        print_name(model->label_names[i]);
    }
    pare_out("\n");
}

static void print_tensors(const pare_model *model)
{
    pare_out("\n");
    for (int i = 0; i < model->n_params; i++) {
        const pare_param *param = model->params[i];
        if (param->rank == 2)
            pare_out("%-66s [%lld,%lld]\n", param->name, (long long)param->tensor.rows,
                     (long long)param->tensor.cols);
        else
            pare_out("%-66s [%lld]\n", param->name, (long long)param->tensor.cols);
    }
}

static pare_status print_history(const pare_json *history)
{
    pare_out("\nhistory\n");
    for (size_t i = 0; i < pare_json_size(history); i++) {
        char *event = pare_json_dump(pare_json_at(history, i), 0, 9);
        if (!event)
            return PARE_MEMORY;
        pare_out("%3zu  %s\n", i + 1, event);
        pare_free(event);
    }
    return PARE_OK;
}

static pare_status print_people(const pare_model *model, const char *path,
                                const pare_json *history)
{
    const pare_config *c = &model->config;

    pare_out("%s\n\n", path);
    pare_out("parameters           %lld\n", (long long)pare_model_parameters(model));
    pare_out("encoder's matrices   %lld\n", (long long)pare_model_encoder_parameters(model));
    pare_out("layers               %lld\n", (long long)c->num_hidden_layers);
    pare_out("hidden size          %lld\n", (long long)c->hidden_size);
    pare_out("vocabulary           %lld, %s\n", (long long)c->vocab_size,
             model->vocabulary.do_lower_case ? "uncased" : "cased");
    pare_out("positions            %lld\n", (long long)c->max_position_embeddings);
    if (model->trained_length > 0)
        pare_out("trained length       %lld\n", (long long)model->trained_length);
    print_head(model);
    print_layers(model);
    PARE_TRY(print_ranks(model));
    if (pare_console_get()->verbose)
        print_tensors(model);
    return print_history(history);
}

pare_status pare_command_inspect(const pare_options *options)
{
    const char *path = options->operands[0];
    pare_model *model = NULL;
    pare_json *history = NULL;
    pare_status status = pare_model_open(path, &model);

    if (status == PARE_OK)
        status = history_json(model, path, &history);
    if (status == PARE_OK && options->json) {
        status = pare_out_json(model_json(model, path, history));
    } else if (status == PARE_OK) {
        status = print_people(model, path, history);
        pare_json_free(history);
    }
    pare_model_free(model);
    return status;
}
