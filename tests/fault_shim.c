/* tests/fault_shim.c: a disk that fails when it is told to, for tests/test_faults.c.
 *
 *   LD_PRELOAD=build/tests/fault_shim.so PARE_FAULT=eio PARE_FAULT_AT=17 PARE_FAULT_BELOW=/tmp/x
 *   PARE_FAULT_STATE=/tmp/state pare finetune ...
 *
 * stands between a program and the C library's calls on files. Those on files below one folder are
 * counted, over a process and its children, and at the k-th something happens:
 *
 *   none    nothing: the calls are counted
 *   kill    the process is killed by SIGKILL; a write has then written half of its bytes
 *   cut     the same, and what was not synced is gone from the disk: bytes, names, folders
 *   stop    the process is stopped by SIGSTOP, until somebody lets it go on
 *   eio     this call fails with EIO
 *   dead    this call and all that follow do
 *   intr    a call that a signal may interrupt is interrupted: EINTR
 *   short   a read or write does half of what it was asked for
 *   full    from here on nothing more fits the disk: ENOSPC, and no free bytes */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/fault_state.h"

/* What a call does: who fails of what depends on it. */
typedef enum call_kind { LOOKS, OPENS, READS, WRITES, TAKES_SPACE, SYNCS } call_kind;

/* Beside errno's values: the call does half of its work. */
enum { HALF = -1, MOST_FILES = 1024 };

static struct {
    const char *mode; /* NULL: no part in this process */
    const char *below;
    long at;
    fault_state *state;
} fault;

static char *paths[MOST_FILES]; /* of the open files that count */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
    const char *state = getenv("PARE_FAULT_STATE"), *at = getenv("PARE_FAULT_AT");
    const int fd = state ? REAL(open)(state, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *fault.state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REAL(close)(fd);
    if (map == MAP_FAILED)
        return;
    fault.state = map;
    fault.at = at ? atol(at) : 0;
    fault.below = getenv("PARE_FAULT_BELOW");
    fault.mode = fault.below ? getenv("PARE_FAULT") : NULL;
}

static bool is(const char *mode)
{
    return fault.mode && strcmp(fault.mode, mode) == 0;
}

