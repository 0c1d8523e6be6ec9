/* test_faults.c: every command that writes files, with a fault at its k-th call on a file: killed
 * there, power cut there, EIO, a disk that dies or is full from there on, an interrupted call, half
 * a read or write (tests/fault_shim.c).
 *
 * What must hold, for every k:
 *   killed, cut    the same command again ends in the files of an undisturbed run, to the bit
 *   eio, dead      exit code 4 and a message that names the file; or the command got along, and its
 *                  files are those of an undisturbed run
 *   full           the same; the message says how many bytes are needed and how many are free
 *   intr, short    the command gets along
 * and always: what has a final name is whole; what was to be replaced is the old file or the new
 * one; no temporary file stays, unless the process was killed or could not remove it; the same
 * command again gets to the same files.
 *
 * PARE_TORTURE=1 tries every k of every command in every way, PARE_TORTURE=1 PARE_PART=1/100 a
 * hundredth of them; else a small sample does. */
#include "tests/fault_runs.h"

enum { FIRST = 50, SPREAD = 50, FEW = 2 /* a way */, MOST_REPORTED = 20 };

typedef struct scenario {
    const char *name;
    const char *line[MOST_WORDS];
    const char *before; /* a folder of `in` that out begins as a copy of; NULL: empty */
    bool replaces;      /* each file is the old or the new one: nothing in between is kept */
    bool most;          /* at CI's size the FIRST calls and SPREAD others are tried */
} scenario;

static const scenario finetune = {
    "finetune", {"finetune", "--model", "in/one.h5", RUN, "--output", "out/run", "--resume"},
    .before = NULL, .most = true};
static const scenario resume = {
    "resume", {"finetune", "--model", "in/one.h5", RUN, "--output", "out/run", "--resume"},
    .before = "begun"};
static const scenario overwrite = {
    "overwrite",
    {"finetune", "--model", "in/one.h5", TRAINING, "--max-steps", "2", "--output", "out/run",
     "--overwrite"},
    .before = "begun"};
static const scenario small[] = {
    {"import", {"import", "in/hf", "out/model.h5"}, "old", true, false},
    {"export", {"export", "in/model.h5", "out/hf"}, "old", true, false},
    {"drop-layers", {"drop-layers", "--model", "in/model.h5", "--layers", "1", "out/model.h5"},
     "old", true, false},
    {"factorize", {"flop", "factorize", "--model", "in/headed.h5", "--target", "0.3",
                   "out/model.h5"}, "old", true, false},
    {"compact", {"flop", "compact", "--model", "in/gated.h5", "--target", "0.3", "out/model.h5"},
     "old", true, false},
    {"heads sweep", {"heads", "sweep", "--model", "in/headed.h5", DATA, "--output", "out/f.json"},
     "old", true, false},
    {"heads prune", {"heads", "prune", "--model", "in/headed.h5", DATA, "--fraction", "0.5",
                     "out/model.h5"}, "old", true, false},
    {"evaluate", {"evaluate", "--model", "in/headed.h5", DATA, "--output", "out/f.json"}, "old",
     true, false},
    {"plot", {"plot", "in/heads.json", "--output", "out/plots"}, "old", true, false},
    {"verify", {"verify", "in/model.h5", "in/headed.h5"}, NULL, true, false},
    {"inspect", {"inspect", "in/model.h5"}, NULL, true, false},
};
static const scenario heads_run = {
    "heads run",
    {"heads", "run", "--model", "in/headed.h5", TRAINING, "--max-steps", "2", "--save-steps", "1",
     "--fraction", "0.5", "--output", "out/run"},
    .before = NULL};
static const scenario flop_run = {
    "flop run",
    {"flop", "run", "--model", "in/headed.h5", TRAINING, "--method", "svd", "--target", "0.3",
     "--mask-epochs", "0.2", "--final-epochs", "0.2", "--allow-miss", "--output", "out/run"},
    .before = NULL};
static const scenario flop_train = {
    "flop train",
    {"flop", "train", "--model", "in/gated.h5", TRAINING, "--max-steps", "2", "--mask-epochs",
     "0.5", "--target", "0.3", "--output", "out/run", "--resume"},
    .before = NULL};
static const scenario sweep = {
    "sweep",
    {"sweep", "--model", "in/one.h5", TRAINING, "--max-steps", "2", "--seeds", "1,2",
     "--no-latency", "--jobs", "1", "--output", "out/sweep"},
    .before = NULL};
/* ---- judging one run ---- */

static int n_bad;
static long n_faults;

static void bad(const scenario *s, const fault *f, const outcome *o, const char *why)
{
    if (n_bad++ < MOST_REPORTED)
        fprintf(stderr, "%s, %s at call %ld (%s): %s; exit %d: %s\n", s->name, f->mode, f->at,
                o->what, why, o->status, o->message);
}

static bool is_one_of(const char *mode, const char *a, const char *b)
{
    return strcmp(mode, a) == 0 || strcmp(mode, b) == 0;
}

