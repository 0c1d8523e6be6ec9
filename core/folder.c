/* folder.c: paths, folders, links and locks (declared in core/file.h). */
#define _GNU_SOURCE /* flock */
#include "core/file_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/memory.h"

bool pare_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool pare_path_is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? S_ISDIR(st.st_mode) : errno != ENOENT && errno != ENOTDIR;
}

bool pare_path_is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

char *pare_path_join(const char *directory, const char *name)
{
    size_t n = strlen(directory);
    size_t room = n + strlen(name) + 2;
    char *path = pare_malloc(room);
    if (path)
        snprintf(path, room, "%s%s%s", directory, n && directory[n - 1] != '/' ? "/" : "", name);
    return path;
}

/* One that exists is fine, also if another process has just made it. */
static pare_status make_directory(const char *path)
{
    if (mkdir(path, 0777) == 0)
        return pare_parent_sync(path);
    struct stat st;
    const int reason = errno;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return PARE_OK;
    errno = reason;
    return pare_sys_fail(path, 0);
}

pare_status pare_make_directories(const char *path)
{
    char *part = pare_strdup(path);
    if (!part)
        return PARE_MEMORY;
    pare_status status = PARE_OK;
    for (char *slash = strchr(part + (*part == '/'), '/'); slash && status == PARE_OK;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = make_directory(part);
        *slash = '/';
    }
    if (status == PARE_OK)
        status = make_directory(part);
    pare_free(part);
    return status;
}

pare_status pare_directory_sync(const char *path)
{
    int fd = pare_sys_open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return pare_sys_fail(path, 0);
    pare_status status = pare_sys_fsync(fd) == 0 ? PARE_OK : pare_sys_fail(path, 0);
    close(fd);
    return status;
}

pare_status pare_parent_sync(const char *path)
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

pare_status pare_free_space(const char *path, uint64_t *bytes)
{
    *bytes = 0;
    char *parent = pare_strdup(path);
    if (!parent)
        return PARE_MEMORY;
    struct statvfs fs;
    int result = statvfs(parent, &fs);
    while (result != 0 && errno == ENOENT) { /* up to the nearest parent that exists */
        char *slash = strrchr(parent, '/');
        bool last = !slash || slash == parent;
        if (slash)
            *(slash == parent ? slash + 1 : slash) = '\0';
        result = statvfs(slash ? parent : ".", &fs);
        if (last)
            break;
    }
    pare_free(parent);
    if (result != 0)
        return pare_sys_fail(path, 0);
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return PARE_OK;
}

pare_status pare_file_remove(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? PARE_OK : pare_sys_fail(path, 0);
}

/* The same bytes under another name, atomically, piece by piece. */
static pare_status copy_file(const char *from, const char *to)
{
    const size_t piece = 1 << 20;
    pare_input *in = NULL;
    pare_output *out = NULL;
    char *bytes = pare_malloc(piece);
    pare_status status = bytes ? pare_input_open(from, &in) : PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_output_open(to, &out);
    if (status == PARE_OK)
        status = pare_output_reserve(out, pare_input_size(in));
    for (uint64_t at = 0; status == PARE_OK && at < pare_input_size(in); at += piece) {
        uint64_t left = pare_input_size(in) - at;
        size_t n = left < piece ? (size_t)left : piece;
        status = pare_input_read_at(in, at, bytes, n);
        if (status == PARE_OK)
            pare_output_write(out, bytes, n);
    }
    pare_input_close(in);
    pare_free(bytes);
    if (status == PARE_OK)
        return pare_output_commit(out);
    pare_output_abort(out);
    return status;
}

