/* seal.c: making and checking the first 512 bytes of a store. */
#include "core/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/checksum.h"
#include "core/memory.h"
#include "core/threads.h"

#define MAGIC "pare "
enum {
    VERSION_AT = 5, VERSION_DIGITS = 5,
    SIZE_AT = 16, SIZE_DIGITS = 20,
    CRC_AT = 43, CRC_DIGITS = 8,
    BLOCK = 1 << 20
};

/* The 512 bytes; a crc of 0 makes them as they are when the CRC is taken. */
static void make_seal(char seal[PARE_SEAL_SIZE], uint64_t size, uint32_t crc)
{
    char text[PARE_SEAL_SIZE + 1];
    snprintf(text, sizeof text,
             MAGIC "%0*d\nsize %0*" PRIu64 "\ncrc32 %0*" PRIx32 "\n"
             "An HDF5 file follows at byte 512; HDF5 opens this file as it is.\n"
             "crc32 is over the whole file with its own eight digits as 00000000.\n",
             VERSION_DIGITS, PARE_FORMAT_VERSION, SIZE_DIGITS, size, CRC_DIGITS, crc);
    memset(seal, ' ', PARE_SEAL_SIZE);
    memcpy(seal, text, strlen(text));
    seal[PARE_SEAL_SIZE - 1] = '\n';
}

/* ---- The CRC-32 of a part of a file, in parallel ---- */

typedef struct file_crc {
    const char *path; /* for messages */
    const pare_input *in; /* one of the two */
    pare_output *out;
    uint64_t from, to;
    unsigned char *buffers; /* one block a thread */
    uint32_t *crc;          /* one a block */
} file_crc;

/* One block into bytes[BLOCK]; *size is less than BLOCK for the last one. */
static pare_status read_block(file_crc *job, int64_t block, unsigned char *bytes, size_t *size)
{
    uint64_t at = job->from + (uint64_t)block * BLOCK;
    *size = job->to - at < BLOCK ? (size_t)(job->to - at) : BLOCK;
    return job->in ? pare_input_read_at(job->in, at, bytes, *size)
                   : pare_output_read_at(job->out, at, bytes, *size);
}

static pare_status crc_block(void *context, int64_t tile)
{
    file_crc *job = context;
    unsigned char *bytes = job->buffers + (size_t)pare_thread_index() * BLOCK;
    size_t size;
    PARE_TRY(read_block(job, tile, bytes, &size));
    job->crc[tile] = pare_crc32(0, bytes, size);
    return PARE_OK;
}

/* *crc goes on over the bytes [job->from, job->to). */
static pare_status crc_range(file_crc *job, uint32_t *crc)
{
    int64_t n_blocks = (int64_t)((job->to - job->from + BLOCK - 1) / BLOCK);
    pare_status status = PARE_MEMORY;
    if (n_blocks == 0)
        return PARE_OK;
    job->crc = pare_calloc((size_t)n_blocks, sizeof *job->crc);
    job->buffers = pare_malloc((size_t)pare_threads() * BLOCK);
    if (job->crc && job->buffers)
        status = pare_parallel_try(n_blocks, (double)(job->to - job->from), crc_block, job);
    for (int64_t i = 0; status == PARE_OK && i < n_blocks; i++) {
        uint64_t left = job->to - job->from - (uint64_t)i * BLOCK;
        *crc = pare_crc32_join(*crc, job->crc[i], left < BLOCK ? left : BLOCK);
    }
    pare_free(job->crc);
    pare_free(job->buffers);
    return status;
}

static pare_status crc_of_output(pare_output *out, uint64_t from, uint64_t to, uint32_t *crc)
{
    file_crc job = {.path = pare_output_temporary(out), .out = out, .from = from, .to = to};
    *crc = 0;
    return crc_range(&job, crc);
}

/* ---- Writing ---- */

/* *crc goes on over the gap before an extent and over the extent, which must be as meant. */
static pare_status check_extent(pare_output *out, uint64_t at, const pare_extent *extent,
                                uint32_t *crc)
{
    uint32_t gap, found;
    PARE_TRY(crc_of_output(out, at, extent->at, &gap));
    PARE_TRY(crc_of_output(out, extent->at, extent->at + extent->size, &found));
    if (found != extent->crc)
        return pare_fail(PARE_IO, "%s: bytes %" PRIu64 " to %" PRIu64 " read back differ from "
                         "those written (crc32 %08x, not %08x)", pare_output_temporary(out),
                         extent->at, extent->at + extent->size, found, extent->crc);
    *crc = pare_crc32_join(*crc, gap, extent->at - at);
    *crc = pare_crc32_join(*crc, found, extent->size);
    return PARE_OK;
}

