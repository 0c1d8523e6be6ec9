/* tests/tf_writer.h: TensorFlow checkpoints by a writer of our own, whole or with one thing wrong.
 *
 *   bytes block = {0}, file = {0};
 *   table_entry(&block, 0, "a", 1, "value", 5);        shared, rest of the key, value
 *   table_restarts(&block, 1);
 *   handle data = table_block(&file, &block, NOT_PACKED);
 *   table_end(&file, &data, 1, NOT_PACKED);            index block and footer
 *
 * Nothing here is the reader's code: the CRC goes bit by bit, snappy by a search for repeats. */
#ifndef PARE_TESTS_TF_WRITER_H
#define PARE_TESTS_TF_WRITER_H

#include "tests/harness.h"

typedef struct bytes {
    unsigned char *at;
    size_t n, room;
} bytes;

typedef struct handle {
    uint64_t at, size;
} handle;

enum { NOT_PACKED = 0, PACKED = 1, FOOTER = 48 };

TEST_UNUSED static void put(bytes *b, const void *from, size_t n)
{
    if (b->n + n > b->room) {
        b->room = 2 * (b->n + n) + 64;
        b->at = realloc(b->at, b->room);
        assert_non_null(b->at);
    }
    if (n)
        memcpy(b->at + b->n, from, n);
    b->n += n;
}

static void put_byte(bytes *b, unsigned value)
{
    put(b, &(unsigned char){(unsigned char)value}, 1);
}

static void put_varint(bytes *b, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        put_byte(b, (unsigned)value | 128);
    put_byte(b, (unsigned)value);
}

TEST_UNUSED static void put_number(bytes *b, unsigned tag, uint64_t value)
{
    put_byte(b, tag);
    put_varint(b, value);
}

TEST_UNUSED static void put_message(bytes *b, unsigned tag, bytes *message)
{
    put_number(b, tag, message->n);
    put(b, message->at, message->n);
    free(message->at);
    *message = (bytes){0};
}

