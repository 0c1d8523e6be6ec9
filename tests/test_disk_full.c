/* test_disk_full.c: a disk that is full for real, files that may not grow, and standard output that
 * takes nothing. The command ends with exit code 4 and says why; an older checkpoint stays whole;
 * with room again the same command ends in the bits of an undisturbed run.
 *
 * PARE_TORTURE=1 tries 200 sizes instead of 20. */
#define _GNU_SOURCE /* unshare */
#include "tests/fault_runs.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

enum { SIZES = 20, TORTURE_SIZES = 200, DISK = 8 << 20 };

static const char *const finetune[] = {"finetune", "--model", "in/one.h5", RUN, "--output",
                                       "out/run", "--resume", NULL};
static tree reference;

static int n_sizes(void)
{
    return torture() ? TORTURE_SIZES : SIZES;
}

/* out begins with a run of which one step is done. */
static void begin_run(void)
{
    char begun[TEST_PATH];
    test_path(begun, in_folder, "begun");
    reset_folder(out_folder, begun);
}

/* Ended for want of room, said so, and left nothing broken. */
static void assert_no_room(const outcome *o)
{
    if (o->status != PARE_IO || !strstr(o->message, out_folder) ||
        !strstr(o->message, "need") || !strstr(o->message, "are free"))
        fail_msg("exit %d: %s", o->status, o->message);
    const tree left = tree_of(out_folder);
    bool checkpoint = false;
    for (int i = 0; i < left.n; i++) {
        assert_false(ends_in(left.file[i].name, ".tmp") || left.file[i].crc == DAMAGED);
        checkpoint = checkpoint || strstr(left.file[i].name, "/checkpoint-");
    }
    assert_true(checkpoint);
}

static void assert_goes_on(void)
{
    const outcome o = run_pare(finetune, &(fault){0});
    const tree got = tree_of(out_folder);
    if (o.status != PARE_OK || *tree_difference(&got, &reference))
        fail_msg("exit %d: %s %s", o.status, tree_difference(&got, &reference), o.message);
}

/* SIGXFSZ would end the process, were it not ignored. */
static void test_files_may_not_grow(void **state)
{
    (void)state;
    struct stat st;
    char path[TEST_PATH];
    int failed = 0;
    test_path(path, out_folder, "run/last.h5");
    assert_int_equal(stat(path, &st), 0);
    for (int i = 1; i <= n_sizes(); i++) {
        begin_run();
        const rlim_t limit = (rlim_t)(st.st_size + 4096) * (rlim_t)i / (rlim_t)n_sizes();
        const outcome o = run_pare(finetune, &(fault){.file_size = limit});
        if (o.status != PARE_OK)
            assert_no_room(&o);
        failed += o.status != PARE_OK;
        assert_goes_on();
    }
    assert_in_range(failed, n_sizes() / 2, n_sizes() - 1);
    print_message("%d limits on the size of files, %d too small\n", n_sizes(), failed);
    if (torture())
        print_message("torture disk_full: %d file size limits\n", n_sizes());
}

/* ---- a disk of 8 MB ---- */

static bool write_text(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return good;
}

/* A file system of our own under `path`, seen by this process and its children alone. */
static bool mount_small_disk(const char *path)
{
    char users[64], groups[64], options[64];
    snprintf(users, sizeof users, "0 %d 1", (int)getuid());
    snprintf(groups, sizeof groups, "0 %d 1", (int)getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    snprintf(options, sizeof options, "size=%d", DISK);
    return write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", users) && write_text("/proc/self/gid_map", groups) &&
           mount("none", path, "tmpfs", 0, options) == 0;
}

static void empty_disk(const char *path)
{
    char ballast[TEST_PATH];
    test_path(ballast, path, "ballast");
    assert_true(unlink(ballast) == 0 || errno == ENOENT);
}

/* Leaves `room` bytes free. */
static void fill_disk(const char *path, off_t room)
{
    struct statvfs fs;
    char ballast[TEST_PATH];
    test_path(ballast, path, "ballast");
    const int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && statvfs(path, &fs) == 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(fs.f_bavail * fs.f_frsize) - room), 0);
    close(fd);
}

