/* test_store.c: stores keep what they are given, and refuse what is damaged or hostile. */
#include "tests/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/store.h"
#include "core/threads.h"

/* HDF5 leaks some memory of its own when it cannot read a file: not for the leak checker. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

/* ---- A store with one array of every type, and attributes of every kind ---- */

enum { BIG = 300000, TEXT = 40000 };
static float big[BIG];
static const double doubles[6] = {0.1, -1e300, 3, 4, 5, 6};
static const float floats[6] = {0.5f, -1.25f, 3, 4, 5, 1e-40f};
static const int64_t integers[3] = {INT64_MIN, 0, INT64_MAX};
static const unsigned char bytes[5] = {0, 1, 2, 254, 255};
static const int8_t signed_bytes[4] = {-128, -1, 0, 127};
static const uint16_t halves[2] = {0x3f80, 0xc0a0}; /* bfloat16 1 and -5 */
static char long_text[TEXT + 1];

static const pare_array arrays[] = {
    {"training/step.order", PARE_I64, 1, {3}, integers},
    {"model/big", PARE_F32, 2, {300, 1000}, big},
    {"model/a.b", PARE_F32, 2, {2, 3}, floats},
    {"model/a/b", PARE_F64, 3, {1, 2, 3}, doubles},
    {"model/bytes", PARE_U8, 4, {5, 1, 1, 1}, bytes},
    {"model/signed", PARE_I8, 1, {4}, signed_bytes},
    {"model/half", PARE_BF16, 1, {2}, halves},
};
static const pare_attribute attributes[] = {
    {.name = "training.step", .type = PARE_ATTR_INT, .integer = INT64_MIN},
    {.name = "training.lambda", .type = PARE_ATTR_DOUBLE, .number = 0.1},
    {.name = "model.config", .type = PARE_ATTR_STRING, .string = "{\"a\":\"\xc3\xa9\"}"},
    {.name = "empty", .type = PARE_ATTR_STRING, .string = ""},
    {.name = "model.history", .type = PARE_ATTR_STRING, .string = long_text},
    {.name = "model/vocab.txt", .type = PARE_ATTR_STRING, .string = "[PAD]\n[UNK]\n"},
};
enum {
    N_ARRAYS = sizeof arrays / sizeof *arrays,
    N_ATTRIBUTES = sizeof attributes / sizeof *attributes
};

static void fill(void)
{
    for (int i = 0; i < BIG; i++)
        big[i] = (float)i * 0.001f;
    for (int i = 0; i < TEXT; i++)
        long_text[i] = (char)('a' + i % 26);
}

static pare_status write_store(const char *path)
{
    fill();
    return pare_store_write(path, arrays, N_ARRAYS, attributes, N_ATTRIBUTES);
}

/* Large arrays stand where they can be used as they are; writing there leaves the file alone. */
static void check_map(pare_store *store)
{
    pare_map map;
    assert_ok(pare_store_map(store, &map));
    float *at = pare_store_find_mapped(store, &map, "model/big", PARE_F32), first;
    assert_non_null(at);
    assert_int_equal(((unsigned char *)at - map.bytes) % 64, 0);
    assert_memory_equal(at, big, sizeof big);
    assert_null(pare_store_find_mapped(store, &map, "model/big", PARE_F64));
    assert_null(pare_store_find_mapped(store, &map, "model/bigger", PARE_F32));
    *at += 1;
    pare_map_close(&map);
    assert_ok(pare_store_map(store, &map));
    memcpy(&first, pare_store_find_mapped(store, &map, "model/big", PARE_F32), sizeof first);
    assert_true(first == big[0]);
    pare_map_close(&map);
}

