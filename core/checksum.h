/* checksum.h: CRC-32 and inflate through libdeflate and zlib (the only user of their headers),
 * CRC-32C, SHA-256. */
#ifndef PARE_CORE_CHECKSUM_H
#define PARE_CORE_CHECKSUM_H

#include <stdint.h>

#include "core/status.h"

/* CRC-32 (RFC 1952, as zlib's), in parallel over blocks of 1 MiB; the same value as of one call. */
uint32_t pare_crc32(uint32_t crc, const void *bytes, size_t size);

/* The CRC-32 of a text whose first part has the CRC `a` and whose last size_b bytes have `b`. */
uint32_t pare_crc32_join(uint32_t a, uint32_t b, uint64_t size_b);

/* CRC-32C (Castagnoli's polynomial, RFC 3720), which leveldb and TensorFlow use. In one thread. */
uint32_t pare_crc32c(uint32_t crc, const void *bytes, size_t size);

/* SHA-256 (FIPS 180-4), as 64 hexadecimal digits and a NUL. */
void pare_sha256_hex(const void *bytes, size_t size, char hex[65]);

/* Raw deflate data into exactly `size` bytes: anything else is PARE_INPUT. */
pare_status pare_inflate_raw(void *out, size_t size, const void *in, size_t in_size);

#endif
