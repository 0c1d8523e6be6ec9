/* test_out_of_memory.c: a run in which the k-th allocation of pare's own fails. It ends with exit
 * code 5 and a message, or gets along without; it does not crash, and what has a final name is
 * whole. (Those of the libraries are left alone.)
 *
 * This program's own malloc stands before the C library's. A plain run counts its calls; children
 * (fork) then each have one of them fail. PARE_TORTURE=1 tries every call, else a sample does. */
#include "tests/tiny_model.h"

#include <errno.h>
#include <signal.h>

#include "core/file.h"
#include "core/philox.h"
#include "core/store.h"
#include "core/threads.h"
#include "tasks/flop_run.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define INTERPOSED 0 /* the sanitizers have an allocator of their own */
#else
#define INTERPOSED 1
#endif

enum { SAMPLE = 100, TRAIN = 24, DEV = 8 };

/* ---- the allocator ---- */

static long calls, fail_at; /* 0: none */

extern char __executable_start, etext; /* the linker's: this program's code */

static bool fails(const void *caller)
{
    const char *at = caller;
    if (fail_at == 0 || at < &__executable_start || at >= &etext)
        return false;
    calls++;
    if (calls != fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

#if INTERPOSED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
#endif

/* ---- what is run ---- */

static char home[TEST_PATH], model_path[TEST_PATH];

static pare_train_options options(const char *run)
{
    return (pare_train_options){.model = model_path, .task = "SST-2", .data = home, .output = run,
                                .max_steps = 3, .epochs = 1, .batch_size = 8,
                                .eval_batch_size = 16, .grad_accumulation = 1,
                                .learning_rate = 1e-3, .warmup_ratio = 0.1, .max_grad_norm = 1,
                                .optimizer = "adamw", .dropout = -1, .attention_dropout = -1,
                                .shuffle = true, .seed = 3, .freeze = "", .save_steps = 2,
                                .keep = 2, .precision = "fp32", .threads = 1};
}

static pare_status finetune(const char *run)
{
    const pare_train_options o = options(run);
    pare_json *result = NULL;
    const pare_status status = pare_finetune(&o, &result);
    pare_json_free(result);
    return status;
}

/* The first step of a run, which `resume` goes on with. */
static pare_status begin(const char *run)
{
    pare_train_options o = options(run);
    pare_json *result = NULL;
    o.max_seconds = 1e-9;
    const pare_status status = pare_finetune(&o, &result);
    pare_json_free(result);
    return status == PARE_STOPPED ? PARE_OK : status;
}

static pare_status resume(const char *run)
{
    pare_train_options o = options(run);
    pare_json *result = NULL;
    o.resume = true;
    const pare_status status = pare_finetune(&o, &result);
    pare_json_free(result);
    return status;
}

static pare_status import_and_export(const char *run)
{
    pare_model *model = NULL, *back = NULL;
    char directory[TEST_PATH];
    snprintf(directory, sizeof directory, "%s", run);
    pare_status status = pare_model_open(model_path, &model);
    if (status == PARE_OK)
        status = pare_export(model, directory);
    if (status == PARE_OK)
        status = pare_import(directory, &back);
    pare_model_free(back);
    pare_model_free(model);
    return status;
}

static pare_status factorize(const char *run)
{
    static const bool every[PARE_MATRICES] = {true, true, true, true, true, true};
    pare_model *dense = NULL, *small = NULL;
    char path[TEST_PATH];
    snprintf(path, sizeof path, "%s.h5", run);
    pare_status status = pare_model_open(model_path, &dense);
    if (status == PARE_OK)
        status = pare_flop_truncate(dense, every, 0.5, PARE_FLOP_UNIFORM, PARE_FLOP_FOLD_SIZE,
                                    &small);
    if (status == PARE_OK)
        status = pare_model_save(small, path);
    pare_model_free(small);
    pare_model_free(dense);
    return status;
}

/* ---- children ---- */

typedef struct report {
    long calls; /* of the whole run */
    char message[256];
} report;

/* Runs with the k-th allocation failing; its exit status, and what it says through a pipe. */
static int run_child(pare_status (*function)(const char *), const char *run, long k, report *out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        report said = {0};
        signal(SIGSEGV, SIG_DFL); /* cmocka's handlers would run the tests on in the child */
        signal(SIGABRT, SIG_DFL);
        alarm(60);
        fail_at = k;
        const pare_status status = function(run);
        fail_at = 0;
        said.calls = calls;
        if (status != PARE_OK)
            snprintf(said.message, sizeof said.message, "%s", pare_error_message());
        _exit(write(ends[1], &said, sizeof said) == sizeof said ? (int)status : 99);
    }
    close(ends[1]);
    *out = (report){0};
    const ssize_t got = read(ends[0], out, sizeof *out);
    close(ends[0]);
    const int status = test_wait(child);
    assert_true(status < 0 || got == sizeof *out);
    return status;
}

/* Every model file under a final name is whole. */
static pare_status check_file(void *context, const char *name)
{
    char path[TEST_PATH];
    const size_t n = strlen(name);
    test_path(path, context, name);
    if (n > 3 && strcmp(name + n - 3, ".h5") == 0)
        assert_ok(pare_store_verify(path));
    return PARE_OK;
}

static void try_call(pare_status (*function)(const char *), const char *name, long k)
{
    char run[TEST_PATH], file[64];
    report said;
    snprintf(file, sizeof file, "%s-%ld", name, k);
    test_path(run, home, file);
    if (function == resume)
        assert_int_equal(run_child(begin, run, 0, &said), PARE_OK);
    const int status = run_child(function, run, k, &said);
    if (status != PARE_OK && (status != PARE_MEMORY || !said.message[0]))
        fail_msg("%s: allocation %ld: exit %d: %s", name, k, status, said.message);
    if (pare_path_is_directory(run))
        assert_ok(pare_directory_list(run, check_file, run));
    test_dir_remove(run);
}

static void fail_each(pare_status (*function)(const char *), const char *name)
{
    char run[TEST_PATH];
    report said;
    if (!INTERPOSED) {
        fputs("skipped: a sanitizer's allocator cannot be made to fail\n", stderr);
        skip();
    }
    test_path(run, home, name);
    if (function == resume)
        assert_int_equal(run_child(begin, run, 0, &said), PARE_OK);
    assert_int_equal(run_child(function, run, -1, &said), PARE_OK); /* counts, and fails none */
    assert_true(said.calls > 20);
    if (said.calls <= SAMPLE || getenv("PARE_TORTURE")) {
        for (long k = 1; k <= said.calls; k++)
            try_call(function, name, k);
        printf("%s: each of %ld allocations\n", name, said.calls);
        return;
    }
    for (int i = 0; i < SAMPLE; i++)
        try_call(function, name, i < SAMPLE / 2
                                     ? i + 1
                                     : 1 + (long)(pare_random_uniform(7, PARE_RANDOM_DATA, 0,
                                                                      (uint64_t)i) *
                                                  (double)said.calls));
    printf("%s: %d of %ld allocations\n", name, SAMPLE, said.calls);
}

static void test_finetune(void **state)
{
    (void)state;
    fail_each(finetune, "finetune");
}

static void test_resume(void **state)
{
    (void)state;
    fail_each(resume, "resume");
}

static void test_import_and_export(void **state)
{
    (void)state;
    fail_each(import_and_export, "export");
}

static void test_factorize(void **state)
{
    (void)state;
    fail_each(factorize, "factorize");
}

static int set_up(void **state)
{
    (void)state;
    pare_threads_set(1);
    test_dir_make(home);
    test_path(model_path, home, "model.h5");
    make_tiny_corpus(home, TRAIN, DEV);
    make_tiny_model(home, model_path, 1, 2, 200);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finetune),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_import_and_export),
        cmocka_unit_test(test_factorize),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
