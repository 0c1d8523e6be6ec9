/* test_hostile.c: weights' files that must be refused, naming the tensor and the reason. */
#include "tests/hf.h"

#define ENTRY(name_, dtype_, shape_, offsets_)                                                     \
    "\"" name_ "\":{\"dtype\":\"" dtype_ "\",\"shape\":" shape_ ",\"data_offsets\":" offsets_ "}"

static void write_safetensors(const char *dir, uint64_t length, const char *header, size_t data)
{
    char path[TEST_PATH], bytes[4096] = {0};
    size_t n = strlen(header);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, n);
    test_path(path, dir, "model.safetensors");
    test_file_write(path, bytes, 8 + n + data);
}

static void test_hostile_safetensors(void **state)
{
    (void)state;
    static const struct {
        const char *header, *says;
    } cases[] = { /* each has 16 bytes of data */
        {"{}", "the tensors end at byte 0 of 16"},
        {"[]", "no JSON object"},
        {"{", "invalid JSON"},
        {"{\"__metadata__\":3}", "__metadata__"},
        {"{" ENTRY("a", "F32", "[4]", "[0,16]") "," ENTRY("a", "F32", "[4]", "[0,16]") "}",
         "invalid JSON"},
        {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[3]", "[4,16]") "}",
         "tensor b begins at byte 4 of the data: it overlaps"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[2]", "[8,16]") "}",
         "a hole lies before it"},
        {"{" ENTRY("a", "F32", "[5]", "[0,20]") "}", "leave the 16 bytes"},
        {"{" ENTRY("a", "F32", "[4]", "[16,0]") "}", "leave the 16 bytes"},
        {"{" ENTRY("a", "F32", "[4]", "[-16,0]") "}", "leave the 16 bytes"},
        {"{" ENTRY("a", "F32", "[4]", "[0]") "}", "no pair"},
        {"{" ENTRY("a", "F32", "[4]", "[0,8]") "}", "give 8 bytes, its shape needs 16"},
        {"{" ENTRY("a", "F32", "[0]", "[0,0]") "}", "a size of 0"},
        {"{" ENTRY("a", "F32", "[-4]", "[0,16]") "}", "no size below 2^63"},
        {"{" ENTRY("a", "F32", "[9223372036854775808]", "[0,16]") "}", "no size below 2^63"},
        {"{" ENTRY("a", "F32", "[4611686018427387904,4]", "[0,16]") "}", "passes 2^63"},
        {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,4]", "[0,16]") "}", "at most 8"},
        {"{" ENTRY("a", "F32", "4", "[0,16]") "}", "no list"},
        {"{" ENTRY("a", "F99", "[4]", "[0,16]") "}", "dtype \"F99\""},
        {"{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", "has no dtype"},
        {"{\"a\":[]}", "has no dtype"},
        {"{" ENTRY("\\u001b[31m", "F32", "[4]", "[0,16]") "}", "control character 0x1b"},
        {"{" ENTRY("", "F32", "[4]", "[0,16]") "}", "name has 0 bytes"},
        {"{" ENTRY("a", "F32", "[4]", "[0,16]") "}", "word_embeddings.weight is missing"},
    };
    char dir[TEST_PATH];
    make_directory(dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_safetensors(dir, strlen(cases[i].header), cases[i].header, 16);
        assert_refused(dir, cases[i].says);
    }
    write_safetensors(dir, UINT64_MAX, "{}", 0);
    assert_refused(dir, "its header would take 18446744073709551615");
    write_safetensors(dir, 3, "{}", 0);
    assert_refused(dir, "its header would take 3");
    write_file(dir, "model.safetensors", "1234567");
    assert_refused(dir, "7 bytes are too few");
    write_file(dir, "model.safetensors", "");
    assert_refused(dir, "0 bytes are too few");
}

/* A list of two million numbers would take a hundred megabytes: it is not even parsed. */
static void test_json_bomb(void **state)
{
    (void)state;
    enum { SIZE = 1 << 21 };
    char dir[TEST_PATH], *text = malloc(SIZE + 1);
    assert_non_null(text);
    memset(text, ',', SIZE);
    text[SIZE] = '\0';
    make_directory(dir);
    write_file(dir, "config.json", text);
    assert_refused(dir, "its JSON has 2097152 commas, colons and brackets");
    free(text);
}

