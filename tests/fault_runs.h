/* tests/fault_runs.h: runs the program `pare` as a child, with faults or without, and compares the
 * folders it leaves.
 *
 *   set_up_runs();                                            home, home/in, home/out
 *   const char *const line[] = {"import", "in/hf", "out/m.h5", NULL};
 *   outcome o = run_pare(line, &(fault){"eio", 17});          o.status, o.message, o.what
 *   tree want = tree_of(out);                                 ... assert_same_tree(out, &want)
 *
 * Words of a command line that begin with "in/" or "out" are paths in home. */
#ifndef PARE_TESTS_FAULT_RUNS_H
#define PARE_TESTS_FAULT_RUNS_H

#include "tests/tiny_model.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/checksum.h"
#include "core/file.h"
#include "core/store.h"
#include "core/threads.h"
#include "tests/fault_state.h"

enum { MOST_WORDS = 64, MOST_TREE = 64, RUN_SECONDS = 120 };
#define DAMAGED UINT32_C(0xffffffff) /* the CRC of a model file that does not open */

/* ---- the program and its place ---- */

static char home[TEST_PATH], in_folder[TEST_PATH], out_folder[TEST_PATH];
static char pare_path[TEST_PATH], shim_path[TEST_PATH];
static fault_state *shared_state;

/* The k-th call that fails, and how (tests/fault_shim.c). */
typedef struct fault {
    const char *mode; /* NULL: there is no shim */
    long at;
    rlim_t file_size; /* 0: no limit */
    const char *output; /* standard output goes there; NULL: to a file; "": it is closed */
} fault;

typedef struct outcome {
    int status; /* exit code, or minus a signal */
    long calls;
    char what[300], message[4096]; /* the call; standard error */
} outcome;

/* false: a build of this variant has no program, or it cannot be preloaded. */
TEST_UNUSED static bool find_program(void)
{
    const char *build = getenv("BUILD"), *named = getenv("PARE");
    snprintf(shim_path, sizeof shim_path, "%s/tests/fault_shim.so", build ? build : "build");
    if (named)
        snprintf(pare_path, sizeof pare_path, "%s", named);
    else
        snprintf(pare_path, sizeof pare_path, "%s/pare", build ? build : "build");
    char *shim = realpath(shim_path, NULL), *pare = realpath(pare_path, NULL);
    const bool both = shim && pare;
    if (both) {
        strncpy(shim_path, shim, TEST_PATH - 1);
        strncpy(pare_path, pare, TEST_PATH - 1);
    } else {
        fprintf(stderr, "skipped: %s or %s is not built\n", pare_path, shim_path);
    }
    free(shim);
    free(pare);
    return both;
}

/* The folders, and the state that the shim shares with us. */
TEST_UNUSED static void set_up_runs(void)
{
    char made[TEST_PATH], path[TEST_PATH];
    pare_threads_set(1);
    test_dir_make(made);
    char *real_path = realpath(made, NULL);
    assert_true(real_path && strlen(real_path) < TEST_PATH / 2);
    strcpy(home, real_path);
    free(real_path);
    test_path(in_folder, home, "files/in");
    test_path(out_folder, home, "files/out");
    assert_ok(pare_make_directories(in_folder));
    test_path(path, home, "state");
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, sizeof *shared_state) == 0);
    shared_state = mmap(NULL, sizeof *shared_state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(shared_state != MAP_FAILED);
    close(fd);
}

TEST_UNUSED static bool torture(void)
{
    return getenv("PARE_TORTURE") != NULL;
}

/* ---- running it ---- */

