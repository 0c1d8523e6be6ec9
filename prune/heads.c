/* heads.c: see heads.h. */
#include "prune/heads.h"

#include <math.h>
#include <string.h>

pare_status pare_heads_list(pare_arena *arena, const pare_model *model, pare_head_list *out)
{
    const int64_t layers = model->config.num_hidden_layers;
    int64_t n = 0;
    for (int64_t i = 0; i < layers; i++)
        n += model->layers[i].num_heads;
    pare_head *at = pare_arena_alloc(arena, (size_t)n * sizeof *at);
    int64_t *first = pare_arena_alloc(arena, (size_t)(layers + 1) * sizeof *first);
    if (!at || !first)
        return PARE_MEMORY;
    int64_t k = 0;
    for (int64_t i = 0; i < layers; i++) {
        first[i] = k;
        for (int64_t h = 0; h < model->layers[i].num_heads; h++)
            at[k++] = (pare_head){i, h};
    }
    first[layers] = k;
    *out = (pare_head_list){n, layers, at, first};
    return PARE_OK;
}

static int64_t heads_of(const pare_head_list *heads, int64_t layer)
{
    return heads->first[layer + 1] - heads->first[layer];
}

pare_tensor **pare_heads_gates(pare_arena *arena, const pare_head_list *heads, const bool *off)
{
    pare_tensor **gates = pare_arena_alloc(arena, (size_t)heads->n_layers * sizeof *gates);
    for (int64_t i = 0; gates && i < heads->n_layers; i++) {
        gates[i] = pare_tensor_new(arena, 1, heads_of(heads, i));
        if (!gates[i])
            return NULL;
        for (int64_t h = 0; h < heads_of(heads, i); h++)
            gates[i]->data[h] = off[heads->first[i] + h] ? 0 : 1;
    }
    return gates;
}

/* ---- ablation ---- */

static void set_gates(real *gates, int64_t n, int64_t head, pare_ablation kind)
{
    for (int64_t h = 0; h < n; h++)
        gates[h] = (h == head) == (kind == PARE_ONE_LEFT);
}

/* From the shared context of a layer, with one head's gates, to the logits. */
static pare_status ablate_one(const pare_bert_pass *pass, int64_t layer, pare_tensor *context,
                              pare_tensor *x, int64_t index, pare_ablation_sink *sink,
                              void *sink_context)
{
    const pare_mark mark = pare_arena_mark(pass->tape->step);
    pare_tensor *y = pare_bert_finish_layer(pass, layer, context, x);
    y = pare_bert_layers(pass, layer + 1, pass->model->config.num_hidden_layers, y);
    const pare_tensor *logits = pare_bert_head(pass, y);
    pare_status status = pare_tape_status(pass->tape);
    if (status == PARE_OK)
        status = sink(sink_context, index, logits);
    pare_arena_release(pass->tape->step, mark);
    return status;
}

static pare_status ablate_layer(const pare_bert_pass *pass, const pare_head_list *heads,
                                int64_t layer, pare_ablation kind, pare_tensor *x,
                                pare_ablation_sink *sink, void *sink_context)
{
    pare_arena *arena = pass->tape->step;
    const int64_t n = heads_of(heads, layer), layers = heads->n_layers;
    pare_tensor **gates = pare_arena_zalloc(arena, (size_t)layers * sizeof *gates);
    pare_tensor *own = pare_tensor_new(arena, 1, n);
    if (!gates || !own)
        return PARE_MEMORY;
    gates[layer] = own;
    pare_bert_pass gated = *pass;
    gated.head_gates = gates;
    pare_tensor *context = pare_bert_context(&gated, layer, x);
    for (int64_t h = 0; context && h < n; h++) {
        set_gates(own->data, n, h, kind);
        PARE_TRY(ablate_one(&gated, layer, context, x, heads->first[layer] + h, sink,
                            sink_context));
    }
    return pare_tape_status(pass->tape);
}

