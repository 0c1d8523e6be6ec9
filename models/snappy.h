/* snappy.h: Google's fast compression, as leveldb uses it for blocks. Reading only.
 *
 * A varint says how many bytes come out; then literal bytes and copies of what came out before, at
 * most 64 bytes each, take turns.
 * Source: https://github.com/google/snappy/blob/main/format_description.txt */
#ifndef PARE_MODELS_SNAPPY_H
#define PARE_MODELS_SNAPPY_H

#include "models/wire.h"

/* Takes the size off the front of `in`. False if it is more than that many bytes can give. */
bool pare_snappy_size(pare_wire *in, uint64_t *size);

/* The rest of `in` into exactly out[size]; false if it gives another size, or is broken. */
bool pare_snappy_unpack(unsigned char *out, uint64_t size, pare_wire in);

#endif
