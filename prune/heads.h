/* heads.h: attention heads (Michel et al. 2019, arXiv 1905.10650): switched off, scored, removed.
 *
 *   pare_head_list heads;
 *   PARE_TRY(pare_heads_list(arena, model, &heads));
 *   bool *off = pare_arena_zalloc(arena, heads.n);                 // one flag a head
 *   PARE_TRY(pare_heads_choose(&heads, scores, count, true, off)); // the least important ones
 *   PARE_TRY(pare_heads_remove(model, &heads, off, &smaller));
 *
 * Heads are numbered as they are in the model at hand; after a removal the rest is renumbered. */
#ifndef PARE_PRUNE_HEADS_H
#define PARE_PRUNE_HEADS_H

#include "models/bert.h"

typedef struct pare_head {
    int64_t layer, head;
} pare_head;

/* Every head of a model, layer by layer. */
typedef struct pare_head_list {
    int64_t n, n_layers;
    const pare_head *at;  /* [n] */
    const int64_t *first; /* [n_layers + 1] index of each layer's first head */
} pare_head_list;
pare_status pare_heads_list(pare_arena *arena, const pare_model *model, pare_head_list *out);

/* gates[n_layers] for pare_bert_pass: [1, heads] each, 0 where off[n], else 1. NULL: no memory. */
pare_tensor **pare_heads_gates(pare_arena *arena, const pare_head_list *heads, const bool *off);

/* ---- what each head does to the logits ---- */

typedef enum pare_ablation {
    PARE_ONE_OFF, /* one head is off */
    PARE_ONE_LEFT /* its layer keeps it alone */
} pare_ablation;

/* Receives the logits with head `index` ablated, [S, n_labels]. */
typedef pare_status pare_ablation_sink(void *context, int64_t index, const pare_tensor *logits);

/* Runs the batch once for every head. The layers below a head, and its own layer's attention, are
 * computed once for all heads of the layer: with n layers, about (n + 1) / 2n of as many whole
 * passes. pass->head_gates is not used. The numbers are those of a pass with the head's gate. */
pare_status pare_heads_ablate(const pare_bert_pass *pass, const pare_head_list *heads,
                              pare_ablation kind, pare_ablation_sink *sink, void *context);

/* ---- importance ---- */

/* What pare_heads_importance adds up. */
typedef struct pare_head_sums {
    double *token;   /* [n] sum over tokens of |context · d loss / d context| */
    double *example; /* [n] sum over examples of |their tokens' sum of the same| */
} pare_head_sums;

/* Adds one batch's part; the loss is the sum over the batch's examples, dropout off. labels[S], or
 * targets[S] of a regression (the other NULL). Divided by the tokens or the examples the sums are
 * the expectation of equation 2. */
pare_status pare_heads_importance(pare_tape *tape, const pare_model *model,
                                  const pare_packed *batch, const int32_t *labels,
                                  const double *targets, const pare_head_list *heads,
                                  const pare_head_sums *sums);

/* Divides each layer's scores by their l2 norm. */
void pare_heads_normalize(const pare_head_list *heads, double *scores);

/* ---- pruning ---- */

/* Switches off the `count` heads with the lowest scores[n] of those still on, of equals the first
 * one; with at_least_one, no layer loses its last head. Fewer where no more may go; returns how
 * many went. */
int64_t pare_heads_choose(const pare_head_list *heads, const double *scores, int64_t count,
                          bool at_least_one, bool *off);

/* PARE_INPUT if query, key, value or attention output is factorised: rows and columns of heads can
 * be taken out of dense matrices only. */
pare_status pare_heads_removable(const pare_model *model);

/* The model without those heads: rows of query, key and value and columns of the attention output
 * are gone. A layer without heads keeps the attention output's bias. Its history tells. */
pare_status pare_heads_remove(const pare_model *old, const pare_head_list *heads, const bool *off,
                              pare_model **out);

/* [{"layer": l, "head": h}, ...] of those that are off. */
pare_json *pare_heads_json(const pare_head_list *heads, const bool *off);

#endif