/* In the child: the environment that the shim reads, and what OpenMP would start pare anew for. */
static void set_environment(const fault *f)
{
    char path[TEST_PATH], number[32];
    setenv("OMP_WAIT_POLICY", "passive", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    unsetenv("PARE_KERNELS");
    if (!f->mode)
        return;
    snprintf(number, sizeof number, "%ld", f->at);
    test_path(path, home, "state");
    setenv("PARE_FAULT_STATE", path, 1);
    test_path(path, home, "files");
    setenv("PARE_FAULT_BELOW", path, 1);
    setenv("PARE_FAULT", f->mode, 1);
    setenv("PARE_FAULT_AT", number, 1);
    setenv("LD_PRELOAD", shim_path, 1);
}

static int open_stream(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

static void become_pare(const char *const *line, const fault *f)
{
    char out[TEST_PATH], err[TEST_PATH], in[TEST_PATH];
    char words[MOST_WORDS][2 * TEST_PATH];
    const char *argv[MOST_WORDS + 2] = {pare_path};
    for (int i = 0; line[i]; i++) {
        const bool ours = strcmp(line[i], "in") == 0 || strncmp(line[i], "in/", 3) == 0 ||
                          strncmp(line[i], "out/", 4) == 0;
        snprintf(words[i], sizeof words[i], "%s%s%s", ours ? home : "", ours ? "/files/" : "",
                 line[i]);
        argv[i + 1] = words[i];
    }
    const bool named = f->output && *f->output;
    test_path(out, home, "stdout");
    test_path(err, home, "stderr");
    test_path(in, home, "stdin");
    const int input = open(in, O_RDONLY | O_CREAT, 0600), errors = open_stream(err);
    const int fd = open_stream(named ? f->output : out);
    if (input < 0 || fd < 0 || errors < 0 || dup2(input, 0) < 0 || dup2(fd, 1) < 0 ||
        dup2(errors, 2) < 0)
        _exit(99);
    if (f->output && !*f->output)
        close(1);
    set_environment(f);
    signal(SIGSEGV, SIG_DFL); /* cmocka's handlers end with exec anyway */
    const struct rlimit no_core = {0, 0}, limit = {f->file_size, f->file_size};
    setrlimit(RLIMIT_CORE, &no_core);
    if (f->file_size > 0)
        setrlimit(RLIMIT_FSIZE, &limit);
    alarm(RUN_SECONDS); /* which exec keeps: a hang ends by SIGALRM */
    execv(pare_path, (char *const *)(uintptr_t)argv);
    _exit(98);
}

TEST_UNUSED static pid_t start_pare(const char *const *line, const fault *f)
{
    if (f->mode) /* else another one may be stopped, with its count */
        *shared_state = (fault_state){0};
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        become_pare(line, f);
    return child;
}

TEST_UNUSED static outcome end_pare(pid_t child)
{
    char path[TEST_PATH];
    outcome o = {.status = test_wait(child), .calls = shared_state->calls};
    memcpy(o.what, shared_state->what, sizeof o.what);
    test_path(path, home, "stderr");
    char *text = test_file_read(path, NULL);
    snprintf(o.message, sizeof o.message, "%s", text);
    free(text);
    return o;
}

TEST_UNUSED static outcome run_pare(const char *const *line, const fault *f)
{
    return end_pare(start_pare(line, f));
}

/* ---- what it left ---- */

/* A file by its path in the folder, and a CRC of all in it that does not tell time. */
typedef struct tree {
    struct {
        char name[160];
        uint32_t crc;
    } file[MOST_TREE];
    int n;
} tree;

static bool ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), m = strlen(ending);
    return n >= m && strcmp(name + n - m, ending) == 0;
}

static uint32_t crc_of_array(pare_store *store, const pare_array *array, uint32_t crc)
{
    size_t n = pare_dtype_size(array->dtype);
    for (int i = 0; i < array->rank; i++)
        n *= (size_t)array->shape[i];
    void *bytes = malloc(n);
    assert_ok(pare_store_read(store, array->name, array->dtype, bytes));
    crc = pare_crc32(pare_crc32(crc, array->name, strlen(array->name)), bytes, n);
    free(bytes);
    return crc;
}

/* Weights, moments, counters, texts; not the seconds that a run took. */
static uint32_t crc_of_store(const char *path)
{
    static const char *const texts[] = {"training.metrics", "training.best_metrics",
                                        "training.recipe", "model.history", "model.config"};
    static const char *const counters[] = {"training.step", "training.best_step",
                                           "training.examples", "training.tokens"};
    pare_store *store = NULL;
    uint32_t crc = 0;
    if (pare_store_open(path, &store) != PARE_OK)
        return DAMAGED;
    for (size_t i = 0; i < pare_store_count(store); i++)
        crc = crc_of_array(store, pare_store_array(store, i), crc);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = pare_store_string(store, texts[i], "");
        crc = pare_crc32(crc, text, strlen(text));
    }
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        const int64_t n = pare_store_int(store, counters[i], -1);
        crc = pare_crc32(crc, &n, sizeof n);
    }
    pare_store_close(store);
    return crc;
}

/* Steps, losses, rates, norms, evaluations; not seconds, and not the lines of sessions. */
static uint32_t crc_of_log(const char *path)
{
    char *text = test_file_read(path, NULL), *save;
    uint32_t crc = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strstr(line, "\"schema\""))
            continue;
        char *seconds = strstr(line, ",\"seconds\"");
        crc = pare_crc32(crc, line, seconds ? (size_t)(seconds - line) : strlen(line));
    }
    free(text);
    return crc;
}

