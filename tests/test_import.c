/* test_import.c: Hugging Face directories in and out. Broken files: test_hostile.c. */
#include "tests/hf.h"

#include "models/safetensors.h"

static pare_model *import_tiny(void)
{
    return import(DATA "tiny");
}

/* Equal names, shapes and numbers; rounding is what a narrower type in between may have lost. */
static void assert_same(const pare_model *a, const pare_model *b, double rounding)
{
    assert_int_equal(a->n_params, b->n_params);
    for (int i = 0; i < a->n_params; i++) {
        const pare_param *p = a->params[i], *q = b->params[i];
        assert_string_equal(p->name, q->name);
        assert_int_equal(p->tensor.rows, q->tensor.rows);
        assert_int_equal(p->tensor.cols, q->tensor.cols);
        test_close_array(p->tensor.data, q->tensor.data, pare_tensor_size(&p->tensor), rounding,
                         1e-3, p->name);
    }
}

/* Writes the model's tensors under other names: a name maps to NULL to leave it out. */
static void write_renamed(const pare_model *m, const char *dir,
                          const char *(*rename_)(const char *))
{
    char path[TEST_PATH];
    pare_safetensors_entry entries[64];
    size_t n = 0;
    for (int i = 0; i < m->n_params; i++) {
        const pare_param *p = m->params[i];
        const char *name = rename_(p->name);
        if (name)
            entries[n++] = (pare_safetensors_entry){name, p->rank, p->tensor.rows, p->tensor.cols,
                                                    p->tensor.data};
    }
    test_path(path, dir, "model.safetensors");
    assert_ok(pare_safetensors_write(path, entries, n));
}

/* ---- What is read ---- */

static void test_tiny(void **state)
{
    (void)state;
    pare_model *m = import_tiny();
    assert_int_equal(m->config.vocab_size, 9);
    assert_int_equal(m->config.intermediate_size, 6);
    assert_int_equal(m->config.hidden_act, PARE_ACT_GELU_NEW);
    assert_true(m->config.classifier_dropout == 0.25 && m->config.layer_norm_eps == 1e-7);
    assert_int_equal(m->n_params, 5 + 16 + 4);
    assert_int_equal(m->n_labels, 3);
    assert_string_equal(m->task, "classify");
    assert_string_equal(m->label_names[0], "contra");
    assert_string_equal(m->label_names[2], "neither");
    assert_true(strncmp(m->vocabulary.text, "[PAD]\n[UNK]\n", 12) == 0);
    assert_non_null(strstr(m->history, "import"));
    /* the first numbers of the file's first tensor, which is classifier.bias */
    size_t size;
    char *bytes = test_file_read(DATA "tiny/model.safetensors", &size);
    char *at = strstr(bytes + 8, "\"bert.embeddings.LayerNorm.bias\"");
    assert_non_null(at);
    uint64_t length;
    float bias[4];
    memcpy(&length, bytes, 8);
    memcpy(bias, bytes + 8 + length, sizeof bias);
    test_close_array(m->embeddings_norm.bias->tensor.data, bias, 4, 0, 0, "first tensor");
    free(bytes);
    pare_model_free(m);
}

static void test_torch_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double rounding;
    } files[] = {{"protocol2", 0}, {"protocol5", 0},     {"deflated", 0}, {"strided", 0},
                 {"double", 0},    {"parameters", 0},    {"half", 5e-4},  {"bfloat16", 4e-3}};
    pare_model *want = import_tiny();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char dir[TEST_PATH], path[TEST_PATH];
        make_directory(dir);
        snprintf(path, sizeof path, DATA "bin/%s.bin", files[i].name);
        copy_file(path, dir, "pytorch_model.bin");
        pare_model *got = import(dir);
        assert_same(got, want, files[i].rounding);
        pare_model_free(got);
    }
    pare_model_free(want);
}

