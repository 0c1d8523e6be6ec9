/* test_tokenizer_check.c: tokenizers that are not BERT's are refused or noted when a directory is
 * imported, and added tokens are named, wherever they stand. */
#include "tests/hf.h"

#define STEPS                                                                                      \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true},"                            \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"
#define PIECE(kind, id, type) "{\"" kind "\":{\"id\":\"" id "\",\"type_id\":" type "}}"
#define SINGLE PIECE("SpecialToken", "[CLS]", "0") "," PIECE("Sequence", "A", "0") "," SEP("0")
#define SEP(type) PIECE("SpecialToken", "[SEP]", type)
#define TEMPLATE(single, pair)                                                                     \
    "\"post_processor\":{\"type\":\"TemplateProcessing\","                                         \
    "\"single\":[" single "],\"pair\":[" pair "]}"
#define PAIR SINGLE "," PIECE("Sequence", "B", "1") "," SEP("1")

/* A copy of the tiny model with these files beside it; NULL: without. */
static void make_with(char *dir, const char *tokenizer_config, const char *json)
{
    make_directory(dir);
    copy_file(DATA "tiny/model.safetensors", dir, "model.safetensors");
    if (tokenizer_config)
        write_file(dir, "tokenizer_config.json", tokenizer_config);
    if (json)
        write_file(dir, "tokenizer.json", json);
}

static void make_of_class(char *dir, const char *class_name, const char *json)
{
    char config[256];
    snprintf(config, sizeof config, "{\"tokenizer_class\":\"%s\"}", class_name);
    make_with(dir, config, json);
}

/* Imports, and gives what was said on stderr meanwhile: for free(). */
static char *notes_of(const char *dir)
{
    char path[TEST_PATH];
    test_path(path, dir, "notes");
    fflush(stderr);
    int kept = dup(2);
    assert_non_null(freopen(path, "w", stderr));
    pare_model *model = NULL;
    pare_status status = pare_import(dir, &model);
    fflush(stderr);
    assert_int_equal(dup2(kept, 2), 2);
    close(kept);
    assert_ok(status);
    pare_model_free(model);
    return test_file_read(path, NULL);
}

/* says NULL: nothing at all. */
static void expect_notes(const char *dir, const char *says)
{
    char *notes = notes_of(dir);
    if (says ? !strstr(notes, says) : *notes != '\0')
        fail_msg("\"%s\", not \"%s\"", notes, says ? says : "");
    free(notes);
}

/* ---- Classes ---- */

static void test_classes_of_bert(void **state)
{
    (void)state;
    static const char *const names[] = {
        "BertTokenizer", "BertTokenizerFast", "DistilBertTokenizerFast", "ElectraTokenizer",
        "MobileBertTokenizerFast", "ConvBertTokenizer", "DPRReaderTokenizerFast",
        "PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend"};
    char dir[TEST_PATH];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        make_of_class(dir, names[i], NULL);
        expect_notes(dir, NULL);
    }
    make_with(dir, "{\"tokenizer_class\":null,\"word_tokenizer_type\":\"basic\"}", NULL);
    expect_notes(dir, NULL);
    make_with(dir, "{\"tokenizer_class\":\"BertTokenizer\",\"word_tokenizer_type\":\"mecab\"}",
              NULL);
    expect_notes(dir, NULL);
}

static void test_other_classes(void **state)
{
    (void)state;
    static const char *const names[] = {
        "BertJapaneseTokenizer", "XLMRobertaTokenizer", "XLMRobertaTokenizerFast", "MPNetTokenizer",
        "FunnelTokenizer", "BertTokenizerFaster", "bertTokenizer", "BertTokenize"};
    char dir[TEST_PATH], says[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        make_of_class(dir, names[i], NULL);
        snprintf(says, sizeof says, "/tokenizer_config.json: tokenizer_class is \"%s\"", names[i]);
        assert_refused(dir, says);
        assert_non_null(strstr(pare_error_hint(), "BertTokenizer"));
    }
    make_with(dir, "{\"word_tokenizer_type\":\"mecab\"}", NULL);
    assert_refused(dir, "word_tokenizer_type is \"mecab\"");
}

/* config.json's counts where tokenizer_config.json has none. */
static void test_class_in_config(void **state)
{
    (void)state;
    char dir[TEST_PATH], *config = test_file_read(DATA "tiny/config.json", NULL);
    char *text = malloc(strlen(config) + 64);
    assert_non_null(text);
    sprintf(text, "{\"tokenizer_class\":\"BertJapaneseTokenizer\",%s", strchr(config, '{') + 1);
    make_with(dir, "{\"do_lower_case\":false}", NULL);
    write_file(dir, "config.json", text);
    assert_refused(dir, "/config.json: tokenizer_class is \"BertJapaneseTokenizer\"");
    write_file(dir, "tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\"}");
    expect_notes(dir, NULL);
    free(text);
    free(config);
}

