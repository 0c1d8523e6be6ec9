/* tf_checkpoint.c: from the index's entries to tensors. */
#include "models/tf_checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checksum.h"
#include "core/status.h"
#include "core/text.h"
#include "core/threads.h"
#include "models/sstable.h"

enum {
    MAX_SHARDS = 1024,
    MAX_ENTRIES = 1 << 15, /* a BERT-large and what its optimiser keeps are 1,200 */
    VERSION = 1,           /* of the format: files may ask for a later reader */
};

static const char INDEX[] = ".index";

/* DataType of types.proto. */
static const struct dtype_row {
    uint64_t number;
    int size; /* bytes; 0: no fixed size, so it is never a weight */
    pare_element element;
    const char *name;
} dtypes[] = {
    {1, 4, PARE_ELEMENT_F32, "DT_FLOAT"},      {2, 8, PARE_ELEMENT_F64, "DT_DOUBLE"},
    {3, 4, PARE_ELEMENT_OTHER, "DT_INT32"},    {4, 1, PARE_ELEMENT_OTHER, "DT_UINT8"},
    {5, 2, PARE_ELEMENT_OTHER, "DT_INT16"},    {6, 1, PARE_ELEMENT_OTHER, "DT_INT8"},
    {7, 0, PARE_ELEMENT_OTHER, "DT_STRING"},   {8, 8, PARE_ELEMENT_OTHER, "DT_COMPLEX64"},
    {9, 8, PARE_ELEMENT_OTHER, "DT_INT64"},    {10, 1, PARE_ELEMENT_OTHER, "DT_BOOL"},
    {14, 2, PARE_ELEMENT_BF16, "DT_BFLOAT16"}, {17, 2, PARE_ELEMENT_OTHER, "DT_UINT16"},
    {19, 2, PARE_ELEMENT_F16, "DT_HALF"},      {20, 0, PARE_ELEMENT_OTHER, "DT_RESOURCE"},
    {21, 0, PARE_ELEMENT_OTHER, "DT_VARIANT"}, {22, 4, PARE_ELEMENT_OTHER, "DT_UINT32"},
    {23, 8, PARE_ELEMENT_OTHER, "DT_UINT64"},
};

static const struct dtype_row *find_dtype(uint64_t number)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].number == number)
            return &dtypes[i];
    return NULL;
}

/* What BundleEntryProto says. Negative numbers are there as 2^64 more, and so past any limit. */
typedef struct entry {
    uint64_t dtype, shard, offset, size;
    uint32_t crc; /* masked */
    int rank;     /* as it is, also past PARE_FOREIGN_RANK */
    uint64_t shape[PARE_FOREIGN_RANK];
    bool no_rank, sliced;
} entry;

/* A tensor's bytes, to be checked when all are known. */
typedef struct part {
    const unsigned char *bytes;
    uint64_t size;
    uint32_t crc; /* masked */
    const char *name;
} part;

typedef struct reader {
    const char *path;
    pare_foreign *file;
    pare_map *shards; /* [n_shards]; bytes NULL: not needed until now */
    uint64_t n_shards;
    part *parts; /* [MAX_ENTRIES] */
    size_t n_parts, n_entries;
    const char *name; /* of the tensor that is being read, NUL-ended */
} reader;

static pare_status refuse(const reader *r, const char *reason)
{
    return pare_fail(PARE_INPUT, "%s: tensor %.100s: %s", r->path, r->name, reason);
}

/* ---- Names ---- */

