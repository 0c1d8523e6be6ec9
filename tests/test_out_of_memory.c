/* test_out_of_memory.c: every command, with its k-th allocation failing. It ends with exit code 5,
 * a message and a next step, or gets along without and writes what it always writes. It does not
 * crash, loses no memory, and what has a final name is whole.
 *
 * A plain run counts a command's allocations: those of pare and its libraries, and those of HDF5.
 * Children (fork) then each have one of them fail. PARE_TORTURE=1 tries every one (PARE_PART=1/20 a
 * twentieth), else a sample is: the first ones and others, spread. ONLY=plot-heads tries that
 * command alone. With arguments this program is pare: a sweep starts it. */
#include "tests/failing_malloc.h"
#include "tests/tf_tiny.h"
#include "tests/tiny_model.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "core/file.h"
#include "core/library_guard.h"
#include "core/philox.h"
#include "core/store.h"
#include "core/threads.h"

enum { FIRST = 50, OTHERS = 50, MOST_ARGUMENTS = 40 };

/* ---- what is run ---- */

#define ON " --task SST-2 --data @ "
#define STEPS " --max-steps 3 --batch-size 8 --save-steps 2 --seed 3 --threads 1 "
#define FINETUNE "finetune --model @/model.h5" ON "--output %/run" STEPS
#define FLOP_RUN "flop run --model @/model.h5" ON "--output %/run --target 0.3 --allow-miss"     \
    " --mask-epochs 1 --epochs 1 --final-epochs 1" STEPS
#define HEADS_RUN                                                                                  \
    "heads run --model @/model.h5" ON "--fraction 0.4 --output %/run --max-steps 2 --batch-size 8"

/* In its arguments @ is the folder of the inputs, and % that of the run. */
typedef struct command {
    const char *name, *arguments;
    const char *before; /* what was run in that folder before; or NULL */
    const char *input;  /* standard input, in the folder of the inputs; or NULL */
    int first, others;  /* how many calls to try, unless each is; 0: FIRST and OTHERS */
    bool hdf5;          /* HDF5's calls too; without PARE_TORTURE, a sample of them */
    bool slow;          /* a sample even with PARE_TORTURE */
} command;