static bool counts(const char *path)
{
    const size_t n = fault.mode && path ? strlen(fault.below) : 0;
    return n > 0 && strncmp(path, fault.below, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static const char *path_of(int fd)
{
    return fd >= 0 && fd < MOST_FILES ? paths[fd] : NULL;
}

/* ---- a power cut: what was not synced is undone ---- */

typedef enum change_kind { CREATED, MADE_FOLDER, RENAMED, WRITTEN } change_kind;
typedef struct change {
    change_kind kind;
    char path[PATH_MAX], from[PATH_MAX]; /* from: of a rename */
    char old[PATH_MAX];                  /* another name of what a rename replaced, or "" */
    off_t size;                          /* of a written file: what is left of it */
} change;

static change *changes; /* [n_changes], in their order */
static int n_changes;

static change *note(change_kind kind, const char *path)
{
    if (!is("cut"))
        return NULL;
    changes = realloc(changes, (size_t)(n_changes + 1) * sizeof *changes);
    if (!changes)
        _exit(99);
    change *c = &changes[n_changes++];
    *c = (change){.kind = kind};
    snprintf(c->path, sizeof c->path, "%s", path);
    return c;
}

static void forget(int i)
{
    if (changes[i].old[0])
        REAL(unlink)(changes[i].old);
    memmove(changes + i, changes + i + 1, (size_t)(--n_changes - i) * sizeof *changes);
}

static bool lies_in(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

/* The bytes of a file are on the disk, or a folder's names are. */
static void synced(const char *path)
{
    for (int i = n_changes - 1; i >= 0; i--)
        if (changes[i].kind == WRITTEN ? strcmp(changes[i].path, path) == 0
                                       : lies_in(changes[i].path, path))
            forget(i);
}

/* Bytes from `at` on will be new; at < 0: at the end of the file. */
static void written(const char *path, int fd, off_t at)
{
    struct stat st;
    change *c = NULL;
    for (int i = 0; i < n_changes && !c; i++)
        if (changes[i].kind == WRITTEN && strcmp(changes[i].path, path) == 0)
            c = &changes[i];
    const off_t end = REAL(fstat)(fd, &st) == 0 ? st.st_size : 0;
    const bool first = !c;
    c = c ? c : note(WRITTEN, path);
    if (c && first)
        c->size = end;
    if (c && at >= 0 && at < c->size)
        c->size = at;
}

/* Unsynced bytes go with their file's new name; what it replaces is kept under another. */
static void about_to_rename(const char *from, const char *to)
{
    static int n;
    for (int i = n_changes - 1; i >= 0; i--)
        if (changes[i].kind == WRITTEN && strcmp(changes[i].path, to) == 0)
            forget(i);
    for (int i = 0; i < n_changes; i++)
        if (changes[i].kind == WRITTEN && strcmp(changes[i].path, from) == 0)
            snprintf(changes[i].path, sizeof changes[i].path, "%s", to);
    change *c = note(RENAMED, to);
    if (!c)
        return;
    snprintf(c->from, sizeof c->from, "%s", from);
    snprintf(c->old, sizeof c->old, "%.4000s.replaced-%d", fault.below, n++);
    if (REAL(link)(to, c->old) != 0)
        c->old[0] = '\0';
}

static void undo(const change *c)
{
    static int n;
    char away[PATH_MAX];
    snprintf(away, sizeof away, "%.4000s.lost-%d", fault.below, n++);
    if (c->kind == CREATED)
        REAL(unlink)(c->path);
    else if (c->kind == MADE_FOLDER)
        REAL(rename)(c->path, away);
    else if (c->kind == WRITTEN)
        (void)!truncate(c->path, c->size);
    else if (REAL(rename)(c->path, c->from) == 0 && c->old[0])
        REAL(rename)(c->old, c->path);
}

static void die(void)
{
    for (int i = n_changes - 1; i >= 0; i--)
        undo(&changes[i]);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* ---- which calls fail ---- */

/* 0: it goes on; an errno: it fails; HALF: it does half of its work (and dies where it should). */
static int verdict(call_kind kind, bool now)
{
    const bool moves = kind == READS || kind == WRITES;
    if (is("kill") || is("cut")) {
        if (now && kind != WRITES)
            die();
        return now ? HALF : 0;
    }
    if (is("stop") && now)
        raise(SIGSTOP);
    if (is("eio"))
        return now ? EIO : 0;
    if (is("dead"))
        return EIO;
    if (is("intr"))
        return now && (moves || kind == OPENS || kind == SYNCS) ? EINTR : 0;
    if (is("short"))
        return now && moves ? HALF : 0;
    if (is("full") && kind == WRITES)
        return atomic_exchange(&fault.state->is_full, 1) ? ENOSPC : HALF;
    if (is("full") && (kind == TAKES_SPACE || (now && kind == SYNCS)))
        return ENOSPC;
    return 0;
}

static int judge(call_kind kind, const char *name, const char *path)
{
    const long n = atomic_fetch_add(&fault.state->calls, 1) + 1;
    if (fault.at == 0 || n < fault.at)
        return 0;
    if (n == fault.at)
        snprintf(fault.state->what, sizeof fault.state->what, "%s %s", name, path);
    return verdict(kind, n == fault.at);
}

/* Leaves a wrapper with `failure` if this call is to fail. */
#define MAY_FAIL(kind, path, failure)                                                              \
    do {                                                                                           \
        const int why_ = judge(kind, __func__, path);                                              \
        if (why_ > 0) {                                                                            \
            errno = why_;                                                                          \
            return failure;                                                                        \
        }                                                                                          \
    } while (0)

/* ---- opening and closing ---- */

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (!counts(path))
        return REAL(open)(path, flags, mode);
    struct stat st;
    const bool creates = (flags & O_CREAT) && REAL(stat)(path, &st) != 0;
    MAY_FAIL(creates ? TAKES_SPACE : OPENS, path, -1);
    const int fd = REAL(open)(path, flags, mode);
    if (fd >= 0 && fd < MOST_FILES)
        paths[fd] = strdup(path);
    if (fd >= 0 && creates)
        note(CREATED, path);
    return fd;
}

/* A close that fails has closed. */
int close(int fd)
{
    const char *path = path_of(fd);
    if (!path)
        return REAL(close)(fd);
    const int why = judge(LOOKS, "close", path);
    const int result = REAL(close)(fd);
    free(paths[fd]);
    paths[fd] = NULL;
    errno = why > 0 ? why : errno;
    return why > 0 ? -1 : result;
}

DIR *opendir(const char *path)
{
    if (counts(path))
        MAY_FAIL(LOOKS, path, NULL);
    return REAL(opendir)(path);
}

/* ---- reading and writing ---- */

/* Leaves with -1, or goes on with fewer bytes. */
#define MAY_FAIL_OR_HALVE(kind, path, size, half)                                                  \
    const int why_ = judge(kind, __func__, path);                                                  \
    const bool half = why_ == HALF;                                                                \
    if (why_ > 0) {                                                                                \
        errno = why_;                                                                              \
        return -1;                                                                                 \
    }                                                                                              \
    size = half ? (size + 1) / 2 : size

ssize_t read(int fd, void *bytes, size_t size)
{
    if (!path_of(fd))
        return REAL(read)(fd, bytes, size);
    MAY_FAIL_OR_HALVE(READS, path_of(fd), size, half);
    (void)half;
    return REAL(read)(fd, bytes, size);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    if (!path_of(fd))
        return REAL(pread)(fd, bytes, size, at);
    MAY_FAIL_OR_HALVE(READS, path_of(fd), size, half);
    (void)half;
    return REAL(pread)(fd, bytes, size, at);
}

static ssize_t die_half_way(bool half, ssize_t n)
{
    if (half && (is("kill") || is("cut")))
        die();
    return n;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (!path_of(fd))
        return REAL(write)(fd, bytes, size);
    MAY_FAIL_OR_HALVE(WRITES, path_of(fd), size, half);
    written(path_of(fd), fd, -1);
    return die_half_way(half, REAL(write)(fd, bytes, size));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    if (!path_of(fd))
        return REAL(pwrite)(fd, bytes, size, at);
    MAY_FAIL_OR_HALVE(WRITES, path_of(fd), size, half);
    written(path_of(fd), fd, at);
    return die_half_way(half, REAL(pwrite)(fd, bytes, size, at));
}

int ftruncate(int fd, off_t size)
{
    struct stat st;
    if (!path_of(fd))
        return REAL(ftruncate)(fd, size);
    const bool grows = REAL(fstat)(fd, &st) == 0 && size > st.st_size;
    MAY_FAIL(grows ? TAKES_SPACE : LOOKS, path_of(fd), -1);
    written(path_of(fd), fd, size);
    return REAL(ftruncate)(fd, size);
}

int fsync(int fd)
{
    if (!path_of(fd))
        return REAL(fsync)(fd);
    MAY_FAIL(SYNCS, path_of(fd), -1);
    synced(path_of(fd));
    return 0; /* the disk itself is left in peace */
}

/* ---- asking ---- */

/* A wrapper that only counts and fails. */
#define PASS_ON(kind, path, name, ...)                                                             \
    if (counts(path))                                                                              \
        MAY_FAIL(kind, path, -1);                                                                  \
    return REAL(name)(__VA_ARGS__)

int fstat(int fd, struct stat *st)
{
    PASS_ON(LOOKS, path_of(fd), fstat, fd, st);
}

int stat(const char *path, struct stat *st)
{
    PASS_ON(LOOKS, path, stat, path, st);
}

off_t lseek(int fd, off_t at, int from)
{
    PASS_ON(LOOKS, path_of(fd), lseek, fd, at, from);
}

int flock(int fd, int operation)
{
    PASS_ON(LOOKS, path_of(fd), flock, fd, operation);
}

int fchmod(int fd, mode_t mode)
{
    PASS_ON(LOOKS, path_of(fd), fchmod, fd, mode);
}

int statvfs(const char *path, struct statvfs *fs)
{
    if (!counts(path))
        return REAL(statvfs)(path, fs);
    MAY_FAIL(LOOKS, path, -1);
    const int result = REAL(statvfs)(path, fs);
    if (result == 0 && is("full") && fault.at > 0 && fault.state->calls >= fault.at)
        fs->f_bavail = 0;
    return result;
}

/* ---- names ---- */

int mkdir(const char *path, mode_t mode)
{
    struct stat st;
    if (!counts(path))
        return REAL(mkdir)(path, mode);
    const bool makes = REAL(stat)(path, &st) != 0;
    MAY_FAIL(makes ? TAKES_SPACE : LOOKS, path, -1);
    const int result = REAL(mkdir)(path, mode);
    if (result == 0)
        note(MADE_FOLDER, path);
    return result;
}

int rename(const char *from, const char *to)
{
    if (!counts(to))
        return REAL(rename)(from, to);
    MAY_FAIL(LOOKS, to, -1);
    about_to_rename(from, to);
    return REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
    if (!counts(to))
        return REAL(link)(from, to);
    MAY_FAIL(TAKES_SPACE, to, -1);
    const int result = REAL(link)(from, to);
    if (result == 0)
        note(CREATED, to);
    return result;
}

int unlink(const char *path)
{
    PASS_ON(LOOKS, path, unlink, path);
}
