/* test_file.c: reading, atomic writing under faults, folders, links, locks, checksums. */
#include "tests/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/checksum.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/threads.h"

static void assert_content(const char *path, const char *want)
{
    size_t n;
    char *text = test_file_read(path, &n);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(text, want, n);
    free(text);
}

static void test_read(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH], *bytes;
    size_t size;
    test_dir_make(dir);
    test_path(path, dir, "a");
    test_file_write(path, "a\0b", 3);
    assert_ok(pare_file_read(path, 0, &bytes, &size));
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "a\0b", 4);
    pare_free(bytes);
    assert_ok(pare_file_read(path, 3, &bytes, &size));
    pare_free(bytes);
    assert_status(pare_file_read(path, 2, &bytes, &size), PARE_INPUT);
    assert_null(bytes);
    assert_message_has("2 bytes");
    assert_status(pare_file_read(dir, 0, &bytes, &size), PARE_INPUT);
    assert_message_has("directory");
    test_path(path, dir, "missing");
    assert_status(pare_file_read(path, 0, &bytes, &size), PARE_IO);
    assert_message_has("missing: No such file");
    assert_ok(pare_file_read("/proc/self/status", 0, &bytes, &size)); /* says that it is empty */
    assert_true(size > 100 && strstr(bytes, "VmPeak"));
    pare_free(bytes);
    assert_status(pare_file_read("/dev/zero", 100000, &bytes, &size), PARE_INPUT);
}

static void test_map_and_input(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH], two[2];
    pare_map map;
    pare_input *in;
    test_dir_make(dir);
    test_path(path, dir, "a");
    test_text_write(path, "0123456789");
    assert_ok(pare_map_open(path, &map));
    assert_int_equal(map.size, 10);
    assert_memory_equal(map.bytes, "0123456789", 10);
    pare_map_close(&map);
    assert_ok(pare_input_open(path, &in));
    assert_ok(pare_input_read_at(in, 8, two, 2));
    assert_memory_equal(two, "89", 2);
    assert_status(pare_input_read_at(in, 9, two, 2), PARE_INPUT);
    assert_status(pare_input_read_at(in, UINT64_MAX, two, 2), PARE_INPUT);
    assert_int_equal(truncate(path, 5), 0);
    assert_status(pare_input_read_at(in, 8, two, 2), PARE_IO);
    assert_message_has("shrank");
    pare_input_close(in);
    test_text_write(path, "");
    assert_ok(pare_map_open(path, &map));
    assert_non_null(map.bytes);
    assert_int_equal(map.size, 0);
    pare_map_close(&map);
    assert_status(pare_map_open(dir, &map), PARE_INPUT);
}

static void test_output_is_atomic(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH], back[4];
    pare_output *out;
    struct stat st;
    test_dir_make(dir);
    test_path(path, dir, "a");
    test_text_write(path, "old");
    assert_int_equal(chmod(path, 0640), 0);
    assert_ok(pare_output_open(path, &out));
    pare_output_write(out, "new ", 4);
    pare_output_write(out, "content", 7);
    pare_output_write_at(out, 0, "N", 1);
    assert_ok(pare_output_read_at(out, 0, back, 4));
    assert_memory_equal(back, "New ", 4);
    assert_int_equal(pare_output_size(out), 11);
    assert_content(path, "old"); /* until the commit */
    assert_int_equal(test_count_names(dir), 2);
    assert_ok(pare_output_commit(out));
    assert_content(path, "New content");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(test_count_names(dir), 1);

    assert_ok(pare_output_open(path, &out));
    pare_output_write(out, "never", 5);
    pare_output_abort(out);
    assert_content(path, "New content");
    assert_int_equal(test_count_names(dir), 1);
    pare_output_abort(NULL);
}

