/* Pruning without numbers from elsewhere: which layers a strategy names, what is refused, and that
 * a pruned model is a model like any other. */
#include "prune/heads.h"
#include "prune/layers.h"
#include "tasks/student.h"
#include "tests/batch.h"

static pare_config small_config(void)
{
    return (pare_config){.vocab_size = 50, .hidden_size = 30, .num_hidden_layers = 5,
                         .num_attention_heads = 3, .intermediate_size = 44,
                         .max_position_embeddings = 20, .type_vocab_size = 2,
                         .hidden_act = PARE_ACT_GELU, .classifier_dropout = -1,
                         .layer_norm_eps = 1e-12, .initializer_range = 0.2};
}

static pare_model *small_model(void)
{
    const pare_config config = small_config();
    pare_model *model = NULL;
    assert_ok(pare_model_new(&config, true, 3, &model));
    pare_model_initialize(model, 5);
    return model;
}

static void check_choice(const pare_layer_choice *c, const char *want)
{
    char got[256] = "";
    for (int64_t i = 0; i < c->n_layers; i++)
        if (c->drop[i])
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", *got ? "," : "", (int)i);
    assert_string_equal(got, want);
}

/* The index sets of the paper, for 12 layers. */
static void test_strategies(void **state)
{
    (void)state;
    static const struct row {
        const char *strategy, *sets[3]; /* of 2, 4 and 6 layers */
    } rows[] = {
        {"top", {"10,11", "8,9,10,11", "6,7,8,9,10,11"}},
        {"bottom", {"0,1", "0,1,2,3", "0,1,2,3,4,5"}},
        {"symmetric", {"5,6", "4,5,6,7", "3,4,5,6,7,8"}},
        {"alternate-odd", {"8,10", "4,6,8,10", "0,2,4,6,8,10"}},
        {"alternate-even", {"9,11", "5,7,9,11", "1,3,5,7,9,11"}},
    };
    pare_layer_choice c;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int k = 0; k < 3; k++) {
            assert_ok(pare_layers_choose(rows[i].strategy, 2 + 2 * k, 12, NULL, &c));
            check_choice(&c, rows[i].sets[k]);
            assert_int_equal(c.n_dropped, 2 + 2 * k);
        }
    assert_ok(pare_layers_choose("symmetric", 2, 5, NULL, &c)); /* starts at 3 / 2 */
    check_choice(&c, "1,2");
    assert_ok(pare_layers_choose("alternate-odd", 3, 5, NULL, &c));
    check_choice(&c, "0,2,4");
    assert_ok(pare_layers_choose("alternate-even", 2, 5, NULL, &c));
    check_choice(&c, "1,3");
}

/* The most similar go first, of equals the higher layer. */
static void test_contribution(void **state)
{
    (void)state;
    const double similarity[] = {0.5, 0.9, 0.2, 0.9, 0.7};
    pare_layer_choice c;
    assert_ok(pare_layers_choose("contribution", 1, 5, similarity, &c));
    check_choice(&c, "3");
    assert_ok(pare_layers_choose("contribution", 3, 5, similarity, &c));
    check_choice(&c, "1,3,4");
}

static void test_refused_choices(void **state)
{
    (void)state;
    static const char *const lists[] = {"",    "a",   "1,",   ",1",  "1,1", "5",
                                        "-1",  "1;2", "1,,2", "+1",  "1 ",  "0,1,2,3,4"};
    pare_layer_choice c;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        assert_int_equal(pare_layers_list(lists[i], 5, &c), PARE_USAGE);
    assert_ok(pare_layers_list("3,0", 5, &c));
    check_choice(&c, "0,3");
    assert_ok(pare_layers_list("3+0", 5, &c));
    check_choice(&c, "0,3");
    assert_int_equal(pare_layers_choose("top", 5, 5, NULL, &c), PARE_USAGE);
    assert_string_equal(pare_error_hint(), "drop at most 4");
    assert_int_equal(pare_layers_choose("top", 1, 1, NULL, &c), PARE_USAGE);
    assert_message_has("the model has one layer");
    assert_int_equal(pare_layers_choose("top", 0, 5, NULL, &c), PARE_USAGE);
    assert_int_equal(pare_layers_choose("tip", 1, 5, NULL, &c), PARE_USAGE);
    assert_non_null(strstr(pare_error_message(), "tip"));
    assert_int_equal(pare_layers_choose("alternate-even", 3, 5, NULL, &c), PARE_USAGE);
    assert_int_equal(pare_layers_choose("top", 1, PARE_MAX_LAYERS + 1, NULL, &c), PARE_INPUT);
}

