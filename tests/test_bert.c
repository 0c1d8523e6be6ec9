/* What BERT's forward and backward pass promise, on small random models of odd sizes:
 *   a sentence's logits are the same bits alone and in any batch, with any number of threads, with
 *   or without recording, and as computed for all rows instead of [CLS] only; dropout masks belong
 *   to examples, not to batches; gradients of micro-batches add up to the whole batch's. */
#include "core/cpu.h"
#include "core/gemm.h"
#include "models/answer.h"
#include "models/bert.h"
#include "tests/batch.h"

enum { N_SENTENCES = 7, N_MODELS = 2, N_LABELS = 3, LAYERS_LIMIT = 8 };

static const int64_t lengths[N_SENTENCES] = {5, 1, 300, 17, 2, 33, 16};
static const int32_t labels[N_SENTENCES] = {0, 2, 1, 1, 0, 2, 1};
static const pare_config configs[N_MODELS] = {
    {.vocab_size = 97, .hidden_size = 30, .num_hidden_layers = 2, .num_attention_heads = 3,
     .intermediate_size = 50, .max_position_embeddings = 300, .type_vocab_size = 2,
     .hidden_act = PARE_ACT_GELU, .hidden_dropout_prob = 0.1, .attention_probs_dropout_prob = 0.2,
     .classifier_dropout = -1, .layer_norm_eps = 1e-12, .initializer_range = 0.2},
    {.vocab_size = 97, .hidden_size = 17, .num_hidden_layers = 1, .num_attention_heads = 1,
     .intermediate_size = 1, .max_position_embeddings = 300, .type_vocab_size = 2,
     .hidden_act = PARE_ACT_GELU_NEW, .hidden_dropout_prob = 0.3,
     .attention_probs_dropout_prob = 0, .classifier_dropout = 0.5, .layer_norm_eps = 1e-5,
     .initializer_range = 0.2}};

static pare_arena *arena, *step, *scratch;
static pare_model *model;
static test_sentence *sentences;

static const pare_tape_mode evaluating = {.seed = 3, .step = 4},
                            recording = {.recording = true, .seed = 3, .step = 4},
                            training = {.recording = true, .training = true, .seed = 3, .step = 4};

/* ---- running ---- */

static void begin(pare_tape *t, const pare_tape_mode *mode)
{
    static const pare_mark empty;
    pare_arena_release(step, empty);
    pare_tape_begin(t, step, scratch, mode);
}

/* out[n, N_LABELS] = the logits of sentences s[n]. */
static void run_logits(const pare_tape_mode *mode, const test_sentence *s, int64_t n, real *out)
{
    pare_tape t;
    begin(&t, mode);
    pare_tensor *logits = test_logits(&t, model, test_pack(step, s, n), -1);
    assert_ok(pare_tape_status(&t));
    assert_int_equal(logits->rows, n);
    assert_int_equal(logits->cols, N_LABELS);
    memcpy(out, logits->data, (size_t)(n * N_LABELS) * sizeof(real));
}

/* Adds the gradients of the summed loss of sentences first ... first + n - 1 to those there. */
static void run_backward(const pare_tape_mode *mode, int64_t first, int64_t n)
{
    pare_tape t;
    begin(&t, mode);
    pare_tensor *logits = test_logits(&t, model, test_pack(step, sentences + first, n), -1);
    assert_ok(pare_tape_backward(&t, pare_cross_entropy(&t, logits, labels + first, 0.25)));
}

static void forget_gradients(void)
{
    for (int i = 0; i < model->n_params; i++)
        model->params[i]->tensor.has_grad = false;
}

/* Copies of all gradients, one behind the other. */
static real *copy_gradients(void)
{
    real *copy = test_alloc(arena, pare_model_parameters(model), sizeof *copy), *at = copy;
    for (int i = 0; i < model->n_params; i++) {
        const pare_tensor *x = &model->params[i]->tensor;
        assert_true(x->has_grad);
        memcpy(at, x->grad, (size_t)pare_tensor_size(x) * sizeof(real));
        at += pare_tensor_size(x);
    }
    return copy;
}

static void expect_same_bits(const real *got, const real *want, int64_t n, const char *what)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, sizeof(real)) != 0)
            fail_msg("%s, %s: number %lld is %.9g, not %.9g", pare_gemm_path(), what, (long long)i,
                     (double)got[i], (double)want[i]);
}