/* The exit code and the message. */
static const char *judge_exit(const fault *f, const outcome *o)
{
    if (is_one_of(f->mode, "kill", "cut"))
        return o->status != PARE_OK || !o->what[0] ? "" : "it was to be killed";
    if (o->status == PARE_OK)
        return "";
    if (is_one_of(f->mode, "intr", "short"))
        return "this is no failure";
    if (o->status != PARE_IO)
        return "the exit code is not 4";
    if (!strstr(o->message, home))
        return "the message names no file";
    if (strcmp(f->mode, "full") == 0 &&
        (!strstr(o->message, "need") || !strstr(o->message, "are free")))
        return "the message does not tell the bytes needed and free";
    return "";
}

/* Nothing half-written, nothing left over. */
static const char *judge_files(const scenario *s, const fault *f, const tree *before,
                               const tree *got, const tree *want)
{
    static char text[256];
    for (int i = 0; i < got->n; i++) {
        const char *name = got->file[i].name;
        const bool temporary = ends_in(name, ".tmp");
        if (temporary && (is_one_of(f->mode, "kill", "cut") || is_one_of(f->mode, "dead", "")))
            continue;
        const int old = find_in_tree(before, name), new = find_in_tree(want, name);
        const bool same = (old >= 0 && before->file[old].crc == got->file[i].crc) ||
                          (new >= 0 && want->file[new].crc == got->file[i].crc);
        snprintf(text, sizeof text, "%s %s", name,
                 temporary ? "is left over" : "is neither the old nor the new one");
        if (got->file[i].crc == DAMAGED)
            snprintf(text, sizeof text, "%s is damaged", name);
        if (temporary || got->file[i].crc == DAMAGED || (s->replaces && !same))
            return text;
    }
    return "";
}

/* One fault, and the same command again. */
static void try_fault(const scenario *s, const fault *f, const tree *before, const tree *want)
{
    char like[TEST_PATH];
    test_path(like, in_folder, s->before ? s->before : "");
    reset_folder(out_folder, s->before ? like : NULL);
    outcome o = run_pare(s->line, f);
    tree got = tree_of(out_folder);
    const char *why = judge_exit(f, &o);
    n_faults++;
    if (!*why)
        why = judge_files(s, f, before, &got, want);
    if (!*why && o.status == PARE_OK)
        why = tree_difference(&got, want);
    if (*why)
        bad(s, f, &o, why);
    if (*why || o.status == PARE_OK)
        return;
    const outcome again = run_pare(s->line, &(fault){0});
    got = tree_of(out_folder);
    if (again.status != PARE_OK)
        bad(s, f, &o, again.message);
    else if (*(why = tree_difference(&got, want)))
        bad(s, f, &o, why);
}

/* ---- all of a command's calls ---- */

static const char *const modes[] = {"kill", "full", "eio", "cut", "dead", "intr", "short"};
enum { WAYS = sizeof modes / sizeof *modes };

static bool is_tried(const scenario *s, long k, long calls, int mode)
{
    if (torture())
        return test_in_part(k * WAYS + mode);
    if (!s->most)
        return (7 * k + mode * calls / FEW) % (7 * (calls / FEW)) < 7;
    const long apart = (calls - FIRST) / SPREAD + 1;
    if (mode > 2)
        return (k + mode) % (8 * apart) == 0;
    return (k <= FIRST || k % apart == 0) && (mode == 0 || k % 2 == mode - 1);
}

static void try_all(const scenario *s)
{
    char like[TEST_PATH];
    test_path(like, in_folder, s->before ? s->before : "");
    reset_folder(out_folder, s->before ? like : NULL);
    const tree before = tree_of(out_folder);
    const outcome o = run_pare(s->line, &(fault){"none", 0, 0, NULL});
    if (o.status != PARE_OK)
        fail_msg("%s: exit %d: %s", s->name, o.status, o.message);
    assert_true(o.calls > 5);
    const tree want = tree_of(out_folder);
    const long earlier = n_faults;
    n_bad = 0;
    for (long k = 1; k <= o.calls; k++)
        for (int m = 0; m < WAYS; m++)
            if (is_tried(s, k, o.calls, m))
                try_fault(s, &(fault){modes[m], k, 0, NULL}, &before, &want);
    print_message("%s: %ld faults at %ld calls\n", s->name, n_faults - earlier, o.calls);
    if (torture())
        print_message("torture faults: %ld %s\n", n_faults - earlier, s->name);
    assert_int_equal(n_bad, 0);
}

#define TEST_OF(scenario)                                                                          \
    static void test_##scenario(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        try_all(&scenario);                                                                        \
    }
TEST_OF(finetune)
TEST_OF(resume)
TEST_OF(overwrite)
TEST_OF(heads_run)
TEST_OF(flop_run)
TEST_OF(flop_train)
TEST_OF(sweep)

static void test_small_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        if (!getenv("ONLY") || strcmp(getenv("ONLY"), small[i].name) == 0)
            try_all(&small[i]);
}

