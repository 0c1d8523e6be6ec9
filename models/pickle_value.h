/* pickle_value.h: what lies on the stack of pickle.c's machine, and what torch's names make of it.
 *
 * The functions are pure: values in, a tensor's description out, or the reason why not. */
#ifndef PARE_MODELS_PICKLE_VALUE_H
#define PARE_MODELS_PICKLE_VALUE_H

#include "models/pickle.h"

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_NUMBER, /* integer: also True and False */
    PICKLE_REAL,   /* nothing needs its value */
    PICKLE_TEXT,   /* also bytes */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,   /* items: key, value, key, value, ... */
    PICKLE_GLOBAL,
    PICKLE_STORAGE, /* tensor: its storage part */
    PICKLE_TENSOR
} pickle_kind;

/* What a name may stand for. */
typedef enum pickle_role {
    PICKLE_STORAGE_TYPE,
    PICKLE_REBUILD_TENSOR,
    PICKLE_REBUILD_PARAMETER,
    PICKLE_ORDERED_DICT
} pickle_role;

typedef struct pickle_global {
    const char *module, *name;
    pickle_role role;
    const char *full; /* for messages */
    pare_element element;
    int element_size;
} pickle_global;

typedef struct pickle_value pickle_value;
struct pickle_value {
    pickle_kind kind;
    union {
        int64_t integer;
        struct {
            const char *bytes; /* in the pickle */
            size_t length;
        } text;
        struct {
            pickle_value **items; /* in the arena */
            size_t n, capacity;
        } list;
        const pickle_global *global;
        pare_pickle_tensor *tensor;
    };
};

bool pickle_is_text(const pickle_value *value, const char *text);

/* NULL for every name that weights do not need: those are refused. */
const pickle_global *pickle_find_global(const char *module, size_t module_length, const char *name,
                                        size_t name_length);

/* A persistent id ("storage", type, key, location, elements) -> the storage part of *out. NULL, or
 * what is wrong with it. */
const char *pickle_read_storage(const pickle_value *id, pare_pickle_tensor *out);

/* _rebuild_tensor_v2's arguments (storage, offset, shape, stride, requires_grad, hooks[, metadata])
 * -> *out, every element of which lies in its storage. NULL, or what is wrong with them. */
const char *pickle_read_tensor(const pickle_value *args, pare_pickle_tensor *out);

#endif
