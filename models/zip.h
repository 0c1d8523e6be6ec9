/* zip.h: the entries of a zip archive in memory: stored or deflate, with zip64.
 *
 * Opening checks the whole directory: names are unique and free of control characters, every entry
 * lies inside the archive and overlaps no other, and its local header agrees with the directory.
 * Sources: PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.5.3. */
#ifndef PARE_MODELS_ZIP_H
#define PARE_MODELS_ZIP_H

#include <stdint.h>

#include "core/memory.h"
#include "core/status.h"

typedef struct pare_zip_entry {
    const char *name;          /* in the arena, NUL-ended */
    const unsigned char *data; /* as it lies in the archive */
    uint64_t packed, size;     /* bytes there, and unpacked */
    uint32_t crc;
    bool deflated;
    const unsigned char *unpacked; /* set by pare_zip_unpack */
} pare_zip_entry;

typedef struct pare_zip {
    const char *where; /* for messages */
    pare_arena *arena;
    pare_zip_entry *entries; /* sorted by name */
    size_t n;
    uint64_t inflated, inflate_limit; /* bytes of entries that were deflated */
} pare_zip;

/* Anything wrong is PARE_INPUT naming `where`, the entry and the reason. Entries live in the arena;
 * the bytes must outlive them. */
pare_status pare_zip_open(const unsigned char *bytes, size_t size, const char *where,
                          pare_arena *arena, pare_zip *out);

/* NULL if there is none of that name. */
pare_zip_entry *pare_zip_find(const pare_zip *zip, const char *name);

/* *data[entry->size]: in the archive if it is stored there, else inflated into the arena, once. Its
 * CRC-32 is checked. All that is inflated together may take four times the archive and 24 MiB: with
 * the arena's room to grow, a small archive takes less than 64 MiB. */
pare_status pare_zip_unpack(pare_zip *zip, pare_zip_entry *entry, const unsigned char **data);

#endif
