/* test_model.c: config.json, the structure of a model, and random weights. */
#include "tests/harness.h"

#include "core/threads.h"
#include "models/model.h"

static const pare_config tiny = {
    .vocab_size = 11,
    .hidden_size = 6,
    .num_hidden_layers = 2,
    .num_attention_heads = 3,
    .intermediate_size = 10,
    .max_position_embeddings = 8,
    .type_vocab_size = 2,
    .hidden_act = PARE_ACT_GELU,
    .hidden_dropout_prob = 0.1,
    .attention_probs_dropout_prob = 0.1,
    .classifier_dropout = -1,
    .layer_norm_eps = 1e-12,
    .initializer_range = 0.02,
};

static pare_model *make(const pare_config *config, bool pooler, int64_t n_labels)
{
    pare_model *model = NULL;
    assert_ok(pare_model_new(config, pooler, n_labels, &model));
    return model;
}

/* ---- config.json ---- */

static pare_status read_config(const char *text, pare_config *out)
{
    pare_json *json = NULL;
    assert_ok(pare_json_parse(text, strlen(text), "config.json", &json));
    pare_status status = pare_config_read(json, "config.json", out);
    pare_json_free(json);
    return status;
}

static void test_config_defaults(void **state)
{
    (void)state;
    pare_config c;
    assert_ok(read_config("{\"model_type\":\"bert\"}", &c));
    assert_int_equal(c.vocab_size, 30522);
    assert_int_equal(c.hidden_size, 768);
    assert_int_equal(c.num_hidden_layers, 12);
    assert_int_equal(c.num_attention_heads, 12);
    assert_int_equal(c.intermediate_size, 3072);
    assert_int_equal(c.max_position_embeddings, 512);
    assert_int_equal(c.type_vocab_size, 2);
    assert_int_equal(c.hidden_act, PARE_ACT_GELU);
    assert_true(c.hidden_dropout_prob == 0.1 && c.attention_probs_dropout_prob == 0.1);
    assert_true(c.classifier_dropout < 0 && c.layer_norm_eps == 1e-12);
    assert_true(c.initializer_range == 0.02 && c.pad_token_id == 0);
}

static void test_config_round_trip(void **state)
{
    (void)state;
    pare_config first, second;
    assert_ok(read_config("{\"architectures\":[\"BertModel\"],\"hidden_size\":12,"
                          "\"num_attention_heads\":4,\"hidden_act\":\"gelu_pytorch_tanh\","
                          "\"classifier_dropout\":0.3,\"layer_norm_eps\":1e-5,"
                          "\"hidden_dropout_prob\":0,\"pad_token_id\":null,"
                          "\"position_embedding_type\":\"absolute\"}", &first));
    assert_int_equal(first.hidden_act, PARE_ACT_GELU_NEW);
    assert_int_equal(first.pad_token_id, -1);
    assert_true(first.classifier_dropout == 0.3 && first.hidden_dropout_prob == 0);
    pare_json *json = pare_config_to_json(&first);
    assert_ok(pare_config_read(json, "again", &second));
    pare_json_free(json);
    assert_memory_equal(&first, &second, sizeof first);
}

/* torch's Embedding counts a negative padding_idx from the end. */
static void test_config_padding(void **state)
{
    (void)state;
    pare_config c;
    assert_ok(read_config("{\"model_type\":\"bert\",\"pad_token_id\":-1}", &c));
    assert_int_equal(c.pad_token_id, 30521);
    assert_ok(read_config("{\"model_type\":\"bert\",\"pad_token_id\":-30522}", &c));
    assert_int_equal(c.pad_token_id, 0);
    assert_ok(read_config("{\"model_type\":\"bert\",\"pad_token_id\":30521}", &c));
    assert_int_equal(c.pad_token_id, 30521);
}

