/* store_hdf5.h: what core/store_io.c asks of HDF5, and core/store.c does. */
#ifndef PARE_CORE_STORE_HDF5_H
#define PARE_CORE_STORE_HDF5_H

#include "core/file.h"
#include "core/memory.h"
#include "core/seal.h"
#include "core/store.h"

/* Bytes of an array; false if its shape is not one (rank 1 to 4, sizes from 1, no overflow). */
bool pare_array_bytes(const pare_array *array, uint64_t *bytes);

/* Writes the HDF5 part, all but the seal. extents[n_arrays] tells where each array lies and the
 * CRC-32 of its bytes in memory. */
pare_status pare_hdf5_write(pare_output *out, pare_extent *extents, const pare_array *arrays,
                            size_t n_arrays, const pare_attribute *attributes,
                            size_t n_attributes);

/* An array or a long text, and where its bytes lie in the file. */
typedef struct pare_item {
    pare_array array; /* of a text: its name alone */
    bool is_text;
    uint64_t at, bytes;
} pare_item;

/* What a file holds. Names and short texts are the arena's; the lists are freed by pare_free. */
typedef struct pare_contents {
    const pare_input *in;
    pare_arena *arena;
    pare_item *items;
    size_t n_items;
    pare_attribute *attributes; /* of the root */
    size_t n_attributes;
} pare_contents;

/* Fills the lists. Every item lies inside the file and after the seal; anything that pare does not
 * write (links, chunks, filters, other types) is PARE_INPUT, saying where. The lists hold what was
 * found so far on failure, too. */
pare_status pare_hdf5_list(const char *path, pare_contents *found);

#endif
