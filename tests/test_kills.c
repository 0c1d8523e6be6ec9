/* test_kills.c: every resumable command, killed, asked to stop, asked to save and limited in time,
 * at random moments, ends in the same bits as one left alone; what it had saved is whole.
 *
 * With arguments this program is pare itself: every session is a process of its own, so that it can
 * be killed at any moment, and has another number of threads. PARE_TORTURE=N makes N sessions end
 * early in each way, of each command (1: fifty); PARE_SEED=N draws other moments. `make torture`
 * runs twenty such parts (PARE_PART). */
#include "tests/tiny_model.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "core/philox.h"
#include "core/threads.h"
#include "tests/act_as_pare.h"
#include "tests/run_tree.h"

enum { TRAIN = 160, DEV = 40, SAVE_STEPS = 5, MOST_ARGUMENTS = 64 };

static char home[TEST_PATH], model_path[TEST_PATH], headed_path[TEST_PATH], self[TEST_PATH];
static uint64_t seed;

/* What is run, beside the options that all have in common. */
typedef struct subject {
    const char *name, *command; /* words separated by spaces; --teacher's model comes by itself */
    bool taught;
    int jobs;          /* runs at once */
    int kills, others; /* sessions that are killed, and that end by each other event */
    int64_t steps;     /* in all its phases */
} subject;

static const subject finetune = {
    "finetune", "finetune --resume --seed 3 --epochs 3 --eval-steps 7", false, 1, 50, 17, 60};
static const subject taught = {
    "distillation", "finetune --resume --seed 3 --epochs 2 --eval-steps 7", true, 1, 10, 3, 40};
static const subject flop = {
    "flop", "flop run --seed 3 --targets 0.2,0.5 --mask-epochs 2 --epochs 2 --final-epochs 1 "
            "--allow-miss", false, 1, 20, 4, 120};
static const subject heads = {
    "heads", "heads run --seed 3 --fraction 0.5 --step 0.25 --epochs 2", false, 1, 10, 4, 40};
static const subject sweep = {
    "sweep", "sweep --grid warmup-ratio=0.1,0.5 --seeds 1 --jobs 2 --epochs 2 --no-latency", false,
    2, 5, 2, 80};

/* ---- sessions ---- */

typedef struct arguments {
    const char *at[MOST_ARGUMENTS + 1];
    int n;
    char words[512];
} arguments;

static void add_words(arguments *a, const char *words)
{
    char *save;
    snprintf(a->words, sizeof a->words, "%s", words);
    for (char *word = strtok_r(a->words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        a->at[a->n++] = word;
}

static void add(arguments *a, const char *option, const char *value)
{
    assert_true(a->n + 2 <= MOST_ARGUMENTS);
    a->at[a->n++] = option;
    a->at[a->n++] = value;
}

/* In the child. Every run has the same name in a folder of its own, as recipes hold names. */
static void become(const subject *s, const char *folder, int session, double seconds)
{
    char threads[8], limit[32];
    arguments a = {.n = 1, .at = {"pare"}};
    snprintf(threads, sizeof threads, "%d", 1 + session % 2);
    snprintf(limit, sizeof limit, "%.9f", seconds);
    add_words(&a, s->command);
    add(&a, "--model", strncmp(s->command, "heads", 5) == 0 ? headed_path : model_path);
    add(&a, "--task", "SST-2");
    add(&a, "--data", home);
    add(&a, "--batch-size", "8");
    add(&a, "--learning-rate", "1e-3");
    add(&a, "--save-steps", "5");
    add(&a, "--output", "run");
    add(&a, "--threads", threads);
    if (s->taught)
        add(&a, "--teacher", headed_path);
    if (seconds > 0)
        add(&a, "--max-seconds", limit);
    setenv("OMP_NUM_THREADS", threads, 1);
    setpgid(0, 0);
    alarm(120); /* a run that hangs fails */
    if (chdir(folder) == 0 && freopen("out", "w", stdout) && freopen("err", "w", stderr))
        execv(self, (char *const *)(uintptr_t)a.at);
    _exit(99);
}

static pid_t start(const subject *s, const char *folder, int session, double seconds)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        become(s, folder, session, seconds);
    return child;
}

/* The exit status of the run; those that it started have ended then, too. */
static int finish(pid_t child)
{
    const int status = test_wait(child);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    return status;
}

/* Whether the process has a handler for the signal by now. */
static bool catches(pid_t child, int number)
{
    char path[64], line[256];
    unsigned long long caught = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigCgt: %llx", &caught) == 1)
            break;
    if (file)
        fclose(file);
    return number > 0 && (caught >> (number - 1) & 1);
}

/* ---- what happens to a session ---- */

typedef enum event { KILLED, TERMINATED, INTERRUPTED, SAVED, LIMITED, EVENTS } event;
static const char *const event_names[EVENTS] = {"kill -9", "SIGTERM", "SIGINT", "SIGUSR1",
                                                "--max-seconds"};

/* One command under one kind of event. */
typedef struct trial {
    const subject *subject;
    event event;
    char folder[TEST_PATH], run[TEST_PATH]; /* of the run that goes on now */
    run_progress before; /* the session under way */
    int sessions, runs, done, in_saves;
    double longest; /* seconds that a session is left in peace at most */
} trial;

static void new_run(trial *t)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%d-%d", t->subject->name, (int)t->event, t->runs++);
    test_path(t->folder, home, name);
    test_path(t->run, t->folder, "run");
    assert_int_equal(mkdir(t->folder, 0777), 0);
}