static void test_dropped_layers_keep_their_weights(void **state)
{
    (void)state;
    pare_model *model = small_model(), *smaller = NULL;
    pare_layer_choice c;
    assert_ok(pare_layers_list("1,3", 5, &c));
    assert_ok(pare_layers_drop(model, &c, &smaller));
    static const int kept[] = {0, 2, 4};
    assert_int_equal(smaller->config.num_hidden_layers, 3);
    for (int i = 0; i < 3; i++) {
        const pare_tensor *a = &smaller->layers[i].output.weight->tensor;
        const pare_tensor *b = &model->layers[kept[i]].output.weight->tensor;
        assert_memory_equal(a->data, b->data, (size_t)pare_tensor_size(b) * sizeof(real));
    }
    assert_memory_equal(smaller->classifier.weight->tensor.data,
                        model->classifier.weight->tensor.data, 3 * 30 * sizeof(real));
    assert_non_null(strstr(smaller->history, "\"dropped\":[1,3]"));
    assert_null(smaller->config.layers);
    pare_model_free(smaller);
    pare_model_free(model);
}

/* ---- heads ---- */

typedef struct sentences {
    pare_arena *arena, *step, *scratch;
    pare_packed *batch;
} sentences;

static sentences new_sentences(void)
{
    static const int64_t lengths[] = {3, 20, 1, 7};
    sentences s = {pare_arena_new("test"), pare_arena_new("step"), pare_arena_new("scratch"), NULL};
    s.batch = test_pack(s.arena, test_sentences(s.arena, lengths, 4, 50, 1), 4);
    return s;
}

static void free_sentences(sentences *s)
{
    pare_arena_free(s->scratch);
    pare_arena_free(s->step);
    pare_arena_free(s->arena);
}

static const pare_tensor *run(sentences *s, const pare_model *model, pare_tensor **gates)
{
    static pare_tape t;
    pare_tape_begin(&t, s->step, s->scratch, &(pare_tape_mode){0});
    const pare_bert_pass pass = {&t, model, s->batch, 0, gates, NULL};
    const pare_tensor *logits = pare_bert_logits(&pass);
    assert_ok(pare_tape_status(&t));
    return logits;
}

static void assert_near(const pare_tensor *a, const pare_tensor *b)
{
    assert_int_equal(pare_tensor_size(a), pare_tensor_size(b));
    for (int64_t i = 0; i < pare_tensor_size(a); i++)
        assert_true(fabs((double)a->data[i] - b->data[i]) <= 1e-5);
}

/* Any set of heads removed, a whole layer's among them, gives the logits of the same set gated; the
 * file gives the model back, smaller, and it can be pruned again. */
static void test_removed_heads(void **state)
{
    (void)state;
    sentences s = new_sentences();
    pare_model *model = small_model(), *smaller = NULL, *again = NULL;
    pare_head_list heads;
    assert_ok(pare_heads_list(s.arena, model, &heads));
    assert_int_equal(heads.n, 15);
    const bool off[15] = {1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1};
    const pare_tensor *want = run(&s, model, pare_heads_gates(s.arena, &heads, off));
    assert_ok(pare_heads_remove(model, &heads, off, &smaller));
    assert_near(run(&s, smaller, NULL), want);
    assert_int_equal(smaller->layers[1].num_heads, 0);
    assert_int_equal(pare_model_encoder_parameters(model) -
                         pare_model_encoder_parameters(smaller), 7 * 4 * 10 * 30);
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "pruned.h5");
    assert_ok(pare_model_save(smaller, path));
    assert_ok(pare_model_open(path, &again));
    assert_int_equal(again->layers[1].num_heads, 0);
    assert_memory_equal(run(&s, again, NULL)->data, run(&s, smaller, NULL)->data,
                        12 * sizeof(real));
    pare_model_free(again);
    pare_model_free(smaller);
    pare_model_free(model);
    free_sentences(&s);
}

