/* sstable.c: footer, index block and data blocks, every number checked against the file. */
#include "models/sstable.h"

#include <string.h>

#include "core/checksum.h"
#include "core/memory.h"
#include "models/snappy.h"

enum {
    MAGIC_SIZE = 8,
    FOOTER_SIZE = 40 + MAGIC_SIZE, /* two handles, and zeros up to the magic number */
    TRAILER_SIZE = 1 + 4,          /* compression and CRC behind a block */
    NOT_COMPRESSED = 0,
    SNAPPY = 1,
    MAX_UNPACKED = 8 << 20         /* bytes of a compressed block; writers begin a new one at 4 KiB
                                    * (leveldb) or 256 KiB (TensorFlow) */
};

static const uint64_t TABLE_MAGIC = 0xdb4775248b80fb57;

typedef struct reader {
    const unsigned char *bytes;
    uint64_t size; /* of all but the footer */
    const char *where;
} reader;

/* A block's place, without its trailer. */
typedef struct handle {
    uint64_t at, size;
} handle;

/* A walk over entries; the key goes on from one data block to the next. */
typedef struct cursor {
    uint64_t block;   /* where the block begins in the file */
    unsigned char *unpacked; /* what a compressed block becomes; owned */
    pare_wire in;     /* entries of the block that are left */
    char key[PARE_SSTABLE_KEY];
    size_t length;    /* of the last key */
    size_t shareable; /* how much of it the next may repeat: nothing at the begin of a block */
    bool begun;       /* there is a last key */
    pare_wire value;
} cursor;