static void test_output_sizes(void **state)
{
    (void)state;
    enum { TOTAL = 1 << 20 };
    char dir[TEST_PATH], path[TEST_PATH];
    char *bytes = malloc(TOTAL);
    size_t n, used = 0;
    pare_output *out;
    for (size_t i = 0; i < TOTAL; i++)
        bytes[i] = (char)(i * 2654435761u >> 11);
    test_dir_make(dir);
    test_path(path, dir, "a");
    assert_ok(pare_output_open(path, &out));
    for (size_t piece = 1; used < TOTAL; piece = piece * 3 % 200003) { /* around the buffer */
        size_t size = piece < TOTAL - used ? piece : TOTAL - used;
        pare_output_write(out, bytes + used, size);
        used += size;
    }
    assert_ok(pare_output_commit(out));
    char *back = test_file_read(path, &n);
    assert_int_equal(n, TOTAL);
    assert_memory_equal(back, bytes, TOTAL);
    free(back);
    free(bytes);
}

static void test_output_refusals(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH], other[TEST_PATH];
    pare_output *out, *second;
    test_dir_make(dir);
    assert_status(pare_output_open(dir, &out), PARE_IO);
    assert_message_has("directory");
    test_path(path, dir, "no/such/folder");
    assert_status(pare_output_open(path, &out), PARE_IO);
    /* two at once: the second is told, the first undisturbed */
    test_path(path, dir, "a");
    assert_ok(pare_output_open(path, &out));
    assert_status(pare_output_open(path, &second), PARE_IO);
    assert_message_has("another process");
    pare_output_write(out, "x", 1);
    assert_ok(pare_output_commit(out));
    assert_content(path, "x");
    /* what a killed process left is no obstacle, and does not shine through */
    test_path(other, dir, "a.tmp");
    test_text_write(other, "rubbish rubbish");
    assert_ok(pare_file_replace(path, "y", 1));
    assert_content(path, "y");
    assert_int_equal(test_count_names(dir), 1);
    /* a link is followed */
    test_path(other, dir, "link");
    assert_int_equal(symlink("a", other), 0);
    assert_ok(pare_file_replace(other, "z", 1));
    assert_content(path, "z");
    assert_int_equal(test_count_names(dir), 2);
    /* but not to where nothing is */
    test_path(other, dir, "astray");
    assert_int_equal(symlink("nothing", other), 0);
    assert_status(pare_file_replace(other, "z", 1), PARE_IO);
    assert_message_has("link");
    assert_int_equal(test_count_names(dir), 3);
}

static void test_devices_are_written_directly(void **state)
{
    (void)state;
    struct stat st;
    assert_ok(pare_file_replace("/dev/null", "x", 1));
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_status(pare_file_replace("/dev/full", "x", 1), PARE_IO);
    assert_message_has("No space left on device");
    assert_message_has("bytes are needed");
    assert_status(pare_file_append("/dev/full", "x", 1), PARE_IO);
}

/* In a child: files may have `limit` bytes at most; its exit status is the function's result. */
static int under_limit(rlim_t limit, int (*function)(const char *), const char *path)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit rl = {limit, limit};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &rl);
        _exit(function(path));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int replace_100000(const char *path)
{
    static char bytes[100000];
    pare_status status = pare_file_replace(path, bytes, sizeof bytes);
    bool told = strstr(pare_error_message(), path) && strstr(pare_error_message(), "are needed");
    return status == PARE_IO && told ? 40 : (int)status;
}

static int append_100(const char *path)
{
    static char bytes[100];
    return pare_file_append(path, bytes, sizeof bytes);
}