static const command commands[] = {
    {.name = "help", .arguments = "help finetune"},
    {.name = "import", .arguments = "import @/hf %/m.h5", .hdf5 = true},
    {.name = "import-bin", .arguments = "import @/bin %/m.h5"},
    {.name = "import-tf", .arguments = "import @/tf %/m.h5"},
    {.name = "export", .arguments = "export @/model.h5 %"},
    {.name = "tokenize", .arguments = "tokenize --model @/model.h5 --threads 1", .input = "lines"},
    {.name = "tokenize-vocab", .arguments = "tokenize --vocab @/hf/vocab.txt --pair --threads 1",
     .input = "lines"},
    {.name = "finetune", .arguments = FINETUNE, .hdf5 = true},
    {.name = "finetune-config", .arguments = "finetune --config @/tiny.ini --output %/run"},
    {.name = "dry-run", .arguments = FINETUNE "--dry-run"},
    {.name = "print-config", .arguments = "finetune --config @/tiny.ini --print-config"},
    {.name = "resume", .arguments = FINETUNE "--resume", .before = FINETUNE "--max-seconds 1e-9",
     .hdf5 = true},
    {.name = "teacher", .arguments = FINETUNE "--teacher @/model.h5 --drop-layers top:1"},
    {.name = "evaluate", .arguments = "evaluate --model @/model.h5" ON "--output %/e.json"},
    {.name = "predictions", .arguments = "evaluate --predictions @/SST-2.tsv" ON},
    {.name = "predict", .arguments = "predict --model @/model.h5 --logits", .input = "lines"},
    {.name = "drop-layers", .arguments = "drop-layers --model @/model.h5 --layers 1 %/m.h5",
     .hdf5 = true},
    {.name = "contribution", .arguments = "drop-layers --model @/model.h5" ON
                                          "--strategy contribution --count 1 %/m.h5"},
    {.name = "heads-sweep", .arguments = "heads sweep --model @/model.h5" ON "--output %/h.json"},
    {.name = "heads-importance", .arguments = "heads importance --model @/model.h5" ON},
    {.name = "heads-prune",
     .arguments = "heads prune --model @/model.h5" ON "--fraction 0.5 --step 0.2 %/m.h5"},
    {.name = "heads-run", .arguments = HEADS_RUN},
    {.name = "heads-correlate", .arguments = "heads correlate @/h.json @/h2.json"},
    {.name = "flop-factorize",
     .arguments = "flop factorize --model @/model.h5 --target 0.5 %/m.h5"},
    {.name = "flop-train", .arguments = "flop train --model @/gated.h5" ON
                                        "--output %/run --target 0.3 --mask-epochs 1" STEPS},
    {.name = "flop-compact", .arguments = "flop compact --model @/gated.h5 --target 0.3 %/m.h5"},
    {.name = "flop-run", .arguments = FLOP_RUN, .others = 30},
    {.name = "latency", .arguments = "latency @/model.h5 @/gated.h5" ON "--batch 1 --rounds 5"},
    {.name = "bench", .arguments = "bench --model @/model.h5 --rounds 1 --threads 1",
     .first = 20, .others = 20},
    {.name = "sweep", .arguments = "sweep --model @/model.h5" ON
                                   "--grid drop-layers=none,top:1 --seeds 1 --output %/run"
                                   " --max-steps 1 --batch-size 8 --no-latency",
     .others = 20},
    {.name = "plot-heads", .arguments = "plot @/h.json @/h2.json --output %", .others = 20},
    {.name = "plot-sweep", .arguments = "plot @/sweep/summary.json --output %"},
    {.name = "inspect", .arguments = "inspect @/model.h5 -v", .hdf5 = true},
    {.name = "verify", .arguments = "verify @/model.h5"},
    {.name = "doctor", .arguments = "doctor --threads 1", .first = 20, .others = 5},
    {.name = "demo", .arguments = "demo --output %/demo", .first = 30, .others = 1, .slow = true},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static char home[TEST_PATH];

/* ---- children ---- */

/* What a child tells, in memory that it shares. */
typedef struct report {
    long calls; /* of the set that may fail */
    long live;  /* blocks that pare holds at the end; -1: it never came there */
} report;

static report *said;

/* The words of `text` with @ and % replaced, in buffer; words[n] = NULL. */
static int split(const char *text, const char *run, char *buffer, size_t size, char **words)
{
    size_t n = 0;
    for (const char *at = text; *at && n < size; at++) {
        const char *put = *at == '@' ? home : *at == '%' ? run : NULL;
        n += (size_t)snprintf(buffer + n, size - n, put ? "%s" : "%.1s", put ? put : at);
    }
    assert_true(n < size);
    int count = 0;
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " ")) {
        assert_true(count < MOST_ARGUMENTS);
        words[count++] = word;
    }
    words[count] = NULL;
    return count;
}

/* As main does it. */
static pare_status program(int argc, char **argv)
{
    const pare_status status = pare_program(argc, argv), finished = pare_console_finish();
    pare_console_error(status ? status : finished);
    return status ? status : finished;
}

/* Standard error goes to home/err. */
static void child(const char *arguments, const char *input, const char *run, fail_set set, long k)
{
    char buffer[8192], words[TEST_PATH], path[TEST_PATH], *argv[MOST_ARGUMENTS + 2] = {words};
    strcpy(words, "pare");
    const int argc = 1 + split(arguments, run, buffer, sizeof buffer, argv + 1);
    test_path(path, home, input ? input : "");
    signal(SIGSEGV, SIG_DFL); /* cmocka's handlers would run the tests on in the child */
    signal(SIGABRT, SIG_DFL);
    alarm(120);
    test_n_dirs = 0; /* they are the parent's */
    pare_library_guard();
    assert_non_null(freopen(input ? path : "/dev/null", "r", stdin));
    assert_non_null(freopen("/dev/null", "w", stdout));
    test_path(path, home, "err");
    assert_non_null(freopen(path, "w", stderr));
    *said = (report){.live = -1};
    fail_begin(set, k);
    const pare_status status = program(argc, argv);
    *said = (report){fail_calls, fail_live};
    exit(status); /* HDF5's calls may fail while it closes, too */
}

