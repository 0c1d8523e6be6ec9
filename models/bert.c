/* bert.c: see bert.h. Reads like the paper; fusing happens inside the ops. */
#include "models/bert.h"

#include <string.h>

/* Where dropout stands: the place's number is part of the masks' key and must never change. */
enum place { PLACE_EMBEDDINGS, PLACE_ATTENTION, PLACE_ATTENTION_OUTPUT, PLACE_OUTPUT, PLACE_HEAD };

static pare_dropout_site site(const pare_bert_pass *f, int64_t layer, enum place place,
                              double probability)
{
    return (pare_dropout_site){(uint32_t)layer | (uint32_t)place << 8,
                               f->dropout < 0 ? probability : f->dropout};
}

/* A map outside the layers: dense. */
static pare_tensor *linear(pare_tape *t, pare_tensor *x, pare_activation act, const pare_weight *w)
{
    return pare_linear(t, x, act, &w->weight->tensor, &w->bias->tensor);
}

/* One of a layer's matrices, of either kind. */
static pare_tensor *map(const pare_bert_pass *f, int64_t layer, pare_matrix matrix,
                        pare_activation act, pare_tensor *x)
{
    const pare_weight *w = pare_layer_matrix(&f->model->layers[layer], matrix);
    if (!w->p)
        return linear(f->tape, x, act, w);
    pare_tensor **gates = f->rank_gates ? f->rank_gates : f->model->masks;
    pare_tensor *z = gates ? gates[layer * PARE_MATRICES + matrix] : NULL;
    return pare_gated_linear(f->tape, x, act, &w->p->tensor, z, &w->q->tensor, &w->bias->tensor);
}

static pare_tensor *add_norm(const pare_bert_pass *f, pare_tensor *a, pare_tensor *residual,
                             const pare_norm *norm, const pare_rows *rows, pare_dropout_site where)
{
    return pare_add_norm(f->tape, a, residual, &norm->weight->tensor, &norm->bias->tensor,
                         f->model->config.layer_norm_eps, rows, where);
}

pare_tensor *pare_bert_embeddings(const pare_bert_pass *f)
{
    const pare_model *m = f->model;
    return pare_embed(f->tape, f->batch, &m->word_embeddings->tensor, m->config.pad_token_id,
                      &m->position_embeddings->tensor, &m->token_type_embeddings->tensor,
                      &m->embeddings_norm.weight->tensor, &m->embeddings_norm.bias->tensor,
                      m->config.layer_norm_eps,
                      site(f, 0, PLACE_EMBEDDINGS, m->config.hidden_dropout_prob));
}

/* Some of a layer's matrices, over one input: in one go where all are dense. */
static void maps(const pare_bert_pass *f, int64_t layer, pare_matrix first, int n, pare_tensor *x,
                 pare_tensor **y)
{
    pare_linear_map dense[PARE_MAPS_MAX];
    int n_dense = 0;
    for (; n_dense < n; n_dense++) {
        const pare_weight *w = pare_layer_matrix(&f->model->layers[layer], first + n_dense);
        if (w->p)
            break;
        dense[n_dense] = (pare_linear_map){&w->weight->tensor, &w->bias->tensor};
    }
    if (n_dense == n)
        pare_linears(f->tape, x, dense, n, y);
    else
        for (int i = 0; i < n; i++)
            y[i] = map(f, layer, first + i, PARE_ACT_NONE, x);
}

static bool has_gates(const pare_bert_pass *f, int64_t layer)
{
    return f->head_gates && f->head_gates[layer];
}

/* One encoder layer (Vaswani et al. 2017, post-norm) takes x[T,H] in two parts: attention up to
 * what the heads gather, and the rest. `queries` are the rows of x that go on: all, or [CLS]
 * alone; `gated`: heads may have gates. */
static pare_tensor *attend(const pare_bert_pass *f, int64_t index, pare_tensor *queries,
                           pare_tensor *x, bool gated)
{
    const pare_layer *w = &f->model->layers[index];
    pare_tensor *y[3]; /* queries, keys, values */
    if (queries == x) {
        maps(f, index, PARE_QUERY, 3, x, y);
    } else {
        y[0] = map(f, index, PARE_QUERY, PARE_ACT_NONE, queries);
        maps(f, index, PARE_KEY, 2, x, y + 1);
    }
    return pare_attention(f->tape, y[0], y[1], y[2], f->batch, w->num_heads, queries != x,
                          site(f, index, PLACE_ATTENTION,
                               f->model->config.attention_probs_dropout_prob), !gated);
}

