/* The reader of TSV, CSV and JSON lines: its rules, and input that means harm. */
#include "tasks/table.h"
#include "tests/harness.h"

static char dir[TEST_PATH];

static int make_dir(void **state)
{
    (void)state;
    test_dir_make(dir);
    return 0;
}

static pare_table *open_bytes(const char *name, const void *bytes, size_t n)
{
    char path[TEST_PATH];
    pare_table *table = NULL;
    test_path(path, dir, name);
    test_file_write(path, bytes, n);
    assert_ok(pare_table_open(path, pare_table_format_of(path), &table));
    return table;
}

/* All rows as one text: cells joined by '|', "-" for a missing one, "!" for a row at fault, rows
 * joined by '/', with "LINE:" before each. */
static void rows_to_text(pare_table *table, int n, char *out, size_t room)
{
    pare_text_pool pool = {.arena = pare_arena_new("test")};
    size_t used = 0;
    pare_row row;
    bool more;
    out[0] = '\0';
    for (;;) {
        assert_ok(pare_table_next(table, &row, &more));
        if (!more)
            break;
        used += (size_t)snprintf(out + used, room - used, "%s%lld:", used ? "/" : "",
                                 (long long)row.line);
        for (int k = 0; k < n; k++)
            used += (size_t)snprintf(out + used, room - used, "%s%s", k ? "|" : "",
                                     row.fault ? "!" : row.cell[k].bytes
                                         ? pare_cell_text(&pool, row.cell[k]) : "-");
    }
    pare_arena_free(pool.arena);
}

static void expect_n(const char *name, const void *bytes, size_t size, const pare_column *columns,
                     int n, const char *want)
{
    char got[2000];
    pare_table *table = open_bytes(name, bytes, size);
    assert_ok(pare_table_choose(table, columns, n));
    rows_to_text(table, n, got, sizeof got);
    assert_string_equal(got, want);
    pare_table_close(table);
}

static void expect(const char *name, const char *text, const pare_column *columns, int n,
                   const char *want)
{
    expect_n(name, text, strlen(text), columns, n, want);
}

static const pare_column by_number[] = {{.index = 0}, {.index = 1}};
static const pare_column by_name[] = {{.name = "a"}, {.name = "b"}};

static void test_format_by_ending(void **state)
{
    (void)state;
    assert_int_equal(pare_table_format_of("x/A.CSV"), PARE_CSV);
    assert_int_equal(pare_table_format_of("a.jsonl"), PARE_JSON_LINES);
    assert_int_equal(pare_table_format_of("a.tsv"), PARE_TSV);
    assert_int_equal(pare_table_format_of("a.csv/b"), PARE_TSV);
}

static void test_tsv(void **state)
{
    (void)state;
    expect("a.tsv", "x\ty\nz\tw", by_number, 2, "1:x|y/2:z|w");
    expect("a.tsv", "\xef\xbb\xbfx\ty\r\n\r\n\nz\tw\r\n", by_number, 2, "1:x|y/4:z|w");
    expect("a.tsv", "\"x\ty\"\tz\n", by_number, 2, "1:\"x|y\""); /* quotes are text */
    expect("a.tsv", "x\n\t\nx\t", by_number, 2, "1:!|!/2:|/3:x|");
    expect("a.tsv", "b\tq\ta\n1\t2\t3\n", by_name, 2, "2:3|1");
    expect("a.tsv", "x\ry\tz\n", by_number, 2, "1:x\ry|z"); /* a lone CR is text */
    expect("a.tsv", "\n\r\n", by_number, 2, "");
}

static void test_csv(void **state)
{
    (void)state;
    expect("a.csv", "a,b\r\n\"x, \"\"y\"\"\nz\",1\r\nw,\"\"\r\n", by_name, 2,
           "2:x, \"y\"\nz|1/4:w|");
    expect("a.csv", "x\"y,z\"\n", by_number, 2, "1:x\"y|z\""); /* quotes inside are text */
    expect("a.csv", "\"x\"y,z\nv,w\n", by_number, 2, "1:!|!/2:v|w");
    expect("a.csv", "v,w\n\"x,y\nz,\n", by_number, 2, "1:v|w/2:!|!"); /* never closed */
    expect("a.csv", "\"a\",\" b\"\"c\"\n1,2\n",
           (pare_column[]){{.name = "a"}, {.name = " b\"c"}}, 2, "2:1|2");
    expect("a.csv", "\"x\",\"y\"", by_number, 2, "1:x|y");
    expect("a.csv", ",\n\"", by_number, 2, "1:|/2:!|!");
}

static void test_json_lines(void **state)
{
    (void)state;
    expect("a.jsonl", "{\"b\":1,\"a\":\"x\\ny\"}\n\n{\"a\":2.5,\"b\":true}\r\n[1]\n{\"a\":\"x\"}",
           by_name, 2, "1:x\ny|1/3:2.5|true/4:!|!/5:!|!");
    expect("a.jsonl", "[\"x\",-3]\n{\"p\":\"y\",\"q\":\"z\"}\n7\n{\n{\"a\":1,\"a\":1}\n[null,1]\n",
           by_number, 2, "1:x|-3/2:y|z/3:!|!/4:!|!/5:!|!/6:!|!");
    expect("a.json", "{\"a\":\"\xff\",\"b\":\"\\u0000x\"}", by_name, 2, "1:\xef\xbf\xbd|x");
}

static void test_last_and_optional_columns(void **state)
{
    (void)state;
    const pare_column columns[] = {{.index = 0}, {.index = PARE_LAST_COLUMN},
                                   {.index = PARE_NO_COLUMN}, {.index = 2, .optional = true}};
    expect("a.tsv", "a\tb\tc\td\na\tb\na\n", columns, 4, "1:a|d|-|c/2:!|!|!|!/3:!|!|!|!");
    expect("a.tsv", "p\tq\n1\t2\n", (pare_column[]){{.name = "q"}, {.name = "r", .optional = true}},
           2, "2:2|-");
}

