/* store_io.c: stores but for their HDF5 part.
 *
 * The checks before writing, the seal, and reading arrays straight from their place in the file. */
#include <stdlib.h>
#include <string.h>

#include "core/checksum.h"
#include "core/store_hdf5.h"
#include "core/threads.h"

enum { READ_BLOCK = 1 << 20 }; /* a multiple of every element's size */

size_t pare_dtype_size(pare_dtype dtype)
{
    static const size_t size[] = {[PARE_F32] = 4,  [PARE_F64] = 8, [PARE_I64] = 8, [PARE_U8] = 1,
                                  [PARE_BF16] = 2, [PARE_I8] = 1};
    return size[dtype];
}

static const char *dtype_name(pare_dtype dtype)
{
    static const char *const name[] = {[PARE_F32] = "F32",   [PARE_F64] = "F64", [PARE_I64] = "I64",
                                       [PARE_U8] = "U8",     [PARE_BF16] = "BF16",
                                       [PARE_I8] = "I8"};
    return name[dtype];
}

bool pare_array_bytes(const pare_array *array, uint64_t *bytes)
{
    *bytes = pare_dtype_size(array->dtype);
    if (array->rank < 1 || array->rank > PARE_MAX_RANK)
        return false;
    for (int i = 0; i < array->rank; i++) {
        if (array->shape[i] < 1 || *bytes > (uint64_t)INT64_MAX / (uint64_t)array->shape[i])
            return false;
        *bytes *= (uint64_t)array->shape[i];
    }
    return true;
}

/* ---- Writing ---- */

uint64_t pare_store_estimate(const pare_array *arrays, size_t n_arrays,
                             const pare_attribute *attributes, size_t n_attributes)
{
    uint64_t total = 16 << 10, bytes;
    for (size_t i = 0; i < n_arrays; i++)
        if (pare_array_bytes(&arrays[i], &bytes))
            total += bytes + 2 * strlen(arrays[i].name) + 280; /* object header and link */
    for (size_t i = 0; i < n_attributes; i++) {
        const pare_attribute *a = &attributes[i];
        total += strlen(a->name) + 280 + (a->type == PARE_ATTR_STRING ? strlen(a->string) : 8);
    }
    return total;
}

static int compare_extents(const void *a, const void *b)
{
    const pare_extent *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Names are paths whose parts HDF5 would take as they are. */
static pare_status check_name(const char *path, const char *name)
{
    const char *part = name;
    for (;;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.'))
            return pare_fail(PARE_INTERNAL, "%s: \"%s\" cannot be a name", path, name);
        if (part[n] == '\0')
            return PARE_OK;
        part += n + 1;
    }
}

/* Faults of the caller's, found before anything is opened. */
static pare_status check_content(const char *path, const pare_array *arrays, size_t n_arrays,
                                 const pare_attribute *attributes, size_t n_attributes)
{
    uint64_t bytes;
    for (size_t i = 0; i < n_arrays; i++) {
        PARE_TRY(check_name(path, arrays[i].name));
        if (!arrays[i].data || !pare_array_bytes(&arrays[i], &bytes))
            return pare_fail(PARE_INTERNAL, "%s: array %s has no data or no proper shape", path,
                             arrays[i].name);
    }
    for (size_t i = 0; i < n_attributes; i++) {
        PARE_TRY(check_name(path, attributes[i].name));
        if (attributes[i].type == PARE_ATTR_STRING && !attributes[i].string)
            return pare_fail(PARE_INTERNAL, "%s: attribute %s has no text", path,
                             attributes[i].name);
    }
    return PARE_OK;
}

/* HDF5 part, fsync, read back and seal, then the commit: fsync, rename, fsync of the folder. */
pare_status pare_store_write(const char *path, const pare_array *arrays, size_t n_arrays,
                             const pare_attribute *attributes, size_t n_attributes)
{
    pare_output *out = NULL;
    PARE_TRY(check_content(path, arrays, n_arrays, attributes, n_attributes));
    pare_extent *extents = pare_calloc(n_arrays, sizeof *extents);
    pare_status status = extents ? pare_output_open(path, &out) : PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_output_reserve(
            out, pare_store_estimate(arrays, n_arrays, attributes, n_attributes));
    if (status == PARE_OK)
        status = pare_hdf5_write(out, extents, arrays, n_arrays, attributes, n_attributes);
    if (status == PARE_OK)
        status = pare_output_sync(out);
    if (status == PARE_OK) {
        qsort(extents, n_arrays, sizeof *extents, compare_extents);
        status = pare_seal_write(out, extents, n_arrays);
    }
    pare_free(extents);
    if (status == PARE_OK)
        return pare_output_commit(out);
    pare_output_abort(out);
    return status;
}

/* ---- Opening ---- */

struct pare_store {
    char *path;
    pare_input *in;
    pare_contents contents; /* its items are the arrays, sorted by name, once it is open */
};

/* HDF5's signature, then the version of its superblock: 2 and later have checksums of their own. */
static pare_status check_superblock(const pare_input *in, const char *path)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char start[9];
    PARE_TRY(pare_input_read_at(in, PARE_SEAL_SIZE, start, sizeof start));
    if (memcmp(start, signature, sizeof signature) != 0 || start[8] < 2)
        return pare_fail(PARE_INPUT, "%s: no HDF5 file of version 1.10 stands at byte %d", path,
                         PARE_SEAL_SIZE);
    return PARE_OK;
}

