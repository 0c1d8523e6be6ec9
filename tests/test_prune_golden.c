/* Golden numbers of pruning: a small BERT with layers dropped, each head switched off, and both
 * importances, against what PyTorch computed in float64. */
#include "optim/adamw.h"
#include "prune/flop.h"
#include "prune/heads.h"
#include "prune/layers.h"
#include "tests/golden_tiny.h"

static pare_head_list heads;

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
    const pare_bert_pass pass = {&t, f.model, golden_batch(f.file, f.step, "batch"), 0, NULL, NULL};
    assert_ok(pare_heads_ablate(&pass, &heads, PARE_ONE_OFF, take_logits, &a));
    assert_int_equal(a.seen, heads.n);
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
    for (int64_t k = 0; k < heads.n; k++) {
        bool off[64] = {false};
        pare_model *smaller = NULL;
        pare_tape t;
        assert_in_range(heads.n, 1, 64);
        off[k] = true;
        assert_ok(pare_heads_remove(f.model, &heads, off, &smaller));
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
    assert_int_equal(want.n, heads.n);
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
    const pare_head_sums sums = {test_alloc(f.arena, heads.n, sizeof(double)),
                                 test_alloc(f.arena, heads.n, sizeof(double))};
    begin(&t, true);
    const pare_packed *batch = golden_batch(f.file, f.step, "batch");
    assert_ok(pare_heads_importance(&t, f.model, batch,
                                    golden_labels(f.file, f.step, "batch/labels"), NULL, &heads,
                                    &sums));
    compare_scores(&g, sums.token, (double)batch->n_tokens, "heads/importance_token");
    compare_scores(&g, sums.example, (double)batch->n_sentences, "heads/importance_example");
    golden_report(&g);
}

/* ---- FLOP ---- */

static const double flop_beta = 1;

/* to[rows,cols] = the transpose of the golden array from[cols,rows]. */
static void read_transposed(pare_tensor *to, const char *matrix, const char *name)
{
    golden_array from = golden_get(f.file, "flop/%s/%s", matrix, name);
    assert_int_equal(from.n, pare_tensor_size(to));
    for (int64_t r = 0; r < to->rows; r++)
        for (int64_t c = 0; c < to->cols; c++)
            to->data[r * to->cols + c] = (real)from.data[c * to->rows + r];
    free(from.data);
}

/* The golden model's name of a matrix. */
static const char *dense_name(const pare_flop_matrix *m)
{
    return pare_layer_matrix(&f.model->layers[m->layer], m->matrix)->weight->name;
}

/* A factorised model with the golden factors and gates; gradients are wanted of all of them. */
static pare_model *golden_factors(pare_flop_list *list)
{
    static const bool all[PARE_MATRICES] = {true, true, true, true, true, true};
    pare_model *model = NULL;
    assert_ok(pare_flop_factorize(f.model, all, true, &model));
    assert_ok(pare_flop_list_new(f.arena, model, list));
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        read_transposed(&m->weight->p->tensor, dense_name(m), "P");
        read_transposed(&m->weight->q->tensor, dense_name(m), "Q");
        read_transposed(&m->weight->log_alpha->tensor, dense_name(m), "log_alpha");
    }
    for (int i = 0; i < model->n_params; i++) {
        pare_tensor *x = &model->params[i]->tensor;
        x->grad = test_alloc(f.arena, pare_tensor_size(x), sizeof *x->grad);
        x->needs_grad = true;
    }
    return model;
}

static void compare_transposed(golden_group *g, const pare_tensor *x, const char *matrix,
                               const char *name)
{
    golden_array want = golden_get(f.file, "flop/%s/%s", matrix, name);
    real *got = test_alloc(f.arena, want.n, sizeof *got);
    for (int64_t r = 0; r < x->rows; r++)
        for (int64_t c = 0; c < x->cols; c++)
            got[c * x->rows + r] = x->grad[r * x->cols + c];
    golden_compare(g, got, &want, golden_name((char[256]){0}, "%s of %s", name, matrix));
    free(want.data);
}

static double flop_number(const char *name)
{
    return golden_number(f.file, golden_name((char[256]){0}, "flop/%s", name));
}

/* Gates with the golden uniform numbers, which pare_flop_sample would draw. */
static void golden_gates(pare_tape *t, const pare_flop_list *list, pare_tensor **gates)
{
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        golden_array numbers = golden_get(f.file, "flop/%s/u", dense_name(m));
        double *u = test_alloc(f.step, numbers.n, sizeof *u);
        memcpy(u, numbers.data, (size_t)numbers.n * sizeof *u);
        gates[m->layer * PARE_MATRICES + m->matrix] =
            pare_hard_concrete(t, &m->weight->log_alpha->tensor, u, flop_beta);
        free(numbers.data);
    }
}

