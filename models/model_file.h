/* model_file.h: a model as arrays and attributes of a store (docs/checkpoint.md).
 *
 * pare_model_open and pare_model_save (pare.h) read and write a file that holds a model alone. A
 * training state stores these entries beside its own, and so is a model file too. */
#ifndef PARE_MODELS_MODEL_FILE_H
#define PARE_MODELS_MODEL_FILE_H

#include "core/store.h"
#include "models/model.h"

/* The model's entries: an array "model/<name>" a tensor, attributes "model.<name>", and the text
 * "model/vocab.txt". The lists and texts are the arena's; the numbers stay the model's, which must
 * not change before they are written. */
pare_status pare_model_entries(const pare_model *model, pare_arena *arena, pare_array **arrays,
                               size_t *n_arrays, pare_attribute **attributes,
                               size_t *n_attributes);

/* As pare_model_open, but numbers stay in the file's pages, without a copy, until they are changed:
 * for a model that only answers, whose weights are packed. */
pare_status pare_model_map(const char *path, pare_model **out);

/* The model in an open store of that path. On success *out is the caller's. */
pare_status pare_model_from_store(pare_store *store, const char *path, pare_model **out);

#endif
