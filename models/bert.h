/* bert.h: BERT's forward pass (Devlin et al. 2019) over a packed batch.
 *
 *   pare_packed *batch = ...;                          // core/packed.h
 *   pare_tape_begin(&tape, step, scratch, &mode);
 *   pare_tensor *logits = pare_bert_logits(&tape, model, batch, -1);
 *
 * The tape decides the rest: recording for gradients, training for dropout. Without recording,
 * a layer's activations are given back as soon as the next layer has its input. */
#ifndef PARE_MODELS_BERT_H
#define PARE_MODELS_BERT_H

#include "autograd/ops.h"
#include "models/model.h"

/* logits[n_sentences, n_labels] (a regression's scores: [n_sentences, 1]). NULL on failure, noted
 * on the tape. `dropout` < 0 takes the model's probabilities; else it replaces all of them.
 *
 * The head reads [CLS] alone, so the last layer computes its queries and all that follows for the
 * [CLS] rows only: the same numbers for less work. */
pare_tensor *pare_bert_logits(pare_tape *tape, const pare_model *model, const pare_packed *batch,
                              double dropout);

/* hidden[i], i = 0 ... num_hidden_layers: the embeddings' output and each layer's, [n_tokens, H]
 * each. PARE_OK, or the tape's failure. */
pare_status pare_bert_hidden_states(pare_tape *tape, const pare_model *model,
                                    const pare_packed *batch, pare_tensor **hidden);

#endif