static void test_a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "a");
    test_text_write(path, "old");
    for (rlim_t limit = 0; limit < 100000; limit += 9999) {
        assert_int_equal(under_limit(limit, replace_100000, path), 40);
        assert_content(path, "old");
        assert_int_equal(test_count_names(dir), 1);
    }
    assert_int_equal(under_limit(50, append_100, path), PARE_IO);
    assert_content(path, "old"); /* no half line */
    assert_int_equal(under_limit(100000, replace_100000, path), PARE_OK);
    pare_output *out;
    assert_ok(pare_output_open(path, &out));
    assert_status(pare_output_reserve(out, UINT64_MAX / 2), PARE_IO);
    assert_message_has("9223372036854775807 bytes are needed");
    assert_true(pare_error_hint()[0] != '\0');
    pare_output_write(out, "x", 1); /* the first error stays */
    assert_status(pare_output_commit(out), PARE_IO);
    assert_message_has("9223372036854775807 bytes are needed");
    assert_int_equal(test_count_names(dir), 1);
}

static void test_append(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "log");
    assert_ok(pare_file_append(path, "a\n", 2));
    assert_ok(pare_file_append(path, "b\n", 2));
    assert_content(path, "a\nb\n");
}

static pare_status keep_names(void *context, const char *name)
{
    strcat(strcat(context, name), " ");
    return strcmp(name, "stop") == 0 ? pare_fail(PARE_INPUT, "stopped") : PARE_OK;
}

static void test_folders(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH], names[100] = "";
    uint64_t space = 0;
    test_dir_make(dir);
    test_path(path, dir, "x/y//z/");
    assert_ok(pare_make_directories(path));
    assert_ok(pare_make_directories(path));
    assert_true(pare_path_is_directory(path));
    assert_ok(pare_make_directories("/"));
    test_path(path, dir, "file");
    test_text_write(path, "");
    assert_true(pare_path_exists(path));
    assert_false(pare_path_is_directory(path));
    assert_status(pare_make_directories(path), PARE_IO);
    test_path(path, dir, "file/below");
    assert_status(pare_make_directories(path), PARE_IO);
    test_path(path, dir, "Q");
    test_text_write(path, "");
    assert_ok(pare_directory_list(dir, keep_names, names));
    assert_string_equal(names, "Q file x ");
    assert_ok(pare_file_remove(path));
    assert_ok(pare_file_remove(path));
    assert_false(pare_path_exists(path));
    test_path(path, dir, "not/yet/there");
    assert_ok(pare_free_space(path, &space));
    assert_true(space > 0);
    assert_ok(pare_free_space("nothing-here", &space));
    assert_status(pare_directory_list(path, keep_names, names), PARE_IO);
    char *joined = pare_path_join("a/", "b"), *other = pare_path_join("a", "b");
    assert_string_equal(joined, "a/b");
    assert_string_equal(other, "a/b");
    pare_free(joined);
    pare_free(other);
}

static void test_link(void **state)
{
    (void)state;
    char dir[TEST_PATH], a[TEST_PATH], b[TEST_PATH];
    test_dir_make(dir);
    test_path(a, dir, "a");
    test_path(b, dir, "b");
    test_text_write(a, "first");
    test_text_write(b, "second");
    assert_ok(pare_file_link(a, b));
    assert_content(b, "first");
    assert_ok(pare_file_link(a, b)); /* which are one file already */
    assert_int_equal(test_count_names(dir), 2);
    assert_ok(pare_file_replace(a, "third", 5)); /* does not write into b */
    assert_content(b, "first");
    test_path(a, dir, "missing");
    assert_status(pare_file_link(a, b), PARE_IO);
    assert_content(b, "first");
    char *shm = access("/dev/shm", W_OK) == 0 ? strdup("/dev/shm/pare-test-XXXXXX") : NULL;
    int fd = shm ? mkstemp(shm) : -1;
    if (fd >= 0) { /* another file system: a copy */
        assert_int_equal(write(fd, "far", 3), 3);
        close(fd);
        assert_ok(pare_file_link(shm, b));
        unlink(shm);
        assert_content(b, "far");
        assert_int_equal(test_count_names(dir), 2);
    }
    free(shm);
}

static int try_lock(const char *path)
{
    int handle;
    pare_status status = pare_lock(path, &handle);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld)", (long)getppid());
    return status == PARE_USAGE && strstr(pare_error_message(), pid) ? 20 : (int)status;
}

