/* test_latency.c: what a timing reports is of the batches it says, the same for every model. How
 * long they take is not asserted: other programs may want the cores. */
#include "tests/tiny_model.h"

#include "core/threads.h"
#include "tasks/evaluate.h"
#include "tasks/latency.h"

enum { DEV = 23, TURNS = 7 };

static char home[TEST_PATH], big[TEST_PATH], small[TEST_PATH], other[TEST_PATH];
static char headless[TEST_PATH];

static const int64_t sizes[] = {1, 8, 32}; /* 32 is more than there are examples */
static const pare_latency_plan plan = {.batch_sizes = sizes, .n_batch_sizes = 3, .turns = TURNS};

static pare_data_options dev(void)
{
    return (pare_data_options){.task = "SST-2", .data = home, .split = "dev"};
}

static int setup(void **state)
{
    (void)state;
    pare_threads_set(2);
    test_dir_make(home);
    make_tiny_corpus(home, 120, DEV);
    test_path(big, home, "big.h5");
    test_path(small, home, "small.h5");
    test_path(other, home, "other.h5");
    test_path(headless, home, "headless.h5");
    make_tiny_model(home, big, 3, 2, 300);
    make_tiny_model(home, small, 1, 3, 300); /* a head of another task serves */
    make_tiny_model(home, other, 1, 2, 60);  /* other words: more tokens a sentence */
    make_tiny_model(home, headless, 1, 0, 300);
    return 0;
}

/* Mean tokens of the batches that latency.h promises: turn t has examples t·b ... of the file. */
static double expected_tokens(const char *path, int64_t batch, int64_t turns)
{
    pare_arena *arena = pare_arena_new("test");
    const pare_data_options data = dev();
    pare_model *model = NULL;
    pare_tokenizer *tokenizer = NULL;
    pare_eval_set set;
    assert_ok(pare_model_open(path, &model));
    assert_ok(pare_tokenizer_new(&model->vocabulary, &tokenizer));
    assert_ok(pare_eval_set_open(arena, tokenizer, &data, TINY_POSITIONS, &set));
    const pare_encoded *e = &set.encoded[0];
    assert_int_equal(e->n, DEV);
    int64_t tokens = 0;
    for (int64_t i = 0; i < turns * batch; i++)
        tokens += e->offset[i % DEV + 1] - e->offset[i % DEV];
    pare_eval_set_close(&set);
    pare_tokenizer_free(tokenizer);
    pare_model_free(model);
    pare_arena_free(arena);
    return (double)tokens / (double)turns;
}

static void assert_sound(const pare_latency *l)
{
    assert_true(l->ms_median > 0 && l->ms_median <= l->ms_p95);
    assert_true(l->examples_per_second > 0);
    assert_true(l->ratio_low > 0 && l->ratio_low <= l->ratio && l->ratio <= l->ratio_high);
}

static void test_every_model_answers_the_same_batches(void **state)
{
    (void)state;
    const char *const files[] = {big, small, other};
    const pare_data_options data = dev();
    pare_latency r[3 * 3];
    assert_ok(pare_latency_files(&plan, files, 3, &data, 0, NULL, r));
    for (int m = 0; m < 3; m++)
        for (int s = 0; s < 3; s++) {
            const pare_latency *l = &r[m * 3 + s];
            assert_sound(l);
            assert_int_equal(l->batch, sizes[s]);
            assert_int_equal(l->passes, TURNS);
            assert_true(l->tokens == expected_tokens(files[m], sizes[s], TURNS));
        }
    for (int s = 0; s < 3; s++) {
        assert_true(r[s].ratio == 1 && r[s].ratio_low == 1 && r[s].ratio_high == 1);
        assert_true(r[s].tokens == r[3 + s].tokens);
        assert_true(r[s].tokens < r[6 + s].tokens);
    }
}