/* What is no part of the encoder and its head: pre-training's heads and the optimiser's state. */
static bool is_ignored(const char *name)
{
    static const char *const endings[] = {"/adam_m", "/adam_v", "/Adam", "/Adam_1", "_power"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (pare_ends_with(name, endings[i]))
            return true;
    return strncmp(name, "cls/", 4) == 0 || strcmp(name, "global_step") == 0;
}

/* out[] has room for the longest key and an ending. */
static void rename_tensor(const char *name, char *out)
{
    char *to = out;
    if (strcmp(name, "output_weights") == 0)
        name = "classifier/weight";
    else if (strcmp(name, "output_bias") == 0)
        name = "classifier/bias";
    for (const char *from = name; *from; from++) {
        bool layer = strncmp(from, "/layer_", 7) == 0 && from[7] >= '0' && from[7] <= '9';
        memcpy(to, layer ? ".layer." : *from == '/' ? "." : from, layer ? 7 : 1);
        to += layer ? 7 : 1;
        from += layer ? 6 : 0;
    }
    *to = '\0';
    if (pare_ends_with(out, ".kernel"))
        strcpy(to - strlen("kernel"), "weight");
    else if (pare_ends_with(out, "_embeddings"))
        strcpy(to, ".weight");
}

/* ---- The table's values ---- */

/* VersionDef: which readers can read it. */
static uint64_t read_min_consumer(pare_wire in)
{
    uint64_t version = 0;
    pare_wire_field f;
    while (pare_wire_next(&in, &f))
        if (f.tag == PARE_WIRE_TAG(2, PARE_WIRE_VARINT))
            version = f.value;
    return in.broken ? UINT64_MAX : version;
}

/* BundleHeaderProto: how many files there are. */
static pare_status read_header(reader *r, pare_wire in)
{
    uint64_t big_endian = 0, version = 0;
    pare_wire_field f;
    while (pare_wire_next(&in, &f)) {
        switch (f.tag) {
        case PARE_WIRE_TAG(1, PARE_WIRE_VARINT): r->n_shards = f.value; break;
        case PARE_WIRE_TAG(2, PARE_WIRE_VARINT): big_endian = f.value; break;
        case PARE_WIRE_TAG(3, PARE_WIRE_BYTES): version = read_min_consumer(f.bytes); break;
        default: break;
        }
    }
    if (in.broken)
        return pare_fail(PARE_INPUT, "%s: its header is broken", r->path);
    if (big_endian)
        return pare_fail(PARE_INPUT, "%s: its numbers are not little-endian", r->path);
    if (version > VERSION)
        return pare_fail(PARE_INPUT, "%s: its format asks for a reader of version %lld; version %d "
                         "is known", r->path, (long long)version, VERSION);
    if (r->n_shards < 1 || r->n_shards > MAX_SHARDS)
        return pare_fail(PARE_INPUT, "%s: its header says %lld files of data; 1 to %d are read",
                         r->path, (long long)r->n_shards, MAX_SHARDS);
    r->shards = pare_arena_zalloc(r->file->arena, r->n_shards * sizeof *r->shards);
    return r->shards ? PARE_OK : PARE_MEMORY;
}

/* Dim: its size. False if it is broken. */
static bool read_dim(pare_wire in, uint64_t *size)
{
    pare_wire_field f;
    *size = 0;
    while (pare_wire_next(&in, &f))
        if (f.tag == PARE_WIRE_TAG(1, PARE_WIRE_VARINT))
            *size = f.value;
    return !in.broken;
}

/* TensorShapeProto: dim by dim. False if it is broken. */
static bool read_dims(pare_wire in, entry *out)
{
    pare_wire_field f;
    uint64_t size;
    while (pare_wire_next(&in, &f)) {
        if (f.tag == PARE_WIRE_TAG(3, PARE_WIRE_VARINT))
            out->no_rank = f.value != 0;
        if (f.tag != PARE_WIRE_TAG(2, PARE_WIRE_BYTES))
            continue;
        if (!read_dim(f.bytes, &size))
            return false;
        if (out->rank < PARE_FOREIGN_RANK)
            out->shape[out->rank] = size;
        if (out->rank <= PARE_FOREIGN_RANK)
            out->rank++;
    }
    return !in.broken;
}

/* BundleEntryProto. */
static pare_status read_entry(const reader *r, pare_wire in, entry *out)
{
    bool shape = true;
    pare_wire_field f;
    *out = (entry){0};
    while (pare_wire_next(&in, &f)) {
        switch (f.tag) {
        case PARE_WIRE_TAG(1, PARE_WIRE_VARINT): out->dtype = f.value; break;
        case PARE_WIRE_TAG(2, PARE_WIRE_BYTES): shape = shape && read_dims(f.bytes, out); break;
        case PARE_WIRE_TAG(3, PARE_WIRE_VARINT): out->shard = f.value; break;
        case PARE_WIRE_TAG(4, PARE_WIRE_VARINT): out->offset = f.value; break;
        case PARE_WIRE_TAG(5, PARE_WIRE_VARINT): out->size = f.value; break;
        case PARE_WIRE_TAG(6, PARE_WIRE_32): out->crc = (uint32_t)f.value; break;
        case PARE_WIRE_TAG(7, PARE_WIRE_BYTES): out->sliced = true; break;
        default: break;
        }
    }
    return in.broken || !shape ? refuse(r, "its entry is broken") : PARE_OK;
}

/* ---- Tensors ---- */

/* shape[], and *bytes, the tensor's whole size. */
static pare_status check_shape(const reader *r, const entry *e, const struct dtype_row *row,
                               pare_foreign_tensor *out, int64_t *bytes)
{
    if (e->no_rank || e->rank > PARE_FOREIGN_RANK)
        return refuse(r, "its shape is no list of at most 8 sizes");
    out->rank = e->rank;
    *bytes = row->size;
    for (int i = 0; i < e->rank; i++) {
        if (e->shape[i] > INT64_MAX)
            return refuse(r, "its shape holds what is no size below 2^63");
        if (e->shape[i] == 0)
            return refuse(r, "its shape holds a size of 0");
        out->shape[i] = (int64_t)e->shape[i];
        if (__builtin_mul_overflow(*bytes, out->shape[i], bytes))
            return refuse(r, "its size passes 2^63 bytes");
    }
    return PARE_OK;
}

/* The map of a file of data: PREFIX.data-00000-of-00001, where the index is PREFIX.index. */
static pare_status open_shard(reader *r, uint64_t shard, pare_map *out)
{
    if (shard >= r->n_shards)
        return pare_fail(PARE_INPUT, "%s: tensor %.100s: lies in the file %lld of %lld", r->path,
                         r->name, (long long)shard, (long long)r->n_shards);
    if (!r->shards[shard].bytes) {
        char *path = pare_arena_printf(r->file->arena, "%.*s.data-%05d-of-%05d",
                                       (int)(strlen(r->path) - strlen(INDEX)), r->path,
                                       (int)shard, (int)r->n_shards);
        if (!path)
            return PARE_MEMORY;
        if (!pare_path_exists(path))
            return pare_hint(pare_fail(PARE_INPUT, "%s: there is no such file; %s names it", path,
                                       r->path),
                             "a checkpoint is the index and all its files of data");
        PARE_TRY(pare_foreign_map_file(r->file, path, &r->shards[shard]));
        r->file->bytes += r->shards[shard].size;
    }
    *out = r->shards[shard];
    return PARE_OK;
}

/* data, inside its file and as long as the shape says. */
static pare_status find_data(reader *r, const entry *e, uint64_t bytes, pare_foreign_tensor *out)
{
    pare_map map = {NULL, 0};
    if (e->size != bytes)
        return pare_fail(PARE_INPUT, "%s: tensor %.100s: its entry gives %lld bytes, its shape "
                         "needs %lld", r->path, r->name, (long long)e->size, (long long)bytes);
    PARE_TRY(open_shard(r, e->shard, &map));
    if (e->offset > map.size || bytes > map.size - e->offset)
        return pare_hint(pare_fail(PARE_INPUT, "%s: tensor %.100s: its %lld bytes at %lld leave "
                                   "the %zu of its file of data", r->path, r->name,
                                   (long long)bytes, (long long)e->offset, map.size),
                         "the file of data is cut short, or of another checkpoint");
    out->data = map.bytes + e->offset;
    return PARE_OK;
}

/* A kernel is [in, out]; a weight [out, in]. */
static void transpose(pare_foreign_tensor *t)
{
    int64_t rows = t->shape[0], step = t->stride[0];
    t->shape[0] = t->shape[1];
    t->stride[0] = t->stride[1];
    t->shape[1] = rows;
    t->stride[1] = step;
}

static pare_status add_tensor(reader *r, const entry *e)
{
    char name[PARE_SSTABLE_KEY + sizeof ".weight"];
    pare_foreign_tensor tensor = {0};
    int64_t bytes = 0;
    const struct dtype_row *row = find_dtype(e->dtype);
    if (!row)
        return pare_fail(PARE_INPUT, "%s: tensor %.100s: its dtype %lld is not known", r->path,
                         r->name, (long long)e->dtype);
    if (row->size == 0)
        return PARE_OK; /* text that says how Python's objects hang together, and such */
    if (e->sliced)
        return pare_hint(refuse(r, "is kept in slices (a partitioned variable)"),
                         "save it again from a graph without partitions");
    PARE_TRY(check_shape(r, e, row, &tensor, &bytes));
    PARE_TRY(find_data(r, e, (uint64_t)bytes, &tensor));
    tensor.dtype = row->name;
    tensor.element = row->element;
    pare_foreign_set_strides(&tensor);
    if (tensor.rank == 2 && pare_ends_with(r->name, "/kernel"))
        transpose(&tensor);
    rename_tensor(r->name, name);
    PARE_TRY(pare_foreign_add(r->file, r->path, name, strlen(name), &tensor));
    r->parts[r->n_parts++] = (part){tensor.data, (uint64_t)bytes, e->crc,
                                    r->file->tensors[r->file->n - 1].name};
    return PARE_OK;
}

/* One entry of the table: the header comes first, slices of tensors have a zero in front. */
static pare_status visit_entry(void *context, const char *key, size_t length, pare_wire value)
{
    reader *r = context;
    char name[PARE_SSTABLE_KEY + 1];
    entry e;
    if (r->n_entries++ == MAX_ENTRIES)
        return pare_fail(PARE_INPUT, "%s: holds more than %d entries", r->path, MAX_ENTRIES);
    if (length == 0)
        return read_header(r, value);
    if (!r->shards)
        return pare_fail(PARE_INPUT, "%s: has no header", r->path);
    if (key[0] == '\0')
        return PARE_OK;
    PARE_TRY(pare_foreign_check_name(r->path, key, length));
    memcpy(name, key, length);
    name[length] = '\0';
    r->name = name;
    if (is_ignored(name))
        return PARE_OK;
    PARE_TRY(read_entry(r, value, &e));
    return add_tensor(r, &e);
}

/* ---- The tensors' bytes ---- */

static int compare_places(const void *a, const void *b)
{
    const part *x = a, *y = b;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static pare_status check_part(void *context, int64_t number)
{
    const reader *r = context;
    const part *p = &r->parts[number];
    if (pare_sstable_mask(pare_crc32c(0, p->bytes, p->size)) == p->crc)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: tensor %.100s: the CRC-32C of its data differs",
                               r->path, p->name),
                     "the file of data is damaged: copy it again");
}