static void test_lock(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    int handle, second;
    test_dir_make(dir);
    test_path(path, dir, "run.lock");
    assert_ok(pare_lock(path, &handle));
    assert_int_equal(under_limit(RLIM_INFINITY, try_lock, path), 20);
    assert_status(pare_lock(path, &second), PARE_USAGE); /* this process, too, has it once */
    pare_unlock(handle);
    assert_int_equal(under_limit(RLIM_INFINITY, try_lock, path), 0);
    assert_ok(pare_lock(path, &handle)); /* the child's ended with it */
    pare_unlock(handle);
    pare_unlock(-1);
}

/* ---- Checksums ---- */

static void test_crc32(void **state)
{
    (void)state;
    enum { N = (5 << 20) + 12345 };
    unsigned char *bytes = malloc(N);
    uint32_t slow = 0xffffffff;
    assert_int_equal(pare_crc32(0, "123456789", 9), 0xcbf43926); /* the published check value */
    assert_int_equal(pare_crc32(0, NULL, 0), 0);
    for (size_t i = 0; i < N; i++) {
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
        slow ^= bytes[i];
        for (int k = 0; k < 8; k++)
            slow = slow >> 1 ^ (slow & 1 ? 0xedb88320 : 0);
    }
    slow = ~slow;
    for (int threads = 1; threads <= 4; threads++) {
        pare_threads_set(threads);
        assert_int_equal(pare_crc32(0, bytes, N), slow);
        assert_int_equal(pare_crc32(pare_crc32(0, bytes, 777), bytes + 777, N - 777), slow);
    }
    uint32_t a = pare_crc32(0, bytes, 3000000), b = pare_crc32(0, bytes + 3000000, N - 3000000);
    assert_int_equal(pare_crc32_join(a, b, N - 3000000), slow);
    free(bytes);
}

static void test_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } known[] = { /* FIPS 180-4's examples */
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[65];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        pare_sha256_hex(known[i].text, strlen(known[i].text), hex);
        assert_string_equal(hex, known[i].hex);
    }
    char *a = malloc(1000000);
    memset(a, 'a', 1000000);
    pare_sha256_hex(a, 1000000, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(a);
}

static void test_inflate(void **state)
{
    (void)state;
    /* raw deflate of 40 times "pare " by fixed codes, from Python's zlib.compressobj(9, -15) */
    static const unsigned char packed[] = {0x2b, 0x48, 0x2c, 0x4a, 0x55,
                                           0x28, 0x18, 0xfa, 0x04, 0x00};
    static const unsigned char empty[] = {0x03, 0x00};
    char out[201];
    assert_ok(pare_inflate_raw(out, 200, packed, sizeof packed));
    for (int i = 0; i < 40; i++)
        assert_memory_equal(out + 5 * i, "pare ", 5);
    assert_ok(pare_inflate_raw(out, 0, empty, sizeof empty));
    assert_status(pare_inflate_raw(out, 199, packed, sizeof packed), PARE_INPUT);
    assert_status(pare_inflate_raw(out, 201, packed, sizeof packed), PARE_INPUT);
    for (size_t n = 0; n < sizeof packed; n++)
        assert_status(pare_inflate_raw(out, 200, packed, n), PARE_INPUT);
    static const unsigned char longer[] = {0x03, 0x00, 0x00};
    assert_status(pare_inflate_raw(out, 0, longer, sizeof longer), PARE_INPUT);
    static const unsigned char broken[] = {0xff, 0xff};
    assert_status(pare_inflate_raw(out, 200, broken, sizeof broken), PARE_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_map_and_input),
        cmocka_unit_test(test_output_is_atomic),
        cmocka_unit_test(test_output_sizes),
        cmocka_unit_test(test_output_refusals),
        cmocka_unit_test(test_devices_are_written_directly),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_inflate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
