/* torch_file.c: the pickle's tensors and the archive's bytes, brought together. */
#include "models/torch_file.h"

#include <string.h>

#include "core/status.h"
#include "models/pickle.h"
#include "models/zip.h"

static const char PICKLE_NAME[] = "/data.pkl";

/* The pickle's entry and *prefix, how long the folder's name before it is. */
static pare_status find_pickle(const pare_zip *zip, pare_zip_entry **out, size_t *prefix)
{
    *out = NULL;
    for (size_t i = 0; i < zip->n; i++) {
        const char *slash = strchr(zip->entries[i].name, '/');
        if (!slash || strcmp(slash, PICKLE_NAME) != 0)
            continue;
        if (*out)
            return pare_fail(PARE_INPUT, "%s: holds two data.pkl", zip->where);
        *out = &zip->entries[i];
        *prefix = (size_t)(slash - zip->entries[i].name);
    }
    if (*out)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: is a zip archive without a data.pkl", zip->where),
                     "it was not written by torch.save");
}

/* NAME/byteorder, where it is there, must say "little". */
static pare_status check_byte_order(pare_zip *zip, const char *prefix)
{
    const unsigned char *text;
    char *name = pare_arena_printf(zip->arena, "%s/byteorder", prefix);
    if (!name)
        return PARE_MEMORY;
    pare_zip_entry *entry = pare_zip_find(zip, name);
    if (!entry)
        return PARE_OK;
    PARE_TRY(pare_zip_unpack(zip, entry, &text));
    if (entry->size != 6 || memcmp(text, "little", 6) != 0)
        return pare_fail(PARE_INPUT, "%s: its numbers are not little-endian", zip->where);
    return PARE_OK;
}

/* The storage's bytes, of exactly the size that the pickle announces. */
static pare_status find_storage(pare_zip *zip, const char *prefix, const pare_pickle_tensor *t,
                                const unsigned char **data)
{
    PARE_TRY(pare_foreign_check_name(zip->where, t->key, t->key_length));
    char *name = pare_arena_printf(zip->arena, "%s/data/%.*s", prefix,
                                   (int)(t->key_length < 256 ? t->key_length : 256), t->key);
    if (!name)
        return PARE_MEMORY;
    pare_zip_entry *entry = pare_zip_find(zip, name);
    if (!entry)
        return pare_fail(PARE_INPUT, "%s: tensor %.*s: there is no entry %.100s", zip->where,
                         (int)(t->name_length < 100 ? t->name_length : 100), t->name, name);
    int64_t bytes;
    if (__builtin_mul_overflow(t->storage_size, (int64_t)t->element_size, &bytes) ||
        (uint64_t)bytes != entry->size)
        return pare_fail(PARE_INPUT, "%s: entry %.100s has %llu bytes; its pickle says %lld "
                         "elements of %s", zip->where, name, (unsigned long long)entry->size,
                         (long long)t->storage_size, t->dtype);
    return pare_zip_unpack(zip, entry, data);
}

/* Tensors may share a storage (tied weights); it is unpacked and checked once. */
static pare_status add_tensor(pare_zip *zip, const char *prefix, const pare_pickle_tensor *t,
                              pare_foreign *file)
{
    const unsigned char *data;
    pare_foreign_tensor tensor = {.dtype = t->dtype, .element = t->element, .rank = t->rank};
    PARE_TRY(pare_foreign_check_name(zip->where, t->name, t->name_length));
    PARE_TRY(find_storage(zip, prefix, t, &data));
    memcpy(tensor.shape, t->shape, sizeof tensor.shape);
    memcpy(tensor.stride, t->stride, sizeof tensor.stride);
    tensor.data = data + t->offset * t->element_size;
    return pare_foreign_add(file, zip->where, t->name, t->name_length, &tensor);
}

/* The pickle says which tensors there are, the entries beside it hold their numbers. */
static pare_status read_archive(const pare_map *map, const char *path, pare_foreign *file)
{
    pare_zip zip;
    pare_zip_entry *entry;
    pare_pickle_tensor *tensors;
    const unsigned char *program;
    size_t prefix_length = 0, n;
    PARE_TRY(pare_zip_open(map->bytes, map->size, path, file->arena, &zip));
    PARE_TRY(find_pickle(&zip, &entry, &prefix_length));
    char *prefix = pare_arena_printf(file->arena, "%.*s", (int)prefix_length, entry->name);
    if (!prefix)
        return PARE_MEMORY;
    PARE_TRY(check_byte_order(&zip, prefix));
    PARE_TRY(pare_zip_unpack(&zip, entry, &program));
    PARE_TRY(pare_pickle_read(program, entry->size, path, file->arena, &tensors, &n));
    for (size_t i = 0; i < n; i++)
        PARE_TRY(add_tensor(&zip, prefix, &tensors[i], file));
    file->bytes += map->size + zip.inflated;
    return PARE_OK;
}

/* Other formats are told apart by their first bytes, for a message that helps. */
pare_status pare_torch_read(const char *path, pare_foreign *file)
{
    pare_map map;
    PARE_TRY(pare_foreign_map_file(file, path, &map));
    if (map.size >= 4 && memcmp(map.bytes, "PK\3\4", 4) == 0)
        return read_archive(&map, path, file);
    bool pickle = map.size >= 2 && map.bytes[0] == 0x80;
    return pare_hint(pare_fail(PARE_INPUT, "%s: is %s", path,
                               pickle ? "in torch's format before version 1.6"
                                      : "no zip archive, so not a file of torch.save"),
                     "save it again with a newer torch, or as model.safetensors");
}
