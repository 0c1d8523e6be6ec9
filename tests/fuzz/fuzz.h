/* tests/fuzz/fuzz.h: what the fuzz targets share. A target is one file:
 *
 *   // tests/fuzz/fuzz_table.c: what it feeds to which parser.
 *   #include "tests/fuzz/fuzz.h"
 *   static void fuzz(const unsigned char *bytes, size_t size)
 *   {
 *       pare_status status = read_it(fuzz_file("a.tsv", bytes, size));
 *       fuzz_check(status == PARE_OK || status == PARE_INPUT);
 *   }
 *
 * and a folder of inputs, tests/fuzz/corpus/table. `make test` feeds it those inputs (replay.c is
 * its main), `make fuzz` lets libFuzzer look for others. Include this file first. */
#ifndef PARE_TESTS_FUZZ_H
#define PARE_TESTS_FUZZ_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"
#include "core/threads.h"

#define FUZZ_UNUSED __attribute__((unused))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
static void fuzz(const unsigned char *bytes, size_t size);

/* What must hold whatever the input: a finding if it does not. */
#define fuzz_check(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition,                     \
                   pare_error_message());                                                          \
            fflush(stdout); /* stderr is closed while fuzzing */                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* What a reader may say of a file. A refusal says why. */
FUZZ_UNUSED static bool fuzz_read(pare_status status)
{
    fuzz_check(status == PARE_OK || status == PARE_INPUT);
    fuzz_check(status == PARE_OK || pare_error_message()[0] != '\0');
    return status == PARE_OK;
}

/* ---- Files in memory, under names of their own ---- */

enum { FUZZ_FILES = 16, FUZZ_PATH = 256 };

static struct fuzz_entry {
    const char *name;
    char path[FUZZ_PATH];
    int fd;
} fuzz_files[FUZZ_FILES];
static int fuzz_n_files;
static char fuzz_folder[FUZZ_PATH];

static void fuzz_remove_folder(void)
{
    for (int i = 0; i < fuzz_n_files; i++) {
        unlink(fuzz_files[i].path);
        *strrchr(fuzz_files[i].path, '/') = '\0';
        rmdir(fuzz_files[i].path); /* a file's own folder, or not yet empty */
    }
    rmdir(fuzz_folder);
}

/* The folder's path: what stands before a name of fuzz_file. */
FUZZ_UNUSED static const char *fuzz_root(void)
{
    if (!fuzz_folder[0]) {
        const char *root = getenv("TMPDIR");
        snprintf(fuzz_folder, sizeof fuzz_folder, "%s/pare-fuzz-XXXXXX",
                 root && *root ? root : "/tmp");
        fuzz_check(mkdtemp(fuzz_folder) && atexit(fuzz_remove_folder) == 0);
    }
    return fuzz_folder;
}

/* The path of a file (a literal name, perhaps in a folder: "json/tokenizer.json") that holds these
 * bytes until it is called again with that name. */
FUZZ_UNUSED static const char *fuzz_file(const char *name, const void *bytes, size_t size)
{
    struct fuzz_entry *file = fuzz_files;
    while (file < fuzz_files + fuzz_n_files && strcmp(file->name, name) != 0)
        file++;
    if (file == fuzz_files + fuzz_n_files) {
        char target[64];
        fuzz_check(fuzz_n_files++ < FUZZ_FILES);
        file->name = name;
        snprintf(file->path, sizeof file->path, "%.200s/%.50s", fuzz_root(), name);
        char *slash = strrchr(file->path, '/');
        *slash = '\0';
        mkdir(file->path, 0777); /* most are there */
        *slash = '/';
        fuzz_check((file->fd = memfd_create(name, 0)) >= 0);
        snprintf(target, sizeof target, "/proc/self/fd/%d", file->fd);
        fuzz_check(symlink(target, file->path) == 0);
    }
    fuzz_check(ftruncate(file->fd, 0) == 0);
    fuzz_check(pwrite(file->fd, bytes, size, 0) == (ssize_t)size);
    return file->path;
}

/* ---- Memory: no input may take more than its size and 64 MiB ---- */

/* The sanitizers' runtime has these; elsewhere they are NULL, and memory is not counted. */
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t),
                                              void (*)(const volatile void *))
    __attribute__((weak));
size_t __sanitizer_get_allocated_size(const volatile void *) __attribute__((weak));

static int64_t fuzz_live, fuzz_most;

static void fuzz_malloc(const volatile void *block, size_t size)
{
    (void)block;
    fuzz_live += (int64_t)size;
    if (fuzz_most < fuzz_live)
        fuzz_most = fuzz_live;
}

static void fuzz_free(const volatile void *block)
{
    if (block)
        fuzz_live -= (int64_t)__sanitizer_get_allocated_size(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool begun;
    if (!begun) {
        pare_threads_set(1);
        if (__sanitizer_install_malloc_and_free_hooks && __sanitizer_get_allocated_size)
            (void)__sanitizer_install_malloc_and_free_hooks(fuzz_malloc, fuzz_free);
        begun = true;
    }
    fuzz_live = fuzz_most = 0;
    fuzz(bytes, size);
    fuzz_check(fuzz_most <= (int64_t)size + (64 << 20));
    return 0;
}

#endif