/* ---- models ---- */

/* Weights as BERT's, but for biases and LayerNorm away from 0 and 1. */
static void make_model(const pare_config *config)
{
    assert_ok(pare_model_new(config, true, N_LABELS, &model));
    pare_model_initialize(model, 11);
    for (int i = 0; i < model->n_params; i++) {
        pare_tensor *x = &model->params[i]->tensor;
        x->grad = test_alloc(arena, pare_tensor_size(x), sizeof(real));
        x->needs_grad = true;
        for (int64_t k = 0; x->rows == 1 && k < x->cols; k++)
            x->data[k] += (real)0.3 * test_random((uint64_t)i, k);
    }
}

static void begin_model(const pare_config *config)
{
    static const pare_mark empty;
    pare_arena_release(arena, empty);
    make_model(config);
    sentences = test_sentences(arena, lengths, N_SENTENCES, 97, 5);
}

/* Runs a test for every kernel path of this CPU and each model. */
static void each(void (*check)(void))
{
    static const char *const paths[] = {"portable", "avx2", "avx512", "amx", "blis"};
    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
        for (int m = 0; m < N_MODELS; m++) {
            if (pare_kernels_set(paths[p]) != PARE_OK)
                continue;
            pare_threads_set(2);
            begin_model(&configs[m]);
            check();
            pare_model_free(model);
        }
}

/* ---- a sentence and its batch ---- */

static void check_batches(const pare_tape_mode *mode, const char *what)
{
    real whole[N_SENTENCES * N_LABELS], other[N_SENTENCES * N_LABELS];
    run_logits(mode, sentences, N_SENTENCES, whole);
    for (int64_t i = 0; i < N_SENTENCES; i++) { /* alone */
        run_logits(mode, sentences + i, 1, other);
        expect_same_bits(other, whole + i * N_LABELS, N_LABELS, what);
    }
    for (int64_t i = 0; i + 3 <= N_SENTENCES; i += 3) { /* with two others */
        run_logits(mode, sentences + i, 3, other);
        expect_same_bits(other, whole + i * N_LABELS, 3 * N_LABELS, what);
    }
    test_sentence reversed[N_SENTENCES];
    for (int64_t i = 0; i < N_SENTENCES; i++)
        reversed[i] = sentences[N_SENTENCES - 1 - i];
    run_logits(mode, reversed, N_SENTENCES, other);
    for (int64_t i = 0; i < N_SENTENCES; i++)
        expect_same_bits(other + (N_SENTENCES - 1 - i) * N_LABELS, whole + i * N_LABELS, N_LABELS,
                         what);
}

static void check_batching(void)
{
    check_batches(&evaluating, "evaluating");
    check_batches(&training, "training");
}

static void test_logits_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    each(check_batching);
}

/* ---- threads ---- */

/* Wide enough for the passes to be worth a team: small ones stay on one thread. */
static const pare_config wide = {
    .vocab_size = 97, .hidden_size = 270, .num_hidden_layers = 2, .num_attention_heads = 9,
    .intermediate_size = 615, .max_position_embeddings = 300, .type_vocab_size = 2,
    .hidden_act = PARE_ACT_GELU, .hidden_dropout_prob = 0.1, .attention_probs_dropout_prob = 0.1,
    .classifier_dropout = -1, .layer_norm_eps = 1e-12, .initializer_range = 0.05};

static void test_threads_give_the_same_bits(void **state)
{
    (void)state;
    real one[N_SENTENCES * N_LABELS], other[N_SENTENCES * N_LABELS];
    assert_ok(pare_kernels_set("auto"));
    begin_model(&wide);
    real *gradients = NULL;
    for (int threads = 1; threads <= 4; threads++) {
        pare_threads_set(threads);
        forget_gradients();
        run_backward(&training, 0, N_SENTENCES);
        real *these = copy_gradients();
        run_logits(&evaluating, sentences, N_SENTENCES, threads == 1 ? one : other);
        if (threads == 1) {
            gradients = these;
            continue;
        }
        expect_same_bits(other, one, N_SENTENCES * N_LABELS, "logits on more threads");
        expect_same_bits(these, gradients, pare_model_parameters(model),
                         "gradients on more threads");
    }
    pare_model_free(model);
}

