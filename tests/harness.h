/* tests/harness.h: what every test program may lean on. Include it instead of <cmocka.h>.
 *
 *   static void test_scores_match(void **state)
 *   {
 *       (void)state;
 *       char path[TEST_PATH];
 *       TEST_NEED_SHARED(path, "golden/mini/config.json");     skips, and says why
 *       char dir[TEST_PATH];
 *       test_dir_make(dir);                                    removed when the program ends
 *       test_close_array(got, want, n, TEST_REAL_TOL(1e-5), 1.0, "logits");
 *   }
 *
 * Data that is not in the repository is looked for at $PARE_SHARED, else at ../shared, as tests
 * run from the repository's root. A test that lacks it skips; it never passes in silence. */
#ifndef PARE_TESTS_HARNESS_H
#define PARE_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fts.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/status.h"
#include "core/tensor.h"

#define TEST_UNUSED __attribute__((unused))

#ifdef PARE_COVERAGE /* children that leave by _exit would take what they counted with them */
void __gcov_dump(void);
#define _exit(status) (__gcov_dump(), _exit(status))
#endif

enum { TEST_PATH = 1024, TEST_DIRS = 32, TEST_SKIPPED = 77 /* what tests/run.sh takes for it */ };

/* In the double build errors are eight digits smaller: one test serves both. */
#ifdef PARE_DOUBLE
#define TEST_REAL_TOL(tolerance) ((tolerance) * 1e-6)
#else
#define TEST_REAL_TOL(tolerance) (tolerance)
#endif

/* Whether the i-th of a test's cases is tried: PARE_PART=3/20 is the third of twenty parts of what
 * `make torture` tries; without it every case is. */
TEST_UNUSED static bool test_in_part(long i)
{
    long part, parts;
    const char *asked = getenv("PARE_PART");
    return !asked || sscanf(asked, "%ld/%ld", &part, &parts) != 2 || i % parts == part % parts;
}

/* How many names a folder holds, but for "." and "..". */
TEST_UNUSED static int test_count_names(const char *dir)
{
    DIR *folder = opendir(dir);
    int n = -2;
    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* path[TEST_PATH] = the shared file or folder `name`; false, with a line on stderr, if missing. */
TEST_UNUSED static bool test_shared(char *path, const char *name)
{
    const char *root = getenv("PARE_SHARED");
    if (!root || !*root)
        root = "../shared";
    int length = snprintf(path, TEST_PATH, "%s/%s", root, name);
    if (length > 0 && length < TEST_PATH && access(path, R_OK) == 0)
        return true;
    fprintf(stderr, "skipped: %s is missing (PARE_SHARED names the folder that holds %s)\n", path,
            name);
    return false;
}

#define TEST_NEED_SHARED(path, name)                                                               \
    do {                                                                                           \
        if (!test_shared((path), (name)))                                                          \
            skip();                                                                                \
    } while (0)

/* ---- Folders of this test program's own, removed with all they hold when it ends. ---- */

static char test_dirs[TEST_DIRS][TEST_PATH];
static int test_n_dirs;

/* Removes `dir` and all below it; links are removed, not followed. */
TEST_UNUSED static void test_dir_remove(const char *dir)
{
    char *roots[] = {(char *)(uintptr_t)dir, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
    if (!walk)
        return;
    for (FTSENT *entry; (entry = fts_read(walk));)
        if (entry->fts_info != FTS_D)
            (void)remove(entry->fts_path); /* a folder comes a second time, after its files */
    (void)fts_close(walk);
}

TEST_UNUSED static void test_dirs_remove(void)
{
    for (int i = 0; i < test_n_dirs; i++)
        test_dir_remove(test_dirs[i]);
}

/* Calls run(options) in a child process, whose exit status is the run's. The parent must have kept
 * to one thread: OpenMP's do not survive a fork. */
TEST_UNUSED static pid_t test_start(pare_status (*run)(const void *options), const void *options)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child != 0)
        return child;
    const pare_status status = run(options);
    if (status != PARE_OK && status != PARE_STOPPED)
        fprintf(stderr, "run: %s\n", pare_error_message());
    _exit(status);
}

