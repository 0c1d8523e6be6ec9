/* store.h: named arrays and attributes in one HDF5 file.
 *
 * The file is pare's one format for models and training states; its layout, and how to check it
 * with six lines of Python, is docs/checkpoint.md. HDF5 begins after a 512-byte user block of ours
 * that holds the format's version, the file's size and a CRC-32 over the whole file: it is checked
 * before the library sees the file. Arrays are contiguous, so that they load at memory speed.
 *
 * Names are paths inside the file ("model/bert.pooler.dense.bias"); groups are made as needed.
 * The same arrays and attributes give the same bytes. */
#ifndef PARE_CORE_STORE_H
#define PARE_CORE_STORE_H

#include <stdint.h>

#include "core/file.h"
#include "core/status.h"

typedef enum pare_dtype { PARE_F32, PARE_F64, PARE_I64, PARE_U8, PARE_BF16, PARE_I8 } pare_dtype;
size_t pare_dtype_size(pare_dtype dtype);
/* That of a real (core/real.h). */
#ifdef PARE_DOUBLE
#define PARE_REAL_DTYPE PARE_F64
#else
#define PARE_REAL_DTYPE PARE_F32
#endif

enum { PARE_MAX_RANK = 4 };

/* One array of at least one element. Written: data is read. Listed: data is NULL. */
typedef struct pare_array {
    const char *name;
    pare_dtype dtype;
    int rank;
    int64_t shape[PARE_MAX_RANK];
    const void *data;
} pare_array;

/* One attribute of the root. The value that its type names is set. Strings may be long (a
 * vocabulary): those that pass 32 KiB, and those whose name is a path ("model/vocab.txt"), are
 * stored as scalar string datasets, and read back the same way. */
typedef enum pare_attribute_type {
    PARE_ATTR_INT,
    PARE_ATTR_DOUBLE,
    PARE_ATTR_STRING
} pare_attribute_type;
typedef struct pare_attribute {
    const char *name;
    pare_attribute_type type;
    int64_t integer;
    double number;
    const char *string; /* UTF-8 without NULs */
} pare_attribute;

/* Writes everything to `path` atomically (temporary name, fsync, read back and verify, rename).
 * Needs no second copy of the data in memory. */
pare_status pare_store_write(const char *path, const pare_array *arrays, size_t n_arrays,
                             const pare_attribute *attributes, size_t n_attributes);

/* The number of bytes that such a file will take, within 64 KiB: for the free-space check. */
uint64_t pare_store_estimate(const pare_array *arrays, size_t n_arrays,
                             const pare_attribute *attributes, size_t n_attributes);

/* Opening checks the user block and the checksum first; anything wrong is PARE_INPUT naming the
 * path and what is wrong (not a pare file, truncated at, checksum differs, newer version). */
typedef struct pare_store pare_store;
pare_status pare_store_open(const char *path, pare_store **out);
void pare_store_close(pare_store *store); /* NULL is allowed */
pare_status pare_store_verify(const char *path); /* the checks alone */

/* The arrays, sorted by name. */
size_t pare_store_count(const pare_store *store);
const pare_array *pare_store_array(const pare_store *store, size_t index);
/* NULL if there is no such array. */
const pare_array *pare_store_find(const pare_store *store, const char *name);
/* Reads the array into `out`, which has room for it; F32 and F64 are converted to `as`, other
 * types must equal it. */
pare_status pare_store_read(pare_store *store, const char *name, pare_dtype as, void *out);

/* The file's bytes without a copy; the map is the caller's, and outlives the store. */
pare_status pare_store_map(const pare_store *store, pare_map *map);
/* The array's place in that map; NULL where it has to be read: of another type, not aligned, or
 * without a map. */
void *pare_store_find_mapped(const pare_store *store, const pare_map *map, const char *name,
                             pare_dtype as);

/* Attributes of the root. A missing one gives `otherwise` (strings are owned by the store). */
bool pare_store_has_attribute(const pare_store *store, const char *name);
int64_t pare_store_int(const pare_store *store, const char *name, int64_t otherwise);
double pare_store_double(const pare_store *store, const char *name, double otherwise);
const char *pare_store_string(const pare_store *store, const char *name, const char *otherwise);

#endif
