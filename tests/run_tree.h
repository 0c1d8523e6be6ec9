/* tests/run_tree.h: what runs leave in their folders, read and compared.
 *
 *   run_tree_compare("home/reference/run", "home/killed/run");    the same bits, but for times
 *   run_progress p = run_tree_progress("home/killed/run");        steps logged, steps saved */
#ifndef PARE_TESTS_RUN_TREE_H
#define PARE_TESTS_RUN_TREE_H

#include "tests/harness.h"

#include <sys/stat.h>

#include "core/file.h"
#include "core/store.h"

/* Calls see(path) for every file below `root`, in the order of their names. */
typedef void run_tree_see(const char *path);

static run_tree_see *run_tree_seer;
static char run_tree_folder[TEST_PATH];

static pare_status run_tree_entry(void *context, const char *name)
{
    char path[TEST_PATH];
    test_path(path, context, name);
    if (pare_path_is_directory(path))
        return pare_directory_list(path, run_tree_entry, path);
    snprintf(run_tree_folder, sizeof run_tree_folder, "%s", (const char *)context);
    run_tree_seer(path);
    return PARE_OK;
}

TEST_UNUSED static void run_tree_walk(const char *root, run_tree_see *see)
{
    char copy[TEST_PATH];
    snprintf(copy, sizeof copy, "%s", root);
    run_tree_seer = see;
    if (pare_path_is_directory(root))
        assert_ok(pare_directory_list(root, run_tree_entry, copy));
}

TEST_UNUSED static bool run_tree_ends(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcmp(path + n - m, ending) == 0;
}

/* ---- comparing ---- */

static void run_tree_same_bytes(const char *a, const char *b)
{
    size_t n, m;
    char *x = test_file_read(a, &n), *y = test_file_read(b, &m);
    if (n != m || memcmp(x, y, n) != 0)
        fail_msg("%s differs from %s", b, a);
    free(x);
    free(y);
}

static void run_tree_same_array(pare_store *a, pare_store *b, const pare_array *array,
                                const char *path)
{
    size_t bytes = pare_dtype_size(array->dtype);
    for (int i = 0; i < array->rank; i++)
        bytes *= (size_t)array->shape[i];
    void *x = malloc(bytes), *y = malloc(bytes);
    assert_ok(pare_store_read(a, array->name, array->dtype, x));
    assert_ok(pare_store_read(b, array->name, array->dtype, y));
    if (memcmp(x, y, bytes) != 0)
        fail_msg("%s: %s differs", path, array->name);
    free(x);
    free(y);
}

static void run_tree_same_attributes(pare_store *a, pare_store *b)
{
    static const char *const texts[] = {"model.config",     "model.labels", "model.history",
                                        "training.metrics", "training.best_metrics",
                                        "training.recipe",  "training.kernels"};
    static const char *const counters[] = {"training.step", "training.best_step",
                                           "training.bad_evaluations", "training.evaluated_step",
                                           "training.examples", "training.tokens",
                                           "training.skipped"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(pare_store_string(a, texts[i], "none"),
                            pare_store_string(b, texts[i], "none"));
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        assert_int_equal(pare_store_int(a, counters[i], -1), pare_store_int(b, counters[i], -1));
    assert_true(pare_store_double(a, "training.best_score", 0) ==
                pare_store_double(b, "training.best_score", 0));
}

/* Model files are equal byte by byte; training states, which know how long they took, in all but
 * that. */
TEST_UNUSED static void run_tree_same_model(const char *path, const char *other)
{
    pare_store *a = NULL, *b = NULL;
    assert_ok(pare_store_open(path, &a));
    assert_ok(pare_store_open(other, &b));
    const bool state = pare_store_has_attribute(a, "training.step");
    assert_int_equal(pare_store_count(a), pare_store_count(b));
    for (size_t i = 0; i < pare_store_count(a); i++)
        run_tree_same_array(a, b, pare_store_array(a, i), other);
    run_tree_same_attributes(a, b);
    pare_store_close(a);
    pare_store_close(b);
    if (!state)
        run_tree_same_bytes(path, other);
}

/* A log without what tells time and sessions: step, loss, rate, norm, tokens, evaluations. */
TEST_UNUSED static char *run_tree_log(const char *path)
{
    char *text = test_file_read(path, NULL), *out = calloc(1, strlen(text) + 1), *save;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strstr(line, "\"schema\""))
            continue;
        char *seconds = strstr(line, ",\"seconds\":");
        char *end = seconds ? seconds + 1 + strcspn(seconds + 1, ",}") : NULL;
        if (seconds)
            memmove(seconds, end, strlen(end) + 1);
        strcat(out, line);
        strcat(out, "\n");
    }
    free(text);
    return out;
}