static void test_config_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "not a JSON object"},
        {"{\"model_type\":\"roberta\"}", "model_type is \"roberta\""},
        {"{\"model_type\":\"distilbert\"}", "\"distilbert\""},
        {"{\"model_type\":\"electra\",\"architectures\":[\"BertModel\"]}", "\"electra\""},
        {"{\"model_type\":7}", "model_type"},
        {"{\"architectures\":[\"AlbertModel\"]}", "architectures is \"AlbertModel\""},
        {"{}", "does not look like BERT"},
        {"{\"hidden_size\":8,\"num_hidden_layers\":1,\"embedding_size\":4}", "does not look"},
        {"{\"model_type\":\"bert\",\"hidden_size\":770}", "hidden_size 770 is no multiple"},
        {"{\"model_type\":\"bert\",\"hidden_size\":0}", "hidden_size is 0"},
        {"{\"model_type\":\"bert\",\"num_attention_heads\":-1}", "num_attention_heads is -1"},
        {"{\"model_type\":\"bert\",\"vocab_size\":4000000000000}", "vocab_size is 4000000000000"},
        {"{\"model_type\":\"bert\",\"vocab_size\":\"9\"}", "vocab_size is not a whole number"},
        {"{\"model_type\":\"bert\",\"vocab_size\":2.5}", "vocab_size is not a whole number"},
        {"{\"model_type\":\"bert\",\"hidden_dropout_prob\":1}", "hidden_dropout_prob is 1"},
        {"{\"model_type\":\"bert\",\"hidden_dropout_prob\":null}", "hidden_dropout_prob is not"},
        {"{\"model_type\":\"bert\",\"hidden_act\":\"swish\"}", "hidden_act \"swish\""},
        {"{\"model_type\":\"bert\",\"is_decoder\":true}", "is_decoder is true"},
        {"{\"model_type\":\"bert\",\"position_embedding_type\":\"relative_key\"}", "relative_key"},
        {"{\"model_type\":\"bert\",\"pad_token_id\":30522}", "pad_token_id"},
        {"{\"model_type\":\"bert\",\"pad_token_id\":-30523}", "pad_token_id"},
        {"{\"model_type\":\"bert\",\"pad_token_id\":\"0\"}", "pad_token_id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pare_config c;
        assert_status(read_config(cases[i].text, &c), PARE_INPUT);
        assert_message_has(cases[i].says);
    }
    pare_config c;
    assert_ok(read_config("{\"hidden_size\":8,\"num_hidden_layers\":1,"
                          "\"num_attention_heads\":2}", &c));
}

/* ---- Structure ---- */

/* Names, order and shapes of Hugging Face's named_parameters(). */
static void test_order(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t rows, cols;
        bool decay;
    } layer[] = {
        {"attention.self.query.weight", 6, 6, true}, {"attention.self.query.bias", 1, 6, false},
        {"attention.self.key.weight", 6, 6, true}, {"attention.self.key.bias", 1, 6, false},
        {"attention.self.value.weight", 6, 6, true}, {"attention.self.value.bias", 1, 6, false},
        {"attention.output.dense.weight", 6, 6, true}, {"attention.output.dense.bias", 1, 6, false},
        {"attention.output.LayerNorm.weight", 1, 6, false},
        {"attention.output.LayerNorm.bias", 1, 6, false},
        {"intermediate.dense.weight", 10, 6, true}, {"intermediate.dense.bias", 1, 10, false},
        {"output.dense.weight", 6, 10, true}, {"output.dense.bias", 1, 6, false},
        {"output.LayerNorm.weight", 1, 6, false}, {"output.LayerNorm.bias", 1, 6, false},
    };
    static const char *const first[] = {
        "bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight",
        "bert.embeddings.token_type_embeddings.weight", "bert.embeddings.LayerNorm.weight",
        "bert.embeddings.LayerNorm.bias"};
    static const char *const last[] = {"bert.pooler.dense.weight", "bert.pooler.dense.bias",
                                       "classifier.weight", "classifier.bias"};
    pare_model *m = make(&tiny, true, 3);
    assert_int_equal(m->n_params, 5 + 2 * 16 + 4);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(m->params[i]->name, first[i]);
        assert_int_equal(m->params[i]->layer, -1);
    }
    for (int i = 0; i < 32; i++) {
        const pare_param *p = m->params[5 + i];
        char name[PARE_NAME_SIZE];
        snprintf(name, sizeof name, "bert.encoder.layer.%d.%s", i / 16, layer[i % 16].name);
        assert_string_equal(p->name, name);
        assert_int_equal(p->tensor.rows, layer[i % 16].rows);
        assert_int_equal(p->tensor.cols, layer[i % 16].cols);
        assert_int_equal(p->rank, layer[i % 16].rows == 1 ? 1 : 2);
        assert_int_equal(p->layer, i / 16);
        assert_int_equal(p->decay, layer[i % 16].decay);
        assert_false(p->frozen);
    }
    for (int i = 0; i < 4; i++) {
        assert_string_equal(m->params[37 + i]->name, last[i]);
        assert_int_equal(m->params[37 + i]->layer, 2);
    }
    assert_int_equal(m->params[39]->tensor.rows, 3);
    pare_model_free(m);
}

