/* file_calls.h: the system calls on files: for core/file.c, core/folder.c, and after a fork.
 *
 * What a signal interrupts goes on; what does half of its work does the rest. Results are those of
 * the calls themselves, with errno set. */
#ifndef PARE_CORE_FILE_CALLS_H
#define PARE_CORE_FILE_CALLS_H

#include <sys/types.h>

#include "core/file.h"

/* Not inherited by programs that are started: a lock would live on in them. */
int pare_sys_open(const char *path, int flags);
/* A descriptor of whose data nothing is left to be written. */
int pare_sys_close(int fd);
/* Reads until size bytes or the end; -1 on failure. */
ssize_t pare_sys_pread(int fd, void *bytes, size_t size, uint64_t at);
/* Writes all, or returns -1. at < 0 writes where the descriptor stands (devices, pipes). */
int pare_sys_write(int fd, const void *bytes, size_t size, int64_t at);
int pare_sys_truncate(int fd, uint64_t size);
/* Pipes, devices and some network folders cannot be synced, and say so: no failure. */
int pare_sys_fsync(int fd);
/* 1: the open file is the one that has this name now; 0: it has it no more; -1: failure. */
int pare_sys_has_name(int fd, const char *path);

/* The failure of the call before, as a status with a message: of the path, the reason, and where
 * the disk was too small of the bytes needed (0: for a new name or the like) and free. */
pare_status pare_sys_fail(const char *path, uint64_t needed);

#endif
