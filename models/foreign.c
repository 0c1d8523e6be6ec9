/* foreign.c: the list of tensors, and their way into reals. */
#include "models/foreign.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "core/threads.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are read as little-endian numbers"
#endif

struct pare_foreign_map {
    struct pare_foreign_map *next;
    pare_map map;
};

enum { MAX_NAME = 512 };

pare_status pare_foreign_new(pare_foreign **out)
{
    *out = NULL;
    pare_arena *arena = pare_arena_new("import");
    pare_foreign *file = arena ? pare_arena_zalloc(arena, sizeof *file) : NULL;
    if (!file) {
        pare_arena_free(arena);
        return PARE_MEMORY;
    }
    file->arena = arena;
    *out = file;
    return PARE_OK;
}

void pare_foreign_free(pare_foreign *file)
{
    if (!file)
        return;
    for (struct pare_foreign_map *m = file->maps; m; m = m->next)
        pare_map_close(&m->map);
    pare_free(file->tensors);
    pare_arena_free(file->arena); /* the list lies in it */
}

pare_status pare_foreign_map_file(pare_foreign *file, const char *path, pare_map *map)
{
    struct pare_foreign_map *m = pare_arena_zalloc(file->arena, sizeof *m);
    if (!m)
        return PARE_MEMORY;
    PARE_TRY(pare_map_open(path, &m->map));
    m->next = file->maps;
    file->maps = m;
    *map = m->map;
    return PARE_OK;
}

/* ---- The list ---- */

/* Names are shown in messages: one that could steer a terminal is no tensor's. */
pare_status pare_foreign_check_name(const char *where, const char *name, size_t length)
{
    if (length == 0 || length > MAX_NAME)
        return pare_fail(PARE_INPUT, "%s: a tensor's name has %zu bytes; 1 to %d are allowed",
                         where, length, MAX_NAME);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return pare_fail(PARE_INPUT, "%s: a tensor's name holds the control character 0x%02x",
                             where, (unsigned)(unsigned char)name[i]);
    return PARE_OK;
}

/* Doubles the list; it begins with room for a BERT-base. */
static pare_status grow(pare_foreign *file)
{
    size_t capacity = file->capacity ? 2 * file->capacity : 256;
    pare_foreign_tensor *more = pare_realloc(file->tensors, capacity * sizeof *more);
    if (!more)
        return PARE_MEMORY;
    file->tensors = more;
    file->capacity = capacity;
    return PARE_OK;
}

pare_status pare_foreign_add(pare_foreign *file, const char *where, const char *name,
                             size_t length, const pare_foreign_tensor *tensor)
{
    PARE_TRY(pare_foreign_check_name(where, name, length));
    if (file->n == PARE_FOREIGN_TENSORS)
        return pare_fail(PARE_INPUT, "%s: holds more than %d tensors", where,
                         PARE_FOREIGN_TENSORS);
    if (file->n == file->capacity)
        PARE_TRY(grow(file));
    char *copy = pare_arena_alloc(file->arena, length + 1);
    if (!copy)
        return PARE_MEMORY;
    memcpy(copy, name, length);
    copy[length] = '\0';
    file->tensors[file->n] = *tensor;
    file->tensors[file->n++].name = copy;
    file->sorted = false;
    return PARE_OK;
}

void pare_foreign_set_strides(pare_foreign_tensor *tensor)
{
    int64_t step = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        tensor->stride[i] = step;
        step *= tensor->shape[i];
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const pare_foreign_tensor *)a)->name, ((const pare_foreign_tensor *)b)->name);
}

pare_status pare_foreign_sort(pare_foreign *file, const char *where)
{
    if (file->n)
        qsort(file->tensors, file->n, sizeof *file->tensors, compare_names);
    for (size_t i = 1; i < file->n; i++)
        if (strcmp(file->tensors[i - 1].name, file->tensors[i].name) == 0)
            return pare_fail(PARE_INPUT, "%s: tensor %s is there twice", where,
                             file->tensors[i].name);
    file->sorted = true;
    return PARE_OK;
}

pare_foreign_tensor *pare_foreign_find(const pare_foreign *file, const char *name)
{
    assert(file->sorted || file->n == 0);
    pare_foreign_tensor key = {.name = name};
    return file->n ? bsearch(&key, file->tensors, file->n, sizeof key, compare_names) : NULL;
}

/* snprintf never writes past size, and says how much there would have been. */
char *pare_shape_text(int rank, const int64_t *shape, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ",%lld" : "%lld",
                                 (long long)shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
    return text;
}

/* ---- Conversion ---- */