static void test_structure(void **state)
{
    (void)state;
    pare_model *m = make(&tiny, true, 3);
    const pare_layer *l = &m->layers[1];
    assert_ptr_equal(l->value.bias,
                     pare_model_find(m, "bert.encoder.layer.1.attention.self.value.bias"));
    assert_ptr_equal(l->output_norm.weight,
                     pare_model_find(m, "bert.encoder.layer.1.output.LayerNorm.weight"));
    assert_ptr_equal(m->token_type_embeddings, m->params[2]);
    assert_null(pare_model_find(m, "bert.encoder.layer.2.output.dense.bias"));
    assert_int_equal(l->num_heads, 3);
    assert_int_equal(l->head_size, 2);
    assert_int_equal(l->output.in, 10);
    assert_int_equal(l->output.out, 6);
    assert_int_equal(m->classifier.out, 3);
    for (int i = 0; i < m->n_params; i++) {
        const pare_tensor *t = &m->params[i]->tensor;
        assert_int_equal((uintptr_t)t->data % 64, 0);
        for (int64_t k = 0; k < pare_tensor_size(t); k++)
            assert_true(t->data[k] == 0);
    }
    pare_model_free(m);
    m = make(&tiny, false, 0);
    assert_null(m->pooler.weight);
    assert_null(m->classifier.weight);
    pare_model_free(m);
    pare_model_free(NULL);
}

/* BERT-base with two labels; it takes no memory until it is touched. */
static void test_base_counts(void **state)
{
    (void)state;
    pare_config base = tiny;
    base.vocab_size = 30522;
    base.hidden_size = 768;
    base.num_hidden_layers = 12;
    base.num_attention_heads = 12;
    base.intermediate_size = 3072;
    base.max_position_embeddings = 512;
    pare_model *m = make(&base, true, 2);
    assert_int_equal(pare_model_parameters(m), 109483778);
    assert_int_equal(pare_model_encoder_parameters(m), 84934656);
    pare_model_free(m);
}

static void test_impossible_models(void **state)
{
    (void)state;
    pare_model *m = NULL;
    pare_config c = tiny;
    c.num_attention_heads = 4;
    assert_status(pare_model_new(&c, true, 2, &m), PARE_INPUT);
    assert_null(m);
    c = tiny;
    c.vocab_size = INT64_MAX / 6;
    assert_status(pare_model_new(&c, true, 2, &m), PARE_INPUT);
    assert_message_has("word_embeddings");
    c = tiny;
    c.num_hidden_layers = 0;
    assert_status(pare_model_new(&c, true, 2, &m), PARE_INPUT);
}

/* ---- Strings ---- */

static void test_strings(void **state)
{
    (void)state;
    pare_model *m = make(&tiny, true, 2);
    pare_vocabulary_spec spec = {(char[]){"a\nb\n"}, true, 0, false};
    assert_ok(pare_model_set_vocabulary(m, &spec));
    spec.text[0] = 'x'; /* it was copied */
    assert_string_equal(m->vocabulary.text, "a\nb\n");
    assert_int_equal(m->vocabulary.strip_accents, 0);
    spec.text = NULL;
    assert_ok(pare_model_set_vocabulary(m, &spec));
    assert_string_equal(m->vocabulary.text, "a\nb\n");

    assert_ok(pare_model_set_labels(m, "MRPC", (const char *const[]){"0", "1"}, 2));
    assert_string_equal(m->task, "MRPC");
    assert_string_equal(m->label_names[1], "1");
    assert_ok(pare_model_set_labels(m, NULL, NULL, 3));
    assert_string_equal(m->task, "MRPC");
    assert_string_equal(m->label_names[2], "LABEL_2");
    assert_ok(pare_model_set_labels(m, "regress", NULL, 1));
    assert_null(m->label_names);

    for (int i = 0; i < 2; i++) {
        pare_json *event = pare_json_new_object();
        pare_json_set_int(event, "n", i);
        assert_ok(pare_model_add_history(m, event));
    }
    assert_string_equal(m->history, "[{\"n\":0},{\"n\":1}]");
    pare_model_free(m);
}

/* ---- Random weights ---- */

static double moment(const pare_param *p, int power)
{
    double sum = 0;
    for (int64_t i = 0; i < pare_tensor_size(&p->tensor); i++)
        sum += pow((double)p->tensor.data[i], power);
    return sum / (double)pare_tensor_size(&p->tensor);
}

static void assert_all(const pare_param *p, real value)
{
    for (int64_t i = 0; i < pare_tensor_size(&p->tensor); i++)
        assert_true(p->tensor.data[i] == value);
}