/* The exit status of a run whose k-th call fails; 0: none does. */
static int run_child(const char *arguments, const char *input, const char *run, fail_set set,
                     long k)
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0)
        child(arguments, input, run, set, k);
    return test_wait(pid);
}

static void must_run(const char *arguments, const char *input, const char *run)
{
    const int status = run_child(arguments, input, run, FAIL_PARE, 0);
    if (status != PARE_OK)
        fail_msg("pare %s: exit %d", arguments, status);
}

/* ---- what is left of a run ---- */

typedef struct comparison {
    const char *run, *reference; /* folders; reference NULL: the run failed */
    char fault[256];
} comparison;

static bool same_files(const char *a, const char *b)
{
    size_t n, m;
    char *x = test_file_read(a, &n), *y = test_file_read(b, &m);
    const bool same = n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

static bool ends(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* Models, weights and charts; but those that tell how long training took. */
static bool is_repeatable(const char *file)
{
    return (ends(file, ".h5") && !strstr(file, "checkpoint-") && !strstr(file, "last.h5")) ||
           ends(file, ".safetensors") || ends(file, ".svg") || ends(file, ".png") ||
           (ends(file, ".tsv") && !ends(file, "summary.tsv")); /* which has seconds in it */
}

/* Every model file under a final name verifies; where the run went well it is the reference's. */
static void compare(comparison *c, const char *folder)
{
    char path[TEST_PATH], below[TEST_PATH], reference[TEST_PATH];
    test_path(path, c->run, folder);
    DIR *list = opendir(path);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        snprintf(below, sizeof below, "%s%s%s", folder, *folder ? "/" : "", entry->d_name);
        test_path(path, c->run, below);
        if (entry->d_name[0] == '.')
            continue;
        if (pare_path_is_directory(path))
            compare(c, below);
        if (ends(below, ".h5") && pare_store_verify(path) != PARE_OK)
            snprintf(c->fault, sizeof c->fault, "%.200s", pare_error_message());
        if (c->reference)
            test_path(reference, c->reference, below);
        if (c->reference && is_repeatable(below) && !same_files(path, reference))
            snprintf(c->fault, sizeof c->fault, "%.200s differs", below);
    }
    if (list)
        closedir(list);
}

/* ---- one command ---- */

typedef struct trial {
    const command *command;
    fail_set set;
    char reference[TEST_PATH]; /* the folder of the run in which nothing failed */
    long live;                 /* blocks that it held at its end */
    long tried;
    int faults;
} trial;

static void prepare(const command *c, const char *run)
{
    assert_int_equal(mkdir(run, 0777), 0);
    if (c->before) {
        const int status = run_child(c->before, NULL, run, FAIL_PARE, 0);
        assert_true(status == PARE_OK || status == PARE_STOPPED);
    }
}

/* The line of the program's own error; the C library may have had something to say before it. */
static char *find_error(char *err)
{
    char *line = strncmp(err, "error: ", 7) == 0 ? err : strstr(err, "\nerror: ");
    return line && *line == '\n' ? line + 1 : line;
}

/* What is wrong with how a run ended; an empty string: nothing. */
static const char *judge(const trial *t, int status, const char *run)
{
    static char fault[512];
    char path[TEST_PATH];
    comparison c = {.run = run, .reference = status == PARE_OK ? t->reference : NULL};
    test_path(path, home, "err");
    char *err = test_file_read(path, NULL), *error = find_error(err);
    const char *memory = error ? strstr(error, "memory") : NULL;
    compare(&c, "");
    fault[0] = '\0';
    if (status != PARE_OK && status != PARE_MEMORY)
        snprintf(fault, sizeof fault, "exit %d: %.200s", status, error ? error : err);
    else if (status != PARE_OK &&
             (!memory || memory > strchr(error, '\n') || !strstr(memory, "\nhelp: ")))
        snprintf(fault, sizeof fault, "says: %.200s", err);
    else if (c.fault[0])
        snprintf(fault, sizeof fault, "%s", c.fault);
    else if (said->live > t->live)
        snprintf(fault, sizeof fault, "%ld blocks are lost: %.200s", said->live - t->live, err);
    free(err);
    return fault;
}

static void try_call(trial *t, long k)
{
    const command *c = t->command;
    char run[TEST_PATH], name[64];
    snprintf(name, sizeof name, "%s-%ld", c->name, k);
    test_path(run, home, name);
    prepare(c, run);
    const int status = run_child(c->arguments, c->input, run, t->set, k);
    const char *fault = judge(t, status, run);
    if (*fault && t->faults++ < 20)
        print_error("%s, allocation %ld: %s\n", c->name, k, fault);
    test_dir_remove(run);
}

/* The i-th of the calls to try. */
static long pick(const trial *t, long calls, int i, int first)
{
    const double at = pare_random_uniform(7, PARE_RANDOM_DATA, (uint32_t)t->set, (uint64_t)i);
    return i < first ? i + 1 : 1 + (long)(at * (double)calls);
}

static void fail_each(const command *c, fail_set set)
{
    trial t = {.command = c, .set = set};
    char name[64];
    FAIL_NEEDED();
    const int first = c->first ? c->first : FIRST;
    const bool torture = getenv("PARE_TORTURE") != NULL;
    const bool every = torture && !c->slow && (set == FAIL_PARE || c->hdf5);
    snprintf(name, sizeof name, "%s-0", c->name);
    test_path(t.reference, home, name);
    prepare(c, t.reference);
    assert_int_equal(run_child(c->arguments, c->input, t.reference, set, 0), PARE_OK);
    const long calls = said->calls, sample = first + (c->others ? c->others : OTHERS);
    const long tried = every || calls < sample ? calls : sample;
    t.live = said->live;
    for (int i = 0; i < tried; i++) {
        if (!test_in_part(i))
            continue;
        try_call(&t, tried == calls ? i + 1 : pick(&t, calls, i, first));
        t.tried++;
    }
    test_dir_remove(t.reference);
    const char *whose = set == FAIL_HDF5 ? "HDF5's allocations" : "allocations";
    printf("%s: %ld of %ld %s, %ld blocks held\n", c->name, t.tried, calls, whose, t.live);
    if (torture && calls > 0)
        printf("torture out-of-memory: %ld %s of %s\n", t.tried, whose, c->name);
    if (t.faults > 0)
        fail_msg("%s: %d of %ld failed %s", c->name, t.faults, t.tried, whose);
}

static void test_pare(void **state)
{
    fail_each(*state, FAIL_PARE);
}

static void test_hdf5(void **state)
{
    fail_each(*state, FAIL_HDF5);
}

/* What becomes of a crash, inside a library or outside it, after such an error. */
static int crash(bool inside, int error, int number)
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        assert_non_null(freopen("/dev/null", "w", stderr));
        pare_library_guard();
        if (inside)
            pare_library_enter("HDF5", "a.h5");
        errno = error;
        raise(number);
        _exit(99);
    }
    return test_wait(pid);
}