/* No byte belongs to two tensors: the work is then no more than the files' size. */
static pare_status check_parts(reader *r)
{
    qsort(r->parts, r->n_parts, sizeof *r->parts, compare_places);
    for (size_t i = 1; i < r->n_parts; i++) {
        const part *before = &r->parts[i - 1], *p = &r->parts[i];
        if ((uint64_t)(p->bytes - before->bytes) < before->size)
            return pare_fail(PARE_INPUT, "%s: tensor %.100s: its data overlap those of %.100s",
                             r->path, p->name, before->name);
    }
    return pare_parallel_try((int64_t)r->n_parts, (double)r->file->bytes, check_part, r);
}

pare_status pare_tf_read(const char *path, pare_foreign *file)
{
    pare_map map;
    reader r = {.path = path, .file = file};
    PARE_TRY(pare_foreign_map_file(file, path, &map));
    r.parts = pare_malloc(MAX_ENTRIES * sizeof *r.parts);
    if (!r.parts)
        return PARE_MEMORY;
    pare_status status = pare_sstable_read(map.bytes, map.size, path, visit_entry, &r);
    if (status == PARE_OK)
        status = check_parts(&r);
    pare_free(r.parts);
    return status;
}

/* ---- Finding it ---- */

typedef struct search {
    const char *directory;
    pare_arena *arena;
    char *found;
} search;

static pare_status visit_file(void *context, const char *name)
{
    search *s = context;
    if (!pare_ends_with(name, INDEX) || !strstr(name, ".ckpt"))
        return PARE_OK;
    if (s->found)
        return pare_hint(pare_fail(PARE_INPUT, "%s: holds two checkpoints, %.100s and %.100s",
                                   s->directory, s->found, name),
                         "leave one of them there, or give it a directory of its own");
    s->found = pare_arena_strdup(s->arena, name);
    return s->found ? PARE_OK : PARE_MEMORY;
}

pare_status pare_tf_find(const char *directory, pare_arena *arena, char **name)
{
    search s = {directory, arena, NULL};
    *name = NULL;
    PARE_TRY(pare_directory_list(directory, visit_file, &s));
    *name = s.found;
    return PARE_OK;
}
