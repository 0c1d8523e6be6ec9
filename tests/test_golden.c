/* Golden numbers: a small BERT against what PyTorch computed for it in float64 (dropout off):
 * hidden states, logits, loss, every gradient, a regression head, and two optimisers' runs. */
#include "core/cpu.h"
#include "core/gemm.h"
#include "models/bert.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "tests/batch.h"
#include "tests/golden_tiny.h"

static pare_optimizer *optimizer;

/* ---- batches ---- */

/* The rows of want[n, padded, width] that are no padding, end to end. */
static golden_array without_padding(golden_array want, const pare_packed *batch)
{
    const int64_t padded = (int64_t)want.shape[1], width = (int64_t)want.shape[2];
    int64_t to = 0;
    for (int64_t s = 0; s < batch->n_sentences; s++) {
        const int64_t n = batch->offset[s + 1] - batch->offset[s];
        memmove(want.data + to, want.data + s * padded * width,
                (size_t)(n * width) * sizeof *want.data);
        to += n * width;
    }
    want.n = to;
    return want;
}

/* ---- running ---- */

/* A fresh step: everything the last test made is given back. */
static void begin(pare_tape *t, bool recording)
{
    static const pare_mark empty;
    pare_arena_release(f.step, empty);
    pare_tape_begin(t, f.step, f.scratch,
                    &(pare_tape_mode){.recording = recording, .training = recording, .seed = 1});
}

static pare_tensor *class_loss(pare_tape *t, const pare_packed *batch, const int32_t *labels)
{
    return pare_cross_entropy(t, test_logits(t, f.model, batch, 0), labels,
                              1.0 / (double)batch->n_sentences);
}

static bool is_key_bias(const char *name)
{
    return strstr(name, "key.bias") != NULL;
}

static double largest_gradient(void)
{
    double largest = 0;
    for (int i = 0; i < f.model->n_params; i++) {
        golden_array want = golden_get(f.file, "grad/%s", f.model->params[i]->name);
        largest = fmax(largest, golden_largest(want.data, want.n));
        free(want.data);
    }
    return largest;
}

/* Every gradient against "grad/<name>". Those of key.bias are zero in exact arithmetic, as softmax
 * does not see a shift: ours must only be small, and are reported apart. */
static void compare_gradients(golden_group *g, golden_group *noise)
{
    g->floor = noise->floor = 1e-3 * largest_gradient();
    for (int i = 0; i < f.model->n_params; i++) {
        const pare_param *p = f.model->params[i];
        golden_array want = golden_get(f.file, "grad/%s", p->name);
        assert_true(p->tensor.has_grad);
        assert_int_equal(want.n, pare_tensor_size(&p->tensor));
        golden_compare(is_key_bias(p->name) ? noise : g, p->tensor.grad, &want, p->name);
        free(want.data);
    }
}

static void test_hidden_states(void **state)
{
    (void)state;
    NEED_GOLDEN();
    pare_tape t;
    begin(&t, false);
    pare_packed *batch = golden_batch(f.file, f.step, "batch");
    const int64_t layers = f.model->config.num_hidden_layers;
    pare_tensor *hidden[16];
    assert_in_range(layers, 1, 15);
    assert_ok(pare_bert_hidden_states(&t, f.model, batch, hidden));
    golden_group g = {"hidden states", forward_tolerance, 0, 0, ""};
    for (int64_t i = 0; i <= layers; i++) {
        char name[64];
        golden_array want = golden_read(
            f.file, golden_name((char[256]){0}, "forward/hidden_states/%d", (int)i));
        want = without_padding(want, batch);
        assert_int_equal(want.n, pare_tensor_size(hidden[i]));
        snprintf(name, sizeof name, "of layer %d", (int)i);
        golden_compare(&g, hidden[i]->data, &want, name);
        free(want.data);
    }
    golden_report(&g);
}

