/* test_sweep.c: a sweep that is killed again and again reports what an undisturbed one does; what
 * is finished is not run again. (What is refused at once is in test_sweep_grid.c.)
 *
 * With arguments this program is pare itself: a sweep starts the program that it is part of for
 * each of its runs. It also takes over the runs of a sweep that was killed (PR_SET_CHILD_SUBREAPER)
 * so that it can kill them too. */
#include "tests/sweep_arguments.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "core/file.h"
#include "core/philox.h"
#include "core/threads.h"
#include "tests/act_as_pare.h"

enum { KILLS = 24, MANY_KILLS = 100, CELLS = 8 };

static char reference[TEST_PATH], self[TEST_PATH];
static double sweep_seconds; /* of the reference */

/* ---- running pare ---- */

/* The sweep that is killed: 2 x 2 points, 2 seeds; top:1 and list:1 are the same layers. */
static arguments standard(const char *output, const char *jobs)
{
    return SWEEP("--grid", "drop-layers=none,top:1", "--grid", "warmup-ratio=0.1,0.5", "--seeds",
                 "1,2", "--output", output, "--jobs", jobs, "--no-latency");
}

/* Standard output goes to home/out. */
static pid_t start(const arguments *a)
{
    char out[TEST_PATH];
    test_path(out, home, "out");
    fflush(NULL);
    const pid_t child = fork();
    if (child != 0)
        return child;
    if (freopen(out, "w", stdout))
        execv(self, (char *const *)(uintptr_t)a->at);
    _exit(99);
}

#define assert_sweep(want, ...)                                                                    \
    do {                                                                                           \
        const arguments sweep_ = __VA_ARGS__;                                                      \
        assert_int_equal(test_wait(start(&sweep_)), want);                                         \
    } while (0)

/* ---- reading what it left ---- */

static pare_json *read_file(const char *folder, const char *name)
{
    char path[TEST_PATH];
    size_t n;
    pare_json *json = NULL;
    test_path(path, folder, name);
    char *text = test_file_read(path, &n);
    assert_ok(pare_json_parse(text, n, path, &json));
    free(text);
    return json;
}

static bool exists(const char *folder, const char *name)
{
    char path[TEST_PATH];
    test_path(path, folder, name);
    return pare_path_exists(path);
}

/* Everything in summary.json but what tells time. */
static void assert_same_summary(const char *folder)
{
    pare_json *want = read_file(reference, "summary.json");
    pare_json *got = read_file(folder, "summary.json");
    assert_int_equal(pare_json_size(want), pare_json_size(got));
    for (void *i = pare_json_iter(want); i; i = pare_json_iter_next(want, i)) {
        const char *key = pare_json_iter_key(i);
        if (strcmp(key, "timing") == 0)
            continue;
        char *a = pare_json_dump(pare_json_iter_value(i), 0, 17);
        char *b = pare_json_dump(pare_json_get(got, key), 0, 17);
        assert_string_equal(b, a);
        pare_free(a);
        pare_free(b);
    }
    pare_json_free(want);
    pare_json_free(got);
}

/* Of a finished cell: which file its record is, and how much it has said. */
typedef struct trace {
    ino_t record;
    off_t log;
} trace;

static trace trace_of(const char *folder, const char *cell)
{
    char path[TEST_PATH], name[TEST_PATH];
    struct stat record, log;
    snprintf(name, sizeof name, "%s.json", cell);
    test_path(path, folder, name);
    if (stat(path, &record) != 0)
        return (trace){0, 0};
    snprintf(name, sizeof name, "%s.log", cell);
    test_path(path, folder, name);
    assert_int_equal(stat(path, &log), 0);
    return (trace){record.st_ino, log.st_size};
}

/* What was finished when it was looked at last is as it was; now it is looked at again. */
static void assert_not_run_again(const char *folder, trace traces[CELLS])
{
    pare_json *summary = read_file(reference, "summary.json");
    const pare_json *cells = pare_json_get(summary, "cells");
    assert_int_equal(pare_json_size(cells), CELLS);
    for (size_t i = 0; i < CELLS; i++) {
        const char *name = pare_json_get_string(pare_json_at(cells, i), "name", NULL);
        const trace now = trace_of(folder, name);
        if (traces[i].record != 0)
            assert_true(now.record == traces[i].record && now.log == traces[i].log);
        traces[i] = now;
    }
    pare_json_free(summary);
}

