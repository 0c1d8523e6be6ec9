/* layers.c: see layers.h. */
#include "prune/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the strategies: each marks `count` layers, or fewer where it has no more to give ---- */

static void mark(pare_layer_choice *c, int64_t layer)
{
    c->n_dropped += !c->drop[layer];
    c->drop[layer] = true;
}

static void mark_from(pare_layer_choice *c, int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++)
        mark(c, i);
}

static void choose_top(pare_layer_choice *c, int64_t count, const double *similarity)
{
    (void)similarity;
    mark_from(c, c->n_layers - count, count);
}

static void choose_bottom(pare_layer_choice *c, int64_t count, const double *similarity)
{
    (void)similarity;
    mark_from(c, 0, count);
}

static void choose_symmetric(pare_layer_choice *c, int64_t count, const double *similarity)
{
    (void)similarity;
    mark_from(c, (c->n_layers - count) / 2, count);
}

/* Every second layer downward from the highest of this parity. */
static void mark_parity(pare_layer_choice *c, int64_t count, int64_t parity)
{
    int64_t layer = c->n_layers - 1;
    layer -= layer % 2 != parity;
    for (; count > 0 && layer >= 0; count--, layer -= 2)
        mark(c, layer);
}

static void choose_alternate_odd(pare_layer_choice *c, int64_t count, const double *similarity)
{
    (void)similarity;
    mark_parity(c, count, 0);
}

static void choose_alternate_even(pare_layer_choice *c, int64_t count, const double *similarity)
{
    (void)similarity;
    mark_parity(c, count, 1);
}

static void choose_contribution(pare_layer_choice *c, int64_t count, const double *similarity)
{
    for (; count > 0; count--) {
        int64_t best = -1;
        for (int64_t i = 0; i < c->n_layers; i++)
            if (!c->drop[i] && (best < 0 || similarity[i] >= similarity[best]))
                best = i;
        if (best >= 0) /* there is always one: fewer go than there are */
            mark(c, best);
    }
}

static const struct strategy {
    const char *name;
    void (*choose)(pare_layer_choice *c, int64_t count, const double *similarity);
    bool needs_similarity;
} strategies[] = {
    {"top", choose_top, false},
    {"bottom", choose_bottom, false},
    {"symmetric", choose_symmetric, false},
    {"alternate-odd", choose_alternate_odd, false},
    {"alternate-even", choose_alternate_even, false},
    {"contribution", choose_contribution, true},
};
enum { N_STRATEGIES = sizeof strategies / sizeof *strategies };

static const struct strategy *find_strategy(const char *name)
{
    for (size_t i = 0; i < N_STRATEGIES; i++)
        if (strcmp(strategies[i].name, name) == 0)
            return &strategies[i];
    return NULL;
}

bool pare_layers_need_similarity(const char *strategy)
{
    const struct strategy *s = find_strategy(strategy);
    return s && s->needs_similarity;
}

/* ---- choosing ---- */

static pare_status begin(pare_layer_choice *c, const char *strategy, int64_t n_layers)
{
    *c = (pare_layer_choice){.strategy = strategy, .n_layers = n_layers};
    if (n_layers <= PARE_MAX_LAYERS)
        return PARE_OK;
    return pare_fail(PARE_INPUT, "a model of %lld layers: layer drop knows up to %d",
                     (long long)n_layers, PARE_MAX_LAYERS);
}

pare_status pare_layers_choose(const char *strategy, int64_t count, int64_t n_layers,
                               const double *similarity, pare_layer_choice *out)
{
    const struct strategy *s = find_strategy(strategy);
    if (!s)
        return pare_hint(pare_fail(PARE_USAGE, "unknown layer-drop strategy '%s'", strategy),
                         "top, bottom, symmetric, alternate-odd, alternate-even, contribution, "
                         "or a list of layers");
    PARE_TRY(begin(out, s->name, n_layers));
    if (count < 1)
        return pare_fail(PARE_USAGE, "%lld layers to drop: at least 1 must go", (long long)count);
    if (n_layers == 1)
        return pare_hint(pare_fail(PARE_USAGE, "the model has one layer, and the head reads its "
                                   "output"),
                         "take a model of more layers");
    if (count >= n_layers)
        return pare_hint(pare_fail(PARE_USAGE, "%lld layers to drop of %lld: none would be left, "
                                   "and the head reads a layer's output", (long long)count,
                                   (long long)n_layers),
                         "drop at most %lld", (long long)n_layers - 1);
    if (s->needs_similarity && !similarity)
        return pare_fail(PARE_INTERNAL, "%s needs similarities", strategy);
    s->choose(out, count, similarity);
    if (out->n_dropped < count)
        return pare_hint(pare_fail(PARE_USAGE, "%s has only %lld of the %lld layers to drop",
                                   strategy, (long long)out->n_dropped, (long long)count),
                         "drop fewer, or take another strategy");
    return PARE_OK;
}

