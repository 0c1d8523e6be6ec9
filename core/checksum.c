/* checksum.c: CRC-32 (libdeflate, zlib joins), inflate (zlib), CRC-32C and SHA-256 (our own). */
#include "core/checksum.h"

#include <libdeflate.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "core/threads.h"

enum { BLOCK = 1 << 20, MAX_BLOCKS = 256 };

uint32_t pare_crc32_join(uint32_t a, uint32_t b, uint64_t size_b)
{
    return (uint32_t)crc32_combine(a, b, (z_off_t)size_b);
}

/* Up to MAX_BLOCKS blocks, each with its own CRC, to be joined in order. */
typedef struct crc_job {
    const unsigned char *bytes;
    size_t size;
    uint32_t crc[MAX_BLOCKS];
} crc_job;

/* Every block has BLOCK bytes but for the last one, which has the rest. */
static size_t block_size(size_t size, size_t block)
{
    size_t left = size - block * BLOCK;
    return left < BLOCK ? left : BLOCK;
}

static void crc_block(void *context, int64_t tile)
{
    crc_job *job = context;
    size_t block = (size_t)tile;
    const unsigned char *bytes = job->bytes + block * BLOCK;
    job->crc[block] = libdeflate_crc32(0, bytes, block_size(job->size, block));
}

/* The blocks are of one size at any number of threads, and joined in their order: the CRC of the
 * whole does not depend on how it is cut, but the time does. */
uint32_t pare_crc32(uint32_t crc, const void *bytes, size_t size)
{
    const unsigned char *next = bytes;
    if (size <= BLOCK) /* also NULL with size 0, which libdeflate would take for "start" */
        return size ? libdeflate_crc32(crc, next, size) : crc;
    while (size > 0) {
        crc_job job = {.bytes = next, .size = size};
        if (job.size > (size_t)MAX_BLOCKS * BLOCK)
            job.size = (size_t)MAX_BLOCKS * BLOCK;
        size_t n_blocks = (job.size + BLOCK - 1) / BLOCK;
        pare_parallel((int64_t)n_blocks, crc_block, &job);
        for (size_t i = 0; i < n_blocks; i++)
            crc = pare_crc32_join(crc, job.crc[i], block_size(job.size, i));
        next += job.size;
        size -= job.size;
    }
    return crc;
}

/* ---- CRC-32C ---- */

#ifdef __SSE4_2__ /* has an instruction for just this polynomial */
uint32_t pare_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    const unsigned char *next = bytes;
    uint64_t wide = ~crc, word;
    for (; size >= sizeof word; size -= sizeof word, next += sizeof word) {
        memcpy(&word, next, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (size_t i = 0; i < size; i++)
        crc = __builtin_ia32_crc32qi(crc, next[i]);
    return ~crc;
}
#else
uint32_t pare_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    static const uint32_t table[16] = { /* what four bits leave, by the reversed 0x1edc6f41 */
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
        0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab,
        0xe330a81a, 0xf36e6f75};
    const unsigned char *next = bytes;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ next[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ next[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}
#endif

/* ---- Inflate ---- */

/* zlib counts in unsigned int: hands it the next piece of what is left. */
static uInt next_piece(size_t *left)
{
    uInt n = *left < UINT_MAX ? (uInt)*left : UINT_MAX;
    *left -= n;
    return n;
}

/* The output's size is known and is the limit: a bomb is noticed when it passes it. */
pare_status pare_inflate_raw(void *out, size_t size, const void *in, size_t in_size)
{
    unsigned char none[1];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .next_out = size ? out : none};
    size_t out_left = size, in_left = in_size;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) /* negative: raw, without header and trailer */
        return pare_fail(PARE_MEMORY, "out of memory for inflating %zu bytes", size);
    int result = Z_OK;
    while (result == Z_OK) {
        if (z.avail_in == 0)
            z.avail_in = next_piece(&in_left);
        if (z.avail_out == 0)
            z.avail_out = next_piece(&out_left);
        result = inflate(&z, Z_NO_FLUSH); /* Z_BUF_ERROR once either side is at its end */
    }
    size_t made = size - out_left - z.avail_out;
    bool all_read = in_left == 0 && z.avail_in == 0;
    inflateEnd(&z);
    if (result == Z_MEM_ERROR)
        return pare_fail(PARE_MEMORY, "out of memory for inflating %zu bytes", size);
    if (result != Z_STREAM_END || made != size || !all_read)
        return pare_fail(PARE_INPUT, "compressed data are corrupt: %zu bytes in do not give the "
                         "%zu bytes they should", in_size, size);
    return PARE_OK;
}

/* ---- SHA-256 (FIPS 180-4) ---- */

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* Round i of 8. The standard moves a ... h on by one place a round; here the places move instead,
 * and as i is a constant in each call they are registers. */
static inline void sha_round(uint32_t s[8], int i, uint32_t k_plus_w)
{
    uint32_t a = s[-i & 7], b = s[(1 - i) & 7], c = s[(2 - i) & 7];
    uint32_t e = s[(4 - i) & 7], f = s[(5 - i) & 7], g = s[(6 - i) & 7];
    uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    uint32_t t1 = s[(7 - i) & 7] + s1 + ((e & f) ^ (~e & g)) + k_plus_w;
    uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    s[(3 - i) & 7] += t1;
    s[(7 - i) & 7] = t1 + s0 + ((a & b) ^ (a & c) ^ (b & c));
}

/* One block of 64 bytes into the state h[8]. */
static void sha_block(uint32_t h[8], const unsigned char *p)
{
    uint32_t w[64], s[8];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 |
               (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    memcpy(s, h, sizeof s); /* a ... h of the standard */
    for (int t = 0; t < 64; t += 8) { /* after 8 rounds a ... h are where they were */
        sha_round(s, 0, sha_k[t] + w[t]);
        sha_round(s, 1, sha_k[t + 1] + w[t + 1]);
        sha_round(s, 2, sha_k[t + 2] + w[t + 2]);
        sha_round(s, 3, sha_k[t + 3] + w[t + 3]);
        sha_round(s, 4, sha_k[t + 4] + w[t + 4]);
        sha_round(s, 5, sha_k[t + 5] + w[t + 5]);
        sha_round(s, 6, sha_k[t + 6] + w[t + 6]);
        sha_round(s, 7, sha_k[t + 7] + w[t + 7]);
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

void pare_sha256_hex(const void *bytes, size_t size, char hex[65])
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const unsigned char *p = bytes;
    size_t whole = size / 64 * 64, rest = size - whole;
    for (size_t at = 0; at < whole; at += 64)
        sha_block(h, p + at);
    /* The end: a one bit, zeros, and the length in bits as 64 bits, in one block or two. */
    unsigned char end[128] = {0};
    size_t end_size = rest < 56 ? 64 : 128;
    if (rest)
        memcpy(end, p + whole, rest);
    end[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        end[end_size - 1 - (size_t)i] = (unsigned char)((uint64_t)size * 8 >> (8 * i));
    for (size_t at = 0; at < end_size; at += 64)
        sha_block(h, end + at);
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", h[i]);
}