static void test_sentences_of_one_length(void **state)
{
    (void)state;
    const char *const files[] = {big, other};
    const pare_data_options data = dev();
    pare_latency_plan fixed = plan;
    pare_latency r[2 * 3];
    fixed.length = 40;
    assert_ok(pare_latency_files(&fixed, files, 2, &data, 0, NULL, r));
    for (int i = 0; i < 6; i++)
        assert_true(r[i].tokens == 40.0 * (double)sizes[i % 3]);
    fixed.length = 3; /* shorter than any: they are cut */
    assert_ok(pare_latency_files(&fixed, files, 2, &data, 0, NULL, r));
    assert_true(r[1].tokens == 3.0 * 8);
    fixed.length = TINY_POSITIONS + 1;
    assert_status(pare_latency_files(&fixed, files, 2, &data, 0, NULL, r), PARE_USAGE);
    assert_message_has("65 tokens");
}

/* Without a number of turns there are ten at least and a hundred at most. */
static void test_turns_of_its_own(void **state)
{
    (void)state;
    const char *const files[] = {small};
    const pare_data_options data = dev();
    const pare_latency_plan open = {.batch_sizes = sizes, .n_batch_sizes = 1};
    pare_latency r;
    assert_ok(pare_latency_files(&open, files, 1, &data, 0, NULL, &r));
    assert_true(r.passes >= 10 && r.passes <= 100);
    assert_true(r.tokens == expected_tokens(small, 1, r.passes));
}

/* To the length that was asked for, or else to the least that one of the models was trained at. */
static void test_texts_are_cut_alike(void **state)
{
    (void)state;
    char trained[TEST_PATH];
    const char *const files[] = {big, trained};
    const pare_data_options data = dev();
    pare_latency r[2 * 3];
    pare_model *model = NULL;
    test_path(trained, home, "trained.h5");
    assert_ok(pare_model_open(other, &model));
    model->trained_length = 6;
    assert_ok(pare_model_save(model, trained));
    pare_model_free(model);
    assert_ok(pare_latency_files(&plan, files, 2, &data, 0, NULL, r));
    assert_true(r[0].tokens == 6 && r[3].tokens == 6);
    assert_ok(pare_latency_files(&plan, files, 2, &data, 5, NULL, r));
    assert_true(r[0].tokens == 5 && r[3].tokens == 5);
}

static void test_what_cannot_be_timed(void **state)
{
    (void)state;
    const char *const files[] = {big, headless}, *const absent[] = {"nowhere.h5"};
    pare_data_options data = dev();
    pare_latency r[2 * 3];
    assert_status(pare_latency_files(&plan, files, 2, &data, 0, NULL, r), PARE_INPUT);
    assert_message_has("headless.h5 has no head");
    assert_status(pare_latency_files(&plan, absent, 1, &data, 0, NULL, r), PARE_IO);
    data.split = "dev_matched";
    assert_status(pare_latency_files(&plan, files, 1, &data, 0, NULL, r), PARE_USAGE);
    pare_model *model = NULL;
    assert_ok(pare_model_open(big, &model));
    const pare_encoded nothing = {0};
    const pare_latency_entry entry = {model, &nothing};
    assert_status(pare_latency_measure(&plan, &entry, 1, NULL, r), PARE_INPUT);
    pare_model_free(model);
}

static void test_report(void **state)
{
    (void)state;
    static const char *const names[] = {"batch",     "passes",    "tokens_per_batch",
                                        "ms_median", "ms_p95",    "examples_per_second",
                                        "ratio_low", "ratio_high", "ratio_to_first"};
    const pare_latency l = {8, 7, 50, 1, 2, 3, 0.5, 0.4, 0.6};
    pare_json *object = pare_json_new_object();
    pare_latency_report(&l, object);
    assert_int_equal(pare_json_size(object), sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(pare_json_is_number(pare_json_get(object, names[i])));
    assert_true(pare_json_get_double(object, "ratio_to_first", 0) == 0.5);
    pare_json_free(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model_answers_the_same_batches),
        cmocka_unit_test(test_sentences_of_one_length),
        cmocka_unit_test(test_turns_of_its_own),
        cmocka_unit_test(test_texts_are_cut_alike),
        cmocka_unit_test(test_what_cannot_be_timed),
        cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
