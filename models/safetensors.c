/* safetensors.c: a header of JSON, and the ranges that it gives, checked. */
#include "models/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/status.h"
#include "models/bounded_json.h"

enum { PREFIX = 8, MAX_HEADER = 8 << 20 };

static const struct dtype_row {
    const char *name;
    int size;
    pare_element element;
} dtypes[] = {
    {"F32", 4, PARE_ELEMENT_F32},     {"F16", 2, PARE_ELEMENT_F16},
    {"BF16", 2, PARE_ELEMENT_BF16},   {"F64", 8, PARE_ELEMENT_F64},
    {"I64", 8, PARE_ELEMENT_OTHER},   {"I32", 4, PARE_ELEMENT_OTHER},
    {"I16", 2, PARE_ELEMENT_OTHER},   {"I8", 1, PARE_ELEMENT_OTHER},
    {"U64", 8, PARE_ELEMENT_OTHER},   {"U32", 4, PARE_ELEMENT_OTHER},
    {"U16", 2, PARE_ELEMENT_OTHER},   {"U8", 1, PARE_ELEMENT_OTHER},
    {"BOOL", 1, PARE_ELEMENT_OTHER},  {"F8_E4M3", 1, PARE_ELEMENT_OTHER},
    {"F8_E5M2", 1, PARE_ELEMENT_OTHER},
};

/* NULL for a type that is not known: its size is not either, so its place cannot be checked. */
static const struct dtype_row *find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

/* ---- Reading ---- */

/* A tensor's part of the data. */
typedef struct range {
    int64_t begin, end;
    const char *name; /* the JSON's */
} range;

typedef struct reader {
    const char *path;
    pare_foreign *file;
    const unsigned char *data;
    int64_t data_size;
    range *ranges;
    size_t n;
} reader;

/* Names come out of a file that may be hostile: messages show no more than 100 bytes of them. */
static pare_status refuse(const reader *r, const char *name, const char *reason)
{
    return pare_fail(PARE_INPUT, "%s: tensor %.100s: %s", r->path, name, reason);
}

/* shape[] and *bytes, the tensor's whole size. */
static pare_status read_shape(const reader *r, const char *name, const pare_json *shape,
                              int64_t element_size, pare_foreign_tensor *out, int64_t *bytes)
{
    if (!pare_json_is_array(shape) || pare_json_size(shape) > PARE_FOREIGN_RANK)
        return refuse(r, name, "its shape is no list of at most 8 sizes");
    out->rank = (int)pare_json_size(shape);
    *bytes = element_size;
    for (int i = 0; i < out->rank; i++) {
        int64_t size = pare_json_as_int(pare_json_at(shape, (size_t)i), -1);
        if (size < 0)
            return refuse(r, name, "its shape holds what is no size below 2^63");
        if (size == 0)
            return refuse(r, name, "its shape holds a size of 0");
        if (__builtin_mul_overflow(*bytes, size, bytes))
            return refuse(r, name, "its size passes 2^63 bytes");
        out->shape[i] = size;
    }
    return PARE_OK;
}

/* data_offsets: inside the data, and as long as the shape says. */
static pare_status read_range(const reader *r, const char *name, const pare_json *offsets,
                              int64_t bytes, range *out)
{
    if (pare_json_size(offsets) != 2 || !pare_json_is_array(offsets))
        return refuse(r, name, "its data_offsets are no pair");
    out->begin = pare_json_as_int(pare_json_at(offsets, 0), -1);
    out->end = pare_json_as_int(pare_json_at(offsets, 1), -1);
    out->name = name;
    if (out->begin < 0 || out->end < out->begin || out->end > r->data_size)
        return pare_fail(PARE_INPUT, "%s: tensor %.100s: its data_offsets [%lld,%lld] leave the "
                         "%lld bytes of data", r->path, name, (long long)out->begin,
                         (long long)out->end, (long long)r->data_size);
    if (out->end - out->begin != bytes)
        return pare_fail(PARE_INPUT, "%s: tensor %.100s: its data_offsets give %lld bytes, its "
                         "shape needs %lld", r->path, name, (long long)(out->end - out->begin),
                         (long long)bytes);
    return PARE_OK;
}

/* One member of the header; its place is kept for check_tiling. */
static pare_status read_tensor(reader *r, const char *name, const pare_json *entry)
{
    pare_foreign_tensor tensor = {0};
    int64_t bytes = 0;
    PARE_TRY(pare_foreign_check_name(r->path, name, strlen(name)));
    const char *dtype = pare_json_get_string(entry, "dtype", NULL);
    if (!dtype)
        return refuse(r, name, "has no dtype");
    const struct dtype_row *row = find_dtype(dtype);
    if (!row)
        return pare_fail(PARE_INPUT, "%s: tensor %.100s: its dtype \"%.32s\" is not known",
                         r->path, name, dtype);
    tensor.dtype = row->name;
    tensor.element = row->element;
    PARE_TRY(read_shape(r, name, pare_json_get(entry, "shape"), row->size, &tensor, &bytes));
    range *place = &r->ranges[r->n];
    PARE_TRY(read_range(r, name, pare_json_get(entry, "data_offsets"), bytes, place));
    r->n++;
    pare_foreign_set_strides(&tensor);
    tensor.data = r->data + place->begin;
    return pare_foreign_add(r->file, r->path, name, strlen(name), &tensor);
}