static void test_round_trip(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    pare_store *store;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_ok(write_store(path));
    assert_ok(pare_store_verify(path));
    assert_ok(pare_store_open(path, &store));
    assert_int_equal(pare_store_count(store), N_ARRAYS);
    for (size_t i = 1; i < N_ARRAYS; i++)
        assert_true(strcmp(pare_store_array(store, i - 1)->name,
                           pare_store_array(store, i)->name) < 0);
    for (size_t i = 0; i < N_ARRAYS; i++) {
        const pare_array *a = &arrays[i], *b = pare_store_find(store, a->name);
        assert_non_null(b);
        assert_int_equal(b->dtype, a->dtype);
        assert_int_equal(b->rank, a->rank);
        size_t size = pare_dtype_size(a->dtype);
        for (int k = 0; k < a->rank; k++) {
            assert_int_equal(b->shape[k], a->shape[k]);
            size *= (size_t)a->shape[k];
        }
        char *back = malloc(size);
        assert_ok(pare_store_read(store, a->name, a->dtype, back));
        assert_memory_equal(back, a->data, size);
        free(back);
    }
    check_map(store);
    assert_true(pare_store_int(store, "training.step", 0) == INT64_MIN);
    assert_true(pare_store_double(store, "training.lambda", 0) == 0.1);
    for (size_t i = 2; i < N_ATTRIBUTES; i++)
        assert_string_equal(pare_store_string(store, attributes[i].name, NULL),
                            attributes[i].string);
    assert_true(pare_store_has_attribute(store, "empty"));
    assert_false(pare_store_has_attribute(store, "absent"));
    assert_int_equal(pare_store_int(store, "training.lambda", 7), 7);
    assert_null(pare_store_find(store, "model/vocab.txt"));
    assert_null(pare_store_find(store, "model"));
    pare_store_close(store);
    pare_store_close(NULL);
    assert_int_equal(test_count_names(dir), 1);
}

static void test_reading_converts_floats_only(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    double wide[6], *wide_big = malloc(BIG * sizeof *wide_big);
    float narrow[6];
    pare_store *store;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_ok(write_store(path));
    assert_ok(pare_store_open(path, &store));
    assert_ok(pare_store_read(store, "model/a.b", PARE_F64, wide));
    assert_ok(pare_store_read(store, "model/a/b", PARE_F32, narrow));
    assert_ok(pare_store_read(store, "model/big", PARE_F64, wide_big));
    for (int i = 0; i < 6; i++) {
        assert_true(wide[i] == (double)floats[i]);
        assert_true(narrow[i] == (float)doubles[i]);
    }
    for (int i = 0; i < BIG; i++)
        assert_true(wide_big[i] == (double)big[i]);
    assert_status(pare_store_read(store, "model/half", PARE_F32, wide), PARE_INPUT);
    assert_message_has("model/half is BF16, not F32");
    assert_status(pare_store_read(store, "absent", PARE_F32, wide), PARE_INPUT);
    assert_message_has("absent");
    pare_store_close(store);
    free(wide_big);
}

static void test_same_content_same_bytes(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    char *first = NULL;
    size_t n_first = 0, n;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    for (int threads = 1; threads <= 4; threads++) {
        pare_threads_set(threads);
        assert_ok(write_store(path));
        char *text = test_file_read(path, &n);
        if (!first) {
            first = text;
            n_first = n;
            sleep(1); /* a time stamp would differ now */
            continue;
        }
        assert_int_equal(n, n_first);
        assert_memory_equal(text, first, n);
        free(text);
    }
    free(first);
    pare_threads_set(0);
}

static void test_estimate(void **state)
{
    (void)state;
    enum { N = 700 };
    char dir[TEST_PATH], path[TEST_PATH];
    static char names[N][100];
    static pare_array many[N];
    size_t size;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_ok(write_store(path));
    free(test_file_read(path, &size));
    uint64_t guess = pare_store_estimate(arrays, N_ARRAYS, attributes, N_ATTRIBUTES);
    assert_in_range(guess, size, size + 65536);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "training/exp_avg/bert.encoder.layer.%d.attention.self."
                 "query.weight", i);
        many[i] = (pare_array){names[i], PARE_F32, 1, {1 + i * 7}, big};
    }
    assert_ok(pare_store_write(path, many, N, NULL, 0));
    free(test_file_read(path, &size));
    guess = pare_store_estimate(many, N, NULL, 0);
    assert_in_range(guess, size, size + 65536);
}

static void test_nothing_at_all(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    pare_store *store;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_ok(pare_store_write(path, NULL, 0, NULL, 0));
    assert_ok(pare_store_open(path, &store));
    assert_int_equal(pare_store_count(store), 0);
    assert_null(pare_store_find(store, "a"));
    pare_store_close(store);
}