static uint32_t crc32c_bits(const void *from, size_t n)
{
    uint32_t crc = ~0u;
    for (const unsigned char *p = from; n > 0; n--, p++) {
        crc ^= *p;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static uint32_t masked_crc(const void *from, size_t n)
{
    uint32_t crc = crc32c_bits(from, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* ---- Snappy ---- */

static void put_literal(bytes *out, const unsigned char *from, size_t n)
{
    if (n == 0)
        return;
    if (n <= 60) {
        put_byte(out, (unsigned)(n - 1) << 2);
    } else { /* two bytes of length */
        assert_true(n <= 65536);
        put_byte(out, 61 << 2);
        put_byte(out, (unsigned)(n - 1) & 255);
        put_byte(out, (unsigned)(n - 1) >> 8);
    }
    put(out, from, n);
}

/* All three kinds of copies take turns where more than one can be. */
static void put_copy(bytes *out, size_t length, size_t distance)
{
    static int turn;
    if (length <= 11 && distance < 2048) {
        put_byte(out, 1 | (unsigned)(length - 4) << 2 | (unsigned)(distance >> 8) << 5);
        put_byte(out, (unsigned)distance & 255);
        return;
    }
    bool wide = turn++ % 2 == 0 || distance > 65535;
    put_byte(out, (wide ? 3 : 2) | (unsigned)(length - 1) << 2);
    const uint32_t offset = (uint32_t)distance;
    put(out, &offset, wide ? 4 : 2);
}

/* The longest repeat among the last 4096 places, by trying all of them. */
static size_t find_repeat(const unsigned char *from, size_t at, size_t n, size_t *distance)
{
    size_t best = 0;
    for (size_t d = 1; d <= at && d <= 4096; d++) {
        size_t length = 0;
        while (length < 64 && at + length < n && from[at + length] == from[at + length - d])
            length++;
        if (length > best) {
            best = length;
            *distance = d;
        }
    }
    return best;
}

TEST_UNUSED static void pack(bytes *out, const unsigned char *from, size_t n)
{
    size_t literal = 0, distance = 0;
    put_varint(out, n);
    for (size_t at = 0; at < n;) {
        size_t length = find_repeat(from, at, n, &distance);
        if (length < 4) {
            at++;
            continue;
        }
        put_literal(out, from + literal, at - literal);
        put_copy(out, length, distance);
        literal = at += length;
    }
    put_literal(out, from + literal, n - literal);
}

/* ---- Tables ---- */

TEST_UNUSED static void table_entry(bytes *block, size_t shared, const void *rest, size_t n,
                                    const void *value, size_t size)
{
    put_varint(block, shared);
    put_varint(block, n);
    put_varint(block, size);
    put(block, rest, n);
    put(block, value, size);
}

/* Where readers may begin: at the first entry, n times. */
static void table_restarts(bytes *block, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        put(block, &(uint32_t){0}, 4);
    put(block, &n, 4);
}

/* Appends the block, its kind and its CRC; empties it. */
static handle table_block(bytes *file, bytes *block, int kind)
{
    handle h = {file->n, 0};
    if (kind == PACKED)
        pack(file, block->at, block->n);
    else
        put(file, block->at, block->n);
    h.size = file->n - h.at;
    put_byte(file, (unsigned)kind);
    const uint32_t crc = masked_crc(file->at + h.at, h.size + 1);
    put(file, &crc, 4);
    free(block->at);
    *block = (bytes){0};
    return h;
}

static void table_footer(bytes *file, handle meta, handle index)
{
    static const unsigned char zeros[40];
    const uint64_t magic = 0xdb4775248b80fb57;
    size_t begin = file->n;
    put_varint(file, meta.at);
    put_varint(file, meta.size);
    put_varint(file, index.at);
    put_varint(file, index.size);
    put(file, zeros, 40 - (file->n - begin));
    put(file, &magic, sizeof magic);
}

/* The index of n data blocks, under the keys "\1", "\2", ... , which nobody looks at. */
TEST_UNUSED static void table_end(bytes *file, const handle *blocks, size_t n, int kind)
{
    bytes meta = {0}, index = {0};
    table_restarts(&meta, 1);
    handle meta_at = table_block(file, &meta, NOT_PACKED);
    for (size_t i = 0; i < n; i++) {
        bytes value = {0};
        unsigned char key[2] = {(unsigned char)(1 + i / 256), (unsigned char)i};
        put_varint(&value, blocks[i].at);
        put_varint(&value, blocks[i].size);
        table_entry(&index, 0, key, sizeof key, value.at, value.n);
        free(value.at);
    }
    table_restarts(&index, 1);
    table_footer(file, meta_at, table_block(file, &index, kind));
}

/* ---- Checkpoints ---- */

enum { TF_FLOAT = 1, TF_DOUBLE = 2, TF_STRING = 7, TF_INT64 = 9, TF_BFLOAT16 = 14, TF_HALF = 19 };
enum { TF_ENTRIES = 64, TF_SHARDS = 3, TF_RANK = 10 };

typedef struct tf_entry {
    char key[128];
    uint64_t dtype, rank, shape[TF_RANK], shard, offset, size;
    uint32_t crc;
    bool no_rank, sliced;
} tf_entry;

/* What becomes the index, and the bytes of the files of data. */
typedef struct tf_checkpoint {
    tf_entry entries[TF_ENTRIES];
    size_t n;
    bool no_header;
    uint64_t n_shards, big_endian, min_consumer;
    bytes data[TF_SHARDS];
} tf_checkpoint;

/* BundleHeaderProto. */
static void put_header(bytes *out, const tf_checkpoint *c)
{
    bytes version = {0};
    put_number(out, 0x08, c->n_shards);
    put_number(out, 0x10, c->big_endian);
    put_number(&version, 0x08, 1);
    put_number(&version, 0x10, c->min_consumer);
    put_message(out, 0x1a, &version);
}

/* BundleEntryProto; fields of 0 are left out, as protocol buffers do. */
static void put_entry(bytes *out, const tf_entry *e)
{
    bytes shape = {0}, dim = {0}, slice = {0};
    put_number(out, 0x08, e->dtype);
    for (uint64_t i = 0; i < e->rank; i++) {
        put_number(&dim, 0x08, e->shape[i]);
        put_message(&shape, 0x12, &dim);
    }
    if (e->no_rank)
        put_number(&shape, 0x18, 1);
    put_message(out, 0x12, &shape);
    if (e->shard)
        put_number(out, 0x18, e->shard);
    if (e->offset)
        put_number(out, 0x20, e->offset);
    put_number(out, 0x28, e->size);
    put_byte(out, 0x35);
    put(out, &e->crc, 4);
    if (e->sliced)
        put_message(out, 0x3a, &slice);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const tf_entry *)a)->key, ((const tf_entry *)b)->key);
}

/* Blocks of `room` bytes or a little more, keys cut short where they repeat. */
TEST_UNUSED static void write_index(tf_checkpoint *c, size_t room, int kind, bytes *file)
{
    handle blocks[TF_ENTRIES + 1];
    size_t n = 0;
    bytes block = {0}, value = {0};
    const char *last = "";
    put_header(&value, c);
    if (!c->no_header)
        table_entry(&block, 0, "", 0, value.at, value.n);
    qsort(c->entries, c->n, sizeof *c->entries, compare_keys);
    for (size_t i = 0; i < c->n; i++) {
        const char *key = c->entries[i].key;
        size_t shared = 0;
        if (block.n >= room) {
            table_restarts(&block, 1);
            blocks[n++] = table_block(file, &block, kind);
            last = "";
        }
        while (key[shared] && key[shared] == last[shared])
            shared++;
        value.n = 0;
        put_entry(&value, &c->entries[i]);
        table_entry(&block, shared, key + shared, strlen(key) - shared, value.at, value.n);
        last = key;
    }
    table_restarts(&block, 1);
    blocks[n++] = table_block(file, &block, kind);
    table_end(file, blocks, n, kind);
    free(value.at);
}

/* dir/m.ckpt.index and the files of data. */
TEST_UNUSED static void write_checkpoint(tf_checkpoint *c, const char *dir, size_t room, int kind)
{
    char path[TEST_PATH], name[64];
    bytes file = {0};
    write_index(c, room, kind, &file);
    test_path(path, dir, "m.ckpt.index");
    test_file_write(path, file.at, file.n);
    free(file.at);
    for (uint64_t i = 0; i < TF_SHARDS && i < c->n_shards; i++) {
        snprintf(name, sizeof name, "m.ckpt.data-%05d-of-%05d", (int)i, (int)c->n_shards);
        test_path(path, dir, name);
        test_file_write(path, c->data[i].n ? (void *)c->data[i].at : "", c->data[i].n);
    }
}

TEST_UNUSED static void free_checkpoint(tf_checkpoint *c)
{
    for (int i = 0; i < TF_SHARDS; i++)
        free(c->data[i].at);
    free(c);
}

#endif
