/* file_calls.c: each repeated while a signal interrupts it, and its failure in words. */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "core/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096 }; /* what a name or a short line takes of a disk */

int pare_sys_open(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* One that is interrupted has closed. */
int pare_sys_close(int fd)
{
    const int result = close(fd);
    return result != 0 && errno == EINTR ? 0 : result;
}

ssize_t pare_sys_pread(int fd, void *bytes, size_t size, uint64_t at)
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

int pare_sys_write(int fd, const void *bytes, size_t size, int64_t at)
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

int pare_sys_truncate(int fd, uint64_t size)
{
    int result;
    do
        result = ftruncate(fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result;
}

int pare_sys_fsync(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result != 0 && (errno == EINVAL || errno == ENOTSUP) ? 0 : result;
}

int pare_sys_has_name(int fd, const char *path)
{
    struct stat opened, named;
    if (fstat(fd, &opened) != 0)
        return -1;
    if (stat(path, &named) != 0)
        return errno == ENOENT ? 0 : -1;
    return opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

pare_status pare_sys_fail(const char *path, uint64_t needed)
{
    const int reason = errno;
    uint64_t space = 0;
    const bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    needed = needed > 0 ? needed : BLOCK;
    if (!full || pare_free_space(path, &space) != PARE_OK)
        return pare_fail(reason == ENOMEM ? PARE_MEMORY : PARE_IO, "%s: %s", path,
                         strerror(reason));
    pare_fail(PARE_IO, "%s: %s: %llu bytes are needed, %llu are free", path, strerror(reason),
              (unsigned long long)needed, (unsigned long long)space);
    return pare_hint(PARE_IO, "%s",
                     reason == EFBIG   ? "raise the limit on file sizes (ulimit -f), or write to "
                                         "another disk"
                     : space >= needed ? "a quota, or a disk that holds no more files (df -i): "
                                         "remove some, or write to another disk"
                                       : "free some space, or write to another disk");
}
