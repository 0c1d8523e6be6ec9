/* layer_study.h: layer drop as users ask for it: in a few words, and by what data say of layers.
 *
 *   PARE_TRY(pare_layers_parse("top:4", model, NULL, 0, NULL, &choice));
 *   PARE_TRY(pare_layers_drop(model, &choice, &smaller)); */
#ifndef PARE_TASKS_LAYER_STUDY_H
#define PARE_TASKS_LAYER_STUDY_H

#include "prune/layers.h"
#include "tasks/evaluate.h"

/* similarity[layers]: the mean over the examples of the cosine between a layer's input and output
 * at [CLS]. A layer that changes little has one near 1. */
pare_status pare_layer_similarity(const pare_model *model, const pare_encoded *encoded,
                                  int64_t batch_size, const pare_progress *progress,
                                  double *similarity);

/* What "top:4", "contribution:2", "list:1,3" or "1,3" drops from this model, and "none": nothing,
 * n_dropped 0. `encoded` is read for contribution only, and may be NULL otherwise. */
pare_status pare_layers_parse(const char *text, const pare_model *model,
                              const pare_encoded *encoded, int64_t batch_size,
                              const pare_progress *progress, pare_layer_choice *out);

/* Whether all layers stay: NULL or "none". */
bool pare_layers_none(const char *text);

/* Whether it needs data: contribution. */
bool pare_layers_need_data(const char *text);

#endif
