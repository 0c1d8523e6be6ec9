/* store.c: the HDF5 part of a store.
 *
 * When reading, HDF5 is asked for structure alone: where an array lies, of what type and shape. The
 * bytes are then read straight into their place. */
#include "core/hdf5_session.h"
#include "core/store_hdf5.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/checksum.h"
#include "core/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "stores are little-endian, and so must be the machine");

enum {
    LONGEST_ATTRIBUTE = 32 << 10, /* bytes of a string; longer ones are datasets */
    ALIGNMENT = 64,               /* of arrays from so many bytes on: they can be used where they */
    ALIGNED_FROM = 1024,          /* ... are mapped */
    MAX_DEPTH = 8,                /* groups inside groups */
    MAX_OBJECTS = 1 << 20
};

/* A copy of the type in the file, which is also that in memory; bfloat16 is the upper half of a
 * float32, and HDF5 and h5py convert it. */
static hid_t type_new(pare_dtype dtype)
{
    switch (dtype) {
    case PARE_F32: return H5Tcopy(H5T_IEEE_F32LE);
    case PARE_F64: return H5Tcopy(H5T_IEEE_F64LE);
    case PARE_I64: return H5Tcopy(H5T_STD_I64LE);
    case PARE_U8: return H5Tcopy(H5T_STD_U8LE);
    case PARE_I8: return H5Tcopy(H5T_STD_I8LE);
    case PARE_BF16: break;
    }
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (H5Tset_fields(type, 15, 7, 8, 0, 7) >= 0 && H5Tset_ebias(type, 127) >= 0 &&
        H5Tset_size(type, 2) >= 0)
        return type;
    pare_hdf5_release(type);
    return -1;
}

