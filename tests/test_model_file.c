/* test_model_file.c: a model in a file is the model; one that contradicts itself is refused. */
#include "tests/harness.h"

#include "models/model_file.h"

static const pare_config tiny = {
    .vocab_size = 11, .hidden_size = 8, .num_hidden_layers = 2, .num_attention_heads = 2,
    .intermediate_size = 12, .max_position_embeddings = 16, .type_vocab_size = 2,
    .hidden_act = PARE_ACT_GELU, .hidden_dropout_prob = 0.1, .attention_probs_dropout_prob = 0.2,
    .classifier_dropout = -1, .layer_norm_eps = 1e-12, .initializer_range = 0.02};

static pare_model *make_model(bool with_pooler, int64_t n_labels)
{
    static const char *const names[] = {"no", "yes", "it's \"so\""};
    pare_model *model = NULL;
    assert_ok(pare_model_new(&tiny, with_pooler, n_labels, &model));
    for (int i = 0; i < model->n_params; i++)
        for (int64_t k = 0; k < pare_tensor_size(&model->params[i]->tensor); k++)
            model->params[i]->tensor.data[k] = (real)(i + 1) / (real)(k + 3);
    char text[] = "[PAD]\n[UNK]\n";
    pare_vocabulary_spec spec = {text, false, 1, false};
    assert_ok(pare_model_set_vocabulary(model, &spec));
    if (n_labels > 0)
        assert_ok(pare_model_set_labels(model, "MNLI", n_labels == 3 ? names : NULL, n_labels));
    pare_json *event = pare_json_new_object();
    pare_json_set_string(event, "command", "import");
    assert_ok(pare_model_add_history(model, event));
    model->trained_length = 16;
    return model;
}

static void assert_same_model(const pare_model *a, const pare_model *b)
{
    assert_int_equal(a->n_params, b->n_params);
    for (int i = 0; i < a->n_params; i++) {
        const pare_param *p = a->params[i], *q = b->params[i];
        assert_string_equal(p->name, q->name);
        assert_int_equal(pare_tensor_size(&p->tensor), pare_tensor_size(&q->tensor));
        assert_memory_equal(p->tensor.data, q->tensor.data,
                            (size_t)pare_tensor_size(&p->tensor) * sizeof(real));
    }
    assert_memory_equal(&a->config.layer_norm_eps, &b->config.layer_norm_eps, sizeof(double));
    assert_int_equal(a->config.hidden_act, b->config.hidden_act);
    assert_string_equal(a->vocabulary.text, b->vocabulary.text);
    assert_int_equal(a->vocabulary.do_lower_case, b->vocabulary.do_lower_case);
    assert_int_equal(a->vocabulary.strip_accents, b->vocabulary.strip_accents);
    assert_int_equal(a->vocabulary.tokenize_chinese_chars, b->vocabulary.tokenize_chinese_chars);
    assert_int_equal(a->n_labels, b->n_labels);
    assert_int_equal(a->label_names == NULL, b->label_names == NULL);
    for (int64_t i = 0; a->label_names && i < a->n_labels; i++)
        assert_string_equal(a->label_names[i], b->label_names[i]);
    assert_string_equal(a->task ? a->task : "", b->task ? b->task : "");
    assert_string_equal(a->history, b->history);
    assert_int_equal(a->trained_length, b->trained_length);
}

static void test_model_round_trip(void **state)
{
    (void)state;
    static const struct {
        bool with_pooler;
        int64_t n_labels;
    } kinds[] = {{true, 3}, {true, 1}, {true, 0}, {false, 0}};
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "m.h5");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        pare_model *model = make_model(kinds[i].with_pooler, kinds[i].n_labels), *back = NULL;
        assert_ok(pare_model_save(model, path));
        assert_ok(pare_model_open(path, &back));
        assert_same_model(model, back);
        pare_model_free(back);
        assert_ok(pare_model_map(path, &back));
        assert_same_model(model, back);
        pare_model_free(model);
        pare_model_free(back);
    }
}

/* Saves a model with one entry changed, and wants it refused for that. */
typedef void change(pare_array *arrays, size_t *n_arrays, pare_attribute *attributes,
                    size_t *n_attributes);

static void drop_array(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)a, (void)t, (void)m;
    --*n;
}

static void rename_array(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)n, (void)t, (void)m;
    a[3].name = "model/bert.embeddings.other";
}

static void rename_head(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)t, (void)m;
    a[*n - 2].name = "model/other.weight";
}

static void turn_array(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)n, (void)t, (void)m;
    a[0].shape[0] = 8, a[0].shape[1] = 11;
}

static void split_heads(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)a, (void)n, (void)m;
    t[0].string = "{\"model_type\":\"bert\",\"hidden_size\":8,\"num_attention_heads\":3}";
}

static void claim_much(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)a, (void)n, (void)m;
    t[0].string = "{\"model_type\":\"bert\",\"hidden_size\":16777216,\"num_attention_heads\":1}";
}

static void add_label(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)a, (void)n, (void)m;
    t[2].string = "[\"a\",\"b\",\"c\",\"d\"]";
}

static void number_label(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)a, (void)n, (void)m;
    t[2].string = "[\"a\",2,\"c\"]";
}

static void drop_config(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)a, (void)n, (void)m;
    t[0].name = "config";
}

static void lengthen(pare_array *a, size_t *n, pare_attribute *t, size_t *m)
{
    (void)a, (void)n, (void)m;
    t[3].integer = 17;
}

static void test_odd_models_are_refused(void **state)
{
    (void)state;
    static const struct {
        change *change;
        const char *message;
    } odd[] = {
        {drop_array, "classifier.bias is missing"},
        {rename_array, "bert.embeddings.LayerNorm.weight is missing"},
        {rename_head, "it holds 2 arrays that belong to no BERT of its config"},
        {turn_array, "word_embeddings.weight has 2 dimensions [8,11], its config wants 2 [11,8]"},
        {split_heads, "model.config: "},
        {claim_much, "its config wants 2 [30522,16777216]"},
        {add_label, "names 4 labels, the head has 3"},
        {number_label, "model.labels[1] is no string"},
        {drop_config, "model.config is missing"},
        {lengthen, "model.trained_length is 17"},
    };
    char dir[TEST_PATH], path[TEST_PATH];
    pare_model *model = make_model(true, 3), *back = NULL;
    test_dir_make(dir);
    test_path(path, dir, "m.h5");
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        pare_arena *arena = pare_arena_new("test");
        pare_array *a;
        pare_attribute *t;
        size_t n, m;
        assert_ok(pare_model_entries(model, arena, &a, &n, &t, &m));
        odd[i].change(a, &n, t, &m);
        assert_ok(pare_store_write(path, a, n, t, m));
        assert_status(pare_model_open(path, &back), PARE_INPUT);
        assert_message_has(odd[i].message);
        pare_arena_free(arena);
    }
    pare_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_round_trip),
        cmocka_unit_test(test_odd_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