static void test_wrong_types(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    size_t size;
    char *bytes = test_file_read(DATA "tiny/model.safetensors", &size);
    make_directory(dir);
    test_path(path, dir, "model.safetensors");
    char *dtype = strstr(bytes + 8, "\"F32\"");
    memcpy(dtype, "\"I32\"", 5); /* of bert.embeddings.LayerNorm.bias, the first in the file */
    test_file_write(path, bytes, size);
    assert_refused(dir, "tensor bert.embeddings.LayerNorm.bias is I32");
    memcpy(dtype, "\"F32\"", 5);
    memcpy(bytes + size - 4, "\0\0\x80\x7f", 4); /* infinity, at the end of classifier.weight */
    test_file_write(path, bytes, size);
    assert_refused(dir, "tensor classifier.weight holds a value that is not finite");
    free(bytes);
}

static void test_hostile_torch_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"reduce", "names os.system, which no weights need"},
        {"stack-global", "names builtins.eval"},
        {"inst", "operation 0x69"},
        {"newobj", "operation 0x81"},
        {"call-storage", "torch.FloatStorage would be called with 1 arguments"},
        {"ordered-dict", "collections.OrderedDict would be called"},
        {"protocol", "protocol is not one of 2 to 5"},
        {"cut", "leaves it"},
        {"empty-stack", "stack is empty"},
        {"memo", "memo has no such entry"},
        {"list", "a dict is wanted, a list is there"},
        {"no-tensors", "holds no tensors"},
        {"twice", "tensor classifier.bias is there twice"},
        {"huge-number", "more than 64 bits"},
        {"huge-size", "passes 2^63"},
        {"huge-stride", "passes 2^63"},
        {"zero-size", "a size of 0"},
        {"negative-stride", "no size below 2^63"},
        {"outside", "leave its storage"},
        {"storage-size", "has 16 bytes; its pickle says 5 elements of torch.FloatStorage"},
        {"storage-missing", "there is no entry a/data/7"},
        {"name", "control character 0x1b"},
        {"big-endian", "not little-endian"},
        {"two-pickles", "holds two data.pkl"},
        {"no-pickle", "without a data.pkl"},
        {"entry-twice", "zip entry a/data/0: it is there twice"},
        {"encrypted", "it is encrypted"},
        {"method", "compression method 12"},
        {"crc", "CRC-32 differs"},
        {"two-sizes", "two sizes"},
        {"leaves", "its data leaves the archive"},
        {"overlap", "overlaps another"},
        {"local-header", "its header is not where it should be"},
        {"bomb", "would inflate to 1073741824 bytes"},
        {"inflate", "zip entry a/data/0: compressed data"},
        {"legacy", "format before version 1.6"},
    };
    char dir[TEST_PATH], path[TEST_PATH];
    make_directory(dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(path, sizeof path, DATA "hostile/%s.bin", cases[i].name);
        copy_file(path, dir, "pytorch_model.bin");
        assert_refused(dir, cases[i].says);
    }
    /* a tensor that pretends to be 64 GiB: one element, seen again and again */
    copy_file(DATA "hostile/views.bin", dir, "pytorch_model.bin");
    write_file(dir, "config.json", "{\"model_type\":\"bert\",\"vocab_size\":16777216,"
                                   "\"hidden_size\":1024,\"num_attention_heads\":16}");
    assert_refused(dir, "would fill more than");
}

/* Every length of a file but the whole one is refused; no byte's change may do more than harm. */
static void damage(const char *from, const char *name)
{
    char dir[TEST_PATH], path[TEST_PATH];
    size_t size;
    char *bytes = test_file_read(from, &size);
    make_directory(dir);
    test_path(path, dir, name);
    pare_model *m = NULL;
    for (size_t n = 0; n < size; n += n < 4000 ? 7 : 97) {
        test_file_write(path, bytes, n);
        assert_status(pare_import(dir, &m), PARE_INPUT);
    }
    for (size_t i = 0; i < size; i += 3) {
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        test_file_write(path, bytes, size);
        pare_status status = pare_import(dir, &m);
        if (status != PARE_OK && status != PARE_INPUT)
            fail_msg("%s, byte %zu: %s", from, i, pare_error_message());
        assert_true((status == PARE_OK) == (m != NULL));
        pare_model_free(m);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
    }
    free(bytes);
}

static void test_damage(void **state)
{
    (void)state;
    fflush(stderr); /* hundreds of notes would follow */
    int kept = dup(2);
    assert_non_null(freopen("/dev/null", "w", stderr));
    damage(DATA "tiny/model.safetensors", "model.safetensors");
    damage(DATA "bin/deflated.bin", "pytorch_model.bin");
    damage(DATA "bin/half.bin", "pytorch_model.bin");
    fflush(stderr);
    assert_int_equal(dup2(kept, 2), 2);
    close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_safetensors),
        cmocka_unit_test(test_json_bomb),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_hostile_torch_files),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