static const char *run_tree_wanted, *run_tree_got;

/* The file of the other tree must hold the same. Which checkpoints are kept depends on where a run
 * was stopped: they are left out, as are files that tell times. */
static void run_tree_compare_file(const char *path)
{
    static const char *const exact[] = {"/run.json", "/heads.json", "/recipe.json"};
    char other[TEST_PATH];
    test_path(other, run_tree_got, path + strlen(run_tree_wanted) + 1);
    if (!strstr(path, "/checkpoint-") && !pare_path_exists(other))
        fail_msg("%s is missing", other);
    if (run_tree_ends(path, ".h5") && !strstr(path, "/checkpoint-"))
        run_tree_same_model(path, other);
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (run_tree_ends(path, exact[i]))
            run_tree_same_bytes(path, other);
    if (run_tree_ends(path, "/metrics.jsonl")) {
        char *want = run_tree_log(path), *got = run_tree_log(other);
        assert_string_equal(got, want);
        free(want);
        free(got);
    }
}

TEST_UNUSED static void run_tree_compare(const char *wanted, const char *got)
{
    run_tree_wanted = wanted;
    run_tree_got = got;
    run_tree_walk(wanted, run_tree_compare_file);
}

/* ---- how far a run is ---- */

/* Of all runs below a folder: steps in their logs, steps in their newest checkpoints, and the most
 * steps that one of them would lose. */
typedef struct run_progress {
    long long logged, saved, lost;
    int temporaries;   /* files of saves that were not finished ... */
    char temporary[TEST_PATH]; /* ... as this one */
    double unfinished; /* when the last of them was written to; 0: there is none */
} run_progress;

static run_progress run_tree_sum;

/* What has a final name is whole, unless the run has just removed it. */
static void run_tree_check_model(const char *path)
{
    if (pare_store_verify(path) != PARE_OK && pare_path_exists(path))
        fail_msg("%s", pare_error_message());
}

static void run_tree_count_unfinished(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return;
    const double written = (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec;
    run_tree_sum.temporaries++;
    snprintf(run_tree_sum.temporary, TEST_PATH, "%s", path);
    run_tree_sum.unfinished = fmax(run_tree_sum.unfinished, written);
}

static void run_tree_count_file(const char *path)
{
    static char folder[TEST_PATH]; /* whose checkpoints were seen: names sort them first */
    static long long saved;
    long long step, logged = 0;
    if (strcmp(folder, run_tree_folder) != 0)
        saved = 0;
    snprintf(folder, sizeof folder, "%s", run_tree_folder);
    const char *name = strrchr(path, '/') + 1;
    if (run_tree_ends(name, ".h5"))
        run_tree_check_model(path);
    if (run_tree_ends(name, ".tmp"))
        run_tree_count_unfinished(path);
    else if (sscanf(name, "checkpoint-%lld.h5", &step) == 1 && step > saved)
        saved = step;
    if (strcmp(name, "metrics.jsonl") != 0)
        return;
    char *text = test_file_read(path, NULL);
    for (const char *s = text; (s = strstr(s, "{\"step\":")); s++)
        if (strchr(s, '\n'))
            logged = strtoll(s + 8, NULL, 10);
    free(text);
    run_tree_sum.logged += logged;
    run_tree_sum.saved += saved;
    if (logged - saved > run_tree_sum.lost)
        run_tree_sum.lost = logged - saved;
}

/* Fails if a model file with a final name is damaged. */
TEST_UNUSED static run_progress run_tree_progress(const char *root)
{
    run_tree_sum = (run_progress){0};
    run_tree_walk(root, run_tree_count_file);
    return run_tree_sum;
}

#endif
