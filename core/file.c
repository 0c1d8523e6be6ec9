/* file.c: reading and atomic writing. (Folders, links and locks are in core/folder.c.) */
#define _GNU_SOURCE /* flock, realpath */
#include "core/file_calls.h"

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
    in->fd = pare_sys_open(path, O_RDONLY);
    if (in->fd < 0 || fstat(in->fd, &st) != 0)
        status = pare_sys_fail(path, 0);
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
    ssize_t n = pare_sys_pread(in->fd, bytes, size, at);
    if (n < 0)
        return pare_sys_fail(in->path, 0);
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
    const ssize_t behind = status == PARE_OK ? pare_sys_pread(in->fd, &more, 1, in->size) : 0;
    if (behind != 0)
        status = behind < 0 ? pare_sys_fail(path, 0)
                            : pare_fail(PARE_IO, "%s: it grew while being read", path);
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
            return pare_sys_fail(path, 0);
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
        int fd = pare_sys_open(path, O_RDONLY);
        status = fd < 0 ? pare_sys_fail(path, 0) : read_stream(fd, path, limit, bytes, size);
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

pare_status pare_input_map(const pare_input *in, pare_map *map)
{
    static const unsigned char nothing[1];
    *map = (pare_map){nothing, 0};
    if (in->size == 0)
        return PARE_OK;
    void *bytes = mmap(NULL, in->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, in->fd, 0);
    if (bytes == MAP_FAILED)
        return pare_sys_fail(in->path, 0);
    *map = (pare_map){bytes, in->size};
    return PARE_OK;
}

pare_status pare_map_open(const char *path, pare_map *map)
{
    pare_input *in = NULL;
    *map = (pare_map){NULL, 0};
    PARE_TRY(pare_input_open(path, &in));
    const pare_status status = pare_input_map(in, map);
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

/* The temporary file, locked: that keeps two processes that write the same file apart. */
static pare_status open_temporary(pare_output *out)
{
    out->fd = pare_sys_open(out->temporary, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (out->fd < 0)
        return pare_sys_fail(out->path, 0);
    if (flock(out->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return PARE_OK;
    pare_sys_close(out->fd);
    out->fd = -1; /* the other's, and not ours to remove */
    return pare_fail(PARE_IO, "%s: another process is writing it", out->path);
}

/* A temporary file of our own, and empty. The loop is for the moment in which another process has
 * renamed the file that we just opened. */
static pare_status make_temporary(pare_output *out, mode_t mode)
{
    int ours = 0;
    for (;;) {
        PARE_TRY(open_temporary(out));
        ours = pare_sys_has_name(out->fd, out->temporary);
        if (ours != 0)
            break;
        pare_sys_close(out->fd);
    }
    if (ours < 0 || pare_sys_truncate(out->fd, 0) != 0)
        return pare_sys_fail(out->temporary, 0);
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
    if (!exists && pare_path_is_link(path))
        return pare_hint(pare_fail(PARE_IO, "%s: is a link to a file that does not exist", path),
                         "remove the link, or name the file that it is for");
    if (exists && S_ISDIR(st.st_mode))
        return pare_fail(PARE_IO, "%s: is a directory, not a file", path);
    out->direct = exists && !S_ISREG(st.st_mode);
    size_t room = strlen(out->path) + sizeof ".tmp";
    out->temporary = pare_malloc(room);
    if (!out->temporary)
        return PARE_MEMORY;
    snprintf(out->temporary, room, "%s%s", out->path, out->direct ? "" : ".tmp");
    if (!out->direct)
        return make_temporary(out, exists ? st.st_mode & 07777 : 0);
    out->fd = pare_sys_open(path, O_WRONLY);
    return out->fd < 0 ? pare_sys_fail(path, 0) : PARE_OK;
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
        pare_output_abort(o);
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
        remember(out, pare_sys_fail(out->path, size));
    }
    return pare_output_status(out);
}

/* Past the buffer. A failure's message tells the size that the whole file would have had. */
static void write_through(pare_output *out, uint64_t at, const void *bytes, size_t size)
{
    uint64_t needed = out->reserved > at + size ? out->reserved : at + size;
    if (pare_sys_write(out->fd, bytes, size, out->direct ? -1 : (int64_t)at) != 0)
        remember(out, pare_sys_fail(out->path, needed));
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
    if (out->status == PARE_OK && pare_sys_truncate(out->fd, size) != 0)
        remember(out, pare_sys_fail(out->path, size));
    out->size = size;
}

pare_status pare_output_read_at(pare_output *out, uint64_t at, void *bytes, size_t size)
{
    output_flush(out);
    PARE_TRY(pare_output_status(out));
    ssize_t n = pare_sys_pread(out->fd, bytes, size, at);
    if (n < 0)
        return pare_sys_fail(out->temporary, 0);
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
    if (out->status == PARE_OK && pare_sys_fsync(out->fd) != 0)
        remember(out, pare_sys_fail(out->path, out->size));
    return pare_output_status(out);
}

/* The file is closed last: its lock keeps the temporary name ours until the rename. */
pare_status pare_output_commit(pare_output *out)
{
    if (pare_output_sync(out) == PARE_OK && !out->direct) {
        if (rename(out->temporary, out->path) != 0) {
            remember(out, pare_sys_fail(out->path, out->size));
        } else { /* the temporary name may be another process's from now on */
            out->direct = true;
            remember(out, pare_parent_sync(out->path));
        }
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
    if (!out->direct && out->fd >= 0)
        unlink(out->temporary);
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
    int fd = pare_sys_open(path, O_WRONLY | O_CREAT | O_APPEND);
    if (fd < 0)
        return pare_sys_fail(path, size);
    off_t before = lseek(fd, 0, SEEK_END);
    pare_status status = PARE_OK;
    if (pare_sys_write(fd, text, size, -1) != 0) {
        status = pare_sys_fail(path, size);
        if (before >= 0) /* no half line stays */
            (void)!pare_sys_truncate(fd, (uint64_t)before);
    }
    if (pare_sys_close(fd) != 0 && status == PARE_OK)
        status = pare_sys_fail(path, size);
    return status;
}

pare_status pare_file_sync(const char *path)
{
    int fd = pare_sys_open(path, O_RDONLY);
    if (fd < 0)
        return pare_sys_fail(path, 0);
    pare_status status = pare_sys_fsync(fd) == 0 ? PARE_OK : pare_sys_fail(path, 0);
    close(fd);
    return status;
}