uint32_t pare_sstable_mask(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static pare_status refuse(const reader *r, uint64_t block, const char *reason)
{
    return pare_fail(PARE_INPUT, "%s: damaged table: block at byte %llu: %s", r->where,
                     (unsigned long long)block, reason);
}

static handle read_handle(pare_wire *in)
{
    handle h;
    h.at = pare_wire_varint(in);
    h.size = pare_wire_varint(in);
    return h;
}

/* ---- Blocks ---- */

static uint32_t number(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* The block lies in the file, and is what was written; the CRC is of its compression, too. */
static pare_status check_block(const reader *r, handle h)
{
    if (h.at > r->size || r->size - h.at < TRAILER_SIZE || h.size > r->size - h.at - TRAILER_SIZE)
        return pare_fail(PARE_INPUT, "%s: damaged table: a block of %llu bytes at byte %llu leaves "
                         "the file (cut short?)", r->where, (unsigned long long)h.size,
                         (unsigned long long)h.at);
    const unsigned char *begin = r->bytes + h.at, *trailer = begin + h.size;
    if (pare_sstable_mask(pare_crc32c(0, begin, h.size + 1)) != number(trailer + 1))
        return refuse(r, h.at, "its CRC-32C differs: it is damaged");
    if (*trailer != NOT_COMPRESSED && *trailer != SNAPPY)
        return pare_fail(PARE_INPUT, "%s: block at byte %llu: its compression %u is neither none "
                         "nor snappy", r->where, (unsigned long long)h.at, (unsigned)*trailer);
    return PARE_OK;
}

/* *block = what it unpacks to, in the cursor's memory. */
static pare_status unpack(const reader *r, cursor *c, pare_wire *block)
{
    uint64_t size;
    if (!pare_snappy_size(block, &size) || size > MAX_UNPACKED)
        return refuse(r, c->block, "it announces more bytes than it can unpack to");
    pare_free(c->unpacked);
    c->unpacked = pare_malloc(size);
    if (!c->unpacked)
        return PARE_MEMORY;
    if (!pare_snappy_unpack(c->unpacked, size, *block))
        return refuse(r, c->block, "its compressed data are broken");
    *block = (pare_wire){c->unpacked, c->unpacked + size, false};
    return PARE_OK;
}

/* Entries are what stands before the list of restarts, whose length ends the block. */
static pare_status open_block(const reader *r, handle h, cursor *c)
{
    PARE_TRY(check_block(r, h));
    c->block = h.at;
    c->shareable = 0;
    c->in = (pare_wire){r->bytes + h.at, r->bytes + h.at + h.size, false};
    if (*c->in.end == SNAPPY)
        PARE_TRY(unpack(r, c, &c->in));
    uint64_t size = (uint64_t)(c->in.end - c->in.at);
    if (size < 4)
        return refuse(r, h.at, "it is too short");
    uint64_t restarts = number(c->in.end - 4);
    if (restarts > size / 4 - 1)
        return refuse(r, h.at, "its list of restarts leaves it");
    c->in.end -= 4 + 4 * restarts;
    return PARE_OK;
}

/* ---- Entries ---- */

/* Whether key[0 ... shared) and rest[n] together are greater than the whole key. */
static bool is_greater(const cursor *c, size_t shared, const unsigned char *rest, size_t n)
{
    size_t left = c->length - shared;
    int order = memcmp(rest, c->key + shared, n < left ? n : left);
    return !c->begun || order > 0 || (order == 0 && n > left);
}

/* The next entry's key and value; *more is false at the end of the block. */
static pare_status next_entry(const reader *r, cursor *c, bool *more)
{
    *more = c->in.at < c->in.end;
    if (!*more)
        return PARE_OK;
    uint64_t shared = pare_wire_varint(&c->in), n = pare_wire_varint(&c->in);
    uint64_t size = pare_wire_varint(&c->in);
    const unsigned char *rest = pare_wire_take(&c->in, n);
    const unsigned char *value = pare_wire_take(&c->in, size);
    if (!value)
        return refuse(r, c->block, "an entry leaves it");
    if (shared > c->shareable)
        return refuse(r, c->block, "a key repeats more than the key before it has");
    if (n > PARE_SSTABLE_KEY - shared)
        return refuse(r, c->block, "a key is too long");
    if (!is_greater(c, shared, rest, n))
        return refuse(r, c->block, "a key is not greater than the key before it");
    memcpy(c->key + shared, rest, n);
    c->length = c->shareable = shared + n;
    c->begun = true;
    c->value = (pare_wire){value, value + size, false};
    return PARE_OK;
}

/* ---- All of it ---- */

/* Where the index block is. The other handle, of blocks about blocks, is passed over. */
static pare_status read_footer(reader *r, handle *index)
{
    uint64_t magic;
    if (r->size < FOOTER_SIZE)
        return pare_fail(PARE_INPUT, "%s: %llu bytes are too few for a table", r->where,
                         (unsigned long long)r->size);
    r->size -= FOOTER_SIZE;
    const unsigned char *footer = r->bytes + r->size;
    memcpy(&magic, footer + FOOTER_SIZE - MAGIC_SIZE, sizeof magic);
    if (magic != TABLE_MAGIC)
        return pare_hint(pare_fail(PARE_INPUT, "%s: does not end as a table does", r->where),
                         "the file is cut short or no index of a TensorFlow checkpoint");
    pare_wire in = {footer, footer + FOOTER_SIZE - MAGIC_SIZE, false};
    (void)read_handle(&in);
    *index = read_handle(&in);
    return in.broken ? refuse(r, r->size, "the footer is broken") : PARE_OK;
}

/* The entries of the data block that an entry of the index names. Blocks follow one another: none
 * is read twice, however many entries name it. *end moves behind it. */
static pare_status read_block(const reader *r, const cursor *index, uint64_t *end, cursor *c,
                              pare_sstable_visit *visit, void *context)
{
    pare_wire value = index->value;
    handle h = read_handle(&value);
    if (value.broken)
        return refuse(r, index->block, "an entry of the index is broken");
    if (h.at < *end)
        return refuse(r, h.at, "it overlaps the one before it");
    PARE_TRY(open_block(r, h, c));
    *end = h.at + h.size + TRAILER_SIZE;
    for (bool more = true;;) {
        PARE_TRY(next_entry(r, c, &more));
        if (!more)
            return PARE_OK;
        PARE_TRY(visit(context, c->key, c->length, c->value));
    }
}

/* Every data block, in the index's order. */
static pare_status read_blocks(const reader *r, cursor *index, cursor *data,
                               pare_sstable_visit *visit, void *context)
{
    uint64_t end = 0;
    for (bool more = true;;) {
        PARE_TRY(next_entry(r, index, &more));
        if (!more)
            return PARE_OK;
        PARE_TRY(read_block(r, index, &end, data, visit, context));
    }
}

pare_status pare_sstable_read(const unsigned char *bytes, size_t size, const char *where,
                              pare_sstable_visit *visit, void *context)
{
    reader r = {bytes, size, where};
    handle at;
    cursor index = {.length = 0}, data = {.length = 0};
    PARE_TRY(read_footer(&r, &at));
    pare_status status = open_block(&r, at, &index);
    if (status == PARE_OK)
        status = read_blocks(&r, &index, &data, visit, context);
    pare_free(index.unpacked);
    pare_free(data.unpacked);
    return status;
}