static void compare_gates(golden_group *g, const pare_flop_list *list, pare_tensor **gates)
{
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        golden_array want = golden_get(f.file, "flop/%s/z", dense_name(m));
        golden_compare(g, gates[m->layer * PARE_MATRICES + m->matrix]->data, &want, "z");
        free(want.data);
    }
}

static void compare_terms(golden_group *g, const pare_flop_terms *terms, double task_loss)
{
    golden_compare_number(g, terms->sparsity, flop_number("sparsity"), "sparsity");
    golden_compare_number(g, task_loss, flop_number("task_loss"), "task_loss");
    golden_compare_number(g, task_loss + terms->value, flop_number("total"), "total");
    golden_compare_number(g, terms->grad_lambda1, flop_number("grad_lambda1"), "grad_lambda1");
    golden_compare_number(g, terms->grad_lambda2, flop_number("grad_lambda2"), "grad_lambda2");
}

/* The floor under small gradients, from all golden gradients of the factors and gates. */
static double largest_flop_gradient(const pare_flop_list *list)
{
    static const char *const names[] = {"grad_P", "grad_Q", "grad_log_alpha"};
    double largest = 0;
    for (int64_t k = 0; k < list->n; k++)
        for (int i = 0; i < 3; i++) {
            golden_array a = golden_get(f.file, "flop/%s/%s", dense_name(&list->at[k]), names[i]);
            largest = fmax(largest, golden_largest(a.data, a.n));
            free(a.data);
        }
    return largest;
}

/* A step of mask training: gates, logits, the whole loss, and every gradient. */
static void test_flop_step(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group forward = {"FLOP, forward", forward_tolerance, 0, 0, ""};
    golden_group gradients = {"FLOP, gradients", gradient_tolerance, 0, 0, ""};
    pare_flop_list list;
    pare_model *model = golden_factors(&list);
    pare_tape t;
    begin(&t, true);
    pare_tensor *gates[16 * PARE_MATRICES] = {0};
    const pare_packed *batch = golden_batch(f.file, f.step, "batch");
    golden_gates(&t, &list, gates);
    compare_gates(&forward, &list, gates);
    const pare_bert_pass pass = {&t, model, batch, 0, NULL, gates};
    pare_tensor *logits = pare_bert_logits(&pass);
    pare_tensor *loss =
        pare_cross_entropy(&t, logits, golden_labels(f.file, f.step, "batch/labels"),
                           1.0 / (double)batch->n_sentences);
    assert_ok(pare_tape_status(&t));
    const double task_loss = loss->data[0];
    golden_array want = golden_read(f.file, "flop/logits");
    golden_compare(&forward, logits->data, &want, "logits");
    free(want.data);
    assert_ok(pare_tape_backward(&t, loss));
    pare_flop_terms terms = {.lambda1 = flop_number("lambda1"), .lambda2 = flop_number("lambda2"),
                             .target = flop_number("target"), .beta = flop_beta};
    pare_flop_lagrangian(&list, NULL, &terms);
    compare_terms(&forward, &terms, task_loss);
    gradients.floor = 1e-3 * largest_flop_gradient(&list);
    for (int64_t k = 0; k < list.n; k++) {
        const pare_flop_matrix *m = &list.at[k];
        compare_transposed(&gradients, &m->weight->p->tensor, dense_name(m), "grad_P");
        compare_transposed(&gradients, &m->weight->q->tensor, dense_name(m), "grad_Q");
        compare_transposed(&gradients, &m->weight->log_alpha->tensor, dense_name(m),
                           "grad_log_alpha");
    }
    golden_report(&forward);
    golden_report(&gradients);
    pare_model_free(model);
}