/* The same once the library was left: what it did to the heap shows then. */
static int crash_later(int error)
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        assert_non_null(freopen("/dev/null", "w", stderr));
        pare_library_guard();
        pare_library_enter("HDF5", "a.h5");
        errno = error;
        pare_library_leave();
        raise(SIGABRT);
        _exit(99);
    }
    return test_wait(pid);
}

static void test_crashes(void **state)
{
    (void)state;
    FAIL_NEEDED();
    assert_int_equal(crash(true, ENOMEM, SIGSEGV), PARE_MEMORY);
    assert_int_equal(crash(true, ENOMEM, SIGABRT), PARE_MEMORY);
    assert_int_equal(crash(true, EIO, SIGSEGV), -SIGSEGV);
    assert_int_equal(crash(false, ENOMEM, SIGSEGV), -SIGSEGV);
    assert_int_equal(crash(false, ENOMEM, SIGABRT), -SIGABRT);
    assert_int_equal(crash_later(ENOMEM), PARE_MEMORY);
    assert_int_equal(crash_later(EIO), -SIGABRT);
}

/* ---- inputs ---- */

/* A folder with a tiny model's vocabulary, and its config under this name. */
static void make_folder(char dir[TEST_PATH], const char *name, const char *config)
{
    test_path(dir, home, name);
    assert_int_equal(mkdir(dir, 0777), 0);
    copy_file(DATA "tiny/config.json", dir, config);
    copy_file(DATA "tiny/vocab.txt", dir, "vocab.txt");
}