/* ---- the tests ---- */

static int setup(void **state)
{
    (void)state;
    pare_threads_set(1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    make_tiny_home();
    test_path(reference, home, "reference");
    assert_in_range(readlink("/proc/self/exe", self, sizeof self - 1), 1, TEST_PATH - 1);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_sweep(PARE_OK, standard(reference, "2"));
    clock_gettime(CLOCK_MONOTONIC, &end);
    sweep_seconds =
        (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    return 0;
}

static void test_what_a_sweep_leaves(void **state)
{
    (void)state;
    pare_json *summary = read_file(reference, "summary.json");
    const pare_json *cells = pare_json_get(summary, "cells");
    const pare_json *points = pare_json_get(summary, "summary");
    assert_int_equal(pare_json_size(cells), CELLS);
    assert_int_equal(pare_json_size(points), CELLS / 2);
    for (size_t i = 0; i < CELLS; i++) {
        const pare_json *cell = pare_json_at(cells, i), *point = pare_json_at(points, i / 2);
        assert_int_equal(pare_json_get_int(cell, "seed", 0), 1 + (int)i % 2);
        assert_int_equal(pare_json_get_int(cell, "layers", 0), i < 4 ? 2 : 1);
        assert_int_equal(pare_json_get_int(cell, "steps", 0), 10);
        assert_true(pare_json_is_number(
            pare_json_get(pare_json_get(cell, "metrics"), "accuracy")));
        assert_string_equal(pare_json_get_string(pare_json_get(point, "options"), "warmup_ratio",
                                                 ""), i / 2 % 2 ? "0.5" : "0.1");
        assert_int_equal(pare_json_get_int(point, "n", 0), 2);
    }
    assert_true(exists(reference, "drop-layers=top-1,warmup-ratio=0.5,seed=2/best.h5"));
    assert_true(exists(reference, "drop-layers=top-1,warmup-ratio=0.5,seed=2.log"));
    assert_true(exists(reference, "summary.tsv"));
    pare_json_free(summary);
}

/* The runs that a killed sweep leaves are this process's children now; they save and end by
 * themselves, unless they are killed too. */
static void kill_children(void)
{
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *list = fopen(path, "r");
    while (list && fscanf(list, "%d", &pid) == 1)
        kill(pid, SIGKILL);
    if (list)
        fclose(list);
}

static void reap_children(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
}

/* One session, killed before it can be half done; every second time its runs are killed too. */
static int session(const arguments *a, int number)
{
    const char *seed = getenv("PARE_SEED");
    const double wait = pare_random_uniform(seed ? strtoull(seed, NULL, 10) : 12, PARE_RANDOM_DATA,
                                            0, (uint64_t)number);
    const pid_t child = start(a);
    usleep((useconds_t)(wait * sweep_seconds * 5e5));
    kill(child, SIGKILL);
    const int status = test_wait(child);
    if (number % 2 == 0)
        kill_children();
    return status;
}

static void test_kills(void **state)
{
    (void)state;
    char folder[TEST_PATH], name[32];
    const int wanted = getenv("PARE_TORTURE") ? MANY_KILLS : KILLS;
    int kills = 0, sweeps = 0;
    while (kills < wanted) {
        trace traces[CELLS] = {{0, 0}};
        snprintf(name, sizeof name, "killed-%d", sweeps++);
        test_path(folder, home, name);
        const arguments a = standard(folder, sweeps % 2 ? "2" : "1");
        while (kills < wanted && session(&a, kills) == -SIGKILL) {
            kills++;
            assert_not_run_again(folder, traces);
        }
        assert_int_equal(test_wait(start(&a)), PARE_OK); /* may have to wait for runs that save */
        assert_not_run_again(folder, traces);
        assert_same_summary(folder);
        assert_int_equal(test_wait(start(&a)), PARE_OK); /* nothing to do */
        assert_not_run_again(folder, traces);
        assert_same_summary(folder);
    }
    reap_children();
    print_message("%d kills in %d sweeps\n", kills, sweeps);
    if (getenv("PARE_TORTURE"))
        print_message("torture sweep: %d sweeps killed with their runs or without\n", kills);
}

/* The run's log has a head for each of its sessions: it went on where it was. */
static void assert_went_on(const char *folder, const char *cell)
{
    char path[TEST_PATH], name[TEST_PATH];
    snprintf(name, sizeof name, "%s/metrics.jsonl", cell);
    test_path(path, folder, name);
    char *log = test_file_read(path, NULL);
    const char *first = strstr(log, "\"schema\"");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\"schema\""));
    free(log);
}