static void test_logits_and_loss(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"logits and loss", forward_tolerance, 0, 0, ""};
    for (int recording = 0; recording < 2; recording++) {
        pare_tape t;
        begin(&t, recording);
        pare_packed *batch = golden_batch(f.file, f.step, "batch");
        pare_tensor *logits = test_logits(&t, f.model, batch, 0);
        const int32_t *labels = golden_labels(f.file, f.step, "batch/labels");
        pare_tensor *loss = pare_cross_entropy(&t, logits, labels,
                                               1.0 / (double)batch->n_sentences);
        assert_ok(pare_tape_status(&t));
        golden_array want = golden_read(f.file, "forward/logits");
        golden_compare(&g, logits->data, &want, "logits");
        free(want.data);
        golden_compare_number(&g, loss->data[0], golden_number(f.file, "forward/loss"), "loss");
    }
    golden_report(&g);
}

static void test_gradients(void **state)
{
    (void)state;
    NEED_GOLDEN();
    pare_tape t;
    begin(&t, true);
    for (int i = 0; i < f.model->n_params; i++)
        f.model->params[i]->tensor.has_grad = false;
    pare_packed *batch = golden_batch(f.file, f.step, "batch");
    pare_tensor *loss = class_loss(&t, batch, golden_labels(f.file, f.step, "batch/labels"));
    assert_ok(pare_tape_backward(&t, loss));
    golden_group g = {"gradients", gradient_tolerance, 0, 0, ""};
    golden_group noise = {"gradients of key.bias, all 0", gradient_tolerance, 0, 0, ""};
    compare_gradients(&g, &noise);
    golden_report(&g);
    golden_report(&noise);
}

/* ---- regression ---- */

static void set_values(pare_param *p, const char *name)
{
    golden_array a = golden_read(f.file, name);
    assert_int_equal(a.n, pare_tensor_size(&p->tensor));
    for (int64_t i = 0; i < a.n; i++)
        p->tensor.data[i] = (real)a.data[i];
    free(a.data);
}

static void compare_gradient_of(golden_group *g, pare_param *p, const char *name)
{
    golden_array want = golden_read(f.file, name);
    assert_int_equal(want.n, pare_tensor_size(&p->tensor));
    golden_compare(g, p->tensor.grad, &want, name);
    free(want.data);
}

static void test_regression(void **state)
{
    (void)state;
    NEED_GOLDEN();
    pare_model *model = NULL;
    char path[TEST_PATH];
    test_path(path, f.directory, "model");
    assert_ok(pare_import(path, &model));
    assert_ok(pare_model_add_head(model, 1));
    set_values(model->classifier.weight, "regression/weight");
    set_values(model->classifier.bias, "regression/bias");
    pare_tape t;
    begin(&t, true);
    for (int i = 0; i < model->n_params; i++)
        model->params[i]->tensor.needs_grad = true;
    pare_packed *batch = golden_batch(f.file, f.step, "batch");
    golden_array targets = golden_read(f.file, "regression/targets");
    pare_tensor *scores = test_logits(&t, model, batch, 0);
    pare_tensor *loss =
        pare_squared_error(&t, scores, targets.data, 1.0 / (double)batch->n_sentences);
    assert_ok(pare_tape_backward(&t, loss));
    golden_group forward = {"regression", forward_tolerance, 0, 0, ""};
    golden_group back = {"regression's gradients", gradient_tolerance, 0, 0, ""};
    golden_array want = golden_read(f.file, "regression/scores");
    golden_compare(&forward, scores->data, &want, "scores");
    golden_compare_number(&forward, loss->data[0], golden_number(f.file, "regression/loss"),
                          "loss");
    compare_gradient_of(&back, model->classifier.weight, "regression/grad_weight");
    compare_gradient_of(&back, model->word_embeddings, "regression/grad_word_embeddings");
    golden_report(&forward);
    golden_report(&back);
    free(want.data);
    free(targets.data);
    pare_model_free(model);
}

/* ---- optimisers ---- */

static void compare_weights(golden_group *g, const pare_model *model, const char *variant,
                            int after)
{
    for (int i = 0; i < model->n_params; i++) {
        const pare_param *p = model->params[i];
        /* In float their gradients are noise of float's size, which AdamW scales up. */
        if (sizeof(real) == 4 && is_key_bias(p->name))
            continue;
        golden_array want =
            golden_get(f.file, "%s/weights_after/%d/%s", variant, after, p->name);
        golden_compare(g, p->tensor.data, &want, p->name);
        free(want.data);
    }
}