/* As Python decodes with errors="replace": one U+FFFD for each longest valid beginning. */
static void test_invalid_utf8_is_replaced(void **state)
{
    (void)state;
#define R "\xef\xbf\xbd"
    const char *const cases[][2] = {
        {"a\xff" "b", "a" R "b"},           {"\xc3", R},
        {"\xe2\x82", R},                    {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xe2\x28\xa1", R "(" R},          {"\xed\xa0\x80", R R R},
        {"\xf0\x9f\x98x", R "x"},           {"\xf4\x90\x80\x80", R R R R},
        {"\xc0\xaf", R R},                  {"\xe0\x80\xaf", R R R},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}, {"\xf8\x88\x80\x80\x80", R R R R R},
    };
#undef R
    pare_text_pool pool = {.arena = pare_arena_new("test")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pare_cell cell = {.bytes = cases[i][0], .size = strlen(cases[i][0])};
        assert_string_equal(pare_cell_text(&pool, cell), cases[i][1]);
    }
    assert_string_equal(pare_cell_text(&pool, (pare_cell){.bytes = "a\0b", .size = 3}), "ab");
    pare_arena_free(pool.arena);
}

static void test_numbers(void **state)
{
    (void)state;
    const char *const good[] = {"5.000", " -1e3 ", "+.5", "0"};
    const double values[] = {5, -1000, 0.5, 0};
    const char *const bad[] = {"", " ", "nan", "inf", "0x10", "1,5", "1e999", "1 2", "--1", "1e"};
    double value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(pare_cell_number((pare_cell){good[i], strlen(good[i]), false}, &value));
        assert_true(value == values[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(pare_cell_number((pare_cell){bad[i], strlen(bad[i]), false}, &value));
}

static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    char path[TEST_PATH];
    pare_table *table = NULL;
    test_path(path, dir, "empty.tsv");
    test_text_write(path, "");
    assert_status(pare_table_open(path, PARE_TSV, &table), PARE_INPUT);
    assert_message_has("empty.tsv");
    test_text_write(path, "\xef\xbb\xbf");
    assert_status(pare_table_open(path, PARE_TSV, &table), PARE_INPUT);
    test_file_write(path, "\xff\xfe" "a\0\n\0", 6);
    assert_status(pare_table_open(path, PARE_TSV, &table), PARE_INPUT);
    assert_message_has("UTF-16");
    assert_true(pare_table_open(dir, PARE_TSV, &table) != PARE_OK);
    assert_status(pare_table_open("/nowhere/x.tsv", PARE_TSV, &table), PARE_IO);
    assert_null(table);
}

static void test_missing_header_names(void **state)
{
    (void)state;
    pare_table *table = open_bytes("a.tsv", "x\ty\n1\t2\n", 8);
    assert_status(pare_table_choose(table, by_name, 2), PARE_INPUT);
    assert_message_has("a.tsv:1: no column is named \"a\"");
    assert_non_null(strstr(pare_error_hint(), "x, y"));
    pare_table_close(table);
    char wide[4000]; /* 1,999 empty names: the hint stops somewhere */
    memset(wide, '\t', sizeof wide);
    table = open_bytes("a.tsv", wide, sizeof wide);
    assert_status(pare_table_choose(table, by_name, 2), PARE_INPUT);
    pare_table_close(table);
}

/* Every mixture of the bytes that mean something, cut anywhere: no crash, an end, rows in order. */
static void test_mixtures(void **state)
{
    (void)state;
    static const char *const names[] = {"m.tsv", "m.csv", "m.jsonl"};
    static const char alphabet[] = "\"\",,\t\t\n\r\0\xff\xe2{}[]:a1";
    uint32_t seed = 1;
    for (int round = 0; round < 1500; round++) {
        char bytes[64], text[64 * 40];
        size_t n = 1 + (size_t)round % sizeof bytes;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        char path[TEST_PATH];
        pare_table *table = NULL;
        test_path(path, dir, names[round % 3]);
        test_file_write(path, bytes, n);
        if (pare_table_open(path, pare_table_format_of(path), &table) != PARE_OK)
            continue;
        if (pare_table_choose(table, round & 64 ? by_name : by_number, 2) == PARE_OK)
            rows_to_text(table, 2, text, sizeof text);
        pare_table_close(table);
    }
}

/* 8 MiB of one byte each: linear time, or this does not end. */
static void test_large_lines(void **state)
{
    (void)state;
    enum { SIZE = 8 << 20 };
    static const char *const names[] = {"l.tsv", "l.csv", "l.jsonl"};
    static const char fill[] = {'a', '\t', ',', '"', '\0', '\n', '\r', '[', '\xff'};
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (int k = 0; k < 3; k++)
        for (size_t f = 0; f < sizeof fill; f++) {
            memset(bytes, fill[f], SIZE);
            pare_table *table = open_bytes(names[k], bytes, SIZE);
            assert_ok(pare_table_choose(table, by_number, 2));
            bool more = true;
            for (pare_row row; more;)
                assert_ok(pare_table_next(table, &row, &more));
            pare_table_close(table);
        }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_by_ending),
        cmocka_unit_test(test_tsv),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_last_and_optional_columns),
        cmocka_unit_test(test_invalid_utf8_is_replaced),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_missing_header_names),
        cmocka_unit_test(test_mixtures),
        cmocka_unit_test(test_large_lines),
    };
    return cmocka_run_group_tests(tests, make_dir, NULL);
}