static pare_tensor *finish(const pare_bert_pass *f, int64_t index, pare_tensor *a,
                           pare_tensor *queries, const pare_rows *rows)
{
    const pare_layer *w = &f->model->layers[index];
    const pare_config *c = &f->model->config;
    if (has_gates(f, index))
        a = pare_gate_heads(f->tape, a, f->head_gates[index]);
    pare_tensor *x = add_norm(f, map(f, index, PARE_ATTENTION_OUTPUT, PARE_ACT_NONE, a),
                              queries, &w->attention_norm, rows,
                              site(f, index, PLACE_ATTENTION_OUTPUT, c->hidden_dropout_prob));
    pare_tensor *h = map(f, index, PARE_INTERMEDIATE, PARE_ACT_NONE, x);
    return add_norm(f, map(f, index, PARE_OUTPUT, c->hidden_act, h), x, &w->output_norm, rows,
                    site(f, index, PLACE_OUTPUT, c->hidden_dropout_prob));
}

/* Of the last layer only the [CLS] rows are wanted. */
static bool is_last(const pare_bert_pass *f, int64_t layer)
{
    return layer == f->model->config.num_hidden_layers - 1;
}

static pare_tensor *queries_of(const pare_bert_pass *f, int64_t layer, pare_tensor *x)
{
    return is_last(f, layer) ? pare_first_rows(f->tape, x, f->batch) : x;
}

static const pare_rows *rows_of(const pare_bert_pass *f, int64_t layer)
{
    return is_last(f, layer) ? &f->batch->firsts : &f->batch->tokens;
}

pare_tensor *pare_bert_context(const pare_bert_pass *f, int64_t layer, pare_tensor *x)
{
    return attend(f, layer, queries_of(f, layer, x), x, true);
}

pare_tensor *pare_bert_finish_layer(const pare_bert_pass *f, int64_t layer, pare_tensor *context,
                                    pare_tensor *x)
{
    return finish(f, layer, context, queries_of(f, layer, x), rows_of(f, layer));
}

static pare_tensor *encoder_layer(const pare_bert_pass *f, int64_t layer, pare_tensor *x)
{
    pare_tensor *queries = queries_of(f, layer, x);
    return finish(f, layer, attend(f, layer, queries, x, has_gates(f, layer)), queries,
                  rows_of(f, layer));
}

/* One layer; without recording, x's content becomes the layer's output and the rest is given
 * back, so that memory does not grow with depth. */
static pare_tensor *next_layer(const pare_bert_pass *f, int64_t index, pare_tensor *x)
{
    if (f->tape->mode.recording || !x)
        return encoder_layer(f, index, x);
    const pare_mark mark = pare_arena_mark(f->tape->step);
    const pare_tensor *y = encoder_layer(f, index, x);
    if (!y)
        return NULL;
    memcpy(x->data, y->data, (size_t)pare_tensor_size(y) * sizeof(real));
    x->rows = y->rows;
    pare_arena_release(f->tape->step, mark);
    return x;
}

pare_tensor *pare_bert_layers(const pare_bert_pass *f, int64_t first, int64_t end, pare_tensor *x)
{
    for (int64_t i = first; i < end; i++)
        x = next_layer(f, i, x);
    return x;
}

static pare_status missing_head(const pare_model *model)
{
    return pare_hint(pare_fail(PARE_INPUT, "the model has no %s",
                               model->pooler.weight ? "classification or regression head"
                                                    : "pooler"),
                     "fine-tune it first");
}

pare_tensor *pare_bert_head(const pare_bert_pass *f, pare_tensor *x)
{
    const pare_model *m = f->model;
    const pare_config *c = &m->config;
    pare_tape *t = f->tape;
    if (!m->pooler.weight || !m->classifier.weight)
        return pare_tape_fail(t, missing_head(m));
    pare_tensor *pooled = pare_activate(t, linear(t, x, PARE_ACT_NONE, &m->pooler), PARE_ACT_TANH);
    const double head_dropout =
        c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout;
    pooled = pare_dropout(t, pooled, &f->batch->firsts,
                          site(f, c->num_hidden_layers, PLACE_HEAD, head_dropout));
    return linear(t, pooled, PARE_ACT_NONE, &m->classifier);
}

pare_tensor *pare_bert_logits(const pare_bert_pass *f)
{
    pare_tensor *x = pare_bert_embeddings(f);
    return pare_bert_head(f, pare_bert_layers(f, 0, f->model->config.num_hidden_layers, x));
}

pare_status pare_bert_hidden_states(pare_tape *tape, const pare_model *model,
                                    const pare_packed *batch, pare_tensor **hidden)
{
    const pare_bert_pass f = {.tape = tape, .model = model, .batch = batch, .dropout = -1};
    hidden[0] = pare_bert_embeddings(&f);
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++)
        hidden[i + 1] = finish(&f, i, attend(&f, i, hidden[i], hidden[i], false), hidden[i],
                               &batch->tokens);
    return pare_tape_status(tape);
}
