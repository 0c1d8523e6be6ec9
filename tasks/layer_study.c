/* layer_study.c: see layer_study.h. */
#include "tasks/layer_study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/bert.h"

/* ---- how much a layer changes ---- */

typedef struct similarity_args {
    const pare_model *model;
    double *sum; /* [layers] */
} similarity_args;

static double cosine(const real *a, const real *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static pare_status similarity_batch(void *context, const pare_packed *batch,
                                    const int64_t *examples, const pare_infer_space *space)
{
    const similarity_args *a = context;
    const int64_t layers = a->model->config.num_hidden_layers;
    (void)examples;
    pare_tape tape;
    pare_tape_begin(&tape, space->step, space->scratch, &(pare_tape_mode){0});
    pare_tensor **x = pare_arena_alloc(space->step, (size_t)(layers + 1) * sizeof *x);
    if (!x)
        return PARE_MEMORY;
    PARE_TRY(pare_bert_hidden_states(&tape, a->model, batch, x));
    for (int64_t i = 0; i < layers; i++)
        for (int64_t s = 0; s < batch->n_sentences; s++) {
            const int64_t at = batch->offset[s] * x[i]->cols;
            a->sum[i] += cosine(x[i]->data + at, x[i + 1]->data + at, x[i]->cols);
        }
    return PARE_OK;
}

pare_status pare_layer_similarity(const pare_model *model, const pare_encoded *encoded,
                                  int64_t batch_size, const pare_progress *progress,
                                  double *similarity)
{
    similarity_args args = {model, similarity};
    const int64_t layers = model->config.num_hidden_layers;
    if (encoded->n < 1)
        return pare_fail(PARE_INPUT, "no examples to measure the layers' contribution on");
    memset(similarity, 0, (size_t)layers * sizeof *similarity);
    PARE_TRY(pare_each_batch(encoded, batch_size, NULL, progress, "layers", similarity_batch,
                             &args));
    for (int64_t i = 0; i < layers; i++)
        similarity[i] /= (double)encoded->n;
    return PARE_OK;
}

/* ---- the words ---- */

/* "top:4" -> "top", 4; false if it has no colon. */
static bool split(const char *text, char name[32], const char **rest)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon - text >= 32)
        return false;
    memcpy(name, text, (size_t)(colon - text));
    name[colon - text] = 0;
    *rest = colon + 1;
    return true;
}

bool pare_layers_none(const char *text)
{
    return !text || strcmp(text, "none") == 0;
}

bool pare_layers_need_data(const char *text)
{
    char name[32];
    const char *rest;
    return text && split(text, name, &rest) && pare_layers_need_similarity(name);
}

static pare_status choose_by_data(const char *name, int64_t count, const pare_model *model,
                                  const pare_encoded *encoded, int64_t batch_size,
                                  const pare_progress *progress, pare_layer_choice *out)
{
    const int64_t layers = model->config.num_hidden_layers;
    double *similarity = pare_malloc((size_t)layers * sizeof *similarity);
    if (!similarity)
        return PARE_MEMORY;
    pare_status status =
        pare_layer_similarity(model, encoded, batch_size, progress, similarity);
    if (status == PARE_OK)
        status = pare_layers_choose(name, count, layers, similarity, out);
    pare_free(similarity);
    return status;
}

pare_status pare_layers_parse(const char *text, const pare_model *model,
                              const pare_encoded *encoded, int64_t batch_size,
                              const pare_progress *progress, pare_layer_choice *out)
{
    const int64_t layers = model->config.num_hidden_layers;
    char name[32], *end;
    const char *rest;
    *out = (pare_layer_choice){.strategy = "none", .n_layers = layers};
    if (strcmp(text, "none") == 0)
        return PARE_OK;
    if (!split(text, name, &rest))
        return pare_layers_list(text, layers, out);
    if (strcmp(name, "list") == 0)
        return pare_layers_list(rest, layers, out);
    const long long count = strtoll(rest, &end, 10);
    if (end == rest || *end)
        return pare_hint(pare_fail(PARE_USAGE, "'%s' does not say how many layers to drop", text),
                         "write the strategy and the number: top:4");
    if (pare_layers_need_similarity(name) && encoded)
        return choose_by_data(name, count, model, encoded, batch_size, progress, out);
    return pare_layers_choose(name, count, layers, NULL, out);
}