static void test_bad_content_is_not_written(void **state)
{
    (void)state;
    static const pare_array bad[] = {
        {"", PARE_F32, 1, {1}, big},         {"/a", PARE_F32, 1, {1}, big},
        {"a//b", PARE_F32, 1, {1}, big},     {"a/.", PARE_F32, 1, {1}, big},
        {"a", PARE_F32, 0, {0}, big},        {"a", PARE_F32, 5, {1}, big},
        {"a", PARE_F32, 1, {0}, big},        {"a", PARE_F32, 1, {-1}, big},
        {"a", PARE_F32, 1, {1}, NULL},       {"a", PARE_F32, 2, {INT64_MAX, INT64_MAX}, big},
    };
    static const pare_array twice[] = {{"a", PARE_F32, 1, {1}, big}, {"a", PARE_F32, 1, {1}, big}};
    static const pare_array below[] = {{"a", PARE_F32, 1, {1}, big},
                                       {"a/b", PARE_F32, 1, {1}, big}};
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_status(pare_store_write(path, &bad[i], 1, NULL, 0), PARE_INTERNAL);
    assert_status(pare_store_write(path, twice, 2, NULL, 0), PARE_INTERNAL);
    assert_status(pare_store_write(path, below, 2, NULL, 0), PARE_INTERNAL);
    assert_int_equal(test_count_names(dir), 0);
}

/* ---- Damage ---- */

static void assert_refused(const char *path, const char *what, size_t where)
{
    pare_store *store = NULL;
    pare_status verified = pare_store_verify(path), opened = pare_store_open(path, &store);
    if (verified != PARE_INPUT || opened != PARE_INPUT || !strstr(pare_error_message(), path))
        fail_msg("%s at %zu: verify %d, open %d: %s", what, where, (int)verified, (int)opened,
                 pare_error_message());
}

static pare_status write_small(const char *path)
{
    static const pare_array small[] = {{"model/a.b", PARE_F32, 2, {2, 3}, floats},
                                       {"model/bytes", PARE_U8, 1, {5}, bytes}};
    return pare_store_write(path, small, 2, attributes, 4);
}

static void test_every_truncation_is_found(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH], cut[TEST_PATH];
    size_t n;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    test_path(cut, dir, "cut.h5");
    assert_ok(write_small(path));
    char *whole = test_file_read(path, &n);
    test_file_write(cut, whole, n);
    for (size_t size = n; size-- > 0;) {
        assert_int_equal(truncate(cut, (off_t)size), 0);
        assert_refused(cut, "truncation", size);
    }
    test_file_write(cut, whole, n);
    assert_ok(pare_store_verify(cut));
    test_file_write(cut, whole, n + 1); /* with the zero behind it */
    assert_refused(cut, "a byte more", n);
    free(whole);
}