static void test_initialize(void **state)
{
    (void)state;
    pare_config c = tiny;
    c.hidden_size = 96;
    c.vocab_size = 1500; /* more than one tile */
    c.pad_token_id = 3;
    pare_model *m = make(&c, true, 2);
    pare_model_initialize(m, 7);
    const pare_param *w = m->word_embeddings;
    for (int64_t i = 0; i < 96; i++)
        assert_true(w->tensor.data[3 * 96 + i] == 0 && w->tensor.data[4 * 96 + i] != 0);
    double sd = c.initializer_range; /* of 144,000 elements, 96 of them 0 */
    test_close(moment(w, 1), 0, 1, 4 * sd / sqrt(144e3), "mean");
    test_close(moment(w, 2), sd * sd, 0.02, 0, "variance");
    test_close(moment(w, 4), 3 * sd * sd * sd * sd, 0.05, 0, "fourth moment");
    for (int i = 0; i < m->n_params; i++) {
        const pare_param *p = m->params[i];
        if (p->rank == 1)
            assert_all(p, strstr(p->name, "LayerNorm.weight") ? 1 : 0);
        for (int k = 0; k < i; k++) /* no two tensors share their numbers */
            if (p->rank == 2 && m->params[k]->rank == 2)
                assert_true(p->tensor.data[0] != m->params[k]->tensor.data[0] ||
                            m->params[k]->tensor.data[0] == 0);
    }
    pare_model_free(m);
}

/* The same bits on any number of threads; other bits from another seed. */
static void test_initialize_threads(void **state)
{
    (void)state;
    pare_config c = tiny;
    c.vocab_size = 50000;
    pare_model *models[3];
    for (int i = 0; i < 3; i++) {
        models[i] = make(&c, true, 2);
        pare_threads_set(i == 1 ? 3 : 1);
        pare_model_initialize(models[i], i == 2 ? 2 : 1);
    }
    pare_threads_set(0);
    const real *a = models[0]->word_embeddings->tensor.data;
    assert_memory_equal(a, models[1]->word_embeddings->tensor.data, 300000 * sizeof *a);
    assert_memory_not_equal(a, models[2]->word_embeddings->tensor.data, 300000 * sizeof *a);
    for (int i = 0; i < 3; i++)
        pare_model_free(models[i]);
}

static void test_ensure_head(void **state)
{
    (void)state;
    bool made = false;
    pare_model *m = make(&tiny, false, 0), *other = make(&tiny, true, 2);
    assert_ok(pare_model_ensure_head(m, 2, 5, &made));
    assert_true(made);
    assert_int_equal(m->n_params, 41);
    for (int i = 0; i < 41; i++)
        assert_string_equal(m->params[i]->name, other->params[i]->name);
    assert_int_equal(m->n_labels, 2);
    assert_int_equal(m->pooler.in, 6);
    assert_all(m->pooler.bias, 0);
    pare_model_initialize(other, 5); /* the same numbers as in a model from scratch */
    assert_memory_equal(m->classifier.weight->tensor.data, other->classifier.weight->tensor.data,
                        12 * sizeof(real));

    const pare_param *kept = m->classifier.weight;
    assert_ok(pare_model_ensure_head(m, 2, 6, &made));
    assert_false(made);
    assert_ptr_equal(m->classifier.weight, kept);
    assert_ok(pare_model_set_labels(m, "classify", (const char *const[]){"no", "yes"}, 2));
    assert_ok(pare_model_ensure_head(m, 3, 6, &made));
    assert_true(made);
    assert_int_equal(m->n_params, 41);
    assert_int_equal(m->classifier.out, 3);
    assert_null(m->label_names);
    assert_ptr_equal(m->params[40], m->classifier.bias);
    assert_ptr_equal(pare_model_find(m, "classifier.weight"), m->classifier.weight);
    assert_ok(pare_model_set_labels(m, "regress", NULL, 1)); /* the other order works too */
    assert_ok(pare_model_ensure_head(m, 1, 6, NULL));
    assert_int_equal(m->n_labels, 1);
    assert_status(pare_model_ensure_head(m, 0, 6, NULL), PARE_INPUT);
    pare_model_free(m);
    pare_model_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_defaults),   cmocka_unit_test(test_config_round_trip),
        cmocka_unit_test(test_config_padding),    cmocka_unit_test(test_config_refusals),
        cmocka_unit_test(test_order),             cmocka_unit_test(test_structure),
        cmocka_unit_test(test_base_counts),       cmocka_unit_test(test_impossible_models),
        cmocka_unit_test(test_strings),           cmocka_unit_test(test_initialize),
        cmocka_unit_test(test_initialize_threads), cmocka_unit_test(test_ensure_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