/* The exit status of a child process, or minus the signal that ended it. */
TEST_UNUSED static int test_wait(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* dir[TEST_PATH] = a new, empty folder under $TMPDIR, else /tmp. */
TEST_UNUSED static void test_dir_make(char *dir)
{
    const char *root = getenv("TMPDIR");
    int length = snprintf(dir, TEST_PATH, "%s/pare-test-XXXXXX", root && *root ? root : "/tmp");
    assert_in_range(length, 1, TEST_PATH - 1);
    assert_non_null(mkdtemp(dir));
    assert_true(test_n_dirs < TEST_DIRS);
    if (test_n_dirs == 0)
        assert_int_equal(atexit(test_dirs_remove), 0);
    strcpy(test_dirs[test_n_dirs++], dir);
}

/* path[TEST_PATH] = dir/name. */
TEST_UNUSED static void test_path(char *path, const char *dir, const char *name)
{
    int length = snprintf(path, TEST_PATH, "%s/%s", dir, name);
    assert_in_range(length, 1, TEST_PATH - 1);
}

/* Writes n bytes as the whole of a file; test_text_write does it for a string. */
TEST_UNUSED static void test_file_write(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

TEST_UNUSED static void test_text_write(const char *path, const char *text)
{
    test_file_write(path, text, strlen(text));
}

/* The whole of a file with a zero behind it, for free(); *n, if given, is its size. */
TEST_UNUSED static char *test_file_read(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    bytes[size] = '\0';
    fclose(file);
    if (n)
        *n = (size_t)size;
    return bytes;
}

/* ---- Numbers ---- */

/* |a - b| <= tolerance * max(|a|, |b|, floor). Equal infinities are close; a NaN never is. */
TEST_UNUSED static bool test_is_close(double a, double b, double tolerance, double floor)
{
    if (a == b)
        return true;
    return fabs(a - b) <= tolerance * fmax(fmax(fabs(a), fabs(b)), floor) && isfinite(a - b);
}

TEST_UNUSED static void test_close(double got, double want, double tolerance, double floor,
                                   const char *what)
{
    if (!test_is_close(got, want, tolerance, floor))
        fail_msg("%s: got %.17g, want %.17g (tolerance %g, floor %g)", what, got, want, tolerance,
                 floor);
}

/* Arrays of any floating type: compares element by element and names the first that differs. */
#define test_close_array(got, want, n, tolerance, floor, what)                                     \
    do {                                                                                           \
        for (int64_t test_i = 0; test_i < (int64_t)(n); test_i++) {                                \
            double test_got = (double)(got)[test_i], test_want = (double)(want)[test_i];           \
            if (!test_is_close(test_got, test_want, (tolerance), (floor)))                         \
                fail_msg("%s[%lld]: got %.17g, want %.17g (tolerance %g, floor %g)", (what),       \
                         (long long)test_i, test_got, test_want, (double)(tolerance),              \
                         (double)(floor));                                                         \
        }                                                                                          \
    } while (0)

/* ---- Gradients ---- */

/* One element of a parameter's gradient, as if the step had made it. */
TEST_UNUSED static void test_set_gradient(pare_tensor *x, int64_t element, real value)
{
    x->grad[element] = value;
    if (x->row_state)
        x->row_state[element / x->cols] = PARE_ROW_GRADIENT;
}

/* ---- Statuses ---- */

/* The call must return this status; otherwise pare's own message is shown. */
#define assert_status(call, want)                                                                  \
    do {                                                                                           \
        pare_status test_status = (call);                                                          \
        if (test_status != (want))                                                                 \
            fail_msg("%s: status %d, want %d: %s", #call, (int)test_status, (int)(want),           \
                     pare_error_message());                                                        \
    } while (0)
#define assert_ok(call) assert_status(call, PARE_OK)

/* The last failure's message must hold this text. */
TEST_UNUSED static void assert_message_has(const char *text)
{
    if (!strstr(pare_error_message(), text))
        fail_msg("message \"%s\" does not hold \"%s\"", pare_error_message(), text);
}

#endif