/* Every half there is, against its definition; every 16 bits as bfloat16. */
static void test_sixteen_bits(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x10000; i++) {
        uint16_t bits = (uint16_t)i;
        uint32_t wide = i << 16;
        float want;
        real got;
        pare_foreign_tensor t = {.name = "t", .rank = 1, .shape = {1}, .stride = {1},
                                 .data = (const unsigned char *)&bits, .element = PARE_ELEMENT_F16};
        pare_foreign_job job = {&t, 1, 1, &got, 0};
        int exponent = i >> 10 & 31, fraction = i & 1023, sign = i >> 15 ? -1 : 1;
        if (exponent == 31) {
            assert_status(pare_foreign_convert(&job, 1, "w"), PARE_INPUT);
        } else {
            assert_ok(pare_foreign_convert(&job, 1, "w"));
            double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
            assert_true((double)got == sign * value);
            assert_true((bool)signbit(got) == (sign < 0));
        }
        t.element = PARE_ELEMENT_BF16;
        memcpy(&want, &wide, sizeof want);
        pare_status status = pare_foreign_convert(&job, 1, "w");
        assert_int_equal(status, isfinite(want) ? PARE_OK : PARE_INPUT);
        if (status == PARE_OK)
            assert_true(got == (real)want);
    }
}

/* A transposed matrix of more than one tile, whose tiles begin in the middle of a row. */
static void test_wide_strides(void **state)
{
    (void)state;
    enum { ROWS = 70001, COLS = 3 };
    float *stored = malloc(ROWS * COLS * sizeof *stored); /* [COLS, ROWS] */
    real *got = malloc(ROWS * COLS * sizeof *got);
    assert_true(stored && got);
    for (int64_t i = 0; i < ROWS * COLS; i++)
        stored[i] = (float)i;
    pare_foreign_tensor t = {.name = "t", .rank = 2, .shape = {ROWS, COLS}, .stride = {1, ROWS},
                             .data = (const unsigned char *)stored, .element = PARE_ELEMENT_F32};
    pare_foreign_job job = {&t, ROWS, COLS, got, 0};
    assert_ok(pare_foreign_convert(&job, 1, "w"));
    for (int64_t i = 0; i < ROWS * COLS; i++)
        assert_true(got[i] == (real)(i % COLS * ROWS + i / COLS));
    free(stored);
    free(got);
}

static const char *without_prefix(const char *name)
{
    return strncmp(name, "bert.", 5) == 0 ? name + 5 : name;
}

static const char *old_norms(const char *name)
{
    static char names[64][PARE_NAME_SIZE];
    static int n;
    char *dot = strrchr(name, '.');
    if (!strstr(name, "LayerNorm"))
        return name;
    n = (n + 1) % 64;
    snprintf(names[n], PARE_NAME_SIZE, "%.*s%s", (int)(dot - name), name,
             strcmp(dot, ".weight") == 0 ? ".gamma" : ".beta");
    return names[n];
}

static const char *old_norms_without_prefix(const char *name)
{
    return without_prefix(old_norms(name));
}

static void test_spellings(void **state)
{
    (void)state;
    const char *(*ways[])(const char *) = {without_prefix, old_norms, old_norms_without_prefix};
    pare_model *want = import_tiny();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char dir[TEST_PATH];
        make_directory(dir);
        write_renamed(want, dir, ways[i]);
        pare_model *got = import(dir);
        assert_same(got, want, 0);
        pare_model_free(got);
    }
    pare_model_free(want);
}

static const char *body_alone(const char *name)
{
    return strstr(name, "pooler") || strstr(name, "classifier") ? NULL : without_prefix(name);
}

static const char *one_missing(const char *name)
{
    return strcmp(name, "bert.encoder.layer.0.output.dense.bias") == 0 ? NULL : name;
}

static const char *half_a_head(const char *name)
{
    return strcmp(name, "classifier.bias") == 0 ? NULL : name;
}

static const char *surplus(const char *name)
{
    return strstr(name, "classifier") ? name + 5 : name; /* "ifier.weight" */
}