static void test_choosing_heads(void **state)
{
    (void)state;
    sentences s = new_sentences();
    pare_model *model = small_model();
    pare_head_list heads;
    assert_ok(pare_heads_list(s.arena, model, &heads));
    double scores[15] = {3, 1, 2, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    bool off[15] = {false};
    assert_int_equal(pare_heads_choose(&heads, scores, 4, true, off), 4);
    assert_true(off[3] && off[4] && !off[5] && off[1] && off[2] && !off[0]);
    assert_int_equal(pare_heads_choose(&heads, scores, 1, false, off), 1);
    assert_true(off[5]);
    assert_int_equal(pare_heads_choose(&heads, scores, 99, true, off), 6); /* one a layer stays */
    pare_heads_normalize(&heads, scores);
    assert_true(fabs(scores[0] - 3 / sqrt(14.0)) < 1e-15);
    assert_true(scores[3] == 0);
    pare_model_free(model);
    free_sentences(&s);
}

/* scipy.special.betainc(n/2 - 1, 1/2, 1 - r^2) of scipy 1.18. */
static void test_p_values(void **state)
{
    (void)state;
    static const struct row {
        double r;
        int64_t n;
        double p;
    } rows[] = {{0.5, 10, 0.14111328125000006},  {0, 5, 1},
                {0.9, 72, 6.005783447240228e-27}, {-0.3, 72, 0.01045820606056104},
                {0.999, 3, 0.028472874812479326}, {0.1, 1000, 0.0015441161074011803},
                {-0.99999, 20, 9.495751895674682e-44}, {1, 8, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double p = pare_correlation_p(rows[i].r, rows[i].n);
        assert_true(fabs(p - rows[i].p) <= 1e-12 * rows[i].p);
    }
    assert_true(isnan(pare_correlation_p(0.5, 2)));
    assert_true(isnan(pare_correlation_p(NAN, 9)));
}

/* Importing what was exported gives the same logits: removed heads come back as zeros. */
static void test_export_of_removed_heads(void **state)
{
    (void)state;
    sentences s = new_sentences();
    pare_model *model = small_model(), *smaller = NULL, *back = NULL;
    pare_head_list heads;
    const bool off[15] = {1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1};
    char text[1024] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", dir[TEST_PATH];
    for (int i = 5; i < 50; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "w%d\n", i);
    const pare_vocabulary_spec vocabulary = {text, true, -1, true};
    assert_ok(pare_model_set_vocabulary(model, &vocabulary));
    assert_ok(pare_heads_list(s.arena, model, &heads));
    assert_ok(pare_heads_remove(model, &heads, off, &smaller));
    test_dir_make(dir);
    assert_ok(pare_export(smaller, dir));
    assert_ok(pare_import(dir, &back));
    assert_int_equal(pare_model_parameters(back), pare_model_parameters(model));
    assert_near(run(&s, back, NULL), run(&s, smaller, NULL));
    assert_int_equal(pare_export_for(smaller, dir, 4), PARE_INPUT); /* layer 1 has no head */
    pare_model_free(back);
    pare_model_free(smaller);
    pare_model_free(model);
    free_sentences(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strategies),
        cmocka_unit_test(test_contribution),
        cmocka_unit_test(test_refused_choices),
        cmocka_unit_test(test_dropped_layers_keep_their_weights),
        cmocka_unit_test(test_removed_heads),
        cmocka_unit_test(test_choosing_heads),
        cmocka_unit_test(test_export_of_removed_heads),
        cmocka_unit_test(test_p_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
