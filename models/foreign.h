/* foreign.h: tensors as other programs' files hold them, whatever the format.
 *
 *   pare_foreign *file = NULL;
 *   PARE_TRY(pare_foreign_new(&file));
 *   pare_status status = pare_safetensors_read("bert/model.safetensors", file);
 *   ...
 *   pare_foreign_tensor *t = pare_foreign_find(file, "bert.pooler.dense.bias");
 *   pare_foreign_job job = {t, 1, n, out};
 *   pare_foreign_convert(&job, 1, path);
 *   pare_foreign_free(file);                      // unmaps the files
 *
 * A reader (safetensors.h, torch_file.h) adds what it found: the data stays where the file has it
 * and is converted on the way into the model. Every element of a tensor that was added lies inside
 * its file: the reader has checked that. */
#ifndef PARE_MODELS_FOREIGN_H
#define PARE_MODELS_FOREIGN_H

#include "core/file.h"
#include "core/memory.h"
#include "core/real.h"

enum { PARE_FOREIGN_RANK = 8, PARE_FOREIGN_TENSORS = 1 << 18 };

typedef enum pare_element {
    PARE_ELEMENT_OTHER, /* integers and such: may be there, cannot become weights */
    PARE_ELEMENT_F32,
    PARE_ELEMENT_F64,
    PARE_ELEMENT_F16,
    PARE_ELEMENT_BF16
} pare_element;

typedef struct pare_foreign_tensor {
    const char *name;
    const char *dtype; /* as the file calls it */
    pare_element element;
    int rank;
    int64_t shape[PARE_FOREIGN_RANK];
    int64_t stride[PARE_FOREIGN_RANK]; /* in elements */
    const unsigned char *data;         /* little-endian, any alignment */
    bool used;                         /* it became part of the model */
} pare_foreign_tensor;

typedef struct pare_foreign {
    pare_arena *arena;
    pare_foreign_tensor *tensors;
    size_t n, capacity;
    uint64_t bytes; /* of the files, or of what was inflated from them */
    struct pare_foreign_map *maps;
    bool sorted;
} pare_foreign;

pare_status pare_foreign_new(pare_foreign **out);
void pare_foreign_free(pare_foreign *file); /* NULL is allowed */

/* For readers: a map that lives as long as `file`, and one more tensor, whose name is `length`
 * bytes that are copied. Names that are empty, too long or hold control characters are refused;
 * a reader that shows names in its messages checks them first. */
pare_status pare_foreign_map_file(pare_foreign *file, const char *path, pare_map *map);
pare_status pare_foreign_check_name(const char *where, const char *name, size_t length);
pare_status pare_foreign_add(pare_foreign *file, const char *where, const char *name,
                             size_t length, const pare_foreign_tensor *tensor);
/* stride[] of a tensor without gaps. */
void pare_foreign_set_strides(pare_foreign_tensor *tensor);

/* After the last was added: sorts by name; two of one name are PARE_INPUT. */
pare_status pare_foreign_sort(pare_foreign *file, const char *where);
/* NULL if there is none of that name. */
pare_foreign_tensor *pare_foreign_find(const pare_foreign *file, const char *name);

/* "[768,3072]" into text[size]; returns text. */
char *pare_shape_text(int rank, const int64_t *shape, char *text, size_t size);

/* out[rows, cols] = a tensor of rank 2, or of rank 1 and rows 1, and just that shape. */
typedef struct pare_foreign_job {
    const pare_foreign_tensor *tensor;
    int64_t rows, cols;
    real *out;
    int64_t first_tile; /* private */
} pare_foreign_job;

/* All of them at once, in parallel. A type that holds no weights, or a value that is not finite, is
 * PARE_INPUT naming `where` and the tensor. */
pare_status pare_foreign_convert(pare_foreign_job *jobs, size_t n, const char *where);

#endif
