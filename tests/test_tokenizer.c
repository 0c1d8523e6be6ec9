/* The tokenizer against the reference's ids: by hand on a tiny vocabulary, by frozen vectors for
 * every kind of character, and by goldens on the real vocabulary and whole corpora. */
#include "core/utf8.h"
#include "core/checksum.h"
#include "core/json.h"
#include "core/memory.h"
#include "tasks/tokenizer.h"
#include "tasks/unicode.h"
#include "tasks/words.h"
#include "tests/harness.h"

static const char tiny[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nun\n##aff\n##able\n,\n!\n[\n]\nmask\ncafe\nx\n"
    "##x\na\nb\n\xe6\x97\xa5\nHello\nmas\n##k\nk\n\xc3\xa9\n";
enum { PAD, UNK, CLS, SEP, MASK, HELLO, UN, AFF, ABLE, COMMA, BANG, OPEN, CLOSE, MASKW, CAFE, X, XX,
       A, B, NICHI, UPPER, MAS, KK, K, EACUTE, N_TINY };

static pare_tokenizer *tokenizer_of(const char *vocabulary, bool lower)
{
    pare_vocabulary_spec spec = {(char *)(uintptr_t)vocabulary, lower, -1, true};
    pare_tokenizer *t = NULL;
    assert_ok(pare_tokenizer_new(&spec, &t));
    return t;
}

/* Fails with the text unless it becomes these n ids between [CLS] and [SEP]. */
static void expect(const pare_tokenizer *t, const char *text, size_t length, const int32_t *ids,
                   int64_t n)
{
    pare_encoding e;
    assert_ok(pare_tokenizer_encode(t, text, length, NULL, 0, 0, &e));
    bool same = e.n == n + 2 && e.ids[0] == CLS && e.ids[n + 1] == SEP;
    for (int64_t i = 0; same && i < n; i++)
        same = e.ids[i + 1] == ids[i] && e.types[i + 1] == 0;
    if (!same) {
        fprintf(stderr, "\"%s\" gave:", text);
        for (int64_t i = 0; i < e.n; i++)
            fprintf(stderr, " %d", e.ids[i]);
        fail_msg("\"%s\": %lld ids, want %lld", text, (long long)e.n, (long long)n + 2);
    }
    pare_encoding_free(&e);
}

#define EXPECT(t, text, ...)                                                                       \
    do {                                                                                           \
        const int32_t want_[] = {UNK, __VA_ARGS__};                                                \
        expect((t), (text), sizeof(text) - 1, want_ + 1, sizeof want_ / sizeof *want_ - 1);        \
    } while (0)

static void test_words(void **state)
{
    (void)state;
    pare_tokenizer *t = tokenizer_of(tiny, true);
    assert_int_equal(pare_tokenizer_vocabulary_size(t), N_TINY);
    expect(t, "", 0, NULL, 0);
    expect(t, " \t\n ", 4, NULL, 0);
    EXPECT(t, "Hello, HELLO!", HELLO, COMMA, HELLO, BANG);
    EXPECT(t, "unaffable un", UN, AFF, ABLE, UN);
    EXPECT(t, "unaffablez unx", UNK, UN, XX);
    EXPECT(t, "caf\xc3\xa9 cafe\xcc\x81 CAF\xc3\x89", CAFE, CAFE, CAFE);
    EXPECT(t, "a\xe6\x97\xa5" "b", A, NICHI, B);                  /* an ideograph stands alone */
    EXPECT(t, "x\xe2\x80\x8bx x\xc2\xadx", X, XX, X, XX);         /* U+200B, U+00AD are dropped */
    EXPECT(t, "a\xc2\xa0" "b\xe3\x80\x80" "a\x0b" "a", A, B, UNK); /* spaces; U+000B is dropped */
    EXPECT(t, "x\0x", X, XX);
    EXPECT(t, "x\xffx x\xed\xa0\x80x x\xf0\x9fx", X, XX, X, XX, X, XX); /* no UTF-8: dropped */
    pare_tokenizer_free(t);
}

static void test_special_tokens_in_text(void **state)
{
    (void)state;
    pare_tokenizer *t = tokenizer_of(tiny, true);
    EXPECT(t, "x[MASK]x", X, MASK, X);
    EXPECT(t, "[[MASK]]", OPEN, MASK, CLOSE);
    EXPECT(t, "[MASK][CLS] [PAD]", MASK, CLS, PAD);
    EXPECT(t, "[mask] [MASK", OPEN, MASKW, CLOSE, OPEN, MASKW);
    EXPECT(t, "[MA\xe2\x80\x8bSK]", OPEN, MASKW, CLOSE); /* in the raw text, or not at all */
    EXPECT(t, "e[MASK]\xcc\x81", UNK, MASK);
    pare_tokenizer_free(t);
}

static void test_cased(void **state)
{
    (void)state;
    pare_tokenizer *t = tokenizer_of(tiny, false);
    EXPECT(t, "hello Hello HELLO", HELLO, UPPER, UNK);
    EXPECT(t, "\xc3\xa9 e\xcc\x81", EACUTE, UNK); /* nothing is decomposed */
    pare_tokenizer_free(t);
    pare_vocabulary_spec spec = {(char *)(uintptr_t)tiny, false, 1, false};
    assert_ok(pare_tokenizer_new(&spec, &t));
    EXPECT(t, "caf\xc3\xa9 a\xe6\x97\xa5", CAFE, UNK);
    pare_tokenizer_free(t);
}

/* A word of up to 100 characters is looked up, whatever its bytes; a text of any length is read. */
static void test_long_words(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    pare_tokenizer *t = tokenizer_of(tiny, true);
    static char text[2 * LONG];
    int32_t ids[100] = {X};
    for (int i = 1; i < 100; i++)
        ids[i] = XX;
    memset(text, 'x', sizeof text);
    expect(t, text, 100, ids, 100);
    expect(t, text, 101, &(int32_t){UNK}, 1);
    expect(t, text, sizeof text, &(int32_t){UNK}, 1);
    for (int i = 0; i < LONG; i++)
        text[2 * i + 1] = ' ';
    pare_encoding e;
    assert_ok(pare_tokenizer_encode(t, text, sizeof text, NULL, 0, 0, &e));
    assert_int_equal(e.n, LONG + 2);
    assert_int_equal(e.ids[LONG], X);
    pare_encoding_free(&e);
    pare_tokenizer_free(t);
}

/* Marks in the worst order for sorting: must not take quadratic time (and the test's limit). */
static void test_marks_in_bad_order(void **state)
{
    (void)state;
    enum { MARKS = 200000 };
    char *text = malloc(7 * MARKS);
    assert_non_null(text);
    for (int i = 0; i < MARKS; i++)
        memcpy(text + 7 * i, "\xe3\x80\xae\xf0\x9d\x85\xa5", 7); /* U+302E, U+1D165 */
    pare_tokenizer *t = tokenizer_of(tiny, true);
    expect(t, text, 7 * MARKS, &(int32_t){UNK}, 1);
    pare_tokenizer_free(t);
    free(text);
}

/* ---- Truncation ---- */

/* Tokens kept of a and b tokens; b < 0: no pair. */
static void expect_kept(const pare_tokenizer *t, int a, int b, int64_t max, int keep_a, int keep_b)
{
    char text[256], pair[256];
    pare_encoding e;
    memset(text, 'x', sizeof text);
    memset(pair, 'x', sizeof pair);
    assert_ok(pare_tokenizer_encode(t, text, (size_t)a, b < 0 ? NULL : pair, b < 0 ? 0 : (size_t)b,
                                    max, &e));
    int64_t types = 0;
    for (int64_t i = 0; i < e.n; i++)
        types += e.types[i];
    if (e.n != keep_a + 2 + (b < 0 ? 0 : keep_b + 1) || types != (b < 0 ? 0 : keep_b + 1))
        fail_msg("(%d, %d) at %lld: %lld tokens, %lld of the second, want (%d, %d)", a, b,
                 (long long)max, (long long)e.n, (long long)types, keep_a, keep_b);
    assert_int_equal(e.ids[0], CLS);
    assert_int_equal(e.ids[keep_a + 1], SEP);
    assert_int_equal(e.ids[e.n - 1], SEP);
    pare_encoding_free(&e);
}

static void test_truncation(void **state)
{
    (void)state;
    static const int cases[][6] = {
        {5, -1, 2, 0, 0},    {5, -1, 3, 1, 0},    {5, -1, 7, 5, 0},   {5, -1, 0, 5, 0},
        {4, 4, 3, 0, 0},     {4, 4, 4, 0, 1},     {4, 4, 5, 1, 1},    {4, 4, 6, 1, 2},
        {4, 4, 8, 2, 3},     {5, 4, 8, 3, 2},     {4, 5, 8, 2, 3},    {63, 63, 128, 62, 63},
        {2, 90, 16, 2, 11},  {90, 2, 16, 11, 2},  {6, 7, 16, 6, 7},   {7, 90, 16, 6, 7},
        {90, 7, 16, 7, 6},   {0, 9, 5, 0, 2},     {0, 0, 3, 0, 0},    {90, 80, 0, 90, 80},
    };
    pare_tokenizer *t = tokenizer_of(tiny, true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_kept(t, cases[i][0], cases[i][1], cases[i][2], cases[i][3], cases[i][4]);
    pare_encoding e;
    assert_status(pare_tokenizer_encode(t, "x", 1, NULL, 0, 1, &e), PARE_USAGE);
    assert_status(pare_tokenizer_encode(t, "x", 1, "x", 1, 2, &e), PARE_USAGE);
    assert_message_has("2 tokens");
    assert_status(pare_tokenizer_encode(t, "x", 1, "x", 1, -4, &e), PARE_USAGE);
    pare_tokenizer_free(t);
}

/* ---- Vocabularies as people have them ---- */

static void expect_no_tokenizer(const char *vocabulary, const char *message)
{
    pare_vocabulary_spec spec = {(char *)(uintptr_t)vocabulary, true, -1, true};
    pare_tokenizer *t = NULL;
    assert_status(pare_tokenizer_new(&spec, &t), PARE_INPUT);
    assert_null(t);
    assert_message_has(message);
}

static void test_vocabularies(void **state)
{
    (void)state;
    /* CRLF, white space at the end (U+00A0, U+3000), an empty line, no newline at the end; [PAD]
     * and [MASK] missing. */
    pare_tokenizer *t = tokenizer_of("a\r\n[UNK]\r\n[CLS]\t\n[SEP]\n\nb \xc2\xa0\xe3\x80\x80\n"
                                     "mask\n[\n]\na b\n##b", true);
    assert_int_equal(pare_tokenizer_vocabulary_size(t), 11);
    EXPECT(t, "a b ab [MASK] [UNK]", 0, 5, 0, 10, 7, 6, 8, 1);
    pare_tokenizer_free(t);
    /* Of equal lines the last one counts, after trimming and for special tokens as well. */
    t = tokenizer_of("a\n[UNK]\n[CLS]\n[SEP]\na \nb\n[UNK]\n", true);
    EXPECT(t, "a b c", 4, 5, 6);
    pare_tokenizer_free(t);
    expect_no_tokenizer(NULL, "no vocabulary");
    expect_no_tokenizer("", "no [UNK]");
    expect_no_tokenizer("[UNK]\n[SEP]\na\n", "no [CLS]");
    expect_no_tokenizer("[UNK]\n[CLS]\n", "no [SEP]");
    expect_no_tokenizer("[UNK]\n[CLS]\n[SEP]\na\xff\n", "vocabulary:4:");
    expect_no_tokenizer("[UNK]\n[CLS]\n[SEP]\n\xef\xbf", "vocabulary:4:");
}

/* ---- Unicode ---- */

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, used;
        uint32_t point;
    } cases[] = {
        {"a", 1, 1, 'a'},
        {"\0", 1, 1, 0},
        {"\xc2\x80", 2, 2, 0x80},
        {"\xe2\x82\xac!", 4, 3, 0x20AC},
        {"\xf4\x8f\xbf\xbf", 4, 4, 0x10FFFF},
        {"\x80", 1, 1, PARE_CHAR_INVALID},             /* a continuation alone */
        {"\xc0\x80", 2, 1, PARE_CHAR_INVALID},         /* overlong */
        {"\xe0\x9f\xbf", 3, 1, PARE_CHAR_INVALID},
        {"\xf0\x8f\xbf\xbf", 4, 1, PARE_CHAR_INVALID},
        {"\xed\xa0\x80", 3, 1, PARE_CHAR_INVALID},     /* a surrogate */
        {"\xf4\x90\x80\x80", 4, 1, PARE_CHAR_INVALID}, /* beyond the last */
        {"\xf0\x9f\x98", 3, 3, PARE_CHAR_INVALID},     /* cut */
        {"\xe2\x82!", 3, 2, PARE_CHAR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t point;
        assert_int_equal(pare_utf8_decode(cases[i].bytes, cases[i].n, &point), cases[i].used);
        assert_int_equal(point, cases[i].point);
    }
    for (uint32_t point = 0; point < 0x110000; point++) {
        char bytes[4];
        uint32_t back;
        size_t n = pare_utf8_encode(point, bytes);
        if (point < 0xD800 || point > 0xDFFF)
            assert_true(pare_utf8_decode(bytes, n, &back) == n && back == point);
    }
}

/* Characters that Unicode has added since: the reference neither decomposes nor reorders them,
 * whatever the installed utf8proc knows. */
static void test_later_characters(void **state)
{
    (void)state;
    uint32_t parts[4];
    assert_int_equal(pare_char_decompose(0x11938, parts), 1); /* 11935 11930 since version 13 */
    assert_int_equal(parts[0], 0x11938);
    assert_int_equal(pare_char_class(0x10EAB), 0); /* 230 since version 13 */
    assert_int_equal(pare_char_class(0x1DF6), 0);  /* 232 since version 10 */
    assert_int_equal(pare_char_class(0x8D4), 230); /* since version 9: known */
    assert_int_equal(pare_char_flags(0x8D4) & PARE_CHAR_ACCENT, 0); /* but no accent yet */
    assert_int_equal(pare_char_decompose(0xD4DB, parts), 3); /* a syllable */
    assert_int_equal(parts[2], 0x11B6);
}

static pare_status add_word_checksum(void *context, const char *bytes, size_t length)
{
    uint32_t *crc = context;
    *crc = pare_crc32(pare_crc32(*crc, bytes, length), "\n", 1);
    return PARE_OK;
}

/* Each character thrice in one text among marks of other classes, so that its category, lower
 * case, decomposition and class all show. The numbers are the reference's: make_unicode_tables.py
 * --vectors. They also guard against a utf8proc that decomposes otherwise. */
static void test_every_kind_of_character(void **state)
{
    (void)state;
    static const uint32_t want[8] = {0x7652975e, 0x09d5939c, 0x30c74c54, 0xe6d0e712,
                                     0xdd63325a, 0x40a7ab86, 0x1c6bd86c, 0x608003bb};
    for (unsigned rules = 0; rules < 8; rules++) {
        pare_word_rules r = {rules & 1, rules & 2, rules & 4};
        uint32_t crc = 0;
        for (uint32_t point = 0; point < 0x110000; point++) {
            bool taken = point < 0x30000 || (point >= 0xE0000 && point < 0xE0200);
            if ((point >= 0xD800 && point <= 0xDFFF) || (!taken && point % 251 != 0))
                continue;
            char c[5] = "", text[64];
            size_t n = pare_utf8_encode(point, c);
            const struct { const char *bytes; size_t n; } parts[] = {
                {"A", 1}, {c, n}, {"\xe3\x80\xae", 3}, {c, n},
                {"\xcc\x81\xf0\x9d\x85\xa5\xcc\xa7", 8}, {c, n}, {"B", 1}};
            char *end = text;
            for (size_t i = 0; i < sizeof parts / sizeof *parts; end += parts[i++].n)
                memcpy(end, parts[i].bytes, parts[i].n);
            assert_ok(pare_words_each(&r, text, (size_t)(end - text), add_word_checksum, &crc));
        }
        if (crc != want[rules])
            fail_msg("rules %u: 0x%08x, want 0x%08x", rules, crc, want[rules]);
    }
}

/* ---- Goldens on BERT's own vocabulary ---- */

typedef struct golden {
    pare_tokenizer *tokenizer;
    pare_json *root;
} golden;

/* Reads the golden file and the vocabulary, or skips. */
#define GOLDEN_OPEN(g)                                                                             \
    do {                                                                                           \
        char vocabulary_[TEST_PATH], golden_[TEST_PATH];                                           \
        TEST_NEED_SHARED(vocabulary_, "data/vocab/bert-base-uncased-vocab.txt");                   \
        TEST_NEED_SHARED(golden_, "golden/tokenizer-uncased.json");                                \
        golden_open(&(g), vocabulary_, golden_);                                                   \
    } while (0)

static void golden_open(golden *g, const char *vocabulary, const char *path)
{
    size_t size;
    char *text = test_file_read(path, &size);
    assert_ok(pare_json_parse(text, size, path, &g->root));
    free(text);
    text = test_file_read(vocabulary, NULL);
    g->tokenizer = tokenizer_of(text, true);
    free(text);
}

static void golden_close(golden *g)
{
    pare_json_free(g->root);
    pare_tokenizer_free(g->tokenizer);
}

static void compare_case(const pare_tokenizer *t, const pare_json *one, size_t number)
{
    const pare_json *text = pare_json_get(one, "text"), *pair = pare_json_get(one, "pair");
    const pare_json *ids = pare_json_get(one, "ids"), *types = pare_json_get(one, "type_ids");
    pare_encoding e;
    assert_ok(pare_tokenizer_encode(t, pare_json_as_string(text, ""), pare_json_string_length(text),
                                    pare_json_as_string(pair, NULL), pare_json_string_length(pair),
                                    pare_json_get_int(one, "max_length", -1), &e));
    bool same = (size_t)e.n == pare_json_size(ids) && (size_t)e.n == pare_json_size(types);
    for (size_t i = 0; same && i < (size_t)e.n; i++)
        same = pare_json_as_int(pare_json_at(ids, i), -1) == e.ids[i] &&
               pare_json_as_int(pare_json_at(types, i), -1) == e.types[i];
    if (!same)
        fail_msg("case %zu: \"%s\"", number, pare_json_as_string(text, ""));
    pare_encoding_free(&e);
}

static void test_golden_cases(void **state)
{
    (void)state;
    golden g;
    GOLDEN_OPEN(g);
    const pare_json *cases = pare_json_get(g.root, "cases");
    assert_int_equal(pare_json_size(cases), 1478);
    for (size_t i = 0; i < pare_json_size(cases); i++)
        compare_case(g.tokenizer, pare_json_at(cases, i), i);
    golden_close(&g);
}

/* The checksum so far, extended by the ids of one text and -1, little-endian. */
static uint32_t checksum(uint32_t crc, const pare_tokenizer *t, const char *text, size_t length,
                         const char *pair, int64_t max, int64_t *n)
{
    pare_encoding e;
    assert_ok(pare_tokenizer_encode(t, text, length, pair, pair ? strlen(pair) : 0, max, &e));
    crc = pare_crc32(crc, e.ids, (size_t)e.n * sizeof *e.ids);
    *n += e.n;
    pare_encoding_free(&e);
    return pare_crc32(crc, &(int32_t){-1}, sizeof(int32_t));
}

/* Every code point in one context: the context's text up to {} and from there. */
static void compare_code_points(const pare_tokenizer *t, const char *context, pare_json *blocks)
{
    const char *hole = strstr(context, "{}");
    size_t before = (size_t)(hole - context);
    int64_t n = 0;
    assert_int_equal(pare_json_size(blocks), 0x1100);
    for (uint32_t block = 0; block < 0x1100; block++) {
        uint32_t crc = 0;
        for (uint32_t point = block << 8; point < (block + 1) << 8; point++) {
            char text[64];
            memcpy(text, context, before);
            size_t at = before + pare_utf8_encode(point, text + before);
            strcpy(text + at, hole + 2);
            if (point < 0xD800 || point > 0xDFFF)
                crc = checksum(crc, t, text, at + strlen(hole + 2), NULL, 0, &n);
        }
        if (crc != (uint32_t)pare_json_as_int(pare_json_at(blocks, block), -1))
            fail_msg("context \"%s\", code points from U+%04X on", context, block << 8);
    }
}

static void test_golden_code_points(void **state)
{
    (void)state;
    golden g;
    GOLDEN_OPEN(g);
    pare_json *contexts = pare_json_get(g.root, "code_points");
    assert_int_equal(pare_json_size(contexts), 4);
    for (void *i = pare_json_iter(contexts); i; i = pare_json_iter_next(contexts, i))
        compare_code_points(g.tokenizer, pare_json_iter_key(i), pare_json_iter_value(i));
    golden_close(&g);
}

/* The field of a row of TAB-separated fields, cut out in a copy. */
static char *field(const char *row, int64_t column)
{
    for (; column > 0; column--) {
        row = strchr(row, '\t');
        assert_non_null(row);
        row++;
    }
    return strndup(row, strcspn(row, "\t"));
}

static void compare_corpus(const pare_tokenizer *t, const pare_json *corpus, const char *path)
{
    const pare_json *columns = pare_json_get(corpus, "columns");
    char *bytes = test_file_read(path, NULL), *line = bytes, *next;
    int64_t n_rows = 0, n_tokens = 0, max = pare_json_get_int(corpus, "max_length", -1);
    uint32_t crc = 0;
    line += strncmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    bool heading = !strstr(path, "CoLA");
    for (; line && *line; line = next, heading = false) {
        if ((next = strchr(line, '\n')))
            *next++ = '\0';
        if (heading)
            continue;
        line[strcspn(line, "\r")] = '\0';
        char *text = field(line, pare_json_as_int(pare_json_at(columns, 0), 0)), *pair = NULL;
        if (pare_json_size(columns) == 2)
            pair = field(line, pare_json_as_int(pare_json_at(columns, 1), 0));
        crc = checksum(crc, t, text, strlen(text), pair, max, &n_tokens);
        n_rows++;
        free(text);
        free(pair);
    }
    assert_int_equal(n_rows, pare_json_get_int(corpus, "rows", -1));
    if (n_tokens != pare_json_get_int(corpus, "tokens", -1) ||
        crc != (uint32_t)pare_json_get_int(corpus, "crc32", -1))
        fail_msg("%s at %lld: %lld tokens, checksum %u", path, (long long)max, (long long)n_tokens,
                 crc);
    free(bytes);
}

static void test_golden_corpora(void **state)
{
    (void)state;
    golden g;
    GOLDEN_OPEN(g);
    const pare_json *corpora = pare_json_get(g.root, "corpora");
    int compared = 0;
    for (size_t i = 0; i < pare_json_size(corpora); i++) {
        char name[TEST_PATH], path[TEST_PATH];
        const pare_json *corpus = pare_json_at(corpora, i);
        test_path(name, "data/glue", pare_json_get_string(corpus, "file", ""));
        if (!test_shared(path, name))
            continue;
        compare_corpus(g.tokenizer, corpus, path);
        compared++;
    }
    golden_close(&g);
    if (compared == 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_special_tokens_in_text),
        cmocka_unit_test(test_cased),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_marks_in_bad_order),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_vocabularies),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_later_characters),
        cmocka_unit_test(test_every_kind_of_character),
        cmocka_unit_test(test_golden_cases),
        cmocka_unit_test(test_golden_code_points),
        cmocka_unit_test(test_golden_corpora),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