static int compare_places(const void *a, const void *b)
{
    const pare_item *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int compare_names(const void *a, const void *b)
{
    const pare_item *x = a, *y = b;
    return strcmp(x->array.name, y->array.name);
}

/* No two items share bytes, so that all of them together are no larger than the file. */
static pare_status check_places(const pare_store *store)
{
    pare_item *items = store->contents.items;
    size_t n = store->contents.n_items;
    if (n > 0)
        qsort(items, n, sizeof *items, compare_places);
    for (size_t i = 1; i < n; i++)
        if (items[i].at - items[i - 1].at < items[i - 1].bytes)
            return pare_fail(PARE_INPUT, "%s: %s and %s share bytes", store->path,
                             items[i - 1].array.name, items[i].array.name);
    return PARE_OK;
}

/* A text that was too long for an attribute becomes one. */
static pare_status load_text(pare_store *store, const pare_item *item)
{
    pare_contents *c = &store->contents;
    char *text = pare_arena_alloc(c->arena, item->bytes + 1);
    size_t n = c->n_attributes;
    pare_attribute *larger = pare_realloc(c->attributes, (n + 1) * sizeof *larger);
    if (larger)
        c->attributes = larger;
    if (!text || !larger)
        return PARE_MEMORY;
    PARE_TRY(pare_input_read_at(store->in, item->at, text, item->bytes));
    text[item->bytes] = '\0';
    c->attributes[c->n_attributes++] = (pare_attribute){
        .name = item->array.name, .type = PARE_ATTR_STRING, .string = text};
    return PARE_OK;
}

/* Long texts become attributes; arrays stay, and are sorted by name. */
static pare_status load_texts(pare_store *store)
{
    pare_contents *c = &store->contents;
    size_t n_arrays = 0;
    for (size_t i = 0; i < c->n_items; i++) {
        if (c->items[i].is_text)
            PARE_TRY(load_text(store, &c->items[i]));
        else
            c->items[n_arrays++] = c->items[i];
    }
    c->n_items = n_arrays;
    if (n_arrays > 0)
        qsort(c->items, n_arrays, sizeof *c->items, compare_names);
    return PARE_OK;
}

/* The order matters: nothing is parsed before the checksum is right, and no memory is taken on
 * the word of the file before its arrays are known to lie inside it. */
static pare_status store_load(pare_store *store, const char *path)
{
    store->path = pare_strdup(path);
    store->contents.arena = pare_arena_new("store");
    if (!store->path || !store->contents.arena)
        return PARE_MEMORY;
    PARE_TRY(pare_input_open(path, &store->in));
    PARE_TRY(pare_seal_check(store->in, path));
    PARE_TRY(check_superblock(store->in, path));
    store->contents.in = store->in;
    PARE_TRY(pare_hdf5_list(path, &store->contents));
    PARE_TRY(check_places(store));
    return load_texts(store);
}

pare_status pare_store_open(const char *path, pare_store **out)
{
    *out = NULL;
    pare_store *store = pare_calloc(1, sizeof *store);
    if (!store)
        return PARE_MEMORY;
    pare_status status = store_load(store, path);
    if (status == PARE_OK)
        *out = store;
    else
        pare_store_close(store);
    return status;
}

void pare_store_close(pare_store *store)
{
    if (!store)
        return;
    pare_input_close(store->in);
    pare_arena_free(store->contents.arena);
    pare_free(store->contents.items);
    pare_free(store->contents.attributes);
    pare_free(store->path);
    pare_free(store);
}

pare_status pare_store_verify(const char *path)
{
    pare_input *in = NULL;
    PARE_TRY(pare_input_open(path, &in));
    pare_status status = pare_seal_check(in, path);
    pare_input_close(in);
    return status;
}

/* ---- Arrays ---- */

size_t pare_store_count(const pare_store *store)
{
    return store->contents.n_items;
}

const pare_array *pare_store_array(const pare_store *store, size_t index)
{
    return &store->contents.items[index].array;
}

/* By name, in the sorted list. */
static const pare_item *find_item(const pare_store *store, const char *name)
{
    pare_item key = {.array.name = name};
    if (store->contents.n_items == 0)
        return NULL;
    return bsearch(&key, store->contents.items, store->contents.n_items, sizeof key,
                   compare_names);
}

const pare_array *pare_store_find(const pare_store *store, const char *name)
{
    const pare_item *item = find_item(store, name);
    return item ? &item->array : NULL;
}

/* One array on its way into memory, block by block. */
typedef struct read_job {
    const pare_input *in;
    const pare_item *item;
    pare_dtype as;
    char *out;
} read_job;

/* Elements [from, from + n) by way of a small buffer, as the other size of float. */
static pare_status read_converted(const read_job *job, uint64_t from, uint64_t n)
{
    enum { PIECE = 1024 };
    union {
        float f32[PIECE];
        double f64[PIECE];
    } raw;
    size_t size = pare_dtype_size(job->item->array.dtype);
    for (uint64_t done = 0; done < n; done += PIECE) {
        size_t piece = n - done < PIECE ? (size_t)(n - done) : PIECE;
        PARE_TRY(pare_input_read_at(job->in, job->item->at + (from + done) * size, &raw,
                                    piece * size));
        for (size_t i = 0; i < piece; i++) {
            if (job->as == PARE_F64)
                ((double *)job->out)[from + done + i] = raw.f32[i];
            else
                ((float *)job->out)[from + done + i] = (float)raw.f64[i];
        }
    }
    return PARE_OK;
}

/* READ_BLOCK bytes of the file, or what is left, into their place. */
static pare_status read_block(void *context, int64_t block)
{
    const read_job *job = context;
    size_t size = pare_dtype_size(job->item->array.dtype);
    uint64_t first = (uint64_t)block * READ_BLOCK, left = job->item->bytes - first;
    uint64_t bytes = left < READ_BLOCK ? left : READ_BLOCK;
    if (job->item->array.dtype != job->as)
        return read_converted(job, first / size, bytes / size);
    return pare_input_read_at(job->in, job->item->at + first, job->out + first, bytes);
}

pare_status pare_store_read(pare_store *store, const char *name, pare_dtype as, void *out)
{
    const pare_item *item = find_item(store, name);
    if (!item)
        return pare_fail(PARE_INPUT, "%s: there is no array %s", store->path, name);
    pare_dtype dtype = item->array.dtype;
    bool floats = (dtype == PARE_F32 || dtype == PARE_F64) && (as == PARE_F32 || as == PARE_F64);
    if (dtype != as && !floats)
        return pare_fail(PARE_INPUT, "%s: array %s is %s, not %s", store->path, name,
                         dtype_name(dtype), dtype_name(as));
    read_job job = {.in = store->in, .item = item, .as = as, .out = out};
    return pare_parallel_try((int64_t)((item->bytes + READ_BLOCK - 1) / READ_BLOCK),
                             (double)item->bytes, read_block, &job);
}

pare_status pare_store_map(const pare_store *store, pare_map *map)
{
    return pare_input_map(store->in, map);
}

void *pare_store_find_mapped(const pare_store *store, const pare_map *map, const char *name,
                             pare_dtype as)
{
    const pare_item *item = find_item(store, name);
    if (!item || item->array.dtype != as || item->at % pare_dtype_size(as) != 0 ||
        item->at + item->bytes > map->size)
        return NULL;
    return (void *)(uintptr_t)(map->bytes + item->at);
}

/* ---- Attributes ---- */

static const pare_attribute *find_attribute(const pare_store *store, const char *name)
{
    for (size_t i = 0; i < store->contents.n_attributes; i++)
        if (strcmp(store->contents.attributes[i].name, name) == 0)
            return &store->contents.attributes[i];
    return NULL;
}

bool pare_store_has_attribute(const pare_store *store, const char *name)
{
    return find_attribute(store, name) != NULL;
}

int64_t pare_store_int(const pare_store *store, const char *name, int64_t otherwise)
{
    const pare_attribute *a = find_attribute(store, name);
    return a && a->type == PARE_ATTR_INT ? a->integer : otherwise;
}

double pare_store_double(const pare_store *store, const char *name, double otherwise)
{
    const pare_attribute *a = find_attribute(store, name);
    return a && a->type == PARE_ATTR_DOUBLE ? a->number : otherwise;
}

const char *pare_store_string(const pare_store *store, const char *name, const char *otherwise)
{
    const pare_attribute *a = find_attribute(store, name);
    return a && a->type == PARE_ATTR_STRING ? a->string : otherwise;
}
