/* test_head.c: heads whose labels have another order than the data's, or other names. */
#include "tasks/head.h"
#include "tests/harness.h"

enum { HIDDEN = 4 };

static const pare_config config = {
    .vocab_size = 8, .hidden_size = HIDDEN, .num_hidden_layers = 1, .num_attention_heads = 1,
    .intermediate_size = 4, .max_position_embeddings = 8, .type_vocab_size = 2,
    .hidden_act = PARE_ACT_GELU, .layer_norm_eps = 1e-12, .initializer_range = 0.02};

/* A model whose row i has the weights 10 i, 10 i + 1, ... and the bias i. */
static pare_model *model_of(const char *const *names, int64_t n)
{
    pare_model *model = NULL;
    assert_ok(pare_model_new(&config, true, n, &model));
    assert_ok(pare_model_set_labels(model, "classify", names, n));
    for (int64_t i = 0; i < n; i++) {
        model->classifier.bias->tensor.data[i] = (real)i;
        for (int64_t j = 0; j < HIDDEN; j++)
            model->classifier.weight->tensor.data[i * HIDDEN + j] = (real)(10 * i + j);
    }
    return model;
}

/* The head must be rows `want` of the one that model_of made, and have these names now. */
static void expect_order(const char *const *names, int64_t n, const pare_dataset *d, bool answers,
                         const int *want, const char *const *named)
{
    bool moved = false, moves = false;
    pare_model *model = model_of(names, n);
    assert_int_equal(pare_head_answers(model, d), answers);
    assert_ok(pare_head_order(model, d, &moved));
    for (int64_t i = 0; i < n; i++) {
        moves = moves || want[i] != i;
        assert_true(model->classifier.bias->tensor.data[i] == want[i]);
        for (int64_t j = 0; j < HIDDEN; j++)
            assert_true(model->classifier.weight->tensor.data[i * HIDDEN + j] ==
                        (real)(10 * want[i] + j));
        assert_string_equal(model->label_names[i], named[i]);
    }
    assert_int_equal(moved, moves);
    pare_model_free(model);
}

static void test_glue(void **state)
{
    (void)state;
    pare_dataset d = {.task = pare_task_find("MNLI"), .n_labels = 3};
    d.label_names = (const char **)(uintptr_t)d.task->labels;
    expect_order((const char *[]){"ENTAILMENT", "neutral", "contradiction"}, 3, &d, true,
                 (int[]){2, 0, 1}, (const char *[]){"contradiction", "ENTAILMENT", "neutral"});
    expect_order((const char *[]){"LABEL_0", "LABEL_1", "LABEL_2"}, 3, &d, true, (int[]){0, 1, 2},
                 (const char *[]){"LABEL_0", "LABEL_1", "LABEL_2"});
    expect_order((const char *[]){"no", "contradiction", "perhaps"}, 3, &d, true, (int[]){1, 0, 2},
                 (const char *[]){"contradiction", "no", "perhaps"});
    d = (pare_dataset){.task = pare_task_find("SST-2"), .n_labels = 2};
    d.label_names = (const char **)(uintptr_t)d.task->labels;
    expect_order((const char *[]){"Positive", "Negative"}, 2, &d, true, (int[]){1, 0},
                 (const char *[]){"Negative", "Positive"});
    expect_order((const char *[]){"0", "1"}, 2, &d, true, (int[]){0, 1},
                 (const char *[]){"0", "1"});
    pare_model *model = model_of((const char *[]){"0", "1", "2"}, 3);
    assert_false(pare_head_answers(model, &d));
    pare_model_free(model);
}

static void test_own_labels(void **state)
{
    (void)state;
    const char *names[] = {"bad", "good"};
    const pare_dataset d = {.task = pare_task_find("classify"), .n_labels = 2,
                            .label_names = names};
    expect_order((const char *[]){"good", "bad"}, 2, &d, true, (int[]){1, 0}, names);
    expect_order(names, 2, &d, true, (int[]){0, 1}, names);
    expect_order((const char *[]){"good", "zeta"}, 2, &d, false, (int[]){1, 0},
                 (const char *[]){"zeta", "good"});
    expect_order((const char *[]){"LABEL_0", "LABEL_1"}, 2, &d, true, (int[]){0, 1},
                 (const char *[]){"LABEL_0", "LABEL_1"});
    expect_order((const char *[]){"good", "good"}, 2, &d, false, (int[]){1, 0},
                 (const char *[]){"good", "good"});
}

static void test_regression(void **state)
{
    (void)state;
    bool moved = true;
    const pare_dataset d = {.task = pare_task_find("STS-B")};
    pare_model *model = model_of(NULL, 1);
    assert_true(pare_head_answers(model, &d));
    assert_ok(pare_head_order(model, &d, &moved));
    assert_false(moved);
    pare_model_free(model);
    model = model_of((const char *[]){"0", "1"}, 2);
    assert_false(pare_head_answers(model, &d));
    pare_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glue),
        cmocka_unit_test(test_own_labels),
        cmocka_unit_test(test_regression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
