/* recipe.c: see recipe.h. */
#include "tasks/recipe.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/real.h"
#include "models/model_file.h"
#include "tasks/layer_study.h"

static pare_status add_weights(pare_json *r, const char *key, const char *path)
{
    pare_model *model = NULL;
    PARE_TRY(pare_model_open(path, &model));
    pare_json_set_int(r, key, pare_model_crc(model));
    pare_model_free(model);
    return PARE_OK;
}

pare_status pare_recipe_add_model(pare_json *r, const pare_train_options *o)
{
    return pare_path_exists(o->model) ? add_weights(r, PARE_RECIPE_MODEL, o->model) : PARE_OK;
}

pare_status pare_recipe_add_training(pare_json *r, const pare_train_options *o)
{
    pare_json_set_int(r, "batch_size", o->batch_size);
    pare_json_set_int(r, "grad_accumulation", o->grad_accumulation);
    pare_json_set_double(r, "learning_rate", o->learning_rate);
    pare_json_set_double(r, "warmup_ratio", o->warmup_ratio);
    if (o->warmup_steps > 0)
        pare_json_set_int(r, "warmup_steps", o->warmup_steps);
    pare_json_set_double(r, "weight_decay", o->weight_decay);
    pare_json_set_double(r, "max_grad_norm", o->max_grad_norm);
    pare_json_set_string(r, "optimizer", o->optimizer);
    pare_json_set_double(r, "dropout", o->dropout < 0 ? -1 : o->dropout);
    if (o->attention_dropout >= 0)
        pare_json_set_double(r, "attention_dropout", o->attention_dropout);
    pare_json_set_bool(r, "shuffle", o->shuffle);
    pare_json_set_bool(r, "group_by_length", o->group_by_length);
    pare_json_set_int(r, "seed", o->seed);
    pare_json_set_string(r, "freeze", o->freeze ? o->freeze : "");
    if (!pare_layers_none(o->drop_layers))
        pare_json_set_string(r, "drop_layers", o->drop_layers);
    pare_json_set_string(r, "precision", o->precision);
    pare_json_set_string(r, "numbers", PARE_REAL_NAME);
    if (!o->teacher)
        return PARE_OK;
    pare_json_set_string(r, "teacher", o->teacher);
    pare_json_set_double(r, "distill_weight", o->distill_weight);
    return add_weights(r, "teacher (crc32)", o->teacher);
}

pare_status pare_recipe_add_options(pare_json *r, const pare_train_options *o)
{
    pare_json_set_string(r, "model", o->model);
    pare_json_set_string(r, "task", o->task);
    pare_json_set_double(r, "epochs", o->epochs);
    pare_json_set_int(r, "max_steps", o->max_steps);
    pare_json_set_int(r, "max_seq_length", o->max_seq_length);
    pare_json_set_int(r, "train_examples", o->train_examples);
    if (o->metric_for_best)
        pare_json_set_string(r, "metric_for_best", o->metric_for_best);
    PARE_TRY(pare_recipe_add_model(r, o));
    return pare_recipe_add_training(r, o);
}

/* One member; NULL where it is unset. */
static pare_status compare_member(const char *path, const char *key, const pare_json *then,
                                  const pare_json *now, const char *advice)
{
    char *a = then ? pare_json_dump(then, 0, 17) : pare_strdup("unset");
    char *b = now ? pare_json_dump(now, 0, 17) : pare_strdup("unset");
    pare_status status = a && b ? PARE_OK : PARE_MEMORY;
    if (status == PARE_OK && strcmp(a, b) != 0)
        status = pare_hint(pare_fail(PARE_USAGE, "%s was made with %s %s, now it is %s", path, key,
                                     a, b),
                           "%s", advice);
    pare_free(a);
    pare_free(b);
    return status;
}

/* Whether a member of `now` is. Recipes of earlier versions have fewer CRCs; and what has one may
 * be called another name. */
static bool is_compared(const char *key, const pare_json *then, const pare_json *now)
{
    char crc[64];
    if (strstr(key, "(crc32)"))
        return pare_json_get(then, key) != NULL;
    snprintf(crc, sizeof crc, "%.48s (crc32)", key);
    return !pare_json_get(then, crc) || !pare_json_get(now, crc);
}

pare_status pare_recipe_compare(const char *path, const pare_json *then, const pare_json *now,
                                const char *advice)
{
    for (void *i = pare_json_iter(now); i; i = pare_json_iter_next(now, i)) {
        const char *key = pare_json_iter_key(i);
        if (!is_compared(key, then, now))
            continue;
        PARE_TRY(compare_member(path, key, pare_json_get(then, key), pare_json_iter_value(i),
                                advice));
    }
    for (void *i = pare_json_iter(then); i; i = pare_json_iter_next(then, i)) {
        const char *key = pare_json_iter_key(i);
        if (!pare_json_get(now, key) && strcmp(key, PARE_RECIPE_MODEL) != 0)
            PARE_TRY(compare_member(path, key, pare_json_iter_value(i), NULL, advice));
    }
    return PARE_OK;
}
