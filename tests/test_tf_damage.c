/* test_tf_damage.c: tables and compressed blocks that must be refused, and checkpoints of which a
 * part is missing or turned. */
#include "tests/tf_tiny.h"

#include "core/checksum.h"
#include "models/snappy.h"
#include "models/sstable.h"

/* ---- Wrong tables ---- */

static pare_status count_entry(void *context, const char *key, size_t length, pare_wire value)
{
    (void)key, (void)length, (void)value;
    ++*(int *)context;
    return PARE_OK;
}

static void assert_table(const bytes *file, const char *says, int entries)
{
    int n = 0;
    pare_status status = pare_sstable_read(file->at, file->n, "t", count_entry, &n);
    if (says) {
        assert_status(status, PARE_INPUT);
        assert_message_has(says);
    } else {
        assert_ok(status);
        assert_int_equal(n, entries);
    }
}

/* One block of these bytes, its CRC right. */
static void check_block(const char *content, size_t size, int kind, const char *says)
{
    bytes block = {0}, file = {0};
    put(&block, content, size);
    handle h = {0, size};
    if (kind == NOT_PACKED) {
        h = table_block(&file, &block, kind);
    } else { /* packed already, or of a kind that there is not */
        put(&file, content, size);
        put_byte(&file, (unsigned)kind);
        put(&file, &(uint32_t){masked_crc(file.at, size + 1)}, 4);
        free(block.at);
    }
    table_end(&file, &h, 1, NOT_PACKED);
    assert_table(&file, says, 1);
    free(file.at);
}

static void test_wrong_blocks(void **state)
{
    (void)state;
#define END "\0\0\0\0\1\0\0\0" /* one restart */
#define BLOCK(text) text, sizeof text - 1
    check_block(BLOCK("\0\1\1kv" END), NOT_PACKED, NULL);
    check_block(BLOCK(""), NOT_PACKED, "it is too short");
    check_block(BLOCK("\0\0\0"), NOT_PACKED, "it is too short");
    check_block(BLOCK("\1\0\0\0"), NOT_PACKED, "list of restarts leaves it");
    check_block(BLOCK("\0\0\0\0\xff\xff\xff\xff"), NOT_PACKED, "list of restarts leaves it");
    check_block(BLOCK("\0\2\1kv" END), NOT_PACKED, "an entry leaves it");
    check_block(BLOCK("\0\1\2kv" END), NOT_PACKED, "an entry leaves it");
    check_block(BLOCK("\0\1" END), NOT_PACKED, "an entry leaves it");
    check_block(BLOCK("\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1kv" END), NOT_PACKED,
                "an entry leaves it"); /* -1 */
    check_block(BLOCK("\0\1\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0kv" END), NOT_PACKED,
                "an entry leaves it"); /* 12 bytes of a number */
    check_block(BLOCK("\0\1\x81\x80\x80\x80\x80\x80\x80\x80\x80\2kv" END), NOT_PACKED,
                "an entry leaves it"); /* 2^64 + 1 */
    check_block(BLOCK("\1\1\1kv" END), NOT_PACKED, "repeats more than the key before it has");
    check_block(BLOCK("\0\1\1kv\2\1\1lv" END), NOT_PACKED, "repeats more");
    check_block(BLOCK("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1kv" END), NOT_PACKED,
                "repeats more");
    check_block(BLOCK("\0\1\1kv\0\1\1kv" END), NOT_PACKED, "not greater");
    check_block(BLOCK("\0\1\1kv\0\1\1jv" END), NOT_PACKED, "not greater");
    check_block(BLOCK("\0\1\1kv\1\0\1v" END), NOT_PACKED, "not greater");
    check_block(BLOCK("\0\1\1kv" END), 2, "its compression 2 is neither none nor snappy");
    check_block(BLOCK("\x0d\x30\0\1\1kv" END), PACKED, NULL);
    check_block(BLOCK("\x0e\x30\0\1\1kv" END), PACKED, "its compressed data are broken");
    check_block(BLOCK("\xff\xff\xff\x7f\x30\0\1\1kv" END), PACKED, "announces more bytes");
    check_block(BLOCK(""), PACKED, "announces more bytes");
    char *key = calloc(1, 1024);
    assert_non_null(key);
    memcpy(key, "\0\x81\4\0", 4); /* a key of 513 bytes */
    memset(key + 4, 'k', 513);
    memcpy(key + 4 + 513, END, 8);
    check_block(key, 4 + 513 + 8, NOT_PACKED, "a key is too long");
    key[1] = (char)0x80; /* 512; the value begins with the last k */
    key[3] = 1;
    check_block(key, 4 + 513 + 8, NOT_PACKED, NULL);
    free(key);
}