static int compare_ranges(const void *a, const void *b)
{
    const range *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* The ranges must tile the data: what is read is then all that is there, and only once. */
static pare_status check_tiling(const reader *r)
{
    if (r->n)
        qsort(r->ranges, r->n, sizeof *r->ranges, compare_ranges);
    int64_t at = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->ranges[i].begin != at)
            return pare_fail(PARE_INPUT, "%s: tensor %.100s begins at byte %lld of the data: %s",
                             r->path, r->ranges[i].name, (long long)r->ranges[i].begin,
                             r->ranges[i].begin < at ? "it overlaps another"
                                                     : "a hole lies before it");
        at = r->ranges[i].end;
    }
    if (at == r->data_size)
        return PARE_OK;
    return pare_fail(PARE_INPUT, "%s: the tensors end at byte %lld of %lld bytes of data",
                     r->path, (long long)at, (long long)r->data_size);
}

/* Every member but __metadata__ is a tensor. jansson has refused names that are there twice. */
static pare_status read_header(reader *r, const pare_json *header)
{
    if (!pare_json_is_object(header))
        return pare_fail(PARE_INPUT, "%s: its header is no JSON object", r->path);
    r->ranges = pare_malloc(pare_json_size(header) * sizeof *r->ranges);
    if (!r->ranges)
        return PARE_MEMORY;
    for (void *i = pare_json_iter(header); i; i = pare_json_iter_next(header, i)) {
        const char *name = pare_json_iter_key(i);
        if (strcmp(name, "__metadata__") != 0)
            PARE_TRY(read_tensor(r, name, pare_json_iter_value(i)));
        else if (!pare_json_is_object(pare_json_iter_value(i)))
            return pare_fail(PARE_INPUT, "%s: its __metadata__ is no object", r->path);
    }
    return check_tiling(r);
}

pare_status pare_safetensors_read(const char *path, pare_foreign *file)
{
    pare_map map;
    uint64_t length = 0;
    PARE_TRY(pare_foreign_map_file(file, path, &map));
    if (map.size < PREFIX)
        return pare_fail(PARE_INPUT, "%s: %zu bytes are too few for safetensors", path, map.size);
    memcpy(&length, map.bytes, PREFIX);
    if (length > map.size - PREFIX)
        return pare_hint(pare_fail(PARE_INPUT, "%s: its header would take %llu of %zu bytes", path,
                                   (unsigned long long)length, map.size),
                         "the file is cut short or not safetensors (a Git LFS pointer, perhaps)");
    if (length > MAX_HEADER)
        return pare_fail(PARE_INPUT, "%s: its header has %llu bytes; at most %d are read", path,
                         (unsigned long long)length, MAX_HEADER);
    pare_json *header = NULL;
    PARE_TRY(pare_bounded_json_parse((const char *)map.bytes + PREFIX, length, path, &header));
    reader r = {.path = path, .file = file, .data = map.bytes + PREFIX + length};
    r.data_size = (int64_t)(map.size - PREFIX - length);
    pare_status status = read_header(&r, header);
    pare_free(r.ranges);
    pare_json_free(header);
    file->bytes += (uint64_t)r.data_size;
    return status;
}

/* ---- Writing ---- */

/* transformers writes the header sorted by name (all have one type). */
static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const pare_safetensors_entry *)a)->name,
                  ((const pare_safetensors_entry *)b)->name);
}

/* The header's JSON, padded with blanks so that the data begins at a multiple of 8. Names are
 * BERT's: nothing in them needs escaping. NULL with PARE_MEMORY set. */
static char *make_header(const pare_safetensors_entry *entries, size_t n, size_t *length)
{
    const size_t line = 256; /* more than one entry takes: the name has less than 128 bytes */
    size_t size = line * (n + 1), used;
    char *text = pare_malloc(size);
    if (!text)
        return NULL;
    int64_t at = 0;
    used = (size_t)snprintf(text, size, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        const pare_safetensors_entry *e = &entries[i];
        const int64_t shape[2] = {e->rank == 2 ? e->rows : e->cols, e->cols};
        char shape_text[64];
        int64_t end = at + e->rows * e->cols * (int64_t)sizeof(float);
        used += (size_t)snprintf(text + used, size - used,
                                 ",\"%.127s\":{\"dtype\":\"F32\",\"shape\":%s,"
                                 "\"data_offsets\":[%lld,%lld]}", e->name,
                                 pare_shape_text(e->rank, shape, shape_text, sizeof shape_text),
                                 (long long)at, (long long)end);
        at = end;
    }
    text[used++] = '}';
    while (used % 8)
        text[used++] = ' ';
    *length = used;
    return text;
}

/* All elements as float32. */
static void write_data(pare_output *out, const pare_safetensors_entry *entry)
{
    int64_t n = entry->rows * entry->cols;
#ifdef PARE_DOUBLE
    float part[4096];
    for (int64_t i = 0; i < n;) {
        int64_t k = 0;
        for (; k < 4096 && i < n; k++, i++)
            part[k] = (float)entry->data[i];
        pare_output_write(out, part, (size_t)k * sizeof *part);
    }
#else
    pare_output_write(out, entry->data, (size_t)n * sizeof *entry->data);
#endif
}

pare_status pare_safetensors_write(const char *path, pare_safetensors_entry *entries, size_t n)
{
    qsort(entries, n, sizeof *entries, compare_entries);
    size_t length = 0;
    char *header = make_header(entries, n, &length);
    if (!header)
        return PARE_MEMORY;
    pare_output *out = NULL;
    pare_status status = pare_output_open(path, &out);
    if (status == PARE_OK) {
        uint64_t size = PREFIX + length, prefix = length;
        for (size_t i = 0; i < n; i++)
            size += (uint64_t)(entries[i].rows * entries[i].cols) * sizeof(float);
        (void)pare_output_reserve(out, size); /* a failure is remembered by the output */
        pare_output_write(out, &prefix, sizeof prefix);
        pare_output_write(out, header, length);
        for (size_t i = 0; i < n; i++)
            write_data(out, &entries[i]);
        status = pare_output_commit(out);
    }
    pare_free(header);
    return status;
}