/* Enough sentences that each of four threads takes some by itself. */
static void test_groups_of_sentences_give_the_same_bits(void **state)
{
    (void)state;
    enum { MANY = 60 };
    int64_t long_and_short[MANY];
    real whole[MANY * N_LABELS], grouped[MANY * N_LABELS];
    for (int64_t i = 0; i < MANY; i++)
        long_and_short[i] = 1 + 7 * i % 60;
    assert_ok(pare_kernels_set("auto"));
    pare_threads_set(2);
    begin_model(&configs[0]);
    const test_sentence *many = test_sentences(arena, long_and_short, MANY, 97, 5);
    const pare_packed *batch = test_pack(arena, many, MANY);
    run_logits(&evaluating, many, MANY, whole);
    assert_ok(pare_model_pack(model));
    for (int threads = 1; threads <= 4; threads++) {
        pare_answerer *answerer;
        pare_threads_set(threads);
        assert_ok(pare_answerer_new(NULL, NULL, &answerer));
        for (int twice = 0; twice < 2; twice++) {
            memset(grouped, 0, sizeof grouped);
            assert_ok(pare_answer(answerer, model, batch, grouped));
            expect_same_bits(grouped, whole, MANY * N_LABELS, "groups of sentences");
        }
        pare_answerer_free(answerer);
    }
    pare_model_free(model);
}

/* ---- [CLS] only, and recording ---- */

/* The head on the first rows of the last layer's whole output. */
static void run_in_full(real *out)
{
    pare_tape t;
    pare_tensor *hidden[LAYERS_LIMIT + 1];
    begin(&t, &evaluating);
    const pare_packed *batch = test_pack(step, sentences, N_SENTENCES);
    assert_ok(pare_bert_hidden_states(&t, model, batch, hidden));
    pare_tensor *x = pare_first_rows(&t, hidden[model->config.num_hidden_layers], batch);
    x = pare_linear(&t, x, PARE_ACT_NONE, &model->pooler.weight->tensor,
                    &model->pooler.bias->tensor);
    x = pare_linear(&t, pare_activate(&t, x, PARE_ACT_TANH), PARE_ACT_NONE,
                    &model->classifier.weight->tensor, &model->classifier.bias->tensor);
    assert_ok(pare_tape_status(&t));
    memcpy(out, x->data, N_SENTENCES * N_LABELS * sizeof(real));
}

static void check_modes(void)
{
    real plain[N_SENTENCES * N_LABELS], other[N_SENTENCES * N_LABELS];
    run_logits(&evaluating, sentences, N_SENTENCES, plain);
    run_logits(&recording, sentences, N_SENTENCES, other);
    expect_same_bits(other, plain, N_SENTENCES * N_LABELS, "recording");
    run_in_full(other);
    expect_same_bits(other, plain, N_SENTENCES * N_LABELS, "all rows of the last layer");
}

static void test_modes_agree(void **state)
{
    (void)state;
    each(check_modes);
}

/* ---- dropout ---- */

static void check_dropout(void)
{
    real plain[N_SENTENCES * N_LABELS], kept[N_SENTENCES * N_LABELS],
        other[N_SENTENCES * N_LABELS];
    run_logits(&evaluating, sentences, N_SENTENCES, plain);
    run_logits(&training, sentences, N_SENTENCES, kept);
    pare_tape_mode next_seed = training, next_step = training;
    next_seed.seed++;
    next_step.step++;
    test_sentence renumbered[N_SENTENCES];
    memcpy(renumbered, sentences, sizeof renumbered);
    for (int i = 0; i < N_SENTENCES; i++)
        renumbered[i].example += 1000;
    /* Each changes every sentence's logits: the masks are others. */
    for (int kind = 0; kind < 3; kind++) {
        const pare_tape_mode *mode = kind == 0 ? &next_seed : kind == 1 ? &next_step : &training;
        run_logits(mode, kind == 2 ? renumbered : sentences, N_SENTENCES, other);
        for (int i = 0; i < N_SENTENCES; i++) {
            const size_t bytes = N_LABELS * sizeof(real);
            assert_memory_not_equal(kept + i * N_LABELS, other + i * N_LABELS, bytes);
            assert_memory_not_equal(kept + i * N_LABELS, plain + i * N_LABELS, bytes);
        }
    }
    pare_tape t;
    begin(&t, &training);
    pare_tensor *logits =
        test_logits(&t, model, test_pack(step, sentences, N_SENTENCES), 0);
    expect_same_bits(logits->data, plain, N_SENTENCES * N_LABELS, "dropout 0");
}

