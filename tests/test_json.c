/* test_json.c: strict reading, defaults, and texts that read back as what was written. */
#include "tests/harness.h"

#include "core/json.h"
#include "core/memory.h"

static pare_status parse(const char *text, pare_json **out)
{
    return pare_json_parse(text, strlen(text), "some.json", out);
}

static void test_bad_texts_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "some.json:1"},
        {"{\"a\":1,\n\"a\":2}", "some.json:2: invalid JSON: duplicate object key"},
        {"{\"a\":{\"b\":1,\"b\":1}}", "duplicate object key"},
        {"[1,\n2,\n3,]", "some.json:3"},
        {"[1] x", "some.json:1"},
        {"{\"a\":1e999}", "real number overflow"},
        {"[\"\xff\"]", "unable to decode byte 0xff"},
        {"[\"\xed\xa0\x80\"]", "unable to decode byte 0xed"},
        {"[NaN]", "invalid token"},
        {"['a']", "invalid token"},
        {"[01]", "some.json:1"},
        {"[\"a\nb\"]", "unexpected newline"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pare_json *json = NULL;
        assert_status(parse(bad[i].text, &json), PARE_INPUT);
        assert_null(json);
        assert_message_has(bad[i].message);
    }
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    char *deep = malloc(100001);
    memset(deep, '[', 100000);
    deep[100000] = '\0';
    pare_json *json = NULL;
    assert_status(parse(deep, &json), PARE_INPUT);
    free(deep);
}

static void test_values_and_defaults(void **state)
{
    (void)state;
    pare_json *o = NULL;
    assert_ok(parse("{\"i\":-9007199254740993,\"d\":0.1,\"w\":128.0,\"s\":\"x\",\"b\":true,"
                    "\"n\":null,\"a\":[1,\"two\"],\"o\":{\"k\":3}}", &o));
    assert_true(pare_json_get_int(o, "i", 0) == -9007199254740993LL);
    assert_true(pare_json_get_double(o, "d", 0) == 0.1);
    assert_true(pare_json_get_double(o, "w", 0) == 128.0);
    assert_int_equal(pare_json_get_int(o, "w", 0), 128);
    assert_int_equal(pare_json_get_int(o, "d", 7), 7);
    assert_string_equal(pare_json_get_string(o, "s", ""), "x");
    assert_true(pare_json_get_bool(o, "b", false));
    assert_true(pare_json_is_null(pare_json_get(o, "n")));
    assert_int_equal(pare_json_size(o), 8);
    const pare_json *a = pare_json_get(o, "a");
    assert_int_equal(pare_json_size(a), 2);
    assert_int_equal(pare_json_as_int(pare_json_at(a, 0), 0), 1);
    assert_null(pare_json_at(a, 2));
    assert_int_equal(pare_json_get_int(pare_json_get(o, "o"), "k", 0), 3);
    /* another type, or nothing, gives the default */
    assert_int_equal(pare_json_get_int(o, "s", 5), 5);
    assert_string_equal(pare_json_get_string(o, "i", "none"), "none");
    assert_false(pare_json_get_bool(o, "i", false));
    assert_int_equal(pare_json_get_int(NULL, "i", 4), 4);
    assert_int_equal(pare_json_get_int(a, "i", 4), 4);
    assert_int_equal(pare_json_size(NULL), 0);
    assert_null(pare_json_iter(NULL));
    pare_json_free(o);
    pare_json_free(NULL);
}

static void test_integers_past_64_bits_are_reals(void **state)
{
    (void)state;
    pare_json *o = NULL;
    assert_ok(parse("{\"model_max_length\":1000000000000000019884624838656,\"n\":512}", &o));
    assert_true(pare_json_get_double(o, "model_max_length", 0) == 1e30);
    assert_int_equal(pare_json_get_int(o, "model_max_length", -1), -1);
    assert_int_equal(pare_json_get_int(o, "n", -1), 512);
    pare_json_free(o);
}

static void test_strings_may_hold_nul(void **state)
{
    (void)state;
    pare_json *s = NULL;
    assert_ok(parse("\"a\\u0000b\"", &s));
    assert_int_equal(pare_json_string_length(s), 3);
    assert_memory_equal(pare_json_as_string(s, ""), "a\0b", 3);
    char *text = pare_json_dump(s, 0, 9);
    assert_string_equal(text, "\"a\\u0000b\"");
    pare_free(text);
    pare_json_free(s);
}