/* At most one interval is lost, and every model file is whole. */
static run_progress check_kept(const trial *t)
{
    const run_progress p = run_tree_progress(t->run);
    if (p.lost > SAVE_STEPS)
        fail_msg("%s: %lld steps are lost", t->run, p.lost);
    return p;
}

/* A run that ended with a checkpoint has saved all that it did. */
static void check_stopped(const trial *t)
{
    const run_progress p = check_kept(t);
    if (t->subject->jobs == 1 && p.lost != 0)
        fail_msg("%s: %lld steps of a run that was stopped are lost", t->run, p.lost);
}

/* After SIGUSR1: when two more steps are done, all that was done before is saved. (Steps that only
 * an earlier session did may stand in the log until it is cut back.) */
static int kill_after_saving(const trial *t, pid_t child, long long logged)
{
    const struct timespec pause = {0, 1000000};
    const bool ours = logged > t->before.logged;
    const long long least = ours ? logged : t->before.saved + 1;
    const long long enough = run_tree_progress(t->run).logged + 2;
    while (run_tree_progress(t->run).logged < enough) {
        siginfo_t ended = {0};
        assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
        if (ended.si_pid == child)
            return finish(child);
        nanosleep(&pause, NULL);
    }
    kill(child, SIGKILL);
    const int status = finish(child);
    const run_progress p = check_kept(t);
    if (t->subject->jobs == 1 && p.saved < least)
        fail_msg("%s: saved %lld of the %lld steps before SIGUSR1", t->run, p.saved, least);
    return status;
}

/* Sends the trial's signal; the exit status. */
static int disturb(const trial *t, pid_t child)
{
    static const int numbers[EVENTS] = {SIGKILL, SIGTERM, SIGINT, SIGUSR1, 0};
    const int number = numbers[t->event];
    const long long logged = t->event == SAVED ? run_tree_progress(t->run).logged : 0;
    const bool ready = catches(child, number);
    if (t->event == SAVED && !ready) { /* too early to be asked: not counted */
        kill(child, SIGTERM);
        return finish(child);
    }
    if (number)
        kill(child, number);
    if (t->event == SAVED)
        return kill_after_saving(t, child, logged);
    const int status = finish(child);
    if (status == -number && (t->event == KILLED || !ready))
        return status;
    if (status != PARE_OK && status != PARE_STOPPED)
        fail_msg("%s: exit status %d", t->run, status);
    return status;
}

/* One session and its end; false if the run is finished. */
static bool session(trial *t)
{
    const double draw = pare_random_uniform(seed, PARE_RANDOM_DATA, (uint64_t)t->event,
                                            (uint64_t)t->sessions) * t->longest;
    const struct timespec wait = {(time_t)draw, (long)((draw - floor(draw)) * 1e9)};
    const bool limited = t->event == LIMITED;
    struct timespec begin;
    t->before = run_tree_progress(t->run);
    clock_gettime(CLOCK_REALTIME, &begin);
    const pid_t child =
        start(t->subject, t->folder, t->sessions++, limited ? draw + 1e-6 : 0);
    if (!limited)
        nanosleep(&wait, NULL);
    const int status = disturb(t, child);
    if (status == PARE_STOPPED)
        check_stopped(t);
    t->in_saves += check_kept(t).unfinished > (double)begin.tv_sec + 1e-9 * (double)begin.tv_nsec;
    t->done += status == PARE_STOPPED || (status == -SIGKILL && t->event != LIMITED);
    return status != PARE_OK;
}

/* The rest of a run, in peace; then it is as if it had always been. */
static void compare(trial *t, const char *reference, bool finished)
{
    char path[TEST_PATH];
    if (!finished)
        assert_int_equal(finish(start(t->subject, t->folder, 0, 0)), PARE_OK);
    run_tree_compare(reference, t->run);
    const run_progress p = run_tree_progress(t->run);
    if (p.temporaries > 0)
        fail_msg("%s is left of a run that is finished", p.temporary);
    test_path(path, t->folder, "");
    test_dir_remove(path);
}

static void try_event(const subject *s, event e, const char *reference, double seconds, int events)
{
    trial t = {.subject = s, .event = e, .longest = seconds / 2};
    print_message("%s, %s: PARE_SEED=%llu\n", s->name, event_names[e], (unsigned long long)seed);
    while (t.done < events) {
        bool goes_on = true;
        new_run(&t);
        while (t.done < events && goes_on)
            goes_on = session(&t);
        compare(&t, reference, !goes_on);
    }
    print_message("%s, %s: %d times in %d runs, %d while a file was being written\n", s->name,
                  event_names[e], t.done, t.runs, t.in_saves);
    if (getenv("PARE_TORTURE"))
        print_message("torture kills: %d %s of %s\n", t.done, event_names[e], s->name);
}