/* IEEE half: 1 sign, 5 exponent, 10 fraction bits. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff, bits;
    float value;
    if (rest >= 0x7c00) /* infinity, NaN */
        bits = sign | 0x7f800000 | (rest & 0x3ff) << 13;
    else if (rest >= 0x400)
        bits = sign | ((rest << 13) + (112u << 23)); /* bias 127 instead of 15 */
    else { /* subnormal: rest * 2^-24 is exact */
        value = (float)rest * 0x1p-24f;
        return sign ? -value : value;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One element, from any alignment. */
static real load(const unsigned char *at, pare_element element)
{
    float f;
    double d;
    uint16_t half;
    uint32_t bits;
    switch (element) {
    case PARE_ELEMENT_F32: memcpy(&f, at, sizeof f); return (real)f;
    case PARE_ELEMENT_F64: memcpy(&d, at, sizeof d); return (real)d;
    case PARE_ELEMENT_F16: memcpy(&half, at, sizeof half); return (real)half_to_float(half);
    case PARE_ELEMENT_BF16:
        memcpy(&half, at, sizeof half);
        bits = (uint32_t)half << 16;
        memcpy(&f, &bits, sizeof f);
        return (real)f;
    case PARE_ELEMENT_OTHER: break;
    }
    return 0;
}

static size_t element_size(pare_element element)
{
    return element == PARE_ELEMENT_F64 ? 8 : element == PARE_ELEMENT_F32 ? 4 : 2;
}

/* out[n] from n elements that lie `step` elements apart. */
static void convert_run(real *out, const unsigned char *in, pare_element element, int64_t n,
                        int64_t step)
{
#ifndef PARE_DOUBLE
    if (element == PARE_ELEMENT_F32 && step == 1) {
        memcpy(out, in, (size_t)n * sizeof *out);
        return;
    }
#endif
    int64_t bytes = step * (int64_t)element_size(element);
    for (int64_t i = 0; i < n; i++)
        out[i] = load(in + i * bytes, element);
}

/* Whether all are: an exponent of ones is an infinity or a NaN. Integers, so that it vectorises. */
static bool all_finite(const real *x, int64_t n)
{
    bool bad = false;
    for (int64_t i = 0; i < n; i++) {
#ifdef PARE_DOUBLE
        uint64_t bits, ones = (uint64_t)0x7ff << 52;
#else
        uint32_t bits, ones = (uint32_t)0xff << 23;
#endif
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & ones) == ones;
    }
    return !bad;
}

enum { TILE = 1 << 17 };

/* Elements begin ... end of a job, row piece by row piece where the tensor has gaps. */
static void convert_part(const pare_foreign_job *job, int64_t begin, int64_t end)
{
    const pare_foreign_tensor *t = job->tensor;
    int64_t size = (int64_t)element_size(t->element), cols = job->cols;
    int64_t row_step = t->rank == 2 ? t->stride[0] : cols, col_step = t->stride[t->rank - 1];
    if (col_step == 1 && row_step == cols) {
        convert_run(job->out + begin, t->data + begin * size, t->element, end - begin, 1);
        return;
    }
    for (int64_t i = begin, run; i < end; i += run) {
        int64_t row = i / cols, col = i % cols;
        run = cols - col < end - i ? cols - col : end - i;
        convert_run(job->out + i, t->data + (row * row_step + col * col_step) * size, t->element,
                    run, col_step);
    }
}

typedef struct convert_args {
    const pare_foreign_job *jobs;
    size_t n;
    const char *where;
} convert_args;

/* The last job that begins at this tile or before it. */
static size_t find_job(const convert_args *args, int64_t tile)
{
    size_t low = 0, high = args->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (args->jobs[middle].first_tile <= tile)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Tiles count through all jobs; a big tensor has many, so that threads share it evenly. */
static pare_status convert_tile(void *context, int64_t tile)
{
    const convert_args *args = context;
    const pare_foreign_job *job = &args->jobs[find_job(args, tile)];
    int64_t n = job->rows * job->cols, begin = (tile - job->first_tile) * TILE;
    int64_t end = begin + TILE < n ? begin + TILE : n;
    convert_part(job, begin, end);
    if (all_finite(job->out + begin, end - begin))
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: tensor %s holds a value that is not finite",
                               args->where, job->tensor->name),
                     "the model has diverged, or its file is damaged");
}

pare_status pare_foreign_convert(pare_foreign_job *jobs, size_t n, const char *where)
{
    convert_args args = {jobs, n, where};
    int64_t tiles = 0, elements = 0;
    for (size_t i = 0; i < n; i++) {
        const pare_foreign_tensor *t = jobs[i].tensor;
        assert(t->rank == 2 ? t->shape[0] == jobs[i].rows : t->rank == 1 && jobs[i].rows == 1);
        assert(t->shape[t->rank - 1] == jobs[i].cols);
        if (t->element == PARE_ELEMENT_OTHER)
            return pare_fail(PARE_INPUT, "%s: tensor %s is %s: not a type that weights can have",
                             where, t->name, t->dtype);
        jobs[i].first_tile = tiles;
        tiles += (jobs[i].rows * jobs[i].cols + TILE - 1) / TILE;
        elements += jobs[i].rows * jobs[i].cols;
    }
    return pare_parallel_try(tiles, (double)elements, convert_tile, &args);
}
