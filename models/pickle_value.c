/* pickle_value.c: names, storages and tensors, checked. */
#include "models/pickle_value.h"

#include <string.h>

/* ---- Names ---- */

#define STORAGE_ROW(name_, element_, size_)                                                        \
    {"torch", name_, PICKLE_STORAGE_TYPE, "torch." name_, element_, size_}

/* All that a state dict may name. Elements that are no floats are known too: position_ids and
 * counters stand among the weights, and are left out by name and not by type. */
static const pickle_global globals[] = {
    {"torch._utils", "_rebuild_tensor_v2", PICKLE_REBUILD_TENSOR, "_rebuild_tensor_v2", 0, 0},
    {"torch._utils", "_rebuild_parameter", PICKLE_REBUILD_PARAMETER, "_rebuild_parameter", 0, 0},
    {"collections", "OrderedDict", PICKLE_ORDERED_DICT, "collections.OrderedDict", 0, 0},
    STORAGE_ROW("FloatStorage", PARE_ELEMENT_F32, 4),
    STORAGE_ROW("HalfStorage", PARE_ELEMENT_F16, 2),
    STORAGE_ROW("BFloat16Storage", PARE_ELEMENT_BF16, 2),
    STORAGE_ROW("DoubleStorage", PARE_ELEMENT_F64, 8),
    STORAGE_ROW("LongStorage", PARE_ELEMENT_OTHER, 8),
    STORAGE_ROW("IntStorage", PARE_ELEMENT_OTHER, 4),
    STORAGE_ROW("ShortStorage", PARE_ELEMENT_OTHER, 2),
    STORAGE_ROW("CharStorage", PARE_ELEMENT_OTHER, 1),
    STORAGE_ROW("ByteStorage", PARE_ELEMENT_OTHER, 1),
    STORAGE_ROW("BoolStorage", PARE_ELEMENT_OTHER, 1),
};

static bool equal(const char *text, const char *bytes, size_t length)
{
    return strlen(text) == length && memcmp(text, bytes, length) == 0;
}

bool pickle_is_text(const pickle_value *value, const char *text)
{
    return value->kind == PICKLE_TEXT && equal(text, value->text.bytes, value->text.length);
}

const pickle_global *pickle_find_global(const char *module, size_t module_length, const char *name,
                                        size_t name_length)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (equal(globals[i].module, module, module_length) &&
            equal(globals[i].name, name, name_length))
            return &globals[i];
    return NULL;
}

/* ---- Storages and tensors ---- */

static bool is_size(const pickle_value *value)
{
    return value->kind == PICKLE_NUMBER && value->integer >= 0;
}

const char *pickle_read_storage(const pickle_value *id, pare_pickle_tensor *out)
{
    pickle_value *const *part = id->list.items;
    if (id->kind != PICKLE_TUPLE || id->list.n != 5 || !pickle_is_text(part[0], "storage") ||
        part[1]->kind != PICKLE_GLOBAL || part[1]->global->role != PICKLE_STORAGE_TYPE ||
        part[2]->kind != PICKLE_TEXT || !is_size(part[4]))
        return "a persistent id is no (\"storage\", type, key, location, elements)";
    *out = (pare_pickle_tensor){
        .key = part[2]->text.bytes,
        .key_length = part[2]->text.length,
        .dtype = part[1]->global->full,
        .element = part[1]->global->element,
        .element_size = part[1]->global->element_size,
        .storage_size = part[4]->integer,
    };
    return NULL;
}

/* One dimension: its size and stride, and how far its last element lies behind the first.
 * *count multiplies up, so that a view cannot have more elements than 64 bits can count. */
static const char *read_dimension(const pickle_value *size, const pickle_value *stride,
                                  pare_pickle_tensor *out, int64_t *last, int64_t *count)
{
    int64_t span;
    if (!is_size(size) || !is_size(stride))
        return "a tensor's shape or stride holds what is no size below 2^63";
    if (size->integer == 0)
        return "a tensor's shape holds a size of 0";
    if (__builtin_mul_overflow(size->integer - 1, stride->integer, &span) ||
        __builtin_add_overflow(*last, span, last) ||
        __builtin_mul_overflow(*count, size->integer, count))
        return "a tensor's size passes 2^63";
    out->shape[out->rank] = size->integer;
    out->stride[out->rank++] = size->integer > 1 ? stride->integer : 1; /* of one it may be any */
    return NULL;
}

const char *pickle_read_tensor(const pickle_value *args, pare_pickle_tensor *out)
{
    pickle_value *const *arg = args->list.items;
    if (args->list.n < 6 || arg[0]->kind != PICKLE_STORAGE || !is_size(arg[1]))
        return "_rebuild_tensor_v2 gets other arguments than a storage and a place";
    const pickle_value *shape = arg[2], *stride = arg[3];
    if (shape->kind != PICKLE_TUPLE || stride->kind != PICKLE_TUPLE ||
        shape->list.n != stride->list.n || shape->list.n > PARE_FOREIGN_RANK)
        return "a tensor's shape and stride are no tuples of equal length, at most 8";
    *out = *arg[0]->tensor;
    out->offset = arg[1]->integer;
    int64_t last = out->offset, count = 1;
    const char *wrong = NULL;
    for (size_t i = 0; i < shape->list.n && !wrong; i++)
        wrong = read_dimension(shape->list.items[i], stride->list.items[i], out, &last, &count);
    if (!wrong && last >= out->storage_size)
        wrong = "a tensor's elements leave its storage";
    return wrong;
}