pare_status pare_seal_write(pare_output *out, const pare_extent *extents, size_t n_extents)
{
    char seal[PARE_SEAL_SIZE], back[PARE_SEAL_SIZE];
    uint64_t size = pare_output_size(out), at = PARE_SEAL_SIZE;
    uint32_t rest;
    make_seal(seal, size, 0);
    uint32_t crc = pare_crc32(0, seal, sizeof seal);
    /* gap, array, gap, array, ..., the rest: every byte is read once */
    for (size_t i = 0; i < n_extents; i++) {
        PARE_TRY(check_extent(out, at, &extents[i], &crc));
        at = extents[i].at + extents[i].size;
    }
    PARE_TRY(crc_of_output(out, at, size, &rest));
    crc = pare_crc32_join(crc, rest, size - at);
    make_seal(seal, size, crc);
    pare_output_write_at(out, 0, seal, sizeof seal);
    PARE_TRY(pare_output_read_at(out, 0, back, sizeof back));
    if (memcmp(seal, back, sizeof seal) != 0)
        return pare_fail(PARE_IO, "%s: its first bytes read back differ from those written",
                         pare_output_temporary(out));
    return PARE_OK;
}

/* ---- Checking ---- */

/* The number whose n digits stand at `text`; false if anything else stands there. */
static bool read_digits(const char *text, int n, unsigned base, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < n; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
        if (digit >= base || *value > (UINT64_MAX - digit) / base)
            return false;
        *value = *value * base + digit;
    }
    return true;
}

static pare_status fail_version(const char *path, uint64_t version)
{
    pare_fail(PARE_INPUT, "%s: written in format %" PRIu64 ", by a later pare (this one, "
              PARE_VERSION ", reads formats up to %d)", path, version, PARE_FORMAT_VERSION);
    return pare_hint(PARE_INPUT, "use the pare that wrote it, or a newer one");
}

static pare_status fail_damaged(void)
{
    return pare_hint(PARE_INPUT, "the file is damaged: take another copy of it, or make it again");
}

/* A size that differs needs no look at the bytes. */
static pare_status check_size(const char *path, uint64_t size, uint64_t stated)
{
    if (size < stated)
        pare_fail(PARE_INPUT, "%s: truncated: it has %" PRIu64 " of its %" PRIu64 " bytes", path,
                  size, stated);
    else if (size > stated)
        pare_fail(PARE_INPUT, "%s: %" PRIu64 " bytes stand behind its end (%" PRIu64 " bytes)",
                  path, size - stated, stated);
    return size == stated ? PARE_OK : fail_damaged();
}

pare_status pare_seal_check(const pare_input *in, const char *path)
{
    char seal[PARE_SEAL_SIZE];
    uint64_t version, stated, stated_crc;
    uint64_t size = pare_input_size(in);
    size_t n = size < sizeof seal ? (size_t)size : sizeof seal;
    PARE_TRY(pare_input_read_at(in, 0, seal, n));
    if (n < strlen(MAGIC) || memcmp(seal, MAGIC, strlen(MAGIC)) != 0) {
        pare_fail(PARE_INPUT, "%s: not a pare file", path);
        return pare_hint(PARE_INPUT, "make one from a Hugging Face directory: pare import DIR %s",
                         "OUT.h5");
    }
    if (n < sizeof seal) {
        pare_fail(PARE_INPUT, "%s: truncated after %" PRIu64 " bytes", path, size);
        return fail_damaged();
    }
    bool whole = read_digits(seal + VERSION_AT, VERSION_DIGITS, 10, &version);
    if (whole && version > PARE_FORMAT_VERSION)
        return fail_version(path, version);
    whole = whole && version > 0 && read_digits(seal + SIZE_AT, SIZE_DIGITS, 10, &stated) &&
            read_digits(seal + CRC_AT, CRC_DIGITS, 16, &stated_crc);
    if (!whole) {
        pare_fail(PARE_INPUT, "%s: its first line is damaged", path);
        return fail_damaged();
    }
    PARE_TRY(check_size(path, size, stated));
    memset(seal + CRC_AT, '0', CRC_DIGITS);
    uint32_t crc = pare_crc32(0, seal, sizeof seal);
    file_crc job = {.path = path, .in = in, .from = sizeof seal, .to = size};
    PARE_TRY(crc_range(&job, &crc));
    if (crc == stated_crc)
        return PARE_OK;
    pare_fail(PARE_INPUT, "%s: checksum differs: its bytes have crc32 %08x, it states %08x", path,
              crc, (unsigned)stated_crc);
    return fail_damaged();
}