static void test_a_small_disk(void **state)
{
    (void)state;
    char begun[TEST_PATH], run[TEST_PATH];
    int failed = 0;
    reset_folder(out_folder, NULL);
    if (!mount_small_disk(out_folder)) {
        fprintf(stderr, "skipped: no file system may be mounted here: %s\n", strerror(errno));
        skip();
    }
    test_path(begun, in_folder, "begun/run");
    test_path(run, out_folder, "run");
    for (int i = 0; i < n_sizes(); i++) {
        reset_folder(run, begun);
        fill_disk(out_folder, (off_t)i * (1 << 20) / n_sizes());
        const outcome o = run_pare(finetune, &(fault){0});
        if (o.status != PARE_OK)
            assert_no_room(&o);
        failed += o.status != PARE_OK;
        empty_disk(out_folder);
        assert_goes_on();
    }
    assert_in_range(failed, 2, n_sizes() - 1);
    print_message("%d sizes of a disk, %d too small\n", n_sizes(), failed);
    if (torture())
        print_message("torture disk_full: %d sizes of a small disk\n", n_sizes());
}

/* ---- standard output ---- */

static const char *const printing[][MOST_WORDS] = {
    {"--help"}, {"--version"}, {"finetune", "--help"}, {"finetune", "--print-config"},
    {"inspect", "in/one.h5"}, {"inspect", "in/one.h5", "--json"}, {"verify", "in/one.h5"},
    {"verify", "in/one.h5", "--json"}, {"import", "in/hf", "out/m.h5", "--json"},
    {"doctor"},
    {"evaluate", "--model", "in/headed.h5", DATA, "--json"},
    {"predict", "--model", "in/headed.h5"}, {"tokenize", "--model", "in/headed.h5"},
    {"heads", "sweep", "--model", "in/headed.h5", DATA},
    {"heads", "importance", "--model", "in/headed.h5", DATA, "--json"},
    {"latency", "in/headed.h5", DATA, "--batch", "1"},
    {"finetune", "--model", "in/one.h5", TRAINING, "--max-steps", "1", "--output", "out/one",
     "--json"},
    {"flop", "factorize", "--model", "in/headed.h5", "--target", "0.3", "out/f.h5"},
    {"drop-layers", "--model", "in/two.h5", "--layers", "1", "out/d.h5", "--json"},
};

static void test_nobody_takes_the_results(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0) {
        fprintf(stderr, "skipped: there is no /dev/full\n");
        skip();
    }
    for (size_t i = 0; i < sizeof printing / sizeof *printing; i++) {
        reset_folder(out_folder, NULL);
        outcome o = run_pare(printing[i], &(fault){.output = "/dev/full"});
        if (o.status != PARE_IO || !strstr(o.message, "standard output: "))
            fail_msg("%s, full: exit %d: %s", printing[i][0], o.status, o.message);
        reset_folder(out_folder, NULL);
        o = run_pare(printing[i], &(fault){.output = ""});
        if (o.status != PARE_IO || !strstr(o.message, "standard output: "))
            fail_msg("%s, closed: exit %d: %s", printing[i][0], o.status, o.message);
    }
}

static int set_up(void **state)
{
    (void)state;
    char path[TEST_PATH];
    set_up_runs();
    make_run_inputs();
    test_path(path, in_folder, "hf");
    reset_folder(path, "tests/data/hf/tiny");
    test_path(path, home, "stdin");
    test_text_write(path, "a line\n");
    test_path(path, in_folder, "two.h5");
    make_tiny_model(in_folder, path, 2, 2, 200);
    begin_run();
    const outcome o = run_pare(finetune, &(fault){0});
    assert_int_equal(o.status, PARE_OK);
    reference = tree_of(out_folder);
    return 0;
}

/* A folder under a mount cannot be removed. */
static int tear_down(void **state)
{
    (void)state;
    (void)umount2(out_folder, MNT_DETACH); /* fails where nothing is mounted */
    return 0;
}

/* The small disk comes last: the process stays where it can mount. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_may_not_grow),
        cmocka_unit_test(test_nobody_takes_the_results),
        cmocka_unit_test(test_a_small_disk),
    };
    if (!find_program())
        return TEST_SKIPPED;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