/* ---- two at once ---- */

/* One import is stopped at its k-th call while another does all of its own; then it goes on. Either
 * may find the other at it, and say so; the file is whole all the time, and both are over. */
static void race(const char *const *line, long k)
{
    int status;
    const pid_t slow = start_pare(line, &(fault){"stop", k, 0, NULL});
    assert_int_equal(waitpid(slow, &status, WUNTRACED), slow);
    if (!WIFSTOPPED(status))
        fail_msg("call %ld: not stopped", k);
    const pid_t fast = start_pare(line, &(fault){0});
    const outcome second = end_pare(fast);
    const tree between = tree_of(out_folder);
    assert_int_equal(kill(slow, SIGCONT), 0);
    const outcome first = end_pare(slow);
    const tree after = tree_of(out_folder);
    if ((first.status != PARE_OK && first.status != PARE_IO) ||
        (second.status != PARE_OK && second.status != PARE_IO) ||
        (first.status != PARE_OK && second.status != PARE_OK))
        fail_msg("call %ld: exits %d and %d: %s", k, first.status, second.status, first.message);
    assert_true(between.n >= 1 && after.n == 1);
    assert_string_equal(after.file[0].name, "model.h5");
}

static void test_two_at_once(void **state)
{
    (void)state;
    static const char *const line[] = {"import", "in/hf", "out/model.h5", NULL};
    char old[TEST_PATH], file[TEST_PATH];
    test_path(old, in_folder, "old/model.h5");
    test_path(file, out_folder, "model.h5");
    reset_folder(out_folder, NULL);
    const long calls = run_pare(line, &(fault){"none", 0, 0, NULL}).calls;
    const long apart = torture() ? 1 : 5;
    for (long k = 1; k <= calls; k += apart) {
        reset_folder(out_folder, NULL);
        assert_ok(pare_file_link(old, file));
        race(line, k);
    }
    print_message("%ld races\n", (calls + apart - 1) / apart);
}

/* The weights are cut off while an import is stopped at its k-th call: their map has no more bytes
 * behind it. */
static void test_a_mapped_file_is_cut_short(void **state)
{
    (void)state;
    static const char *const line[] = {"import", "in/cut", "out/model.h5", NULL};
    char whole[TEST_PATH], folder[TEST_PATH], weights[TEST_PATH];
    int status, faults = 0;
    test_path(whole, in_folder, "hf");
    test_path(folder, in_folder, "cut");
    test_path(weights, folder, "model.safetensors");
    for (long k = 1; k <= 60; k += torture() ? 1 : 4) {
        reset_folder(folder, whole);
        reset_folder(out_folder, NULL);
        const pid_t child = start_pare(line, &(fault){"stop", k, 0, NULL});
        assert_int_equal(waitpid(child, &status, WUNTRACED), child);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(truncate(weights, 0), 0);
        assert_int_equal(kill(child, SIGCONT), 0);
        const outcome o = end_pare(child);
        if (o.status != PARE_OK && o.status != PARE_INPUT && o.status != PARE_IO)
            fail_msg("call %ld: exit %d: %s", k, o.status, o.message);
        faults += o.status == PARE_IO && strstr(o.message, "cut short meanwhile");
    }
    assert_true(faults > 0);
}

/* ---- what the commands read ---- */

/* A model with gates, and older files under the names that commands will write. */
static void make_inputs(void)
{
    char path[TEST_PATH];
    make_run_inputs();
    test_path(path, in_folder, "model.h5");
    make_tiny_model(in_folder, path, 2, 0, 200);
    test_path(path, in_folder, "hf");
    reset_folder(path, "tests/data/hf/tiny");
    PREPARE("flop", "factorize", "--gates", "--model", "in/headed.h5", "in/gated.h5");
    PREPARE("heads", "sweep", "--model", "in/headed.h5", DATA, "--output", "in/heads.json");
    test_path(path, in_folder, "old");
    reset_folder(path, NULL);
    PREPARE("drop-layers", "--model", "in/model.h5", "--layers", "0", "in/old/model.h5");
    PREPARE("export", "in/old/model.h5", "in/old/hf");
    test_path(path, in_folder, "old/f.json");
    test_text_write(path, "{\"old\":true}\n");
}

static int set_up(void **state)
{
    (void)state;
    set_up_runs();
    make_inputs();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finetune),       cmocka_unit_test(test_resume),
        cmocka_unit_test(test_overwrite),      cmocka_unit_test(test_small_commands),
        cmocka_unit_test(test_heads_run),      cmocka_unit_test(test_flop_run),
        cmocka_unit_test(test_flop_train),     cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_two_at_once),    cmocka_unit_test(test_a_mapped_file_is_cut_short),
    };
    if (!find_program())
        return TEST_SKIPPED;
    cmocka_set_test_filter(getenv("FILTER"));
    return cmocka_run_group_tests(tests, set_up, NULL);
}
