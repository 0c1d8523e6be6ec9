/* seal.h: the 512 bytes in front of a store's HDF5 part.
 *
 * They say what the file is, how long it is and which CRC-32 it has, so that it can be checked
 * before any parser sees it.
 *
 *   "pare 00001\n" "size " 20 digits "\n" "crc32 " 8 hexadecimal digits "\n" a note, spaces, "\n"
 *
 * The CRC is over the whole file with its own eight digits read as "00000000". */
#ifndef PARE_CORE_SEAL_H
#define PARE_CORE_SEAL_H

#include "core/file.h"

enum { PARE_SEAL_SIZE = 512, PARE_FORMAT_VERSION = 1 };

/* Bytes of an output whose CRC-32 is known from memory: what was meant to be written there. */
typedef struct pare_extent {
    uint64_t at, size;
    uint32_t crc;
} pare_extent;

/* Reads the output back, compares every extent with what was meant, and writes the seal.
 * The extents are in the order of their places and do not overlap. */
pare_status pare_seal_write(pare_output *out, const pare_extent *extents, size_t n_extents);

/* Checks a whole file against its seal: PARE_INPUT, saying what is wrong. */
pare_status pare_seal_check(const pare_input *in, const char *path);

#endif
