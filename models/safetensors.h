/* safetensors.h: the file format of Hugging Face's weights.
 *
 * 8 bytes little-endian n; n bytes of JSON: name -> {dtype, shape, data_offsets [begin, end)}, and
 * "__metadata__"; then the data, that the offsets tile without gap or overlap.
 * Source: https://github.com/huggingface/safetensors */
#ifndef PARE_MODELS_SAFETENSORS_H
#define PARE_MODELS_SAFETENSORS_H

#include "models/foreign.h"

/* Maps the file and adds its tensors. PARE_INPUT, naming the tensor and the reason: anything but
 * the format, whole and exact; also tensors without elements, and sizes past 64 bits. */
pare_status pare_safetensors_read(const char *path, pare_foreign *file);

/* One tensor to be written: data[rows, cols] of rank 1 (rows 1) or 2. */
typedef struct pare_safetensors_entry {
    const char *name;
    int rank;
    int64_t rows, cols;
    const real *data;
} pare_safetensors_entry;

/* Writes float32, atomically, in the order and spacing of transformers' own files: the same weights
 * give the same bytes. Sorts the entries by name. */
pare_status pare_safetensors_write(const char *path, pare_safetensors_entry *entries, size_t n);

#endif
