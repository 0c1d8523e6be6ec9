/* answer.h: a model's logits of a batch, without gradients.
 *
 *   pare_answerer *answerer;
 *   PARE_TRY(pare_answerer_new(NULL, NULL, &answerer));
 *   PARE_TRY(pare_answer(answerer, model, &batch, logits));   // logits[n_sentences, n_labels]
 *   pare_answerer_free(answerer);
 *
 * Sentences meet nowhere in BERT. So where there are enough of them, and the weights are packed
 * (pare_model_pack), each thread takes some through all layers by itself: nobody waits for the
 * others between two passes, and the rows stay in the core's cache. A sentence has the same bits
 * either way. */
#ifndef PARE_MODELS_ANSWER_H
#define PARE_MODELS_ANSWER_H

#include "core/packed.h"
#include "models/model.h"

/* What the threads work in, kept from one batch to the next; for as many as there are now. A caller
 * may lend the first of them its arenas (or NULL), which are given back as they were. */
typedef struct pare_answerer pare_answerer;
pare_status pare_answerer_new(pare_arena *step, pare_arena *scratch, pare_answerer **out);
void pare_answerer_free(pare_answerer *answerer); /* NULL is allowed */

/* logits[batch->n_sentences, model->n_labels]. PARE_INPUT where the model has no head. */
pare_status pare_answer(pare_answerer *answerer, const pare_model *model, const pare_packed *batch,
                        real *logits);

#endif