static uint32_t crc_of_file(const char *path)
{
    static const char *const timed[] = {"eval_results.json", "eval_results.txt", "summary.json",
                                        "summary.tsv", ".log", ".lock",
                                        "/info.txt"};
    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++)
        if (ends_in(path, timed[i]))
            return 0;
    if (strstr(path, "/seed=") && ends_in(path, ".json")) /* a sweep's cell */
        return 0;
    if (ends_in(path, ".h5"))
        return crc_of_store(path);
    if (ends_in(path, "metrics.jsonl"))
        return crc_of_log(path);
    size_t n;
    char *bytes = test_file_read(path, &n);
    const uint32_t crc = pare_crc32(0, bytes, n);
    free(bytes);
    return crc;
}

static tree tree_below; /* being filled; fts has no context */

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Every file below the folder in a fixed order. */
TEST_UNUSED static tree tree_of(const char *folder)
{
    char *roots[] = {(char *)(uintptr_t)folder, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    assert_non_null(walk);
    tree_below.n = 0;
    for (FTSENT *e; (e = fts_read(walk));) {
        if (e->fts_info != FTS_F)
            continue;
        assert_true(tree_below.n < MOST_TREE);
        const int i = tree_below.n++;
        snprintf(tree_below.file[i].name, sizeof tree_below.file[i].name, "%s",
                 e->fts_path + strlen(folder) + 1);
        tree_below.file[i].crc = ends_in(e->fts_path, ".tmp") ? 0 : crc_of_file(e->fts_path);
    }
    (void)fts_close(walk);
    return tree_below;
}

/* The file's number in a tree, or -1. */
TEST_UNUSED static int find_in_tree(const tree *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->file[i].name, name) == 0)
            return i;
    return -1;
}

/* What differs first, in words; "" if nothing does. */
TEST_UNUSED static const char *tree_difference(const tree *got, const tree *want)
{
    static char text[256];
    for (int i = 0; i < got->n || i < want->n; i++) {
        if (i >= got->n)
            snprintf(text, sizeof text, "%s is missing", want->file[i].name);
        else if (i >= want->n || find_in_tree(want, got->file[i].name) < 0)
            snprintf(text, sizeof text, "%s is too much", got->file[i].name);
        else if (strcmp(got->file[i].name, want->file[i].name) != 0)
            snprintf(text, sizeof text, "%s is missing", want->file[i].name);
        else if (got->file[i].crc != want->file[i].crc)
            snprintf(text, sizeof text, "%s differs", got->file[i].name);
        else
            continue;
        return text;
    }
    return "";
}

/* A folder becomes a copy of another, or an empty one. */
TEST_UNUSED static void reset_folder(const char *folder, const char *like)
{
    char command[2 * TEST_PATH + 32];
    test_dir_remove(folder);
    if (!like) {
        assert_int_equal(mkdir(folder, 0700), 0);
        return;
    }
    snprintf(command, sizeof command, "cp -a '%s' '%s'", like, folder);
    assert_int_equal(system(command), 0);
}

/* ---- what runs read ---- */

#define TRAINING                                                                                   \
    "--task", "SST-2", "--data", "in", "--epochs", "1", "--batch-size", "8", "--learning-rate",    \
        "1e-3", "--threads", "1", "-q"
#define RUN TRAINING, "--save-steps", "2", "--eval-steps", "3", "--keep", "1"
#define DATA "--task", "SST-2", "--data", "in", "--threads", "1", "-q"

TEST_UNUSED static void prepare(const char *const *line)
{
    const outcome o = run_pare(line, &(fault){0});
    if (o.status != PARE_OK && o.status != PARE_STOPPED)
        fail_msg("%s: exit %d: %s", line[0], o.status, o.message);
}
#define PREPARE(...) prepare((const char *const[]){__VA_ARGS__, NULL})

/* Models of one layer without a head and with one; a run of which one step is done. */
TEST_UNUSED static void make_run_inputs(void)
{
    char path[TEST_PATH];
    make_tiny_corpus(in_folder, 48, 8);
    test_path(path, in_folder, "one.h5");
    make_tiny_model(in_folder, path, 1, 0, 200);
    test_path(path, in_folder, "headed.h5");
    make_tiny_model(in_folder, path, 1, 2, 200);
    PREPARE("finetune", "--model", "in/one.h5", RUN, "--output", "in/begun/run", "--max-seconds",
            "1e-9");
}

#endif