static void test_missing_parts(void **state)
{
    (void)state;
    char dir[TEST_PATH];
    pare_model *tiny = import_tiny(), *m;
    make_directory(dir);
    write_renamed(tiny, dir, body_alone);
    m = import(dir);
    assert_null(m->pooler.weight);
    assert_null(m->classifier.weight);
    assert_null(m->task);
    assert_int_equal(m->n_labels, 0);
    pare_model_free(m);
    write_renamed(tiny, dir, surplus);
    m = import(dir);
    assert_non_null(m->pooler.weight);
    assert_int_equal(m->n_labels, 0);
    pare_model_free(m);
    write_renamed(tiny, dir, one_missing);
    assert_refused(dir, "tensor bert.encoder.layer.0.output.dense.bias is missing");
    write_renamed(tiny, dir, half_a_head);
    assert_refused(dir, "tensor classifier.bias is missing");
    pare_model_free(tiny);
}

/* config.json with one member changed: the text `from` becomes `to`. */
static void edit_config(const char *dir, const char *from, const char *to)
{
    char text[4096], *whole = test_file_read(DATA "tiny/config.json", NULL);
    char *at = strstr(whole, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    write_file(dir, "config.json", text);
    free(whole);
}

static void test_config_against_weights(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"\"intermediate_size\": 6", "\"intermediate_size\": 7",
         "tensor bert.encoder.layer.0.intermediate.dense.weight has the shape [6,4]; config.json "
         "makes it [7,4]"},
        {"\"num_hidden_layers\": 1", "\"num_hidden_layers\": 60000",
         "bert.encoder.layer.1.attention.self.query.weight is missing"},
        {"\"vocab_size\": 9", "\"vocab_size\": 16000000", "has the shape [9,4]"},
        {"\"2\": \"neither\"", "\"2\": \"neither\", \"3\": \"x\"", "names 4 labels"},
        {"\"model_type\": \"bert\"", "\"model_type\": \"albert\"", "\"albert\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TEST_PATH];
        make_directory(dir);
        copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
        edit_config(dir, cases[i].from, cases[i].to);
        assert_refused(dir, cases[i].says);
    }
}

static void test_labels(void **state)
{
    (void)state;
    char dir[TEST_PATH];
    make_directory(dir);
    copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
    edit_config(dir, "\"id2label\"", "\"num_labels\": 3, \"id2something\"");
    pare_model *m = import(dir);
    assert_string_equal(m->label_names[2], "LABEL_2");
    pare_model_free(m);
    edit_config(dir, "BertForSequenceClassification", "BertForTokenClassification");
    m = import(dir);
    assert_null(m->classifier.weight);
    pare_model_free(m);
}

static void test_shards(void **state)
{
    (void)state;
    char dir[TEST_PATH];
    pare_model *tiny = import_tiny();
    make_directory(dir);
    write_renamed(tiny, dir, body_alone);
    char from[TEST_PATH], to[TEST_PATH];
    test_path(from, dir, "model.safetensors");
    test_path(to, dir, "one.safetensors");
    assert_int_equal(rename(from, to), 0);
    write_file(dir, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}}");
    pare_model *m = import(dir);
    assert_null(m->pooler.weight);
    pare_model_free(m);
    write_file(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../x\"}}");
    assert_refused(dir, "no file of its directory");
    write_file(dir, "model.safetensors.index.json", "{\"weight_map\":{}}");
    assert_refused(dir, "no weight_map");
    pare_model_free(tiny);
}

static void test_absent_files(void **state)
{
    (void)state;
    char dir[TEST_PATH];
    assert_refused("/no/such/directory", "is no directory");
    make_directory(dir);
    assert_refused(dir, "holds no model.safetensors, pytorch_model.bin or *.ckpt.index");
    copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
    remove_file(dir, "vocab.txt");
    assert_refused(dir, "neither vocab.txt nor tokenizer.json");
    remove_file(dir, "config.json");
    assert_refused(dir, "holds neither config.json nor bert_config.json");
}

/* ---- Vocabulary ---- */