static void try_subject(const subject *s)
{
    const char *torture = getenv("PARE_TORTURE");
    const int many = torture ? atoi(torture) : 0;
    char folder[TEST_PATH], reference[TEST_PATH];
    struct timespec begin, end;
    test_path(folder, home, s->name);
    test_path(reference, folder, "run");
    assert_int_equal(mkdir(folder, 0777), 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(finish(start(s, folder, 0, 0)), PARE_OK);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds =
        (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    assert_int_equal(run_tree_progress(reference).saved, s->steps);
    for (int e = 0; e < EVENTS; e++)
        try_event(s, (event)e, reference, seconds,
                  many > 1 ? many : many == 1 ? 50 : e == KILLED ? s->kills : s->others);
}

static void test_finetune(void **state)
{
    (void)state;
    try_subject(&finetune);
}

static void test_distillation(void **state)
{
    (void)state;
    try_subject(&taught);
}

static void test_flop(void **state)
{
    (void)state;
    try_subject(&flop);
}

static void test_heads(void **state)
{
    (void)state;
    try_subject(&heads);
}

static void test_sweep(void **state)
{
    (void)state;
    try_subject(&sweep);
}

/* Stopped by the clock before every next step: resumed at each of the run's steps. */
static void resume_at_every_step(const subject *s)
{
    trial t = {.subject = s, .event = EVENTS};
    char reference[TEST_PATH], name[64];
    int status;
    snprintf(name, sizeof name, "%s/run", s->name);
    test_path(reference, home, name);
    new_run(&t);
    while ((status = finish(start(s, t.folder, t.sessions++, 1e-9))) == PARE_STOPPED)
        check_stopped(&t);
    assert_int_equal(status, PARE_OK);
    assert_true(t.sessions >= s->steps - 5); /* a phase's last step is followed by the next one's */
    compare(&t, reference, true);
}

static void test_every_step(void **state)
{
    (void)state;
    resume_at_every_step(&flop); /* fine-tuning, mask training, distillation */
}

/* ---- two runs in one folder ---- */

static void wait_for_lock(const char *lock, pid_t child)
{
    const struct timespec pause = {0, 1000000};
    char digits[32];
    snprintf(digits, sizeof digits, "%d\n", (int)child);
    for (int i = 0; i < 20000; i++) {
        char *text = pare_path_exists(lock) ? test_file_read(lock, NULL) : NULL;
        const bool taken = text && strcmp(text, digits) == 0;
        free(text);
        if (taken)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("%s was not taken", lock);
}

/* While one run stands still another is refused, which names the first; that one is none the worse
 * for it. */
static void two_at_once(const subject *s, const char *lock_name)
{
    trial t = {.subject = s, .event = EVENTS};
    char reference[TEST_PATH], name[64], path[TEST_PATH], wanted[64];
    snprintf(name, sizeof name, "%s/run", s->name);
    test_path(reference, home, name);
    new_run(&t);
    test_path(path, t.run, lock_name);
    const pid_t first = start(s, t.folder, 0, 0);
    wait_for_lock(path, first);
    assert_int_equal(kill(first, SIGSTOP), 0);
    assert_int_equal(test_wait(start(s, t.folder, 1, 0)), PARE_USAGE);
    test_path(path, t.folder, "err");
    char *said = test_file_read(path, NULL);
    snprintf(wanted, sizeof wanted, "in use by another run (process %d)", (int)first);
    if (!strstr(said, wanted))
        fail_msg("%s: \"%s\" does not say \"%s\"", s->name, said, wanted);
    free(said);
    assert_int_equal(kill(first, SIGCONT), 0);
    assert_int_equal(finish(first), PARE_OK);
    compare(&t, reference, true);
}

static void test_two_runs_in_one_folder(void **state)
{
    (void)state;
    two_at_once(&finetune, "run.lock");
    two_at_once(&flop, "run.lock");
    two_at_once(&heads, "run.lock");
    two_at_once(&sweep, "sweep.lock");
}

static int set_up(void **state)
{
    (void)state;
    const char *asked = getenv("PARE_SEED");
    seed = asked ? strtoull(asked, NULL, 10) : 11;
    pare_threads_set(1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_in_range(readlink("/proc/self/exe", self, sizeof self - 1), 1, TEST_PATH - 1);
    test_dir_make(home);
    test_path(model_path, home, "model.h5");
    test_path(headed_path, home, "headed.h5");
    make_tiny_corpus(home, TRAIN, DEV);
    make_tiny_model(home, model_path, 2, 0, 300);
    make_tiny_model(home, headed_path, 2, 2, 300);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finetune), cmocka_unit_test(test_distillation),
        cmocka_unit_test(test_flop),     cmocka_unit_test(test_heads),
        cmocka_unit_test(test_sweep),    cmocka_unit_test(test_every_step),
        cmocka_unit_test(test_two_runs_in_one_folder),
    };
    if (argc > 1)
        return act_as_pare(argc, argv);
    return cmocka_run_group_tests(tests, set_up, NULL);
}