/* A bit after the other of the first 512 bytes, then 2,000 drawn from the whole file. */
static void test_bit_flips_are_found(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    size_t n;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_ok(write_small(path));
    char *whole = test_file_read(path, &n);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    uint64_t draw = 1;
    for (size_t i = 0; i < 512 * 8 + 2000; i++) {
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        size_t bit = i < 512 * 8 ? i : (size_t)(draw >> 20) % (n * 8);
        char flipped = (char)(whole[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
        assert_refused(path, "flip of bit", bit);
        assert_int_equal(pwrite(fd, &whole[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    close(fd);
    assert_ok(pare_store_verify(path));
    free(whole);
}

static void test_messages_say_what_is_wrong(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    size_t n;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_status(pare_store_verify(path), PARE_IO);
    assert_message_has("No such file");
    assert_ok(write_small(path));
    char *whole = test_file_read(path, &n);
    test_file_write(path, whole, n - 1);
    assert_status(pare_store_verify(path), PARE_INPUT);
    assert_message_has("truncated: it has");
    whole[n / 2] ^= 1;
    test_file_write(path, whole, n);
    assert_status(pare_store_verify(path), PARE_INPUT);
    assert_message_has("checksum differs");
    memcpy(whole + 5, "00002", 5);
    test_file_write(path, whole, n);
    assert_status(pare_store_verify(path), PARE_INPUT);
    assert_message_has("format 2, by a later pare");
    test_text_write(path, "PK and so on");
    assert_status(pare_store_verify(path), PARE_INPUT);
    assert_message_has("not a pare file");
    assert_status(pare_store_verify(dir), PARE_INPUT);
    free(whole);
}

/* ---- A full disk ---- */

/* What this program does when it is started as `test_store PATH LIMIT`: files may have so many
 * bytes. HDF5's handlers at exit run, too. */
static int write_under_limit(const char *path, const char *limit)
{
    struct rlimit rl = {strtoul(limit, NULL, 10), RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &rl);
    pare_status status = write_store(path);
    bool told = strstr(pare_error_message(), "are needed") && strstr(pare_error_message(), path);
    return status == PARE_IO && told ? 40 : (int)status;
}

static const char *program; /* our own path */

static int write_limited(const char *path, size_t limit)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%zu", limit);
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, path, digits, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fail_msg("limit %zu: killed by signal %d", limit, WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void test_a_full_disk_leaves_the_old_store(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    size_t n_small, n, n_full;
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_ok(write_store(path));
    free(test_file_read(path, &n_full));
    assert_ok(write_small(path));
    char *old = test_file_read(path, &n_small);
    for (int i = 0; i < 50; i++) {
        size_t limit = i < 25 ? (size_t)i * 509 : n_full - 1 - (size_t)(i - 25) * 4093;
        if (i == 49)
            limit = n_full - 1;
        assert_int_equal(write_limited(path, limit), 40);
        char *now = test_file_read(path, &n);
        assert_int_equal(n, n_small);
        assert_memory_equal(now, old, n);
        free(now);
        assert_int_equal(test_count_names(dir), 1);
    }
    assert_int_equal(write_limited(path, n_full), 0);
    free(old);
}

/* ---- Files with a right checksum and a wrong inside; tests/data/make_stores.py made them ---- */

static void test_hostile_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message;
    } hostile[] = {
        {"external-link", "model/a: a link to another place or file"},
        {"soft-link", "model/a: a link to another place or file"},
        {"external-data", "model/a: stored in another file"},
        {"virtual", "model/a: stored in chunks"},
        {"chunked", "model/a: stored in chunks"},
        {"deflated", "model/a: stored compressed"},
        {"compact", "model/a: stored in chunks"},
        {"unallocated", "model/a: 0 bytes are stored for it, its shape takes 24"},
        {"huge", "model/a: 0 bytes are stored for it"},
        {"empty-dimension", "model/a: dimension 1 has size 0"},
        {"rank-5", "model/a: an array of 5 dimensions"},
        {"scalar", "model/a: an array of 0 dimensions"},
        {"big-endian", "model/a: an array of a type"},
        {"compound", "model/a: an array of a type"},
        {"variable-string", "model/a: an array of a type"},
        {"attribute-array", "model.config: an attribute of many values"},
        {"attribute-variable", "model.config: an attribute of a type"},
        {"named-type", "model/a: neither a group nor an array"},
        {"same-bytes", "share bytes"},
        {"cycle", "groups lie more than 8 deep"},
        {"old-format", "no HDF5 file of version 1.10"},
        {"no-hdf5", "no HDF5 file of version 1.10"},
        {"broken-metadata", "HDF5: "},
        {"later-format", "format 2, by a later pare"},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char path[TEST_PATH];
        pare_store *store = NULL;
        snprintf(path, sizeof path, "tests/data/stores/%s.h5", hostile[i].name);
        assert_status(pare_store_open(path, &store), PARE_INPUT);
        assert_message_has(path);
        assert_message_has(hostile[i].message);
        assert_null(store);
    }
}

/* A file of format 1 stays readable by every later version. */
static void test_format_1_is_read(void **state)
{
    (void)state;
    pare_store *store;
    float back[6];
    assert_ok(pare_store_open("tests/data/stores/format-1.h5", &store));
    assert_ok(pare_store_read(store, "model/a.b", PARE_F32, back));
    assert_memory_equal(back, floats, sizeof back);
    assert_true(pare_store_int(store, "training.step", 0) == INT64_MIN);
    pare_store_close(store);
}

/* Python's zlib and h5py, by the lines of docs/checkpoint.md, find the same. */
static void test_h5py_reads_it(void **state)
{
    (void)state;
    const char *python = getenv("PARE_PYTHON");
    char dir[TEST_PATH], path[TEST_PATH], command[3 * TEST_PATH];
    if (!python || !*python)
        python = "python3";
    snprintf(command, sizeof command, "%s -c 'import h5py' 2>/dev/null", python);
    if (system(command) != 0) {
        fprintf(stderr, "skipped: %s has no h5py (PARE_PYTHON names another)\n", python);
        skip();
    }
    test_dir_make(dir);
    test_path(path, dir, "a.h5");
    assert_ok(write_store(path));
    snprintf(command, sizeof command,
             "%s tests/data/read_store.py docs/checkpoint.md %s >/dev/null", python, path);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 3)
        return write_under_limit(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_reading_converts_floats_only),
        cmocka_unit_test(test_same_content_same_bytes),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_bad_content_is_not_written),
        cmocka_unit_test(test_every_truncation_is_found),
        cmocka_unit_test(test_bit_flips_are_found),
        cmocka_unit_test(test_messages_say_what_is_wrong),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_store),
        cmocka_unit_test(test_hostile_files_are_refused),
        cmocka_unit_test(test_format_1_is_read),
        cmocka_unit_test(test_h5py_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
