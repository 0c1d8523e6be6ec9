/* bert.h: BERT's forward pass (Devlin et al. 2019) over a packed batch.
 *
 *   pare_packed *batch = ...;                          // core/packed.h
 *   pare_tape_begin(&tape, step, scratch, &mode);
 *   const pare_bert_pass pass = {.tape = &tape, .model = model, .batch = batch, .dropout = -1};
 *   pare_tensor *logits = pare_bert_logits(&pass);
 *
 * The tape decides the rest: recording for gradients, training for dropout. Without recording,
 * a layer's activations are given back as soon as the next layer has its input. */
#ifndef PARE_MODELS_BERT_H
#define PARE_MODELS_BERT_H

#include "autograd/ops.h"
#include "models/model.h"

/* One way through the network. */
typedef struct pare_bert_pass {
    pare_tape *tape;
    const pare_model *model;
    const pare_packed *batch;
    double dropout;             /* < 0: the model's probabilities; else it replaces all of them */
    pare_tensor **head_gates;   /* [num_hidden_layers] of pare_gate_heads; NULL, there or in the
                                 * list: no gates. The last layer's have a row a sentence. */
    pare_tensor **rank_gates;   /* [num_hidden_layers * PARE_MATRICES] z[1,rank] of factorised
                                 * matrices; NULL: model->masks; NULL in the list: 1 */
} pare_bert_pass;

/* logits[n_sentences, n_labels] (a regression's scores: [n_sentences, 1]). NULL on failure, noted
 * on the tape.
 *
 * The head reads [CLS] alone, so the last layer computes its queries and all that follows for the
 * [CLS] rows only: the same numbers for less work. */
pare_tensor *pare_bert_logits(const pare_bert_pass *pass);

/* The same in steps, for those who repeat a part of the way. A layer takes x[T,H] and gives [T,H],
 * the last one [S,H]; it is pare_bert_context, then pare_bert_finish_layer with that context.
 *   x = pare_bert_embeddings(pass);
 *   x = pare_bert_layers(pass, 0, num_hidden_layers, x);
 *   logits = pare_bert_head(pass, x); */
pare_tensor *pare_bert_embeddings(const pare_bert_pass *pass);
/* Layers first <= i < end. Without recording, x's content is overwritten. */
pare_tensor *pare_bert_layers(const pare_bert_pass *pass, int64_t first, int64_t end,
                              pare_tensor *x);
/* What the heads of layer i gather, [T or S, heads * head_size], its gates not yet applied. */
pare_tensor *pare_bert_context(const pare_bert_pass *pass, int64_t layer, pare_tensor *x);
pare_tensor *pare_bert_finish_layer(const pare_bert_pass *pass, int64_t layer,
                                    pare_tensor *context, pare_tensor *x);
pare_tensor *pare_bert_head(const pare_bert_pass *pass, pare_tensor *x);

/* hidden[i], i = 0 ... num_hidden_layers: the embeddings' output and each layer's, [n_tokens, H]
 * each. PARE_OK, or the tape's failure. */
pare_status pare_bert_hidden_states(pare_tape *tape, const pare_model *model,
                                    const pare_packed *batch, pare_tensor **hidden);

#endif