pare_status pare_heads_ablate(const pare_bert_pass *pass, const pare_head_list *heads,
                              pare_ablation kind, pare_ablation_sink *sink, void *context)
{
    pare_bert_pass plain = *pass;
    plain.head_gates = NULL;
    pare_tensor *x = pare_bert_embeddings(&plain);
    for (int64_t layer = 0; x && layer < heads->n_layers; layer++) {
        const pare_mark mark = pare_arena_mark(plain.tape->step);
        const pare_status status = ablate_layer(&plain, heads, layer, kind, x, sink, context);
        pare_arena_release(plain.tape->step, mark);
        PARE_TRY(status);
        if (layer + 1 < heads->n_layers)
            x = pare_bert_layers(&plain, layer, layer + 1, x);
    }
    return pare_tape_status(plain.tape);
}

/* ---- importance ---- */

/* Gates of 1 for every row, whose gradients are context · d loss / d context a head and token. */
static pare_tensor *ones(pare_arena *arena, int64_t rows, int64_t cols)
{
    pare_tensor *x = pare_tensor_new(arena, rows, cols);
    if (!x)
        return NULL;
    x->grad = pare_arena_alloc(arena, (size_t)(rows * cols) * sizeof(real));
    x->needs_grad = true;
    for (int64_t i = 0; i < rows * cols; i++)
        x->data[i] = 1;
    return x->grad ? x : NULL;
}

/* One layer's gradients into the sums; the last layer's have one row a sentence: [CLS]. */
static void add_layer(const pare_tensor *gates, const pare_packed *batch, const pare_head_sums *to,
                      int64_t first)
{
    const bool all_rows = gates->rows == batch->n_tokens;
    for (int64_t h = 0; h < gates->cols; h++)
        for (int64_t s = 0; s < batch->n_sentences; s++) {
            const int64_t start = all_rows ? batch->offset[s] : s;
            const int64_t end = all_rows ? batch->offset[s + 1] : s + 1;
            double sum = 0;
            for (int64_t r = start; r < end; r++) {
                const double dot = gates->grad[r * gates->cols + h];
                to->token[first + h] += fabs(dot);
                sum += dot;
            }
            to->example[first + h] += fabs(sum);
        }
}

pare_status pare_heads_importance(pare_tape *t, const pare_model *model, const pare_packed *batch,
                                  const int32_t *labels, const double *targets,
                                  const pare_head_list *heads, const pare_head_sums *sums)
{
    const int64_t layers = heads->n_layers;
    pare_tensor **gates = pare_arena_alloc(t->step, (size_t)layers * sizeof *gates);
    for (int64_t i = 0; gates && i < layers; i++) {
        const int64_t rows = i == layers - 1 ? batch->n_sentences : batch->n_tokens;
        if (!(gates[i] = ones(t->step, rows, heads_of(heads, i))))
            return PARE_MEMORY;
    }
    if (!gates)
        return PARE_MEMORY;
    const pare_bert_pass pass = {t, model, batch, 0, gates, NULL};
    pare_tensor *logits = pare_bert_logits(&pass);
    PARE_TRY(pare_tape_backward(t, labels ? pare_cross_entropy(t, logits, labels, 1)
                                          : pare_squared_error(t, logits, targets, 1)));
    for (int64_t i = 0; i < layers; i++)
        if (gates[i]->has_grad)
            add_layer(gates[i], batch, sums, heads->first[i]);
    return PARE_OK;
}

void pare_heads_normalize(const pare_head_list *heads, double *scores)
{
    for (int64_t i = 0; i < heads->n_layers; i++) {
        double squares = 0;
        for (int64_t k = heads->first[i]; k < heads->first[i + 1]; k++)
            squares += scores[k] * scores[k];
        for (int64_t k = heads->first[i]; squares > 0 && k < heads->first[i + 1]; k++)
            scores[k] /= sqrt(squares);
    }
}

/* ---- pruning ---- */

static int64_t left_in(const pare_head_list *heads, const bool *off, int64_t layer)
{
    int64_t n = 0;
    for (int64_t k = heads->first[layer]; k < heads->first[layer + 1]; k++)
        n += !off[k];
    return n;
}

int64_t pare_heads_choose(const pare_head_list *heads, const double *scores, int64_t count,
                          bool at_least_one, bool *off)
{
    int64_t gone = 0;
    for (; gone < count; gone++) {
        int64_t best = -1;
        for (int64_t k = 0; k < heads->n; k++)
            if (!off[k] && (best < 0 || scores[k] < scores[best]) &&
                !(at_least_one && left_in(heads, off, heads->at[k].layer) == 1))
                best = k;
        if (best < 0)
            break;
        off[best] = true;
    }
    return gone;
}