/* How many of the sweep's runs were stopped and saved, by what their logs say. */
static int count_saved(const char *folder)
{
    pare_json *summary = read_file(reference, "summary.json");
    int saved = 0;
    for (size_t i = 0; i < CELLS; i++) {
        const pare_json *cell = pare_json_at(pare_json_get(summary, "cells"), i);
        char path[TEST_PATH], name[TEST_PATH];
        snprintf(name, sizeof name, "%s.log", pare_json_get_string(cell, "name", ""));
        test_path(path, folder, name);
        char *log = test_file_read(path, NULL);
        if (strstr(log, "note: stopped after step")) {
            saved++;
            assert_went_on(folder, pare_json_get_string(cell, "name", ""));
        }
        free(log);
    }
    pare_json_free(summary);
    return saved;
}

/* Steps that the sweep's runs have logged. */
static int count_steps(const char *folder)
{
    pare_json *summary = read_file(reference, "summary.json");
    int steps = 0;
    for (size_t i = 0; i < CELLS; i++) {
        const pare_json *cell = pare_json_at(pare_json_get(summary, "cells"), i);
        char path[TEST_PATH], name[TEST_PATH];
        snprintf(name, sizeof name, "%s/metrics.jsonl", pare_json_get_string(cell, "name", ""));
        test_path(path, folder, name);
        char *log = pare_path_exists(path) ? test_file_read(path, NULL) : NULL;
        for (const char *s = log; s && (s = strstr(s, "\"loss\"")); s++)
            steps++;
        free(log);
    }
    pare_json_free(summary);
    return steps;
}

/* Until one of the runs is at work (a run that goes on first takes some steps back). */
static void wait_for_a_step(const char *folder)
{
    int least = count_steps(folder);
    for (int i = 0; i < 500; i++) {
        const int steps = count_steps(folder);
        if (steps > least)
            return;
        least = steps;
        usleep(5000);
    }
}

