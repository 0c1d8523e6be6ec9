/* The vocabulary trainer: what it learns from texts small enough to work out by hand. */
#include "core/memory.h"
#include "tasks/tokenizer.h"
#include "tasks/vocabulary_trainer.h"
#include "tests/harness.h"

#define SPECIAL "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

static const pare_vocabulary_spec uncased = {NULL, true, -1, true};

static void expect(const char *const *texts, int64_t n, int64_t size, const char *want)
{
    char *got = NULL;
    assert_ok(pare_vocabulary_train(&uncased, texts, n, size, &got));
    assert_string_equal(got, want);
    pare_free(got);
}

static void test_merges(void **state)
{
    (void)state;
    /* Pairs: a+##b 5, ##b+##c 3; then ab+##c 3; then all three words are whole. c+##b occurs once,
     * so it is not learned. */
    const char *const texts[] = {"ab abc, ABC", "\xc3\xa1" "bc ab cb"};
    const char *alphabet = SPECIAL ",\na\nb\nc\n##a\n##b\n##c\n";
    char want[256];
    expect(texts, 2, 12, alphabet);
    snprintf(want, sizeof want, "%sab\n", alphabet);
    expect(texts, 2, 13, want);
    snprintf(want, sizeof want, "%sab\nabc\n", alphabet);
    expect(texts, 2, 14, want);
    expect(texts, 2, 1000, want);
}

/* Equally frequent pairs: ##b+##a, a+##b, b+##a twice each. "##..." comes first by its bytes. */
static void test_ties(void **state)
{
    (void)state;
    const char *const texts[] = {"aba bab", "aba"};
    expect(texts, 2, 1000, SPECIAL "a\nb\n##a\n##b\n##ba\naba\n");
    expect((const char *const[]){"aab aab"}, 1, 10, SPECIAL "a\nb\n##a\n##b\n##ab\n");
}

/* a+##b occurs 7 times until ##b+##c, 8 times, takes 5 of them: it must then wait for its turn. */
static void test_counts_that_fall(void **state)
{
    (void)state;
    const char *const texts[] = {"abc abc abc abc abc xbc xbc xbc", "abd abd yz yz yz yz"};
    expect(texts, 2, 1000,
           SPECIAL "a\nb\nc\nd\nx\ny\nz\n##a\n##b\n##c\n##d\n##x\n##y\n##z\n"
                   "##bc\nabc\nyz\nxbc\n##bd\nabd\n");
}

/* Characters that overlap with themselves, a word reached in two ways, an ideograph. */
static void test_odd_words(void **state)
{
    (void)state;
    expect((const char *const[]){"aaaaa aaaaa"}, 1, 1000, SPECIAL "a\n##a\n##aa\n##aaaa\naaaaa\n");
    expect((const char *const[]){"\xe6\x97\xa5\xe6\x97\xa5 \xe6\x97\xa5"}, 1, 100,
           SPECIAL "\xe6\x97\xa5\n");
    expect(NULL, 0, 5, SPECIAL);
}

static void test_every_word_can_be_spelled(void **state)
{
    (void)state;
    const char *const texts[] = {"the quick brown fox", "jumps over the lazy dog", "thequickfox!"};
    pare_vocabulary_spec spec = uncased;
    assert_ok(pare_vocabulary_train(&uncased, texts, 3, 70, &spec.text));
    pare_tokenizer *t = NULL;
    assert_ok(pare_tokenizer_new(&spec, &t));
    pare_encoding e;
    assert_ok(pare_tokenizer_encode(t, "godzilla puzzle!", 16, NULL, 0, 0, &e));
    for (int64_t i = 0; i < e.n; i++)
        assert_int_not_equal(e.ids[i], 1);
    pare_encoding_free(&e);
    pare_tokenizer_free(t);
    pare_free(spec.text);
}

static void test_too_small(void **state)
{
    (void)state;
    const char *const texts[] = {"abc,"};
    char *out = NULL;
    assert_status(pare_vocabulary_train(&uncased, texts, 1, 11, &out), PARE_USAGE);
    assert_message_has("11 tokens");
    assert_non_null(strstr(pare_error_hint(), "at least 12"));
    assert_status(pare_vocabulary_train(&uncased, texts, 1, INT64_C(1) << 40, &out), PARE_USAGE);
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_counts_that_fall),
        cmocka_unit_test(test_odd_words),
        cmocka_unit_test(test_every_word_can_be_spelled),
        cmocka_unit_test(test_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