typedef struct run_groups {
    golden_group losses, norms, rates, weights;
} run_groups;

static void train_step(run_groups *g, pare_optimizer *o, const char *variant, int k)
{
    pare_tape t;
    begin(&t, true);
    char name[64];
    snprintf(name, sizeof name, "adamw/batch/%d", k);
    pare_packed *batch = golden_batch(f.file, f.step, name);
    snprintf(name, sizeof name, "adamw/batch/%d/labels", k);
    pare_tensor *loss = class_loss(&t, batch, golden_labels(f.file, f.step, name));
    assert_ok(pare_tape_backward(&t, loss));
    double norm = 0;
    const double rate = pare_linear_schedule(1e-3, k, 3, 12);
    assert_ok(pare_optimizer_norm(o, &norm));
    pare_optimizer_step(o, (double[PARE_GROUPS]){rate}, pare_clip_factor(norm, 1.0));
    snprintf(name, sizeof name, "%s/loss/%d", variant, k);
    golden_compare_number(&g->losses, loss->data[0], golden_number(f.file, name), name);
    snprintf(name, sizeof name, "%s/grad_norm/%d", variant, k);
    golden_compare_number(&g->norms, norm, golden_number(f.file, name), name);
    snprintf(name, sizeof name, "%s/lr/%d", variant, k);
    const double want = golden_number(f.file, name);
    assert_true(fabs(rate - want) <= 1e-15 * want);
}

static void run_optimizer(const char *variant)
{
    pare_model *model = f.model, *trained = NULL;
    char path[TEST_PATH];
    test_path(path, f.directory, "model");
    assert_ok(pare_import(path, &trained));
    pare_arena *arena = pare_arena_new("optimizer");
    pare_optimizer *o = NULL;
    assert_ok(pare_optimizer_new(arena, trained->params, trained->n_params, variant, 0.01, &o));
    run_groups g = {{"losses", forward_tolerance, 0, 0, ""},
                    {"norms", gradient_tolerance, 0, 0, ""},
                    {"", 0, 0, 0, ""},
                    {"weights", weight_tolerance, 0, 0, ""}};
    f.model = trained;
    for (int k = 0; k < 12; k++) {
        train_step(&g, o, variant, k);
        if (k != 0 && k != 4 && k != 11)
            continue;
        pare_optimizer_settle(o);
        compare_weights(&g.weights, trained, variant, k + 1);
    }
    f.model = model;
    assert_int_equal(o->updates, 12);
    print_message("  %s:\n", variant);
    golden_report(&g.losses);
    golden_report(&g.norms);
    golden_report(&g.weights);
    pare_arena_free(arena);
    pare_model_free(trained);
}

static void test_adamw(void **state)
{
    (void)state;
    NEED_GOLDEN();
    run_optimizer("adamw");
}

static void test_bert_adam(void **state)
{
    (void)state;
    NEED_GOLDEN();
    run_optimizer("bert");
}

/* ---- fixture ---- */

static int set_up(void **state)
{
    (void)state;
    if (golden_open() != 0)
        return 1;
    return f.present && pare_optimizer_new(f.arena, f.model->params, f.model->n_params, "adamw",
                                           0.01, &optimizer) != PARE_OK;
}

/* Once for each kernel path that this CPU has. */
int main(void)
{
    static const char *const paths[] = {"portable", "avx2", "avx512", "amx", "blis"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hidden_states),
        cmocka_unit_test(test_logits_and_loss),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_regression),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_bert_adam),
    };
    int failed = 0;
    pare_threads_set(1); /* more give the same bits: tests/test_bert.c */
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (pare_kernels_set(paths[i]) != PARE_OK)
            continue;
        print_message("%s\n", pare_gemm_path());
        failed += cmocka_run_group_tests(tests, set_up, golden_close);
    }
    return failed;
}