static void make_bin(void)
{
    char dir[TEST_PATH];
    make_folder(dir, "bin", "config.json");
    copy_file(DATA "bin/deflated.bin", dir, "pytorch_model.bin");
}

static void make_tf(void)
{
    char dir[TEST_PATH];
    make_folder(dir, "tf", "bert_config.json");
    tf_checkpoint *c = make_checkpoint(2, TF_FLOAT);
    write_checkpoint(c, dir, 200, 0);
    free_checkpoint(c);
}

/* As pare heads sweep writes it, of a model whose heads matter. */
static void write_sweep(const char *name, double step)
{
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof text,
                                "{\"task\":\"SST-2\",\"split\":\"dev\",\"metric\":\"accuracy\","
                                "\"baseline\":{\"metrics\":{\"accuracy\":0.9},\"loss\":0.3},"
                                "\"heads\":[");
    for (int i = 0; i < 6; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "%s{\"layer\":%d,\"head\":%d,\"metrics\":{\"accuracy\":%g},"
                              "\"loss\":%g,\"difference\":%g,\"low\":-0.1,\"high\":0.1,"
                              "\"verdict\":\"neutral\"}", i ? "," : "", i / 3, i % 3,
                              0.8 + i * i * step, 0.4 - i * step, i * i * step);
    snprintf(text + n, sizeof text - n, "]}");
    write_file(home, name, text);
}

/* As pare predict writes them for GLUE. */
static void write_predictions(void)
{
    char text[256];
    size_t n = (size_t)snprintf(text, sizeof text, "index\tprediction\n");
    for (int i = 0; i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d\t%d\n", i, i % 2);
    write_file(home, "SST-2.tsv", text);
}

/* HDF5 is not used by this process, so that its first use is among what fails. */
static void make_inputs(void)
{
    char path[TEST_PATH];
    make_tiny_corpus(home, 24, 8);
    test_path(path, home, "model.h5");
    make_tiny_model(home, path, 2, 2, 200);
    make_bin();
    make_tf();
    write_file(home, "lines", "a gripping film .\nnobody treasured it\tdull\n\n");
    write_predictions();
}

static int set_up(void **state)
{
    (void)state;
    char ini[3 * TEST_PATH];
    pare_threads_set(1);
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(said != MAP_FAILED);
    test_dir_make(home);
    const pid_t pid = fork();
    if (pid == 0) {
        make_inputs();
        _exit(0);
    }
    assert_int_equal(test_wait(pid), 0);
    snprintf(ini, sizeof ini,
             "# tiny\nmodel = %s/model.h5\ntask = SST-2\ndata = %s\nmax_steps = 1\n"
             "threads = 1\n", home, home);
    write_file(home, "tiny.ini", ini);
    must_run("export @/model.h5 @/hf", NULL, home);
    write_sweep("h.json", 0.01);
    write_sweep("h2.json", -0.02);
    must_run("flop factorize --model @/model.h5 --gates @/gated.h5", NULL, home);
    must_run("sweep --model @/model.h5" ON "--grid drop-layers=none,top:1 --seeds 1,2"
             " --output @/sweep --max-steps 1 --no-latency", NULL, home);
    return 0;
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[2 * N_COMMANDS + 1] = {cmocka_unit_test(test_crashes)};
    size_t n = 1;
    if (argc > 1)
        return program(argc, argv);
    for (int i = 0; i < N_COMMANDS; i++) {
        const command *c = &commands[i];
        struct CMUnitTest test = {.name = c->name, .test_func = test_pare,
                                  .initial_state = (void *)(uintptr_t)c};
        const char *only = getenv("ONLY");
        if (only && strcmp(only, c->name) != 0)
            continue;
        tests[n++] = test;
        test.test_func = test_hdf5;
        if (c->hdf5 || getenv("PARE_TORTURE"))
            tests[n++] = test;
    }
    return _cmocka_run_group_tests("out of memory", tests, n, FAIL_INTERPOSED ? set_up : NULL,
                                   NULL);
}
