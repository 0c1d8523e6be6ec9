/* file.c: reading and atomic writing. (Folders, links and locks are in core/folder.c.)
 *
 * Every system call that can fail for reasons outside the program passes through one of the sys_
 * functions below: the place to inject faults. */
#define _GNU_SOURCE /* flock, realpath */
#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

/* ---- System calls, repeated while a signal interrupts them ---- */

/* Not inherited by programs that are started: a lock would live on in them. */
static int sys_open(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Reads until size bytes or the end; -1 on failure. */
static ssize_t sys_pread(int fd, void *bytes, size_t size, uint64_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)bytes + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* Writes all, or returns -1. at < 0 writes where the descriptor stands (devices, pipes). */
static int sys_write(int fd, const void *bytes, size_t size, int64_t at)
{
    size_t done = 0;
    while (done < size) {
        const char *from = (const char *)bytes + done;
        ssize_t n = at < 0 ? write(fd, from, size - done)
                           : pwrite(fd, from, size - done, (off_t)at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

static int sys_fsync(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    /* Pipes, devices and some network folders cannot be synced, and say so. */
    return result != 0 && (errno == EINVAL || errno == ENOTSUP) ? 0 : result;
}

static int sys_rename(const char *from, const char *to)
{
    return rename(from, to);
}

static int sys_unlink(const char *path)
{
    return unlink(path);
}

/* ---- Failures ---- */

static pare_status fail_errno(const char *path)
{
    return pare_fail(errno == ENOMEM ? PARE_MEMORY : PARE_IO, "%s: %s", path, strerror(errno));
}

/* A write that failed, with what was needed and what is there where the disk was too small. */
static pare_status fail_write(const char *path, uint64_t needed)
{
    int reason = errno;
    uint64_t space = 0;
    bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    if (!full || pare_free_space(path, &space) != PARE_OK) {
        errno = reason;
        return fail_errno(path);
    }
    pare_fail(PARE_IO, "%s: %s: %llu bytes are needed, %llu are free", path, strerror(reason),
              (unsigned long long)needed, (unsigned long long)space);
    return pare_hint(PARE_IO, "%s", reason == EFBIG
                     ? "raise the limit on file sizes (ulimit -f), or write to another disk"
                     : "free some space, or write to another disk");
}

/* ---- Reading ---- */

struct pare_input {
    int fd;
    uint64_t size;
    char path[]; /* for messages */
};

/* What has a size and places: no folder, pipe or device. */
static pare_status check_regular(const struct stat *st, const char *path)
{
    if (S_ISREG(st->st_mode))
        return PARE_OK;
    return pare_fail(PARE_INPUT, "%s: %s", path,
                     S_ISDIR(st->st_mode) ? "is a directory, not a file" : "is not a plain file");
}

pare_status pare_input_open(const char *path, pare_input **out)
{
    *out = NULL;
    size_t length = strlen(path) + 1;
    pare_input *in = pare_calloc(1, sizeof *in + length);
    if (!in)
        return PARE_MEMORY;
    memcpy(in->path, path, length);
    struct stat st;
    pare_status status = PARE_OK;
    in->fd = sys_open(path, O_RDONLY);
    if (in->fd < 0 || fstat(in->fd, &st) != 0)
        status = fail_errno(path);
    else
        status = check_regular(&st, path);
    if (status != PARE_OK) {
        pare_input_close(in);
        return status;
    }
    in->size = (uint64_t)st.st_size;
    *out = in;
    return PARE_OK;
}

uint64_t pare_input_size(const pare_input *in)
{
    return in->size;
}

pare_status pare_input_read_at(const pare_input *in, uint64_t at, void *bytes, size_t size)
{
    if (at > in->size || size > in->size - at)
        return pare_fail(PARE_INPUT, "%s: %zu bytes at byte %llu pass its end (%llu bytes)",
                         in->path, size, (unsigned long long)at, (unsigned long long)in->size);
    ssize_t n = sys_pread(in->fd, bytes, size, at);
    if (n < 0)
        return fail_errno(in->path);
    if ((size_t)n != size)
        return pare_fail(PARE_IO, "%s: it shrank while being read", in->path);
    return PARE_OK;
}

void pare_input_close(pare_input *in)
{
    if (in && in->fd >= 0)
        close(in->fd);
    pare_free(in);
}

static pare_status fail_limit(const char *path, size_t limit)
{
    return pare_fail(PARE_INPUT, "%s: larger than the %zu bytes that such a file may have", path,
                     limit);
}

/* A plain file: its size is known, and must hold still. */
static pare_status read_plain(const char *path, size_t limit, char **bytes, size_t *size)
{
    pare_input *in = NULL;
    PARE_TRY(pare_input_open(path, &in));
    pare_status status = PARE_OK;
    char more;
    if (limit && in->size > limit)
        status = fail_limit(path, limit);
    else if (!(*bytes = pare_malloc(in->size + 1)))
        status = PARE_MEMORY;
    else
        status = pare_input_read_at(in, 0, *bytes, in->size);
    if (status == PARE_OK && sys_pread(in->fd, &more, 1, in->size) != 0)
        status = pare_fail(PARE_IO, "%s: it grew while being read", path);
    *size = in->size;
    pare_input_close(in);
    return status;
}

/* A pipe or device: read until it ends. */
static pare_status read_stream(int fd, const char *path, size_t limit, char **bytes, size_t *size)
{
    size_t room = 1 << 16;
    *size = 0;
    if (!(*bytes = pare_malloc(room + 1)))
        return PARE_MEMORY;
    for (;;) {
        ssize_t n = read(fd, *bytes + *size, room - *size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(path);
        if (n == 0)
            return PARE_OK;
        *size += (size_t)n;
        if (limit && *size > limit)
            return fail_limit(path, limit);
        char *larger = *size < room ? *bytes : pare_realloc(*bytes, 2 * room + 1);
        if (!larger)
            return PARE_MEMORY;
        room = *size < room ? room : 2 * room;
        *bytes = larger;
    }
}

/* On failure *bytes is NULL, however far the reading came. */
pare_status pare_file_read(const char *path, size_t limit, char **bytes, size_t *size)
{
    struct stat st;
    pare_status status = PARE_OK;
    *bytes = NULL;
    *size = 0;
    /* Files in /proc say that they are plain and have no bytes: they are read as streams are. */
    if (stat(path, &st) != 0 || S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_size > 0)) {
        status = read_plain(path, limit, bytes, size);
    } else {
        int fd = sys_open(path, O_RDONLY);
        status = fd < 0 ? fail_errno(path) : read_stream(fd, path, limit, bytes, size);
        if (fd >= 0)
            close(fd);
    }
    if (status != PARE_OK) {
        pare_free(*bytes);
        *bytes = NULL;
        *size = 0;
        return status;
    }
    (*bytes)[*size] = '\0';
    return PARE_OK;
}

/* The map stays when its descriptor is closed. */
pare_status pare_map_open(const char *path, pare_map *map)
{
    static const unsigned char nothing[1];
    *map = (pare_map){nothing, 0};
    pare_input *in = NULL;
    PARE_TRY(pare_input_open(path, &in));
    pare_status status = PARE_OK;
    if (in->size > 0) {
        void *bytes = mmap(NULL, in->size, PROT_READ, MAP_PRIVATE, in->fd, 0);
        if (bytes == MAP_FAILED)
            status = fail_errno(path);
        else
            *map = (pare_map){bytes, in->size};
    }
    pare_input_close(in);
    return status;
}

void pare_map_close(pare_map *map)
{
    if (map->size > 0)
        munmap((void *)(uintptr_t)map->bytes, map->size);
    *map = (pare_map){NULL, 0};
}

/* ---- Writing ---- */

enum { BUFFER_SIZE = 1 << 16, MESSAGE_SIZE = 1024 };

struct pare_output {
    int fd;
    bool direct;        /* a device or pipe: no temporary, no places */
    char *path;         /* final name, symbolic links followed */
    char *temporary;
    uint64_t size;      /* bytes written, the buffer's included */
    uint64_t reserved;  /* bytes announced; 0: unknown */
    size_t buffered;    /* bytes at the end of the file that are still in buffer[] */
    pare_status status; /* the first failure, with its texts */
    char message[MESSAGE_SIZE], hint[MESSAGE_SIZE];
    char buffer[BUFFER_SIZE];
};

/* Remembers the failure just reported, if it is the first. */
static void remember(pare_output *out, pare_status status)
{
    if (status == PARE_OK || out->status != PARE_OK)
        return;
    out->status = status;
    snprintf(out->message, sizeof out->message, "%s", pare_error_message());
    snprintf(out->hint, sizeof out->hint, "%s", pare_error_hint());
}

pare_status pare_output_status(const pare_output *out)
{
    if (out->status == PARE_OK)
        return PARE_OK;
    return pare_hint(pare_fail(out->status, "%s", out->message), "%s", out->hint);
}

/* Closing ends the lock on the temporary file, too. */
static void output_free(pare_output *out)
{
    if (out->fd >= 0)
        close(out->fd);
    pare_free(out->path);
    pare_free(out->temporary);
    pare_free(out);
}

/* The temporary file, ours alone: a lock keeps two processes that write the same file apart. The
 * loop is for the moment in which the other one has renamed the file that we just opened. */
static pare_status open_temporary(pare_output *out, mode_t mode)
{
    struct stat opened, named;
    for (;;) {
        out->fd = sys_open(out->temporary, O_RDWR | O_CREAT | O_NOFOLLOW);
        if (out->fd < 0)
            return fail_write(out->path, 0);
        if (flock(out->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            return pare_fail(PARE_IO, "%s: another process is writing it", out->path);
        if (fstat(out->fd, &opened) == 0 && stat(out->temporary, &named) == 0 &&
            opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
            break;
        close(out->fd);
    }
    if (ftruncate(out->fd, 0) != 0)
        return fail_errno(out->temporary);
    if (mode) /* a file that is replaced keeps its permissions, where the system lets it */
        (void)!fchmod(out->fd, mode);
    return PARE_OK;
}

/* Finds the final path and opens what is written to until it takes that name. */
static pare_status output_start(pare_output *out, const char *path)
{
    struct stat st;
    char resolved[PATH_MAX];
    /* realpath fails where nothing exists yet. */
    out->path = pare_strdup(realpath(path, resolved) ? resolved : path);
    if (!out->path)
        return PARE_MEMORY;
    bool exists = stat(out->path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return pare_fail(PARE_IO, "%s: is a directory, not a file", path);
    out->direct = exists && !S_ISREG(st.st_mode);
    size_t room = strlen(out->path) + sizeof ".tmp";
    out->temporary = pare_malloc(room);
    if (!out->temporary)
        return PARE_MEMORY;
    snprintf(out->temporary, room, "%s%s", out->path, out->direct ? "" : ".tmp");
    if (!out->direct)
        return open_temporary(out, exists ? st.st_mode & 07777 : 0);
    out->fd = sys_open(path, O_WRONLY);
    return out->fd < 0 ? fail_errno(path) : PARE_OK;
}

pare_status pare_output_open(const char *path, pare_output **out)
{
    pare_output *o = pare_calloc(1, sizeof *o);
    *out = NULL;
    if (!o)
        return PARE_MEMORY;
    o->fd = -1;
    pare_status status = output_start(o, path);
    if (status != PARE_OK) {
        output_free(o);
        return status;
    }
    *out = o;
    return PARE_OK;
}

/* What is free is a guess the moment it is known; it spares most failures half-way. */
pare_status pare_output_reserve(pare_output *out, uint64_t size)
{
    uint64_t space = 0;
    out->reserved = size;
    if (!out->direct && pare_free_space(out->path, &space) == PARE_OK && space < size) {
        errno = ENOSPC;
        remember(out, fail_write(out->path, size));
    }
    return pare_output_status(out);
}

/* Past the buffer. A failure's message tells the size that the whole file would have had. */
static void write_through(pare_output *out, uint64_t at, const void *bytes, size_t size)
{
    uint64_t needed = out->reserved > at + size ? out->reserved : at + size;
    if (sys_write(out->fd, bytes, size, out->direct ? -1 : (int64_t)at) != 0)
        remember(out, fail_write(out->path, needed));
}

static void output_flush(pare_output *out)
{
    if (out->buffered == 0)
        return;
    if (out->status == PARE_OK)
        write_through(out, out->size - out->buffered, out->buffer, out->buffered);
    out->buffered = 0;
}

/* Small pieces gather in the buffer, large ones go past it. */
void pare_output_write(pare_output *out, const void *bytes, size_t size)
{
    if (size > BUFFER_SIZE - out->buffered)
        output_flush(out);
    if (out->status != PARE_OK || size == 0)
        return;
    if (size > BUFFER_SIZE) {
        write_through(out, out->size, bytes, size);
    } else {
        memcpy(out->buffer + out->buffered, bytes, size);
        out->buffered += size;
    }
    out->size += size;
}

void pare_output_write_at(pare_output *out, uint64_t at, const void *bytes, size_t size)
{
    output_flush(out);
    if (out->direct)
        remember(out, pare_fail(PARE_IO, "%s: is not a plain file", out->path));
    if (out->status != PARE_OK)
        return;
    write_through(out, at, bytes, size);
    if (at + size > out->size)
        out->size = at + size;
}

void pare_output_resize(pare_output *out, uint64_t size)
{
    output_flush(out);
    if (out->status == PARE_OK && ftruncate(out->fd, (off_t)size) != 0)
        remember(out, fail_write(out->path, size));
    out->size = size;
}

pare_status pare_output_read_at(pare_output *out, uint64_t at, void *bytes, size_t size)
{
    output_flush(out);
    PARE_TRY(pare_output_status(out));
    ssize_t n = sys_pread(out->fd, bytes, size, at);
    if (n < 0)
        return fail_errno(out->temporary);
    if ((size_t)n != size)
        return pare_fail(PARE_IO, "%s: %zu bytes were read back where %zu were written",
                         out->temporary, (size_t)n, size);
    return PARE_OK;
}

uint64_t pare_output_size(const pare_output *out)
{
    return out->size;
}

const char *pare_output_temporary(const pare_output *out)
{
    return out->temporary;
}

pare_status pare_output_sync(pare_output *out)
{
    output_flush(out);
    if (out->status == PARE_OK && sys_fsync(out->fd) != 0)
        remember(out, fail_write(out->path, out->size));
    return pare_output_status(out);
}

/* fsync of the folder that holds `path`, so that its new name survives a power cut. */
static pare_status sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? pare_strdup(path) : pare_strdup(".");
    if (!folder)
        return PARE_MEMORY;
    if (slash)
        folder[slash == path ? 1 : slash - path] = '\0';
    pare_status status = pare_directory_sync(folder);
    pare_free(folder);
    return status;
}

/* The file is closed last: its lock keeps the temporary name ours until the rename. */
pare_status pare_output_commit(pare_output *out)
{
    if (pare_output_sync(out) == PARE_OK && !out->direct) {
        if (sys_rename(out->temporary, out->path) != 0)
            remember(out, fail_write(out->path, out->size));
        else
            remember(out, sync_parent(out->path));
    }
    pare_status status = pare_output_status(out);
    if (status != PARE_OK)
        pare_output_abort(out);
    else
        output_free(out);
    return status;
}

/* The name goes before the lock does: no other process's temporary file can be hit. */
void pare_output_abort(pare_output *out)
{
    if (!out)
        return;
    if (!out->direct)
        sys_unlink(out->temporary);
    output_free(out);
}

pare_status pare_file_replace(const char *path, const void *bytes, size_t size)
{
    pare_output *out = NULL;
    PARE_TRY(pare_output_open(path, &out));
    pare_output_write(out, bytes, size);
    return pare_output_commit(out);
}

pare_status pare_file_append(const char *path, const char *text, size_t size)
{
    int fd = sys_open(path, O_WRONLY | O_CREAT | O_APPEND);
    if (fd < 0)
        return fail_write(path, size);
    off_t before = lseek(fd, 0, SEEK_END);
    pare_status status = PARE_OK;
    if (sys_write(fd, text, size, -1) != 0) {
        status = fail_write(path, size);
        if (before >= 0) /* no half line stays */
            (void)!ftruncate(fd, before);
    }
    if (close(fd) != 0 && status == PARE_OK)
        status = fail_write(path, size);
    return status;
}