static void test_keys_keep_their_order(void **state)
{
    (void)state;
    pare_json *o = NULL;
    assert_ok(parse("{\"z\":1,\"a\":2,\"m\":3}", &o));
    char keys[8] = "";
    for (void *i = pare_json_iter(o); i; i = pare_json_iter_next(o, i))
        strcat(keys, pare_json_iter_key(i));
    assert_string_equal(keys, "zam");
    pare_json_free(o);
}

static void test_writing(void **state)
{
    (void)state;
    pare_json *o = pare_json_new_object(), *a = pare_json_new_array();
    pare_json_set_string(o, "s", "line\n\"quoted\" \xc3\xa9");
    pare_json_set_string(o, "none", NULL);
    pare_json_set_string(o, "broken", "a\xff\xe2\x82z");
    pare_json_set_int(o, "i", INT64_MIN);
    pare_json_set_double(o, "nan", NAN);
    pare_json_set_double(o, "inf", -INFINITY);
    pare_json_set_bool(o, "b", false);
    pare_json_append_double(a, 0.5);
    pare_json_append_int(a, 2);
    pare_json_append_string(a, "x");
    pare_json_set(o, "a", a);
    char *text = pare_json_dump(o, 0, 9);
    assert_string_equal(text, "{\"s\":\"line\\n\\\"quoted\\\" \xc3\xa9\",\"none\":null,"
                        "\"broken\":\"a\xef\xbf\xbd\xef\xbf\xbdz\","
                        "\"i\":-9223372036854775808,\"nan\":null,\"inf\":null,\"b\":false,"
                        "\"a\":[0.5,2,\"x\"]}");
    pare_free(text);
    text = pare_json_dump(pare_json_get(o, "a"), 2, 9);
    assert_string_equal(text, "[\n  0.5,\n  2,\n  \"x\"\n]");
    pare_free(text);
    pare_json_free(o);
}

static void test_numbers_round_trip(void **state)
{
    (void)state;
    uint64_t bits = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        double value, back;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        pare_json *a = pare_json_new_array();
        pare_json_append_double(a, value);
        pare_json_append_double(a, (double)(float)(1e-3 * (double)i));
        char *text = pare_json_dump(a, 0, 17);
        pare_json_free(a);
        assert_ok(parse(text, &a));
        back = pare_json_as_double(pare_json_at(a, 0), 0);
        assert_memory_equal(&back, &value, sizeof value);
        pare_free(text);
        text = pare_json_dump(a, 0, 9); /* nine digits give a float back */
        pare_json_free(a);
        assert_ok(parse(text, &a));
        float single = (float)pare_json_as_double(pare_json_at(a, 1), 0);
        assert_true(single == (float)(1e-3 * (double)i));
        pare_free(text);
        pare_json_free(a);
    }
}

static void test_a_long_text_grows(void **state)
{
    (void)state;
    pare_json *a = pare_json_new_array();
    for (int i = 0; i < 100000; i++)
        pare_json_append_int(a, i);
    pare_json *copy = pare_json_copy(a);
    char *text = pare_json_dump(a, 0, 9), *again = pare_json_dump(copy, 0, 9);
    assert_int_equal(strlen(text), 588891);
    assert_string_equal(text, again);
    pare_free(text);
    pare_free(again);
    pare_json_free(a);
    pare_json_free(copy);
}

/* What could not be made is not left out in silence: the dump fails, once. */
static void test_a_failure_is_remembered(void **state)
{
    (void)state;
    pare_json *o = pare_json_new_object();
    pare_json_set(o, "a", NULL);
    assert_null(pare_json_dump(o, 0, 9));
    assert_message_has("out of memory");
    char *text = pare_json_dump(o, 0, 9);
    assert_string_equal(text, "{}");
    pare_free(text);
    pare_json_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_texts_are_refused_with_their_line),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_values_and_defaults),
        cmocka_unit_test(test_integers_past_64_bits_are_reals),
        cmocka_unit_test(test_strings_may_hold_nul),
        cmocka_unit_test(test_keys_keep_their_order),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_numbers_round_trip),
        cmocka_unit_test(test_a_long_text_grows),
        cmocka_unit_test(test_a_failure_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
