/* Golden numbers of pruning: a small BERT with layers dropped, each head switched off, and both
 * importances, against what PyTorch computed in float64. */
#include "prune/heads.h"
#include "prune/layers.h"
#include "tests/golden.h"

typedef struct prune_fixture {
    bool present;
    hid_t file;
    pare_arena *arena, *step, *scratch;
    pare_model *model;
    pare_head_list heads;
} prune_fixture;

static prune_fixture f;

#define NEED_GOLDEN()                                                                              \
    do {                                                                                           \
        if (!f.present)                                                                            \
            skip();                                                                                \
    } while (0)

static void begin(pare_tape *t, bool recording)
{
    static const pare_mark empty;
    pare_arena_release(f.step, empty);
    pare_tape_begin(t, f.step, f.scratch, &(pare_tape_mode){.recording = recording, .seed = 1});
}

/* Drops by name or list, and compares the logits with layer_drop/<list>. */
static void check_drop(golden_group *g, const char *strategy, int64_t count, const char *list)
{
    pare_layer_choice choice;
    pare_model *smaller = NULL;
    pare_tape t;
    if (strategy)
        assert_ok(pare_layers_choose(strategy, count, f.model->config.num_hidden_layers, NULL,
                                     &choice));
    else
        assert_ok(pare_layers_list(list, f.model->config.num_hidden_layers, &choice));
    assert_ok(pare_layers_drop(f.model, &choice, &smaller));
    begin(&t, false);
    pare_tensor *logits = test_logits(&t, smaller, golden_batch(f.file, f.step, "batch"), 0);
    assert_ok(pare_tape_status(&t));
    golden_array want = golden_get(f.file, "layer_drop/%s", list);
    golden_compare(g, logits->data, &want, list);
    free(want.data);
    pare_model_free(smaller);
}

static void test_layer_drop(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"layer drop", forward_tolerance, 0, 0, ""};
    check_drop(&g, NULL, 0, "0");
    check_drop(&g, NULL, 0, "3");
    check_drop(&g, NULL, 0, "1,2");
    check_drop(&g, NULL, 0, "1,2,3");
    check_drop(&g, "bottom", 1, "0");
    check_drop(&g, "top", 1, "3");
    check_drop(&g, "symmetric", 2, "1,2");
    check_drop(&g, "top", 3, "1,2,3");
    golden_report(&g);
}

typedef struct ablated {
    golden_group *group;
    const golden_array *want; /* [layers, heads, sentences, labels] */
    int64_t seen;
} ablated;

static pare_status take_logits(void *context, int64_t index, const pare_tensor *logits)
{
    ablated *a = context;
    char name[64];
    const int64_t size = pare_tensor_size(logits);
    const golden_array part = {.data = a->want->data + index * size, .n = size};
    snprintf(name, sizeof name, "head %lld", (long long)index);
    golden_compare(a->group, logits->data, &part, name);
    a->seen++;
    return PARE_OK;
}

static void test_ablation(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"logits with a head off", forward_tolerance, 0, 0, ""};
    golden_array want = golden_read(f.file, "heads/ablation_logits");
    ablated a = {&g, &want, 0};
    pare_tape t;
    begin(&t, false);
    const pare_bert_pass pass = {&t, f.model, golden_batch(f.file, f.step, "batch"), 0, NULL};
    assert_ok(pare_heads_ablate(&pass, &f.heads, PARE_ONE_OFF, take_logits, &a));
    assert_int_equal(a.seen, f.heads.n);
    free(want.data);
    golden_report(&g);
}

/* A head that was taken out gives the same logits as a head that is off. */
static void test_removal(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"logits with a head removed", forward_tolerance, 0, 0, ""};
    golden_array want = golden_read(f.file, "heads/ablation_logits");
    ablated a = {&g, &want, 0};
    for (int64_t k = 0; k < f.heads.n; k++) {
        bool off[64] = {false};
        pare_model *smaller = NULL;
        pare_tape t;
        assert_in_range(f.heads.n, 1, 64);
        off[k] = true;
        assert_ok(pare_heads_remove(f.model, &f.heads, off, &smaller));
        begin(&t, false);
        pare_tensor *logits = test_logits(&t, smaller, golden_batch(f.file, f.step, "batch"), 0);
        assert_ok(pare_tape_status(&t));
        assert_ok(take_logits(&a, k, logits));
        pare_model_free(smaller);
    }
    free(want.data);
    golden_report(&g);
}

static void compare_scores(golden_group *g, const double *sums, double divisor, const char *name)
{
    golden_array want = golden_read(f.file, name);
    real *got = test_alloc(f.arena, want.n, sizeof *got);
    assert_int_equal(want.n, f.heads.n);
    for (int64_t k = 0; k < want.n; k++)
        got[k] = (real)(sums[k] / divisor);
    golden_compare(g, got, &want, name);
    free(want.data);
}

static void test_importance(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"importance", gradient_tolerance, 0, 0, ""};
    pare_tape t;
    const pare_head_sums sums = {test_alloc(f.arena, f.heads.n, sizeof(double)),
                                 test_alloc(f.arena, f.heads.n, sizeof(double))};
    begin(&t, true);
    const pare_packed *batch = golden_batch(f.file, f.step, "batch");
    assert_ok(pare_heads_importance(&t, f.model, batch,
                                    golden_labels(f.file, f.step, "batch/labels"), NULL, &f.heads,
                                    &sums));
    compare_scores(&g, sums.token, (double)batch->n_tokens, "heads/importance_token");
    compare_scores(&g, sums.example, (double)batch->n_sentences, "heads/importance_example");
    golden_report(&g);
}

static int set_up(void **state)
{
    (void)state;
    char path[TEST_PATH], model[TEST_PATH];
    f = (prune_fixture){0};
    f.present =
        test_shared(model, "golden/tiny/model") && test_shared(path, "golden/tiny/golden.h5");
    if (!f.present)
        return 0;
    f.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    f.arena = pare_arena_new("golden");
    f.step = pare_arena_new("step");
    f.scratch = pare_arena_new("scratch");
    if (f.file < 0 || !f.arena || !f.step || !f.scratch ||
        pare_import(model, &f.model) != PARE_OK ||
        pare_heads_list(f.arena, f.model, &f.heads) != PARE_OK) {
        fprintf(stderr, "%s: %s\n", path, pare_error_message());
        return 1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (!f.present)
        return 0;
    pare_model_free(f.model);
    pare_arena_free(f.scratch);
    pare_arena_free(f.step);
    pare_arena_free(f.arena);
    H5Fclose(f.file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_drop),
        cmocka_unit_test(test_ablation),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_importance),
    };
    pare_threads_set(1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