/* One number of the list; *text moves behind it and a separator. */
static pare_status list_next(const char *whole, const char **text, pare_layer_choice *c)
{
    char *end;
    const long long layer = strtoll(*text, &end, 10);
    if (end == *text || **text == '+' || **text == ' ' ||
        (*end && !((*end == ',' || *end == '+') && end[1])))
        return pare_hint(pare_fail(PARE_USAGE, "'%s' is no list of layers", whole),
                         "name those to drop, counted from 0: 1,3");
    if (layer < 0 || layer >= c->n_layers)
        return pare_hint(pare_fail(PARE_USAGE, "layer %lld of '%s' is not there", layer, whole),
                         "the model has layers 0 to %lld", (long long)c->n_layers - 1);
    if (c->drop[layer])
        return pare_hint(pare_fail(PARE_USAGE, "layer %lld is named twice in '%s'", layer, whole),
                         "name each once");
    mark(c, layer);
    *text = end + (*end != 0);
    return PARE_OK;
}

pare_status pare_layers_list(const char *layers, int64_t n_layers, pare_layer_choice *out)
{
    PARE_TRY(begin(out, "list", n_layers));
    const char *rest = layers;
    do
        PARE_TRY(list_next(layers, &rest, out));
    while (*rest);
    if (out->n_dropped < n_layers)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "'%s' drops all %lld layers: none would be left, and "
                               "the head reads a layer's output", layers, (long long)n_layers),
                     "keep at least one");
}

/* ---- dropping ---- */

void pare_layers_report(const pare_layer_choice *c, pare_json *object)
{
    pare_json *dropped = pare_json_new_array(), *kept = pare_json_new_array();
    for (int64_t i = 0; i < c->n_layers; i++)
        pare_json_append_int(c->drop[i] ? dropped : kept, i);
    pare_json_set(object, "dropped", dropped);
    pare_json_set(object, "kept", kept);
}

/* Layer by layer, those that stay; every tensor outside the layers as it is. Tensors stand in the
 * same order in both models, so the next one of `old` whose layer stays is the one wanted. */
static void copy_tensors(const pare_model *old, const pare_layer_choice *c, pare_model *new)
{
    int from = 0;
    for (int i = 0; i < new->n_params; i++, from++) {
        const pare_param *p = old->params[from];
        while (p->layer >= 0 && p->layer < c->n_layers && c->drop[p->layer])
            p = old->params[++from];
        memcpy(new->params[i]->tensor.data, p->tensor.data,
               (size_t)pare_tensor_size(&p->tensor) * sizeof(real));
    }
}

static pare_status add_history(pare_model *model, const pare_layer_choice *c)
{
    pare_json *event = pare_json_new_object();
    if (!event)
        return PARE_MEMORY;
    pare_json_set_string(event, "command", "drop-layers");
    pare_json_set_string(event, "strategy", c->strategy);
    pare_layers_report(c, event);
    return pare_model_add_history(model, event);
}

pare_status pare_layers_drop(const pare_model *old, const pare_layer_choice *c, pare_model **out)
{
    pare_config config = old->config;
    pare_layer_shape shapes[PARE_MAX_LAYERS];
    *out = NULL;
    config.num_hidden_layers = 0;
    for (int64_t i = 0; i < c->n_layers; i++)
        if (!c->drop[i])
            shapes[config.num_hidden_layers++] = pare_config_layer(&old->config, i);
    config.layers = shapes;
    pare_model *model = NULL;
    PARE_TRY(pare_model_like(old, &config, &model));
    copy_tensors(old, c, model);
    const pare_status status = add_history(model, c);
    if (status == PARE_OK)
        *out = model;
    else
        pare_model_free(model);
    return status;
}
