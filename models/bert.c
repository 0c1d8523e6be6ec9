/* bert.c: see bert.h. Reads like the paper; fusing happens inside the ops. */
#include "models/bert.h"

#include <string.h>

/* What the layers share on their way up. */
typedef struct forward {
    pare_tape *t;
    const pare_model *model;
    const pare_packed *batch;
    double dropout; /* < 0: the model's own probabilities */
} forward;

/* Where dropout stands: the place's number is part of the masks' key and must never change. */
enum place { PLACE_EMBEDDINGS, PLACE_ATTENTION, PLACE_ATTENTION_OUTPUT, PLACE_OUTPUT, PLACE_HEAD };

static pare_dropout_site site(const forward *f, int64_t layer, enum place place, double probability)
{
    return (pare_dropout_site){(uint32_t)layer | (uint32_t)place << 8,
                               f->dropout < 0 ? probability : f->dropout};
}

static pare_tensor *linear(pare_tape *t, pare_tensor *x, pare_activation act, const pare_weight *w)
{
    return pare_linear(t, x, act, &w->weight->tensor, &w->bias->tensor);
}

static pare_tensor *add_norm(const forward *f, pare_tensor *a, pare_tensor *residual,
                             const pare_norm *norm, const pare_rows *rows, pare_dropout_site where)
{
    return pare_add_norm(f->t, a, residual, &norm->weight->tensor, &norm->bias->tensor,
                         f->model->config.layer_norm_eps, rows, where);
}

static pare_tensor *embeddings(const forward *f)
{
    const pare_model *m = f->model;
    return pare_embed(f->t, f->batch, &m->word_embeddings->tensor, &m->position_embeddings->tensor,
                      &m->token_type_embeddings->tensor, &m->embeddings_norm.weight->tensor,
                      &m->embeddings_norm.bias->tensor, m->config.layer_norm_eps,
                      site(f, 0, PLACE_EMBEDDINGS, m->config.hidden_dropout_prob));
}

/* One encoder layer (Vaswani et al. 2017, post-norm): x[T,H] -> [T,H], or [S,H] with first_only. */
static pare_tensor *encoder_layer(const forward *f, int64_t index, pare_tensor *x, bool first_only)
{
    const pare_layer *w = &f->model->layers[index];
    const pare_config *c = &f->model->config;
    const pare_rows *rows = first_only ? &f->batch->firsts : &f->batch->tokens;
    pare_tape *t = f->t;
    pare_tensor *queries = first_only ? pare_first_rows(t, x, f->batch) : x;
    pare_tensor *a = pare_attention(
        t, linear(t, queries, PARE_ACT_NONE, &w->query), linear(t, x, PARE_ACT_NONE, &w->key),
        linear(t, x, PARE_ACT_NONE, &w->value), f->batch, w->num_heads, first_only,
        site(f, index, PLACE_ATTENTION, c->attention_probs_dropout_prob));
    x = add_norm(f, linear(t, a, PARE_ACT_NONE, &w->attention_output), queries, &w->attention_norm,
                 rows, site(f, index, PLACE_ATTENTION_OUTPUT, c->hidden_dropout_prob));
    pare_tensor *h = linear(t, x, PARE_ACT_NONE, &w->intermediate);
    return add_norm(f, linear(t, h, c->hidden_act, &w->output), x, &w->output_norm, rows,
                    site(f, index, PLACE_OUTPUT, c->hidden_dropout_prob));
}

/* One layer; without recording, x's content becomes the layer's output and the rest is given
 * back, so that memory does not grow with depth. */
static pare_tensor *next_layer(const forward *f, int64_t index, pare_tensor *x, bool first_only)
{
    if (f->t->mode.recording || !x)
        return encoder_layer(f, index, x, first_only);
    const pare_mark mark = pare_arena_mark(f->t->step);
    const pare_tensor *y = encoder_layer(f, index, x, first_only);
    if (!y)
        return NULL;
    memcpy(x->data, y->data, (size_t)pare_tensor_size(y) * sizeof(real));
    x->rows = y->rows;
    pare_arena_release(f->t->step, mark);
    return x;
}

static pare_status missing_head(const pare_model *model)
{
    return pare_hint(pare_fail(PARE_INPUT, "the model has no %s",
                               model->pooler.weight ? "classification or regression head"
                                                    : "pooler"),
                     "fine-tune it first");
}

pare_tensor *pare_bert_logits(pare_tape *tape, const pare_model *model, const pare_packed *batch,
                              double dropout)
{
    const forward f = {tape, model, batch, dropout};
    const pare_config *c = &model->config;
    if (!model->pooler.weight || !model->classifier.weight)
        return pare_tape_fail(tape, missing_head(model));
    pare_tensor *x = embeddings(&f);
    for (int64_t i = 0; i < c->num_hidden_layers; i++)
        x = next_layer(&f, i, x, i == c->num_hidden_layers - 1);
    pare_tensor *pooled = pare_activate(tape, linear(tape, x, PARE_ACT_NONE, &model->pooler),
                                        PARE_ACT_TANH);
    const double head_dropout =
        c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout;
    pooled = pare_dropout(tape, pooled, &batch->firsts,
                          site(&f, c->num_hidden_layers, PLACE_HEAD, head_dropout));
    return linear(tape, pooled, PARE_ACT_NONE, &model->classifier);
}

pare_status pare_bert_hidden_states(pare_tape *tape, const pare_model *model,
                                    const pare_packed *batch, pare_tensor **hidden)
{
    const forward f = {tape, model, batch, -1};
    hidden[0] = embeddings(&f);
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++)
        hidden[i + 1] = encoder_layer(&f, i, hidden[i], false);
    return pare_tape_status(tape);
}