/* SIGTERM and SIGINT reach the runs, which save; none is left behind. */
static void test_signals(void **state)
{
    (void)state;
    char folder[TEST_PATH];
    int stops = 0, saved = 0;
    for (int i = 0; i < 2; i++) {
        test_path(folder, home, i ? "sigint" : "sigterm");
        const arguments a = standard(folder, "2");
        int status;
        do {
            const pid_t child = start(&a);
            wait_for_a_step(folder);
            if (stops < 4 * (i + 1))
                kill(child, i ? SIGINT : SIGTERM);
            status = test_wait(child);
            assert_true(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
            stops += status == PARE_STOPPED;
        } while (status == PARE_STOPPED || status == -SIGTERM || status == -SIGINT);
        assert_int_equal(status, PARE_OK);
        assert_same_summary(folder);
        saved += count_saved(folder);
    }
    assert_true(stops > 0 && saved > 0);
}

/* Once all runs are done, the clock stops a sweep only where it has something left to time. */
static void test_clock_after_the_runs(void **state)
{
    (void)state;
    char folder[TEST_PATH];
    test_path(folder, home, "timed");
    const arguments runs = SWEEP("--seeds", "1", "--output", folder, "--no-latency");
    const arguments late = SWEEP("--seeds", "1", "--output", folder, "--no-latency",
                                 "--max-seconds", "1e-9");
    const arguments late_timing = SWEEP("--seeds", "1", "--output", folder, "--max-seconds",
                                        "1e-9");
    const arguments timing = SWEEP("--seeds", "1", "--output", folder);
    assert_int_equal(test_wait(start(&late)), PARE_STOPPED);
    assert_false(exists(folder, "summary.json"));
    assert_int_equal(test_wait(start(&runs)), PARE_OK);
    assert_int_equal(test_wait(start(&late)), PARE_OK);
    assert_int_equal(test_wait(start(&late_timing)), PARE_STOPPED);
    assert_false(exists(folder, "latency.json"));
    assert_int_equal(test_wait(start(&timing)), PARE_OK);
    assert_int_equal(test_wait(start(&late_timing)), PARE_OK);
}

/* Whether a checkpoint stands where neither an epoch of 10 steps ends nor an interval does. */
static pare_status find_odd_checkpoint(void *context, const char *name)
{
    long long step;
    if (sscanf(name, "checkpoint-%lld.h5", &step) == 1 && step % 10 != 0)
        *(bool *)context = true;
    return PARE_OK;
}

/* SIGUSR1 reaches the runs, which save and go on; one that is not ready yet does not mind. */
static void test_save_request(void **state)
{
    (void)state;
    char folder[TEST_PATH], run[TEST_PATH], log[TEST_PATH];
    test_path(folder, home, "sigusr1");
    test_path(run, folder, "seed=1");
    test_path(log, folder, "seed=1.log");
    const arguments a = SWEEP("--seeds", "1", "--output", folder, "--no-latency", "--epochs", "20",
                              "--save-steps", "1000");
    const pid_t child = start(&a);
    bool found = false;
    int status;
    while (!pare_path_exists(log)) /* the sweep has its handlers, its run has none yet */
        usleep(1000);
    while (waitpid(child, &status, WNOHANG) == 0) {
        kill(child, SIGUSR1);
        if (!found && pare_path_exists(run))
            assert_ok(pare_directory_list(run, find_odd_checkpoint, &found));
        usleep(5000);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == PARE_OK);
    assert_true(found);
}

static void test_equal_cells_share_a_run(void **state)
{
    (void)state;
    char folder[TEST_PATH];
    test_path(folder, home, "shared");
    assert_sweep(PARE_OK,
                 SWEEP("--grid", "drop-layers=top:1,none,list:1,alternate-even:1", "--grid",
                       "weight-decay=0.01,1e-2", "--output", folder, "--slim"));
    pare_json *summary = read_file(folder, "summary.json");
    const pare_json *cells = pare_json_get(summary, "cells");
    assert_int_equal(pare_json_size(cells), 8);
    for (size_t i = 0; i < 8; i++) {
        const char *name = pare_json_get_string(pare_json_at(cells, i), "name", "");
        const char *same = pare_json_get_string(pare_json_at(cells, i), "same_as", NULL);
        assert_true(exists(folder, name) == (same == NULL));
        if (i != 0 && i != 2)
            assert_string_equal(same, i == 3 ? "drop-layers=none,weight-decay=0.01,seed=1"
                                             : "drop-layers=top-1,weight-decay=0.01,seed=1");
        else
            assert_null(same);
    }
    const pare_json *times = pare_json_get(pare_json_get(summary, "timing"), "summary");
    for (size_t i = 0; i < 8; i++) {
        const pare_json *latency = pare_json_get(pare_json_at(times, i), "latency");
        assert_int_equal(pare_json_get_int(latency, "batch", 0), 32);
        assert_int_equal(pare_json_get_double(latency, "ratio_to_first", 0) == 1, i / 2 == 1);
    }
    assert_true(exists(folder, "drop-layers=none,weight-decay=0.01,seed=1/best.h5"));
    assert_false(exists(folder, "drop-layers=none,weight-decay=0.01,seed=1/last.h5"));
    assert_false(exists(folder, "drop-layers=none,weight-decay=0.01,seed=1/checkpoint-10.h5"));
    pare_json_free(summary);
}

/* One that diverges has no score and keeps nobody; one that cannot begin is reported. */
static void test_runs_that_fail(void **state)
{
    (void)state;
    char folder[TEST_PATH];
    test_path(folder, home, "diverged");
    assert_sweep(PARE_OK, SWEEP("--grid", "max-grad-norm=0,1e30", "--grid", "weight-decay=0,1e6",
                                "--seeds", "1", "--output", folder, "--learning-rate", "1e20"));
    pare_json *summary = read_file(folder, "summary.json");
    int diverged = 0;
    for (size_t i = 0; i < 4; i++)
        diverged += (int)pare_json_get_int(pare_json_at(pare_json_get(summary, "summary"), i),
                                           "diverged", 0);
    assert_int_equal(diverged, 4);
    pare_json_free(summary);
    test_path(folder, home, "failed");
    assert_sweep(PARE_USAGE, SWEEP("--grid", "freeze=9,embeddings", "--drop-layers", "top:1",
                                   "--output", folder)); /* of fewer layers: not checked */
    assert_true(exists(folder, "freeze=embeddings,seed=1.json"));
    assert_false(exists(folder, "freeze=9,seed=1.json"));
    assert_false(exists(folder, "summary.json"));
}

/* ---- what goes on, and what does not ---- */

/* A sweep goes on as it was begun, alone, and in a folder of its own. */
static void test_other_peoples_folders(void **state)
{
    (void)state;
    char lock[TEST_PATH];
    int handle;
    arguments a = standard(reference, "1");
    add_arguments(&a, (const char *const[]){"--epochs", "2", NULL});
    assert_int_equal(refused(&a), PARE_USAGE);
    assert_message_has("made with \"epochs = 1\", now it is \"epochs = 2\"");
    a = standard(reference, "1");
    add_arguments(&a, (const char *const[]){"--tolerate", "0.5", "--keep", "1", NULL});
    assert_int_equal(test_wait(start(&a)), PARE_OK); /* no score depends on these */
    a = standard(reference, "1");
    assert_int_equal(test_wait(start(&a)), PARE_OK); /* the reference as it was */
    test_path(lock, reference, "sweep.lock");
    assert_ok(pare_lock(lock, &handle));
    assert_int_equal(test_wait(start(&a)), PARE_USAGE);
    pare_unlock(handle);
    const arguments theirs = SWEEP("--seeds", "1", "--output", home);
    assert_int_equal(refused(&theirs), PARE_USAGE);
    assert_message_has("not empty, and not of a sweep");
    assert_false(exists(home, "sweep.lock"));
}

/* The runs of a killed sweep may still be saving: they are waited for. */
static void test_runs_in_use_are_waited_for(void **state)
{
    (void)state;
    char folder[TEST_PATH], path[TEST_PATH];
    int handle;
    test_path(folder, home, "held");
    const arguments a = SWEEP("--seeds", "1", "--output", folder, "--no-latency");
    assert_int_equal(test_wait(start(&a)), PARE_OK);
    test_path(path, folder, "seed=1.json");
    assert_int_equal(unlink(path), 0);
    test_path(path, folder, "seed=1/run.lock");
    assert_ok(pare_lock(path, &handle));
    const pid_t child = start(&a);
    usleep(300000);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    pare_unlock(handle);
    assert_int_equal(test_wait(child), PARE_OK);
    assert_true(exists(folder, "seed=1.json"));
}

static void test_dry_run(void **state)
{
    (void)state;
    char folder[TEST_PATH], out[TEST_PATH];
    test_path(folder, home, "never");
    test_path(out, home, "out");
    assert_sweep(PARE_OK, SWEEP("--grid", "drop-layers=top:1,list:1", "--seeds", "1,2", "--output",
                                folder, "--dry-run"));
    char *text = test_file_read(out, NULL);
    assert_string_equal(text, "drop-layers=top-1,seed=1\n"
                              "drop-layers=top-1,seed=2\n"
                              "drop-layers=list-1,seed=1  shares the run of "
                              "drop-layers=top-1,seed=1\n"
                              "drop-layers=list-1,seed=2  shares the run of "
                              "drop-layers=top-1,seed=2\n"
                              "2 runs\n");
    free(text);
    assert_false(pare_path_exists(folder));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_sweep_leaves),
        cmocka_unit_test(test_kills),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_clock_after_the_runs),
        cmocka_unit_test(test_save_request),
        cmocka_unit_test(test_equal_cells_share_a_run),
        cmocka_unit_test(test_runs_that_fail),
        cmocka_unit_test(test_other_peoples_folders),
        cmocka_unit_test(test_runs_in_use_are_waited_for),
        cmocka_unit_test(test_dry_run),
    };
    if (argc > 1)
        return act_as_pare(argc, argv);
    return cmocka_run_group_tests(tests, setup, NULL);
}