/* 60 steps of the Lagrangian alone: gates go down it by Adam, the multipliers up. */
static void test_flop_trajectory(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"FLOP, trajectory", gradient_tolerance, 1e-3, 0, ""}; /* it passes 0 */
    pare_flop_list list;
    pare_model *model = golden_factors(&list);
    pare_optimizer *optimizer = NULL;
    golden_array want = golden_read(f.file, "flop/lagrangian_trajectory");
    assert_ok(pare_optimizer_new(f.arena, model->params, model->n_params, "adamw", 0,
                                 &optimizer));
    const real *lambda = model->lambda->tensor.data;
    for (int k = 0; k < (int)want.shape[0]; k++) {
        pare_flop_terms terms = {.lambda1 = lambda[0], .lambda2 = lambda[1], .beta = flop_beta,
                                 .target = 0.6 * fmin(1, (k + 1) / 20.0)};
        pare_flop_lagrangian(&list, model->lambda, &terms);
        const double got[] = {terms.target, terms.sparsity, terms.lambda1, terms.lambda2,
                              terms.value};
        for (int i = 0; i < 5; i++)
            golden_compare_number(&g, got[i], want.data[k * 5 + i],
                                  golden_name((char[256]){0}, "step %d, column %d", k, i));
        pare_optimizer_step(optimizer, (double[PARE_GROUPS]){0, 0.1, 0.5}, 1);
    }
    free(want.data);
    golden_report(&g);
    pare_model_free(model);
}

/* Both test masks, the expected numbers, and the logits under each mask. */
static void test_flop_masks(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"FLOP, masks", forward_tolerance, 0, 0, ""};
    static const char *const rules[] = {"topk", "stretch"};
    pare_flop_list list;
    pare_model *model = golden_factors(&list);
    for (int rule = PARE_FLOP_TOPK; rule <= PARE_FLOP_STRETCH; rule++) {
        pare_tape t;
        begin(&t, false);
        pare_tensor *gates[16 * PARE_MATRICES] = {0};
        for (int64_t k = 0; k < list.n; k++) {
            const pare_flop_matrix *m = &list.at[k];
            const real *log_alpha = m->weight->log_alpha->tensor.data;
            pare_tensor *z = pare_tensor_new(f.step, 1, m->rank);
            assert_ok(pare_flop_mask((pare_flop_rule)rule, log_alpha, m->rank, flop_beta,
                                     z->data));
            golden_array want =
                golden_get(f.file, "flop/%s/mask_%s", dense_name(m), rules[rule]);
            golden_compare(&g, z->data, &want, rules[rule]);
            free(want.data);
            golden_compare_number(&g, pare_flop_expected(log_alpha, m->rank, flop_beta),
                                  golden_number(f.file, golden_name((char[256]){0},
                                                                    "flop/%s/expected",
                                                                    dense_name(m))),
                                  "expected");
            gates[m->layer * PARE_MATRICES + m->matrix] = z;
        }
        const pare_packed *batch = golden_batch(f.file, f.step, "batch");
        const pare_bert_pass pass = {&t, model, batch, 0, NULL, gates};
        pare_tensor *logits = pare_bert_logits(&pass);
        assert_ok(pare_tape_status(&t));
        golden_array want = golden_get(f.file, "flop/logits_%s", rules[rule]);
        golden_compare(&g, logits->data, &want, "logits");
        free(want.data);
    }
    golden_compare_number(&g, list.prunable, flop_number("prunable"), "prunable");
    golden_report(&g);
    pare_model_free(model);
}

/* The singular values' factors compute the dense model's logits. */
static void test_factorized_logits(void **state)
{
    (void)state;
    NEED_GOLDEN();
    golden_group g = {"factorised against dense", forward_tolerance, 0, 0, ""};
    static const bool all[PARE_MATRICES] = {true, true, true, true, true, true};
    static const bool some[PARE_MATRICES] = {[PARE_VALUE] = true, [PARE_OUTPUT] = true};
    for (int i = 0; i < 2; i++) {
        pare_model *model = NULL;
        pare_tape t;
        assert_ok(pare_flop_factorize(f.model, i ? some : all, false, &model));
        begin(&t, false);
        pare_tensor *logits = test_logits(&t, model, golden_batch(f.file, f.step, "batch"), 0);
        assert_ok(pare_tape_status(&t));
        golden_array want = golden_read(f.file, "forward/logits");
        golden_compare(&g, logits->data, &want, "logits");
        free(want.data);
        pare_model_free(model);
    }
    golden_report(&g);
}

static int set_up(void **state)
{
    (void)state;
    if (golden_open() != 0)
        return 1;
    return f.present && pare_heads_list(f.arena, f.model, &heads) != PARE_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_drop),
        cmocka_unit_test(test_ablation),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_importance),
        cmocka_unit_test(test_flop_step),
        cmocka_unit_test(test_flop_trajectory),
        cmocka_unit_test(test_flop_masks),
        cmocka_unit_test(test_factorized_logits),
    };
    pare_threads_set(1);
    return cmocka_run_group_tests(tests, set_up, golden_close);
}