/* The directory has these tokens, or is refused. */
static void expect_vocabulary(const char *dir, const char *says, const char *want)
{
    if (says) {
        assert_refused(dir, says);
        return;
    }
    pare_model *m = import(dir);
    assert_string_equal(m->vocabulary.text, want);
    pare_model_free(m);
}

static void test_vocabulary_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says, *want;
    } cases[] = {
        {"a\nb\n", NULL, "a\nb\n"},
        {"a\r\nb", NULL, "a\r\nb\n"},
        {"a\n\nb\n\n\n", NULL, "a\n\nb\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", "holds 10 tokens; config.json's vocab_size is 9", NULL},
        {"a\nb\xff\n", "vocab.txt:2: holds a byte 0xff", NULL},
        {"a\n\xed\xa0\x80\n", "vocab.txt:2: holds a byte 0xed", NULL},
        {"\n\n", "holds no tokens", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TEST_PATH];
        make_directory(dir);
        copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
        write_file(dir, "vocab.txt", cases[i].text);
        expect_vocabulary(dir, cases[i].says, cases[i].want);
    }
}

static void test_vocabulary_json(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says, *want;
    } cases[] = {
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"b\":1,\"a\":0}}}", NULL, "a\nb\n"},
        {"{\"model\":{\"vocab\":{\"b\":2,\"a\":0}},\"added_tokens\":[{\"id\":1,\"content\":\"x\"},"
         "{\"id\":0,\"content\":\"y\"}]}", NULL, "a\nx\nb\n"},
        {"{\"model\":{\"vocab\":{\"b\":3,\"\":1,\"c\\n\":2,\"a\":0}}}", NULL,
         "a\n[no token 1]\n[no token 2]\nb\n"},
        {"{\"model\":{\"vocab\":{\"a\":0,\"b\":0}}}", "both have the id 0", NULL},
        {"{\"model\":{\"vocab\":{\"a\":9}}}", "its id is none of the 9", NULL},
        {"{\"model\":{\"vocab\":{\"a\":-1}}}", "its id is none of the 9", NULL},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", "its model is \"BPE\"", NULL},
        {"{\"model\":{\"vocab\":[]}}", "has no model.vocab", NULL},
        {"{\"model\":{\"vocab\":{}}}", "holds no tokens", NULL},
        {"{\"model\":", "invalid JSON", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TEST_PATH];
        make_directory(dir);
        copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
        remove_file(dir, "vocab.txt");
        write_file(dir, "tokenizer.json", cases[i].json);
        expect_vocabulary(dir, cases[i].says, cases[i].want);
    }
}

/* Each switch from the first file that has it (models/vocabulary.h). */
static void test_switches(void **state)
{
    (void)state;
    static const struct {
        const char *config; /* tokenizer_config.json, or NULL */
        bool json;          /* the tiny model's tokenizer.json: cased, accents off, no Chinese */
        bool lower;
        int accents;
        bool chinese;
    } cases[] = {
        {NULL, false, true, -1, true},
        {NULL, true, false, 1, false},
        {"{}", false, true, -1, true},
        {"{\"do_lower_case\":false}", false, false, -1, true},
        {"{\"do_lower_case\":true,\"strip_accents\":null}", true, true, -1, false},
        {"{\"strip_accents\":false,\"tokenize_chinese_chars\":false}", false, true, 0, false},
        {"{\"do_lower_case\":true,\"tokenizer_class\":\"BertTokenizer\"}", true, true, 1, false},
        {"{\"do_lower_case\":true,\"tokenizer_class\":\"PreTrainedTokenizerFast\"}", true, false, 1,
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TEST_PATH];
        make_directory(dir);
        copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
        if (cases[i].config)
            write_file(dir, "tokenizer_config.json", cases[i].config);
        if (cases[i].json)
            copy_file(DATA "tiny/tokenizer.json", dir, "tokenizer.json");
        pare_model *m = import(dir);
        assert_int_equal(m->vocabulary.do_lower_case, cases[i].lower);
        assert_int_equal(m->vocabulary.strip_accents, cases[i].accents);
        assert_int_equal(m->vocabulary.tokenize_chinese_chars, cases[i].chinese);
        pare_model_free(m);
    }
}

