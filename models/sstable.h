/* sstable.h: sorted tables of keys and values, the file format of leveldb.
 *
 * Blocks, each followed by a byte that says how it is compressed and by a masked CRC-32C; a footer
 * of 48 bytes says where the index block is, whose values say where the data blocks are. A block
 * holds entries in the order of their keys, of which each repeats only the end that differs from
 * the key before it, then the places of those that repeat all, which only searches need.
 * Source: https://github.com/google/leveldb/blob/main/doc/table_format.md */
#ifndef PARE_MODELS_SSTABLE_H
#define PARE_MODELS_SSTABLE_H

#include <stddef.h>

#include "core/status.h"
#include "models/wire.h"

enum { PARE_SSTABLE_KEY = 512 }; /* bytes of a key at most */

/* One entry: key[length], not NUL-ended, any bytes. Both end with the call. */
typedef pare_status pare_sstable_visit(void *context, const char *key, size_t length,
                                       pare_wire value);

/* Calls `visit` for every entry, in the order of the keys, each of which is greater than the one
 * before; the first failure ends it. PARE_INPUT, naming `where` and the place: anything but the
 * format, blocks that overlap or whose CRC differs, keys out of order. It takes time in proportion
 * to `size`, and memory only for blocks that are compressed (snappy): 8 MiB each, two at a time. */
pare_status pare_sstable_read(const unsigned char *bytes, size_t size, const char *where,
                              pare_sstable_visit *visit, void *context);

/* CRCs are stored masked, so that those of data that hold CRCs mean something. */
uint32_t pare_sstable_mask(uint32_t crc);

#endif
