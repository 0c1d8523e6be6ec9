/* pickle.h: the tensors that a pickle of torch.save describes, read without running anything.
 *
 * A pickle is a program for a stack machine. This one has a stack, a memo, and no way to call: the
 * three callables that a state dict needs are recognised by name and replaced by what they would
 * have made; any other name, and any other way of making objects, is refused. Memory is bounded by
 * the pickle's size, and there is no recursion.
 * Sources: Python's pickletools (protocols 2 to 5), torch/_utils.py (_rebuild_tensor_v2). */
#ifndef PARE_MODELS_PICKLE_H
#define PARE_MODELS_PICKLE_H

#include "models/foreign.h"

/* Strings point into the pickle and are not NUL-ended. */
typedef struct pare_pickle_tensor {
    const char *name;
    size_t name_length;
    const char *key; /* of the storage: the archive's entry data/<key> */
    size_t key_length;
    const char *dtype; /* "torch.FloatStorage" */
    pare_element element;
    int element_size;
    int64_t storage_size; /* elements in the storage; all of the tensor's lie in it (checked) */
    int64_t offset;       /* of the first one */
    int rank;
    int64_t shape[PARE_FOREIGN_RANK], stride[PARE_FOREIGN_RANK];
} pare_pickle_tensor;

/* (*out)[*n] in the arena: the tensors of the dict that the pickle makes, or of its member
 * "state_dict". PARE_INPUT names `where`, the place in the pickle and the reason. */
pare_status pare_pickle_read(const unsigned char *bytes, size_t size, const char *where,
                             pare_arena *arena, pare_pickle_tensor **out, size_t *n);

#endif