static void test_dropout_masks_have_keys(void **state)
{
    (void)state;
    each(check_dropout);
}

/* ---- micro-batches ---- */

static void check_accumulation(void)
{
    forget_gradients();
    run_backward(&training, 0, N_SENTENCES);
    const real *whole = copy_gradients();
    forget_gradients();
    run_backward(&training, 0, 2);
    run_backward(&training, 2, 1);
    run_backward(&training, 3, N_SENTENCES - 3);
    const real *sum = copy_gradients();
    double largest = 0;
    for (int64_t i = 0; i < pare_model_parameters(model); i++)
        largest = fmax(largest, fabs((double)whole[i]));
    assert_true(largest > 0);
    test_close_array(sum, whole, pare_model_parameters(model), TEST_REAL_TOL(1e-5), largest,
                     "gradients of micro-batches");
}

static void test_micro_batches_add_up(void **state)
{
    (void)state;
    each(check_accumulation);
}

/* Frozen tensors get no gradient, and the others' do not change by it. */
static void check_frozen(void)
{
    forget_gradients();
    run_backward(&training, 0, N_SENTENCES);
    const real *all = copy_gradients();
    for (int i = 0; i < model->n_params; i++) {
        pare_tensor *x = &model->params[i]->tensor;
        x->needs_grad = model->params[i]->layer >= 0; /* --freeze embeddings */
    }
    forget_gradients();
    run_backward(&training, 0, N_SENTENCES);
    for (int i = 0; i < model->n_params; i++) {
        const pare_tensor *x = &model->params[i]->tensor;
        assert_int_equal(x->has_grad, model->params[i]->layer >= 0);
        if (x->has_grad)
            expect_same_bits(x->grad, all, pare_tensor_size(x), model->params[i]->name);
        all += pare_tensor_size(x);
    }
}

static void test_frozen_layers(void **state)
{
    (void)state;
    each(check_frozen);
}

/* Where states of rows are kept, embeddings have the same gradients in the rows that tokens named,
 * over micro-batches too, and none is written in the others. */
static void check_row_states(void)
{
    forget_gradients();
    run_backward(&training, 0, 2);
    run_backward(&training, 2, N_SENTENCES - 2);
    const real *dense = copy_gradients();
    for (int i = 0; i < model->n_params; i++) {
        pare_tensor *x = &model->params[i]->tensor;
        if (!pare_param_is_table(model->params[i]))
            continue;
        x->row_state = test_alloc(arena, x->rows, 1);
        memset(x->row_state, PARE_ROW_GRADIENT, (size_t)x->rows); /* of a step that is over */
        memset(x->grad, 0xff, (size_t)pare_tensor_size(x) * sizeof(real));
    }
    forget_gradients();
    run_backward(&training, 0, 2);
    run_backward(&training, 2, N_SENTENCES - 2);
    for (int i = 0; i < model->n_params; i++) {
        const pare_tensor *x = &model->params[i]->tensor;
        for (int64_t r = 0; r < x->rows; r++) {
            const bool named = !x->row_state || x->row_state[r] == PARE_ROW_GRADIENT;
            for (int64_t c = 0; c < x->cols; c++)
                assert_true(named || (dense[r * x->cols + c] == 0 &&
                                      isnan(x->grad[r * x->cols + c])));
            if (named)
                expect_same_bits(x->grad + r * x->cols, dense + r * x->cols, x->cols,
                                 model->params[i]->name);
        }
        dense += pare_tensor_size(x);
    }
}

static void test_row_states(void **state)
{
    (void)state;
    each(check_row_states);
}

/* As transformers' padding_idx: that row of the table has no gradient, the others have theirs. */
static void check_padding(void)
{
    const int64_t token = sentences[0].ids[1], width = model->config.hidden_size;
    const int64_t was = model->config.pad_token_id;
    const real *row = model->word_embeddings->tensor.grad + token * width;
    for (int padded = 0; padded < 2; padded++) {
        model->config.pad_token_id = padded ? token : -1;
        forget_gradients();
        run_backward(&training, 0, 2);
        for (int64_t i = 0; i < width; i++)
            assert_true((row[i] == 0) == (padded == 1));
    }
    model->config.pad_token_id = was;
}

