/* file.h: every read and write of a file passes here.
 *
 * Reading: whole files, or a map of one. Writing: into a temporary name beside the final
 * one, which it takes only when all is on the disk:
 *
 *   pare_output *out = NULL;
 *   PARE_TRY(pare_output_open("runs/a/best.h5", &out));
 *   pare_output_write(out, bytes, n);               // errors are remembered
 *   return pare_output_commit(out);                 // fsync, rename, fsync the folder; frees out
 *
 * A message names the path and the system's reason; a full disk also the needed and free bytes. */
#ifndef PARE_CORE_FILE_H
#define PARE_CORE_FILE_H

#include "core/status.h"

/* The whole file, NUL-terminated behind its size, to be given to pare_free. Directories and files
 * that change while being read are errors. limit 0 = any size. */
pare_status pare_file_read(const char *path, size_t limit, char **bytes, size_t *size);

/* A file's bytes without a copy (an empty one maps to a valid pointer with size 0). They may be
 * written, which changes this process's alone. What others cut off while it is mapped is a SIGBUS
 * where it is touched (cli/main.c says so, and ends). */
typedef struct pare_map {
    const unsigned char *bytes;
    size_t size;
} pare_map;
pare_status pare_map_open(const char *path, pare_map *map);
void pare_map_close(pare_map *map);

/* A file read piece by piece, by any number of threads at once; bytes past its end are an error. */
typedef struct pare_input pare_input;
pare_status pare_input_open(const char *path, pare_input **out);
uint64_t pare_input_size(const pare_input *in);
pare_status pare_input_read_at(const pare_input *in, uint64_t at, void *bytes, size_t size);
void pare_input_close(pare_input *in); /* NULL is allowed */
/* Its bytes in memory, page by page as they are touched; good after it is closed. */
pare_status pare_input_map(const pare_input *in, pare_map *map);

/* Text appended to a log (metrics.jsonl): one write a call, so that a line is whole or absent. */
pare_status pare_file_append(const char *path, const char *text, size_t size);

/* Waits until all that was written to a file is on the disk. */
pare_status pare_file_sync(const char *path);

/* Atomic output. The temporary name is the final one with ".tmp" behind it: what a killed process
 * leaves there is overwritten by the next try, and may be removed by anyone. A symbolic link is
 * followed, so that its target, which must exist, is replaced. Devices and pipes (/dev/stdout) are
 * written at once. */
typedef struct pare_output pare_output;
pare_status pare_output_open(const char *path, pare_output **out);
/* Says how many bytes will come: a failure at once if they do not fit the disk. */
pare_status pare_output_reserve(pare_output *out, uint64_t size);
void pare_output_write(pare_output *out, const void *bytes, size_t size); /* at the end */
void pare_output_write_at(pare_output *out, uint64_t at, const void *bytes, size_t size);
void pare_output_resize(pare_output *out, uint64_t size); /* cuts its end, or adds zeros */
/* Any number of threads may read at once while nothing is being written. */
pare_status pare_output_read_at(pare_output *out, uint64_t at, void *bytes, size_t size);
uint64_t pare_output_size(const pare_output *out);
pare_status pare_output_status(const pare_output *out); /* the first error, if there was one */
const char *pare_output_temporary(const pare_output *out); /* its name until the commit */
pare_status pare_output_sync(pare_output *out); /* all that was written is on the disk */
/* Frees out in any case. On error the temporary file is gone and the final one is untouched, or new
 * where all but its name's way to the disk succeeded. */
pare_status pare_output_commit(pare_output *out);
void pare_output_abort(pare_output *out);         /* NULL is allowed */
/* The three in one: bytes become the file's content, atomically. */
pare_status pare_file_replace(const char *path, const void *bytes, size_t size);

/* Where that cannot be told both are true: whoever opens it then hears why. */
bool pare_path_exists(const char *path);
bool pare_path_is_directory(const char *path);
bool pare_path_is_link(const char *path); /* a symbolic one */
pare_status pare_make_directories(const char *path); /* with parents; an existing one is fine */
pare_status pare_directory_sync(const char *path);   /* fsync of a folder */
pare_status pare_parent_sync(const char *path);      /* of the one that holds path: its new name
                                                        survives a power cut */
/* A second name for `from` under `to`, replaced atomically (hard link; a copy where links fail). */
pare_status pare_file_link(const char *from, const char *to);
pare_status pare_file_remove(const char *path);      /* absent is fine */
/* Free bytes of the file system that holds `path` (or its nearest existing parent). */
pare_status pare_free_space(const char *path, uint64_t *bytes);
/* "directory/name", to be given to pare_free; NULL with PARE_MEMORY set. */
char *pare_path_join(const char *directory, const char *name);
/* Calls function(context, name) for every entry but . and .., sorted by name. */
pare_status pare_directory_list(const char *path, pare_status (*function)(void *, const char *),
                                void *context);
/* An exclusive lock on a file that is made if it is missing and holds our pid. Held until unlock
 * or the process's end (flock). Taken already: PARE_USAGE, naming the other's pid. */
pare_status pare_lock(const char *path, int *handle);
void pare_unlock(int handle);

#endif