/* link(2) does not replace: the new name is made beside the old one, and takes its place. */
pare_status pare_file_link(const char *from, const char *to)
{
    size_t room = strlen(to) + sizeof ".link.tmp";
    char *temporary = pare_malloc(room);
    if (!temporary)
        return PARE_MEMORY;
    snprintf(temporary, room, "%s.link.tmp", to);
    unlink(temporary); /* a killed process may have left it */
    pare_status status;
    if (link(from, temporary) != 0) {
        /* No such file is an error; a file system without links, or another one, is not. */
        status = errno == ENOENT || errno == ENOSPC ? pare_sys_fail(from, 0) : copy_file(from, to);
    } else {
        status = rename(temporary, to) == 0 ? PARE_OK : pare_sys_fail(to, 0);
        unlink(temporary); /* rename leaves it where both were names of one file already */
        if (status == PARE_OK)
            status = pare_parent_sync(to);
    }
    pare_free(temporary);
    return status;
}

/* ---- Lists ---- */

/* Names are collected first: the function called for each may change the folder. */
typedef struct name_list {
    char **names;
    size_t n, room;
} name_list;

static pare_status list_add(name_list *list, const char *name)
{
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **names = pare_realloc(list->names, room * sizeof *names);
        if (!names)
            return PARE_MEMORY;
        list->names = names;
        list->room = room;
    }
    list->names[list->n] = pare_strdup(name);
    return list->names[list->n] ? (list->n++, PARE_OK) : PARE_MEMORY;
}

static pare_status list_read(const char *path, name_list *list)
{
    DIR *directory = opendir(path);
    if (!directory)
        return pare_sys_fail(path, 0);
    pare_status status = PARE_OK;
    struct dirent *entry;
    errno = 0;
    while (status == PARE_OK && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = list_add(list, entry->d_name);
        errno = 0;
    }
    if (status == PARE_OK && errno != 0)
        status = pare_sys_fail(path, 0);
    closedir(directory);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

pare_status pare_directory_list(const char *path, pare_status (*function)(void *, const char *),
                                void *context)
{
    name_list list = {NULL, 0, 0};
    pare_status status = list_read(path, &list);
    if (list.n > 0)
        qsort(list.names, list.n, sizeof *list.names, compare_names);
    for (size_t i = 0; i < list.n; i++) {
        if (status == PARE_OK)
            status = function(context, list.names[i]);
        pare_free(list.names[i]);
    }
    pare_free(list.names);
    return status;
}

/* ---- Locks ---- */

/* Names the process that the lock's holder wrote into the file. */
static pare_status fail_locked(int fd, const char *path)
{
    char pid[32] = "";
    ssize_t n = pare_sys_pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    pare_fail(PARE_USAGE, "%s: in use by another run (process %s)", path, *pid ? pid : "unknown");
    return pare_hint(PARE_USAGE, "wait for it to end, or choose another folder");
}

static pare_status write_pid(int fd, const char *path)
{
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (pare_sys_truncate(fd, 0) != 0 || pare_sys_write(fd, pid, (size_t)n, 0) != 0)
        return pare_sys_fail(path, 0);
    return PARE_OK;
}

/* The open file as ours. *ours is false where someone has removed it between open and flock: then
 * the lock is on nothing. */
static pare_status lock_file(int fd, const char *path, bool *ours)
{
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? fail_locked(fd, path) : pare_sys_fail(path, 0);
    const int named = pare_sys_has_name(fd, path);
    *ours = named > 0;
    if (named < 0)
        return pare_sys_fail(path, 0);
    return *ours ? write_pid(fd, path) : PARE_OK;
}

/* The lock belongs to the open file, and ends with the process, however it dies. */
pare_status pare_lock(const char *path, int *handle)
{
    *handle = -1;
    for (;;) {
        bool ours = false;
        int fd = pare_sys_open(path, O_RDWR | O_CREAT);
        if (fd < 0)
            return pare_sys_fail(path, 0);
        pare_status status = lock_file(fd, path, &ours);
        if (status == PARE_OK && ours) {
            *handle = fd;
            return PARE_OK;
        }
        close(fd);
        PARE_TRY(status);
    }
}

void pare_unlock(int handle)
{
    if (handle >= 0)
        close(handle); /* which ends the lock; the file stays, so that no one can miss it */
}