static hid_t string_type_new(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (H5Tset_size(type, size) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        return type;
    pare_hdf5_release(type);
    return -1;
}

/* ---- Writing ---- */

static bool is_dataset(const pare_attribute *a)
{
    return a->type == PARE_ATTR_STRING &&
           (strchr(a->name, '/') || strlen(a->string) >= LONGEST_ATTRIBUTE);
}

/* What is being written. */
typedef struct writer {
    hid_t file, group_plist, data_plist;
    pare_extent *extents; /* [n_arrays] */
    size_t n_extents;
} writer;

/* Makes the groups that "a/b/c" needs, "a" and "a/b", without time stamps. */
static bool make_groups(const writer *w, const char *name)
{
    char *part = pare_strdup(name);
    bool good = part != NULL;
    for (char *slash = part; good && (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        htri_t there = H5Lexists(w->file, part, H5P_DEFAULT);
        if (there == 0) {
            hid_t group = H5Gcreate2(w->file, part, H5P_DEFAULT, w->group_plist, H5P_DEFAULT);
            there = group >= 0 && H5Gclose(group) >= 0 ? 1 : -1;
        }
        good = there > 0;
        *slash = '/';
    }
    pare_free(part);
    return good;
}

/* One dataset; *at is the place of its bytes in the file. Takes type and space over. */
static bool write_dataset(const writer *w, const char *name, hid_t type, hid_t space,
                          const void *data, uint64_t *at)
{
    hid_t set = -1;
    if (type >= 0 && space >= 0 && make_groups(w, name))
        set = H5Dcreate2(w->file, name, type, space, H5P_DEFAULT, w->data_plist, H5P_DEFAULT);
    bool good = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    haddr_t offset = good ? H5Dget_offset(set) : HADDR_UNDEF;
    *at = offset;
    if (set >= 0 && H5Dclose(set) < 0)
        good = false;
    pare_hdf5_release(space);
    pare_hdf5_release(type);
    return good && offset != HADDR_UNDEF;
}

static bool write_array(writer *w, const pare_array *array)
{
    hsize_t shape[PARE_MAX_RANK];
    pare_extent *extent = &w->extents[w->n_extents++];
    for (int i = 0; i < array->rank; i++)
        shape[i] = (hsize_t)array->shape[i];
    pare_array_bytes(array, &extent->size);
    extent->crc = pare_crc32(0, array->data, extent->size);
    return write_dataset(w, array->name, type_new(array->dtype),
                         H5Screate_simple(array->rank, shape, NULL), array->data, &extent->at);
}

static bool write_attribute(const writer *w, const pare_attribute *a)
{
    const void *value = &a->integer;
    hid_t type, space = H5Screate(H5S_SCALAR), attribute = -1;
    uint64_t at;
    if (a->type == PARE_ATTR_STRING) {
        value = a->string;
        type = string_type_new(strlen(a->string) + 1); /* with its NUL: HDF5 has no empty type */
        if (is_dataset(a))
            return write_dataset(w, a->name, type, space, value, &at);
    } else if (a->type == PARE_ATTR_DOUBLE) {
        value = &a->number;
        type = type_new(PARE_F64);
    } else {
        type = type_new(PARE_I64);
    }
    if (type >= 0 && space >= 0)
        attribute = H5Acreate2(w->file, a->name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;
    if (attribute >= 0 && H5Aclose(attribute) < 0)
        good = false;
    pare_hdf5_release(type);
    H5Sclose(space);
    return good;
}

/* A file without time stamps: the same content gives the same bytes. */
static bool writer_open(writer *w, hid_t fapl)
{
    hid_t plist = H5Pcreate(H5P_FILE_CREATE);
    w->group_plist = H5Pcreate(H5P_GROUP_CREATE);
    w->data_plist = H5Pcreate(H5P_DATASET_CREATE);
    w->file = -1;
    if (H5Pset_userblock(plist, PARE_SEAL_SIZE) >= 0 && H5Pset_obj_track_times(plist, 0) >= 0 &&
        H5Pset_obj_track_times(w->group_plist, 0) >= 0 &&
        H5Pset_obj_track_times(w->data_plist, 0) >= 0 &&
        H5Pset_layout(w->data_plist, H5D_CONTIGUOUS) >= 0 &&
        H5Pset_alignment(fapl, ALIGNED_FROM, ALIGNMENT) >= 0)
        w->file = H5Fcreate("pare", H5F_ACC_TRUNC, plist, fapl);
    pare_hdf5_release(plist);
    return w->file >= 0;
}

static bool writer_close(writer *w)
{
    bool good = w->file >= 0 && H5Fclose(w->file) >= 0;
    pare_hdf5_release(w->group_plist);
    pare_hdf5_release(w->data_plist);
    return good;
}

/* The output's own error is the cause of what HDF5 then says, and goes before it. */
pare_status pare_hdf5_write(pare_output *out, pare_extent *extents, const pare_array *arrays,
                            size_t n_arrays, const pare_attribute *attributes,
                            size_t n_attributes)
{
    pare_hdf5_session work;
    writer w = {-1, -1, -1, extents, 0};
    const char *path = pare_output_temporary(out);
    bool good = pare_hdf5_begin(&work, path, NULL, out) && writer_open(&w, work.fapl);
    for (size_t i = 0; good && i < n_attributes; i++)
        good = write_attribute(&w, &attributes[i]);
    for (size_t i = 0; good && i < n_arrays; i++)
        good = write_array(&w, &arrays[i]) && pare_output_status(out) == PARE_OK;
    pare_status status = good ? PARE_OK : pare_hdf5_fail(&work, PARE_INTERNAL, path);
    if (!writer_close(&w) && good)
        status = pare_hdf5_fail(&work, PARE_INTERNAL, path);
    pare_hdf5_end(&work);
    PARE_TRY(pare_output_status(out));
    return status;
}

/* ---- Listing what a file holds ---- */

typedef struct scanner {
    const char *path;
    pare_contents *found;
    const char *prefix; /* of the names in this group: "" or "model/" */
    int depth;
    pare_status status; /* an error of ours; PARE_OK where HDF5 has one */
} scanner;

/* Refuses the file: what stands under this name is nothing that pare writes. */
__attribute__((format(printf, 3, 4)))
static herr_t refuse(scanner *s, const char *name, const char *format, ...)
{
    char reason[256];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    s->status = pare_fail(PARE_INPUT, "%s: %s%s: %s", s->path, s->prefix, name, reason);
    return -1;
}

/* One more element at the end of a list that grows by doubling; NULL without memory. */
static void *list_grow(void **list, size_t n, size_t size)
{
    if (n == 0 || (n >= 32 && (n & (n - 1)) == 0)) { /* 32, 64, 128, ... are full */
        void *larger = pare_realloc(*list, (n < 32 ? 32 : 2 * n) * size);
        if (!larger)
            return NULL;
        *list = larger;
    }
    return (char *)*list + n * size;
}

static bool is_string(hid_t type, size_t *size)
{
    *size = H5Tget_size(type);
    return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && *size > 0;
}

static bool find_dtype(hid_t type, pare_dtype *dtype)
{
    for (pare_dtype d = PARE_F32; d <= PARE_I8; d++) {
        hid_t ours = type_new(d);
        bool same = ours >= 0 && H5Tequal(type, ours) > 0;
        H5Tclose(ours);
        *dtype = d;
        if (same)
            return true;
    }
    return false;
}

/* The value of an open attribute of a scalar type into *a; false with the status set, or not. */
static bool read_value(scanner *s, hid_t attribute, hid_t type, pare_attribute *a)
{
    size_t size;
    pare_dtype dtype;
    if (is_string(type, &size)) {
        if (size > pare_input_size(s->found->in))
            return refuse(s, a->name, "%zu bytes of text pass the file's end", size) >= 0;
        char *text = pare_arena_zalloc(s->found->arena, size + 1);
        s->status = text ? PARE_OK : PARE_MEMORY;
        a->type = PARE_ATTR_STRING;
        a->string = text;
        return text && H5Aread(attribute, type, text) >= 0;
    }
    if (!find_dtype(type, &dtype) || (dtype != PARE_I64 && dtype != PARE_F64))
        return refuse(s, a->name, "an attribute of a type that pare does not write") >= 0;
    a->type = dtype == PARE_I64 ? PARE_ATTR_INT : PARE_ATTR_DOUBLE;
    return H5Aread(attribute, type, dtype == PARE_I64 ? (void *)&a->integer : &a->number) >= 0;
}

static herr_t scan_attribute(hid_t root, const char *name, const H5A_info_t *info, void *context)
{
    (void)info;
    scanner *s = context;
    pare_contents *found = s->found;
    pare_attribute *a = list_grow((void **)&found->attributes, found->n_attributes, sizeof *a);
    if (!a || found->n_attributes >= MAX_OBJECTS) {
        s->status = a ? pare_fail(PARE_INPUT, "%s: too many attributes", s->path) : PARE_MEMORY;
        return -1;
    }
    *a = (pare_attribute){.name = pare_arena_strdup(found->arena, name)};
    hid_t attribute = H5Aopen(root, name, H5P_DEFAULT);
    hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    hid_t space = attribute >= 0 ? H5Aget_space(attribute) : -1;
    bool good = a->name && type >= 0 && space >= 0;
    if (good && H5Sget_simple_extent_type(space) != H5S_SCALAR)
        good = refuse(s, name, "an attribute of many values") >= 0;
    good = good && read_value(s, attribute, type, a);
    pare_hdf5_release(space);
    pare_hdf5_release(type);
    pare_hdf5_release(attribute);
    found->n_attributes += good;
    return good ? 0 : -1;
}

/* Type and shape of a dataset into *item. */
static herr_t read_shape(scanner *s, const char *name, hid_t type, hid_t space, pare_item *item)
{
    pare_array *array = &item->array;
    hsize_t shape[H5S_MAX_RANK];
    size_t size;
    H5S_class_t class = H5Sget_simple_extent_type(space);
    item->is_text = class == H5S_SCALAR && is_string(type, &size);
    if (item->is_text) {
        item->bytes = size;
        return 0;
    }
    if (!find_dtype(type, &array->dtype))
        return refuse(s, name, "an array of a type that pare does not write");
    array->rank = class == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, shape, NULL) : 0;
    if (array->rank < 1 || array->rank > PARE_MAX_RANK)
        return refuse(s, name, "an array of %d dimensions (1 to %d are known)", array->rank,
                      PARE_MAX_RANK);
    for (int i = 0; i < array->rank; i++) {
        array->shape[i] = shape[i] <= INT64_MAX ? (int64_t)shape[i] : -1;
        if (array->shape[i] < 1)
            return refuse(s, name, "dimension %d has size %" PRIu64, i, (uint64_t)shape[i]);
    }
    if (!pare_array_bytes(array, &item->bytes))
        return refuse(s, name, "an array of more than 2^63 bytes");
    return 0;
}

/* The place of its bytes: in this file, in one piece, as they are. */
static herr_t read_place(scanner *s, const char *name, hid_t set, hid_t plist, pare_item *item)
{
    if (H5Pget_layout(plist) != H5D_CONTIGUOUS)
        return refuse(s, name, "stored in chunks or otherwise than in one piece");
    uint64_t end = pare_input_size(s->found->in), stored = H5Dget_storage_size(set);
    if (stored != item->bytes)
        return refuse(s, name, "%" PRIu64 " bytes are stored for it, its shape takes %" PRIu64,
                      stored, item->bytes);
    item->at = H5Dget_offset(set);
    if (item->at < PARE_SEAL_SIZE || item->at > end || item->bytes > end - item->at)
        return refuse(s, name, "%" PRIu64 " bytes at byte %" PRIu64 " pass the file's end (%"
                      PRIu64 ")", item->bytes, item->at, end);
    return 0;
}

static herr_t scan_dataset(scanner *s, const char *name, hid_t set)
{
    pare_contents *found = s->found;
    pare_item *item = list_grow((void **)&found->items, found->n_items, sizeof *item);
    if (!item || found->n_items >= MAX_OBJECTS) {
        s->status = item ? pare_fail(PARE_INPUT, "%s: too many arrays", s->path) : PARE_MEMORY;
        return -1;
    }
    *item = (pare_item){.array.name = pare_arena_printf(found->arena, "%s%s", s->prefix, name)};
    hid_t type = H5Dget_type(set), space = H5Dget_space(set), plist = H5Dget_create_plist(set);
    herr_t result = -1;
    if (!item->array.name)
        s->status = PARE_MEMORY;
    else if (type >= 0 && space >= 0 && plist >= 0)
        result = read_shape(s, name, type, space, item);
    if (result >= 0)
        result = read_place(s, name, set, plist, item);
    pare_hdf5_release(type);
    pare_hdf5_release(space);
    pare_hdf5_release(plist);
    found->n_items += result >= 0;
    return result;
}

/* Not H5_ITER_INC: HDF5 1.10.8 would sort a table, and free what it never filled of a bad one. */
static herr_t scan_link(hid_t parent, const char *name, const H5L_info_t *info, void *context);

static herr_t scan_group(scanner *s, const char *name, hid_t group)
{
    scanner inner = *s;
    inner.depth++;
    inner.prefix = pare_arena_printf(s->found->arena, "%s%s/", s->prefix, name);
    if (inner.depth > MAX_DEPTH)
        return refuse(s, name, "groups lie more than %d deep", MAX_DEPTH);
    hsize_t at = 0;
    const herr_t result = !inner.prefix ? -1 : H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE,
                                                          &at, scan_link, &inner);
    s->status = inner.prefix ? inner.status : PARE_MEMORY;
    return result;
}

/* Looks at an object's header before HDF5 opens what it describes: 1.10.8 has memory faults in
 * reading parts that pare does not write, such as lists of other files. The parts' numbers are
 * those of the HDF5 file format, section IV.A.2. */
static herr_t check_header(scanner *s, hid_t at, const char *name)
{
    enum { PLACES_ELSEWHERE = 7, FILTERS = 11 };
    static const uint64_t known = 0x61156f; /* 0 to 3, 5, 6, 8, 10, 12, 16, 21, 22 (links) */
    H5O_info_t info;
    if (H5Oget_info_by_name2(at, name, &info, H5O_INFO_HDR, H5P_DEFAULT) < 0)
        return -1;
    const uint64_t others = info.hdr.mesg.present & ~known;
    if (others >> PLACES_ELSEWHERE & 1)
        return refuse(s, name, "stored in another file");
    if (others >> FILTERS & 1)
        return refuse(s, name, "stored compressed or filtered");
    return others ? refuse(s, name, "its header has parts that pare does not write") : 0;
}

static herr_t scan_link(hid_t parent, const char *name, const H5L_info_t *info, void *context)
{
    scanner *s = context;
    if (info->type != H5L_TYPE_HARD)
        return refuse(s, name, "a link to another place or file");
    if (check_header(s, parent, name) < 0)
        return -1;
    hid_t object = H5Oopen(parent, name, H5P_DEFAULT);
    if (object < 0)
        return -1;
    H5I_type_t kind = H5Iget_type(object);
    herr_t result = kind == H5I_GROUP     ? scan_group(s, name, object)
                    : kind == H5I_DATASET ? scan_dataset(s, name, object)
                                          : refuse(s, name, "neither a group nor an array");
    H5Oclose(object);
    return result;
}

pare_status pare_hdf5_list(const char *path, pare_contents *found)
{
    pare_hdf5_session work;
    scanner s = {.path = path, .found = found, .prefix = ""};
    hsize_t k = 0, link = 0;
    bool good = pare_hdf5_begin(&work, path, found->in, NULL);
    hid_t f = good ? H5Fopen("pare", H5F_ACC_RDONLY, work.fapl) : -1;
    good = f >= 0 && check_header(&s, f, ".") >= 0 &&
           H5Aiterate2(f, H5_INDEX_NAME, H5_ITER_NATIVE, &k, scan_attribute, &s) >= 0;
    good = good && H5Literate(f, H5_INDEX_NAME, H5_ITER_NATIVE, &link, scan_link, &s) >= 0;
    pare_status status = PARE_OK;
    if (!good && s.status != PARE_OK && work.status == PARE_OK && errno != ENOMEM)
        status = s.status;
    else if (!good)
        status = pare_hdf5_fail(&work, PARE_INPUT, path);
    pare_hdf5_release(f);
    pare_hdf5_end(&work);
    return status;
}