/* Half a megabyte that unpacks to 9, all of it one letter: more than a block may have. */
static void test_large_block(void **state)
{
    (void)state;
    enum { SIZE = 9 << 20 };
    bytes packed = {0};
    put_varint(&packed, SIZE);
    put_literal(&packed, (const unsigned char *)"aaaa", 4);
    for (int left = SIZE - 4; left > 0; left -= left < 64 ? left : 64)
        put_copy(&packed, left < 64 ? (size_t)left : 64, 4);
    check_block((const char *)packed.at, packed.n, PACKED, "announces more bytes than");
    free(packed.at);
}

/* A block's first key repeats nothing, though there was a key in the block before it. */
static void test_second_block(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {{"\1\1\1kv" END, "block at byte 18: a key repeats more"},
                 {"\0\1\1jv" END, "block at byte 18: a key is not greater"},
                 {"\0\1\1kv" END, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes block = {0}, file = {0};
        handle at[2];
        put(&block, BLOCK("\0\1\1jv" END));
        at[0] = table_block(&file, &block, NOT_PACKED);
        put(&block, cases[i].text, 13);
        at[1] = table_block(&file, &block, NOT_PACKED);
        table_end(&file, at, 2, NOT_PACKED);
        assert_table(&file, cases[i].says, 2);
        free(file.at);
    }
}

static void test_wrong_places(void **state)
{
    (void)state;
    static const struct {
        handle first, second; /* the two blocks are 13 + 5 bytes each, at 0 and 18 */
        const char *says;
    } cases[] = {
        {{0, 13}, {18, 13}, NULL},
        {{0, 13}, {0, 13}, "overlaps the one before it"},
        {{0, 13}, {17, 13}, "overlaps the one before it"},
        {{18, 13}, {18, 13}, "overlaps the one before it"},
        {{0, 12}, {18, 13}, "CRC-32C differs"},
        {{0, 13}, {18, 14}, "CRC-32C differs"},
        {{0, UINT64_MAX}, {18, 13}, "leaves the file"},
        {{UINT64_MAX, 1}, {18, 13}, "leaves the file"},
        {{UINT64_MAX - 3, 13}, {18, 13}, "leaves the file"},
        {{0, 13}, {18, 1 << 20}, "leaves the file"},
        {{0, 13}, {18, UINT64_MAX - 20}, "leaves the file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes block = {0}, file = {0};
        handle at[2] = {cases[i].first, cases[i].second};
        put(&block, BLOCK("\0\1\1jv" END));
        (void)table_block(&file, &block, NOT_PACKED);
        put(&block, BLOCK("\0\1\1kv" END));
        (void)table_block(&file, &block, NOT_PACKED);
        table_end(&file, at, 2, NOT_PACKED);
        assert_table(&file, cases[i].says, 2);
        free(file.at);
    }
    bytes file = {0};
    table_footer(&file, (handle){0, 0}, (handle){0, 0});
    assert_table(&file, "leaves the file", 0);
    memset(file.at, 0xff, 40);
    assert_table(&file, "the footer is broken", 0);
    file.at[47] ^= 1;
    assert_table(&file, "does not end as a table does", 0);
    file.n = 47;
    assert_table(&file, "47 bytes are too few", 0);
    free(file.at);
}

/* More entries than any BERT has: refused before they fill the memory. */
static void test_many_entries(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    bytes block = {0}, file = {0};
    tf_checkpoint *c = make_checkpoint(1, TF_FLOAT);
    bytes header = {0};
    put_header(&header, c);
    table_entry(&block, 0, "", 0, header.at, header.n);
    for (unsigned i = 0; i < 1 << 15; i++) {
        unsigned char key[9] = {'c', 'l', 's', '/', 'a' + (i >> 12), 'a' + (i >> 8 & 15),
                                'a' + (i >> 4 & 15), 'a' + (i & 15)};
        table_entry(&block, 0, key, 8, "", 0);
    }
    table_restarts(&block, 1);
    handle h = table_block(&file, &block, NOT_PACKED);
    table_end(&file, &h, 1, NOT_PACKED);
    make_directory(dir);
    test_path(path, dir, "m.ckpt.index");
    test_file_write(path, file.at, file.n);
    assert_refused(dir, "holds more than 32768 entries");
    free(header.at);
    free(file.at);
    free_checkpoint(c);
}

/* ---- Damage ---- */

/* A file of a directory, to be harmed. */
typedef struct victim {
    char dir[TEST_PATH], path[TEST_PATH];
    unsigned char *at;
    size_t n;
} victim;

static void open_victim(victim *v, const char *name)
{
    test_path(v->path, v->dir, name);
    v->at = (unsigned char *)test_file_read(v->path, &v->n);
}

static void close_victim(victim *v)
{
    test_file_write(v->path, v->at, v->n);
    free(v->at);
}

/* Only PARE_INPUT may come of it, or what was there before. */
static bool is_refused(const victim *v, const pare_model *want, size_t n)
{
    pare_model *m = NULL;
    assert_int_equal(remove(v->path), 0); /* else some file systems flush each one */
    test_file_write(v->path, v->at, n);
    pare_status status = pare_import(v->dir, &m);
    if (status == PARE_OK)
        assert_same(m, want, 0);
    else if (status != PARE_INPUT)
        fail_msg("%s: status %d: %s", v->path, (int)status, pare_error_message());
    pare_model_free(m);
    return status == PARE_INPUT;
}

/* Where an index has its block about blocks, which nobody needs: the footer's first number. */
static size_t meta_place(const victim *v)
{
    pare_wire in = {v->at + v->n - FOOTER, v->at + v->n, false};
    return (size_t)pare_wire_varint(&in);
}

/* The file is refused at every length but its own, and with any bit turned; but for an index's
 * footer, where some are never read, and its block about blocks, 8 bytes and a trailer. */
static void harm(victim *v, const char *name, bool index, const pare_model *want)
{
    open_victim(v, name);
    size_t meta = index ? meta_place(v) : v->n, footer = index ? v->n - FOOTER : v->n;
    for (size_t n = 0; n < v->n; n++)
        assert_true(is_refused(v, want, n));
    for (size_t i = 0; i < 8 * v->n; i += 5) {
        v->at[i / 8] ^= (unsigned char)(1 << i % 8);
        bool unread = i / 8 >= footer || (i / 8 >= meta && i / 8 < meta + 13);
        if (!is_refused(v, want, v->n) && !unread)
            fail_msg("%s: nobody saw bit %zu of byte %zu", name, i % 8, i / 8);
        v->at[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    close_victim(v);
}

/* stderr goes nowhere meanwhile: hundreds of notes would follow. */
static int quiet(void)
{
    fflush(stderr);
    int kept = dup(2);
    assert_non_null(freopen("/dev/null", "w", stderr));
    return kept;
}

static void loud(int kept)
{
    fflush(stderr);
    assert_int_equal(dup2(kept, 2), 2);
    close(kept);
}

static void test_damage(void **state)
{
    (void)state;
    pare_model *want = import(DATA "tiny");
    int kept = quiet();
    for (int kind = NOT_PACKED; kind <= PACKED; kind++) {
        victim v;
        make_directory(v.dir);
        tf_checkpoint *c = make_checkpoint(2, TF_FLOAT);
        write_checkpoint(c, v.dir, 500, kind);
        harm(&v, "m.ckpt.data-00000-of-00002", false, want);
        harm(&v, "m.ckpt.data-00001-of-00002", false, want);
        harm(&v, "m.ckpt.index", true, want);
        free_checkpoint(c);
    }
    loud(kept);
    pare_model_free(want);
}

/* The same with right CRCs, so that the damage gets further: one block of entries, some of its
 * bytes at random, imported. It is the sanitizers who look at what happens. */
static void test_random_blocks(void **state)
{
    (void)state;
    enum { ROUNDS = 3000 };
    victim v;
    uint64_t random = 1;
    make_directory(v.dir);
    tf_checkpoint *c = make_checkpoint(1, TF_FLOAT);
    write_checkpoint(c, v.dir, 1 << 18, NOT_PACKED);
    open_victim(&v, "m.ckpt.index");
    size_t size = meta_place(&v) - 5;
    int kept = quiet();
    for (int i = 0; i < ROUNDS; i++) {
        bytes block = {0}, file = {0};
        put(&block, v.at, size);
        for (int k = 0; k <= i % 4; k++) {
            random = random * 6364136223846793005 + 1442695040888963407;
            block.at[(random >> 33) % size] = (unsigned char)(random >> 24);
        }
        handle h = table_block(&file, &block, i % 2 ? PACKED : NOT_PACKED);
        if (i % 8 == 7) { /* what is packed, at random */
            file.at[(random >> 40) % h.size] ^= (unsigned char)(random >> 20);
            memcpy(file.at + h.size + 1, &(uint32_t){masked_crc(file.at, h.size + 1)}, 4);
        }
        table_end(&file, &h, 1, NOT_PACKED);
        assert_int_equal(remove(v.path), 0);
        test_file_write(v.path, file.at, file.n);
        pare_model *m = NULL;
        pare_status status = pare_import(v.dir, &m);
        if (status != PARE_OK && status != PARE_INPUT)
            fail_msg("round %d: status %d: %s", i, (int)status, pare_error_message());
        assert_true((status == PARE_OK) == (m != NULL));
        pare_model_free(m);
        free(file.at);
    }
    loud(kept);
    close_victim(&v);
    free_checkpoint(c);
}

/* ---- Snappy and the CRC ---- */

static void test_snappy(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *out; /* NULL: refused */
    } cases[] = {
        {BLOCK("\0"), ""},
        {BLOCK("\3\x08" "abc"), "abc"},
        {BLOCK("\7\x08" "abc\x01\3"), "abcabca"},
        {BLOCK("\x0a\0a\x22\1\0"), "aaaaaaaaaa"}, /* it copies what it makes */
        {BLOCK("\x0a\0a\x23\1\0\0\0"), "aaaaaaaaaa"},
        {BLOCK("\3\xf0\2abc"), "abc"},
        {BLOCK("\3\xf4\2\0abc"), "abc"},
        {BLOCK("\3\xf8\2\0\0abc"), "abc"},
        {BLOCK("\3\xfc\2\0\0\0abc"), "abc"},
        {BLOCK("\3\xfc\xff\xff\xff\xff" "abc"), NULL},
        {BLOCK("\3\x0c" "abc"), NULL},
        {BLOCK("\3\x0c" "abcd"), NULL},      /* a literal past the end */
        {BLOCK("\3\x04" "ab"), NULL},        /* too little */
        {BLOCK("\7\x08" "abc\x01\4"), NULL}, /* from before the begin */
        {BLOCK("\7\x08" "abc\x01\0"), NULL}, /* from nowhere */
        {BLOCK("\6\x08" "abc\x01\3"), NULL}, /* a copy past the end */
        {BLOCK("\7\x08" "abc\x01"), NULL},
        {BLOCK("\7\x08" "abc\x02\3"), NULL},
        {BLOCK("\7\x08" "abc\x03\3\0\0"), NULL},
        {BLOCK("\3\xf4\2"), NULL},
        {BLOCK("\x80"), NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char out[64];
        uint64_t size;
        const unsigned char *begin = (const unsigned char *)cases[i].in;
        pare_wire in = {begin, begin + cases[i].n, false};
        bool good = pare_snappy_size(&in, &size) && size <= sizeof out &&
                    pare_snappy_unpack(out, size, in);
        assert_int_equal(good, cases[i].out != NULL);
        if (good)
            assert_memory_equal(out, cases[i].out, size);
    }
}

static void test_crc32c(void **state)
{
    (void)state;
    unsigned char text[64];
    assert_int_equal(pare_crc32c(0, "123456789", 9), 0xe3069283); /* RFC 3720's check */
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof text; n++) {
        uint32_t want = crc32c_bits(text, n);
        assert_int_equal(pare_crc32c(0, text, n), want);
        assert_int_equal(pare_crc32c(pare_crc32c(0, text, n / 3), text + n / 3, n - n / 3), want);
    }
    assert_int_equal(pare_sstable_mask(crc32c_bits(text, 9)), masked_crc(text, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_blocks),
        cmocka_unit_test(test_large_block),
        cmocka_unit_test(test_second_block),
        cmocka_unit_test(test_wrong_places),
        cmocka_unit_test(test_many_entries),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_snappy),
        cmocka_unit_test(test_crc32c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
