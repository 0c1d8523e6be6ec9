/* cmd_drop_layers.c: pare drop-layers: a model file without some of its layers. */
#include <string.h>

#include "cli/console.h"
#include "cli/options.h"
#include "cli/progress_line.h"
#include "tasks/layer_study.h"

/* What --strategy and --count, or --layers, ask for, as pare_layers_parse reads it. */
static pare_status asked(const pare_options *o, char *text, size_t size)
{
    if (o->layers && (o->strategy || o->count))
        return pare_hint(pare_fail(PARE_USAGE, "both --layers and --strategy or --count are given"),
                         "name the layers, or have them chosen");
    if (o->layers)
        return snprintf(text, size, "list:%s", o->layers) < (int)size
                   ? PARE_OK : pare_fail(PARE_USAGE, "--layers: the list is too long");
    PARE_TRY(pare_option_need(o, "strategy", o->strategy));
    if (strcmp(o->strategy, "list") == 0)
        return pare_hint(pare_fail(PARE_USAGE, "--strategy list takes no --count"),
                         "name the layers: --layers 1,3");
    if (!o->given.count)
        return pare_hint(pare_fail(PARE_USAGE, "--count is missing"),
                         "say how many layers to drop");
    snprintf(text, size, "%s:%lld", o->strategy, (long long)o->count);
    if (!pare_layers_need_data(text))
        return PARE_OK;
    PARE_TRY(pare_option_need(o, "task", o->task));
    return pare_option_need(o, "data", o->data);
}

/* The choice that needs no data. */
static pare_status choose(const char *text, const pare_model *model, pare_layer_choice *choice)
{
    return pare_layers_parse(text, model, NULL, 0, NULL, choice);
}

/* The choice by the data of --split; a head is not needed. */
static pare_status choose_by_data(const pare_options *o, const char *text, const pare_model *model,
                                  pare_layer_choice *choice)
{
    const pare_data_options data = pare_options_data(o);
    pare_arena *arena = pare_arena_new("layers");
    pare_tokenizer *tokenizer = NULL;
    pare_eval_set set = {0};
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);
    pare_status status = arena ? pare_tokenizer_new(&model->vocabulary, &tokenizer) : PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_eval_set_open(arena, tokenizer, &data,
                                    pare_sequence_length(model, o->max_seq_length), &set);
    if (status == PARE_OK)
        status = pare_layers_parse(text, model, &set.encoded[0], o->eval_batch_size, &progress,
                                   choice);
    pare_progress_view_end(&view);
    pare_eval_set_close(&set);
    pare_tokenizer_free(tokenizer);
    pare_arena_free(arena);
    return status;
}

static pare_json *result_of(const pare_layer_choice *choice, const pare_model *before,
                            const pare_model *after)
{
    pare_json *result = pare_json_new_object();
    pare_json_set_string(result, "strategy", choice->strategy);
    pare_layers_report(choice, result);
    pare_json_set_int(result, "parameters_before", pare_model_parameters(before));
    pare_json_set_int(result, "parameters", pare_model_parameters(after));
    return result;
}

pare_status pare_command_drop_layers(const pare_options *o)
{
    char text[512];
    pare_layer_choice choice;
    pare_model *model = NULL, *smaller = NULL;
    pare_json *result = NULL;

    PARE_TRY(pare_option_need(o, "model", o->model));
    PARE_TRY(asked(o, text, sizeof text));
    pare_status status = pare_model_open(o->model, &model);
    if (status == PARE_OK)
        status = pare_layers_need_data(text) ? choose_by_data(o, text, model, &choice)
                                             : choose(text, model, &choice);
    if (status == PARE_OK)
        status = pare_layers_drop(model, &choice, &smaller);
    if (status == PARE_OK)
        status = pare_model_save(smaller, o->operands[0]);
    if (status == PARE_OK)
        result = result_of(&choice, model, smaller);
    pare_model_free(smaller);
    pare_model_free(model);
    return status == PARE_OK ? pare_out_result(result, o->json) : status;
}