/* ---- tokenizer.json ---- */

/* Refused with a generic class, which goes by the file; noted with BERT's, which does not. */
static void test_other_steps(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"{\"normalizer\":null}", "normalizer is null;"},
        {"{\"normalizer\":{\"type\":\"NFC\"}}", "normalizer is NFC;"},
        {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},"
         "{\"type\":\"BertNormalizer\"}]}}", "normalizer is Sequence;"},
        {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]}}",
         "normalizer is Lowercase;"},
        {"{\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}}", "pre_tokenizer is WhitespaceSplit;"},
        {"{\"pre_tokenizer\":null}", "pre_tokenizer is null;"},
        {"{\"model\":{\"max_input_chars_per_word\":20}}", "max_input_chars_per_word is 20;"},
        {"{\"post_processor\":{\"type\":\"RobertaProcessing\"}}",
         "post_processor is RobertaProcessing;"},
        {"{" TEMPLATE(PIECE("Sequence", "A", "0"), PAIR) "}", "post_processor.single is $A:0;"},
        {"{" TEMPLATE("", PAIR) "}", "post_processor.single is empty;"},
    };
    char dir[TEST_PATH];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_of_class(dir, "PreTrainedTokenizerFast", cases[i].json);
        assert_refused(dir, cases[i].says);
        assert_message_has("/tokenizer.json: ");
        make_of_class(dir, "PreTrainedTokenizer", cases[i].json);
        assert_refused(dir, cases[i].says);
        make_of_class(dir, "BertTokenizer", cases[i].json);
        expect_notes(dir, cases[i].says);
        make_with(dir, NULL, cases[i].json);
        expect_notes(dir, cases[i].says);
    }
    make_of_class(dir, "TokenizersBackend", "{\"model\":{\"type\":\"BPE\"}}");
    assert_refused(dir, "its model is \"BPE\"");
}

/* What real checkpoints have passes in silence, with members missing too. */
static void test_steps_of_bert(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{}",
        "{" STEPS "," TEMPLATE(SINGLE, PAIR) "}",
        "{\"truncation\":{\"max_length\":128},\"padding\":{\"strategy\":\"BatchLongest\"}," STEPS
        ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],"
        "\"cls\":[\"[CLS]\",2]},\"model\":{\"max_input_chars_per_word\":100}}",
        "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"BertNormalizer\"}]},"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
        "\"BertPreTokenizer\"}]}}",
    };
    char dir[TEST_PATH];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_of_class(dir, "PreTrainedTokenizerFast", cases[i]);
        expect_notes(dir, NULL);
        make_with(dir, NULL, cases[i]);
        expect_notes(dir, NULL);
    }
}

/* What makes no difference to most texts is noted whatever the class. */
static void test_mild_steps(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"{\"post_processor\":null}", "post_processor is null;"},
        {"{\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":false}}",
         "normalizer.clean_text is false;"},
        {"{" TEMPLATE(SINGLE, SINGLE "," PIECE("Sequence", "B", "0") "," SEP("0")) "}",
         "post_processor.pair is [CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0;"},
    };
    char dir[TEST_PATH];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_of_class(dir, "PreTrainedTokenizerFast", cases[i].json);
        expect_notes(dir, cases[i].says);
    }
}

/* ---- Added tokens ---- */

static void test_added_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"added_tokens.json", "{\"[NEW]\":9,\"[CLS]\":2}"},
        {"special_tokens_map.json", "{\"additional_special_tokens\":[\"[NEW]\",\"[SEP]\"]}"},
        {"special_tokens_map.json", "{\"additional_special_tokens\":[{\"content\":\"[NEW]\"}]}"},
        {"tokenizer_config.json", "{\"additional_special_tokens\":[\"[NEW]\"]}"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"9\":{\"content\":\"[NEW]\"}}}"},
        {"tokenizer.json", "{\"added_tokens\":[{\"id\":9,\"content\":\"[NEW]\"}]}"},
    };
    char dir[TEST_PATH];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_with(dir, NULL, NULL);
        write_file(dir, cases[i].name, cases[i].text);
        expect_notes(dir, ": 1 added token (the first is \"[NEW]\") will be split");
    }
    make_with(dir, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        write_file(dir, cases[i].name, cases[i].text);
    write_file(dir, "added_tokens.json", "{\"[NEW]\":9,\"<e1>\":10}");
    expect_notes(dir, ": 2 added tokens (the first is \"[NEW]\")");
    write_file(dir, "added_tokens.json", "{");
    assert_refused(dir, "added_tokens.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_of_bert), cmocka_unit_test(test_other_classes),
        cmocka_unit_test(test_class_in_config), cmocka_unit_test(test_other_steps),
        cmocka_unit_test(test_steps_of_bert),   cmocka_unit_test(test_mild_steps),
        cmocka_unit_test(test_added_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