static void test_padding_token(void **state)
{
    (void)state;
    each(check_padding);
}

/* ---- memory and errors ---- */

/* Without recording, a layer's memory is given back: twice the layers need no more. */
static void test_evaluation_memory_does_not_grow_with_depth(void **state)
{
    (void)state;
    pare_config deep = configs[0];
    size_t peak[2];
    for (int i = 0; i < 2; i++) {
        deep.num_hidden_layers = 2 + 4 * i;
        make_model(&deep);
        pare_arena *own = pare_arena_new("step of its own");
        pare_tape t;
        pare_tape_begin(&t, own, scratch, &evaluating);
        test_sentence *s = test_sentences(arena, lengths, N_SENTENCES, 97, 5);
        assert_non_null(test_logits(&t, model, test_pack(arena, s, N_SENTENCES), -1));
        peak[i] = pare_arena_peak(own);
        pare_arena_free(own);
        pare_model_free(model);
    }
    assert_int_equal(peak[0], peak[1]);
}

static void expect_no_row(const pare_packed *batch, int32_t *one, const char *message)
{
    pare_tape t;
    const int32_t was = *one;
    *one = 999;
    begin(&t, &evaluating);
    assert_null(test_logits(&t, model, batch, -1));
    assert_status(pare_tape_status(&t), PARE_INPUT);
    assert_message_has(message);
    *one = was;
}

static void test_rows_that_tables_lack_are_refused(void **state)
{
    (void)state;
    begin_model(&configs[0]);
    const pare_packed *batch = test_pack(arena, test_sentences(arena, lengths, 1, 97, 5), 1);
    const int64_t last = batch->n_tokens - 1;
    expect_no_row(batch, (int32_t *)(uintptr_t)batch->ids + last, "token id 999: ");
    expect_no_row(batch, (int32_t *)(uintptr_t)batch->types + last, "token type 999: ");
    expect_no_row(batch, (int32_t *)(uintptr_t)batch->positions + last, "position 999: ");
    pare_model_free(model);
}

static void test_a_model_without_head_is_refused(void **state)
{
    (void)state;
    pare_tape t;
    test_sentence *s = test_sentences(arena, lengths, 1, 97, 5);
    for (int with_pooler = 0; with_pooler < 2; with_pooler++) {
        assert_ok(pare_model_new(&configs[0], with_pooler, 0, &model));
        begin(&t, &evaluating);
        const pare_packed *batch = test_pack(step, s, 1);
        const char *message = with_pooler ? "no classification or regression head" : "no pooler";
        assert_null(test_logits(&t, model, batch, -1));
        assert_status(pare_tape_status(&t), PARE_INPUT);
        assert_message_has(message);
        pare_answerer *answerer;
        assert_ok(pare_answerer_new(step, scratch, &answerer));
        assert_status(pare_answer(answerer, model, batch, NULL), PARE_INPUT);
        assert_message_has(message);
        pare_answerer_free(answerer);
        pare_model_free(model);
    }
}

static int set_up(void **state)
{
    (void)state;
    arena = pare_arena_new("test");
    step = pare_arena_new("step");
    scratch = pare_arena_new("scratch");
    return !arena || !step || !scratch;
}

static int tear_down(void **state)
{
    (void)state;
    pare_arena_free(scratch);
    pare_arena_free(step);
    pare_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_do_not_depend_on_the_batch),
        cmocka_unit_test(test_threads_give_the_same_bits),
        cmocka_unit_test(test_groups_of_sentences_give_the_same_bits),
        cmocka_unit_test(test_modes_agree),
        cmocka_unit_test(test_dropout_masks_have_keys),
        cmocka_unit_test(test_micro_batches_add_up),
        cmocka_unit_test(test_frozen_layers),
        cmocka_unit_test(test_row_states),
        cmocka_unit_test(test_padding_token),
        cmocka_unit_test(test_evaluation_memory_does_not_grow_with_depth),
        cmocka_unit_test(test_rows_that_tables_lack_are_refused),
        cmocka_unit_test(test_a_model_without_head_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