pare_json *pare_heads_json(const pare_head_list *heads, const bool *off)
{
    pare_json *list = pare_json_new_array();
    for (int64_t k = 0; k < heads->n; k++) {
        if (!off[k])
            continue;
        pare_json *one = pare_json_new_object();
        pare_json_set_int(one, "layer", heads->at[k].layer);
        pare_json_set_int(one, "head", heads->at[k].head);
        pare_json_append(list, one);
    }
    return list;
}

/* The heads of a layer that stay, in order, as blocks of `size` rows or columns:
 * to[i, :] = from[kept row i, :], and the same for columns. */
typedef struct kept {
    const bool *off; /* [n] */
    int64_t n, size;
} kept;

static void copy_rows(const kept *k, pare_tensor *to, const pare_tensor *from)
{
    const int64_t block = k->size * from->cols;
    real *out = to->data;
    for (int64_t h = 0; h < k->n; h++)
        if (!k->off[h]) {
            memcpy(out, from->data + h * block, (size_t)block * sizeof(real));
            out += block;
        }
}

static void copy_columns(const kept *k, pare_tensor *to, const pare_tensor *from)
{
    real *out = to->data;
    for (int64_t r = 0; r < from->rows; r++)
        for (int64_t h = 0; h < k->n; h++)
            if (!k->off[h]) {
                memcpy(out, from->data + r * from->cols + h * k->size,
                       (size_t)k->size * sizeof(real));
                out += k->size;
            }
}

/* Biases are [1, heads * size]: their columns go with the rows of the weights. */
static void copy_heads(const kept *k, pare_layer *to, const pare_layer *from)
{
    pare_weight *const new[] = {&to->query, &to->key, &to->value};
    const pare_weight *const old[] = {&from->query, &from->key, &from->value};
    for (int i = 0; i < 3; i++) {
        copy_rows(k, &new[i]->weight->tensor, &old[i]->weight->tensor);
        copy_columns(k, &new[i]->bias->tensor, &old[i]->bias->tensor);
    }
    copy_columns(k, &to->attention_output.weight->tensor, &from->attention_output.weight->tensor);
}

static pare_status add_history(pare_model *model, const pare_head_list *heads, const bool *off)
{
    pare_json *event = pare_json_new_object();
    if (!event)
        return PARE_MEMORY;
    pare_json_set_string(event, "command", "heads prune");
    pare_json_set(event, "removed", pare_heads_json(heads, off));
    return pare_model_add_history(model, event);
}

pare_status pare_heads_removable(const pare_model *model)
{
    for (int64_t i = 0; i < model->config.num_hidden_layers; i++)
        for (int m = PARE_QUERY; m <= PARE_ATTENTION_OUTPUT; m++)
            if (pare_config_layer(&model->config, i).rank[m] > 0)
                return pare_hint(pare_fail(PARE_INPUT, "layer %lld's %s is factorised: its heads "
                                           "cannot be removed", (long long)i,
                                           pare_matrix_name((pare_matrix)m)),
                                 "remove heads first, then factorise");
    return PARE_OK;
}

pare_status pare_heads_remove(const pare_model *old, const pare_head_list *heads, const bool *off,
                              pare_model **out)
{
    pare_config config = old->config;
    *out = NULL;
    PARE_TRY(pare_heads_removable(old));
    pare_layer_shape *shapes = pare_malloc((size_t)heads->n_layers * sizeof *shapes);
    if (!shapes)
        return PARE_MEMORY;
    for (int64_t i = 0; i < heads->n_layers; i++) {
        shapes[i] = pare_config_layer(&old->config, i);
        shapes[i].num_attention_heads = left_in(heads, off, i);
    }
    config.layers = shapes;
    pare_model *model = NULL;
    pare_status status = pare_model_like(old, &config, &model);
    pare_free(shapes);
    PARE_TRY(status);
    pare_model_copy_same(model, old);
    for (int64_t i = 0; i < heads->n_layers; i++) {
        const kept k = {off + heads->first[i], heads_of(heads, i), old->layers[i].head_size};
        copy_heads(&k, &model->layers[i], &old->layers[i]);
    }
    status = add_history(model, heads, off);
    if (status == PARE_OK)
        *out = model;
    else
        pare_model_free(model);
    return status;
}