/* vocab.txt and tokenizer.json of one tokenizer give the same text. */
static void test_same_vocabulary(void **state)
{
    (void)state;
    char dir[TEST_PATH];
    make_directory(dir);
    copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
    remove_file(dir, "vocab.txt");
    copy_file(DATA "tiny/tokenizer.json", dir, "tokenizer.json");
    pare_model *a = import_tiny(), *b = import(dir);
    assert_string_equal(a->vocabulary.text, b->vocabulary.text);
    pare_model_free(a);
    pare_model_free(b);
}

/* ---- Export ---- */

static void assert_same_file(const char *a_dir, const char *b_dir, const char *name)
{
    char a_path[TEST_PATH], b_path[TEST_PATH];
    size_t a_size, b_size;
    test_path(a_path, a_dir, name);
    test_path(b_path, b_dir, name);
    char *a = test_file_read(a_path, &a_size), *b = test_file_read(b_path, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
}

/* In, out, and in again: the same model; the weights' file is transformers' own, byte for byte. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"config.json", "vocab.txt", "tokenizer_config.json",
                                        "special_tokens_map.json", "model.safetensors"};
    char first[TEST_PATH], second[TEST_PATH];
    new_directory(first);
    new_directory(second);
    pare_model *m = import_tiny();
    assert_ok(pare_model_set_labels(m, "MNLI", (const char *const *)m->label_names, 3));
    m->trained_length = 7;
    m->vocabulary.strip_accents = 0;
    assert_ok(pare_export(m, first));
    pare_model *again = import(first);
    assert_same(m, again, 0);
    assert_memory_equal(&m->config, &again->config, sizeof m->config);
    assert_string_equal(again->task, "MNLI");
    assert_string_equal(again->label_names[1], "pro");
    assert_int_equal(again->trained_length, 7);
    assert_string_equal(m->vocabulary.text, again->vocabulary.text);
    assert_int_equal(again->vocabulary.strip_accents, 0);
    assert_int_equal(m->vocabulary.do_lower_case, again->vocabulary.do_lower_case);
    assert_ok(pare_export(again, second));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_same_file(first, second, names[i]);
    assert_same_file(DATA "tiny", first, "model.safetensors");
    assert_ok(pare_export(m, first)); /* over what is there */
    pare_model_free(m);
    pare_model_free(again);
}

static void test_export_regression(void **state)
{
    (void)state;
    char dir[TEST_PATH];
    new_directory(dir);
    pare_model *m = import_tiny();
    assert_ok(pare_model_ensure_head(m, 1, 1, NULL));
    assert_ok(pare_model_set_labels(m, "STS-B", NULL, 1));
    assert_ok(pare_export(m, dir));
    pare_model *again = import(dir);
    assert_int_equal(again->n_labels, 1);
    assert_null(again->label_names);
    assert_string_equal(again->task, "STS-B");
    char path[TEST_PATH];
    test_path(path, dir, "config.json");
    char *text = test_file_read(path, NULL);
    assert_non_null(strstr(text, "\"problem_type\": \"regression\""));
    free(text);
    pare_model_free(again);
    pare_model_free(m);
}

/* Real files, where they are there: what transformers wrote is what we write. */
static void test_golden_model(void **state)
{
    (void)state;
    char path[TEST_PATH], dir[TEST_PATH];
    TEST_NEED_SHARED(path, "golden/tiny/model");
    new_directory(dir);
    pare_model *m = import(path);
    assert_ok(pare_export(m, dir));
    assert_same_file(path, dir, "model.safetensors");
    pare_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_torch_files),
        cmocka_unit_test(test_sixteen_bits),
        cmocka_unit_test(test_wide_strides),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_config_against_weights),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_absent_files),
        cmocka_unit_test(test_vocabulary_text),
        cmocka_unit_test(test_vocabulary_json),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_same_vocabulary),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_export_regression),
        cmocka_unit_test(test_golden_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
