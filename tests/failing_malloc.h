/* tests/failing_malloc.h: this program's own malloc, which stands before the C library's, lets the
 * k-th call from some callers fail, and counts the blocks that pare has not given back.
 *
 *   fail_begin(FAIL_PARE, 7);      the seventh from now on; 0: counts, and fails none
 *   ...
 *   fail_end();                    fail_calls, fail_live and fail_bytes then tell
 *
 * Callers are told apart by the library that their code lies in. BLIS and OpenMP's runtime, which
 * abort by themselves, are in no set; nor is the C library. For one thread. */
#ifndef PARE_TESTS_FAILING_MALLOC_H
#define PARE_TESTS_FAILING_MALLOC_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dl_iterate_phdr; included before anything else */
#endif

#include "tests/harness.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define FAIL_INTERPOSED 0 /* the sanitizers have an allocator of their own */
#else
#define FAIL_INTERPOSED 1
#endif

#define FAIL_NEEDED()                                                                              \
    do {                                                                                           \
        if (!FAIL_INTERPOSED) {                                                                    \
            fputs("skipped: a sanitizer's allocator cannot be made to fail\n", stderr);            \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

typedef enum fail_set { FAIL_NONE, FAIL_PARE, FAIL_HDF5 } fail_set;

/* The program itself, which holds pare's library, has no name here. */
static const char *const fail_libraries[] = {
    "libjansson.", "libinih.",  "libutf8proc.", "libcairo.",
    "libpixman-",  "libpng16.", "libz.",        "libdeflate."};

enum { FAIL_RANGES = 32, FAIL_SLOTS = 1 << 18 };

typedef struct fail_range {
    uintptr_t from, to;
    fail_set set;
} fail_range;

static fail_range fail_ranges[FAIL_RANGES]; /* of code */
static int fail_n_ranges;
static fail_set fail_on;
static long fail_at, fail_calls;

/* ---- blocks that pare and its libraries hold: a hash table of addresses ---- */

static void *fail_blocks[FAIL_SLOTS]; /* NULL: free */
static long fail_live;
static size_t fail_bytes; /* of those blocks */

static size_t fail_slot(const void *block)
{
    return (size_t)((uint64_t)((uintptr_t)block >> 4) * 0x9E3779B97F4A7C15u >> 46);
}

static void fail_remember(void *block)
{
    size_t i = fail_slot(block);
    while (fail_blocks[i])
        i = (i + 1) % FAIL_SLOTS;
    fail_blocks[i] = block;
    fail_live++;
    fail_bytes += malloc_usable_size(block);
}

static void fail_forget(void *block)
{
    size_t i = fail_slot(block);
    while (fail_blocks[i] && fail_blocks[i] != block)
        i = (i + 1) % FAIL_SLOTS;
    if (!fail_blocks[i])
        return;
    /* Those behind it move up where the gap is nearer to their own slot. */
    for (size_t j = (i + 1) % FAIL_SLOTS; fail_blocks[j]; j = (j + 1) % FAIL_SLOTS)
        if ((j - fail_slot(fail_blocks[j])) % FAIL_SLOTS >= (j - i) % FAIL_SLOTS) {
            fail_blocks[i] = fail_blocks[j];
            i = j;
        }
    fail_blocks[i] = NULL;
    fail_live--;
    fail_bytes -= malloc_usable_size(block);
}

/* ---- callers ---- */

static fail_set fail_set_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!*name)
        return FAIL_PARE;
    for (size_t i = 0; i < sizeof fail_libraries / sizeof *fail_libraries; i++)
        if (strncmp(name, fail_libraries[i], strlen(fail_libraries[i])) == 0)
            return FAIL_PARE;
    return strncmp(name, "libhdf5", 7) == 0 ? FAIL_HDF5 : FAIL_NONE;
}

static int fail_add_ranges(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size, (void)context;
    const fail_set set = fail_set_of(object->dlpi_name);
    for (int i = 0; set != FAIL_NONE && i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || fail_n_ranges == FAIL_RANGES)
            continue;
        const uintptr_t from = object->dlpi_addr + part->p_vaddr;
        fail_ranges[fail_n_ranges++] = (fail_range){from, from + part->p_memsz, set};
    }
    return 0;
}

static fail_set fail_caller(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < fail_n_ranges; i++)
        if (at >= fail_ranges[i].from && at < fail_ranges[i].to)
            return fail_ranges[i].set;
    return FAIL_NONE;
}

TEST_UNUSED static void fail_begin(fail_set set, long k)
{
    if (fail_n_ranges == 0)
        dl_iterate_phdr(fail_add_ranges, NULL);
    fail_on = set;
    fail_at = k;
    fail_calls = fail_live = 0;
    fail_bytes = 0;
    memset(fail_blocks, 0, sizeof fail_blocks); /* all of it resident from here on */
}

TEST_UNUSED static void fail_end(void)
{
    fail_on = FAIL_NONE;
}

/* ---- the allocator ---- */

static bool fail_now(const void *caller)
{
    if (fail_on == FAIL_NONE || fail_caller(caller) != fail_on || ++fail_calls != fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

static void *fail_made(void *block, const void *caller)
{
    if (fail_on != FAIL_NONE && block && fail_caller(caller) == FAIL_PARE)
        fail_remember(block);
    return block;
}

#if FAIL_INTERPOSED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

void *malloc(size_t size)
{
    const void *caller = __builtin_return_address(0);
    return fail_now(caller) ? NULL : fail_made(__libc_malloc(size), caller);
}

void *calloc(size_t count, size_t size)
{
    const void *caller = __builtin_return_address(0);
    return fail_now(caller) ? NULL : fail_made(__libc_calloc(count, size), caller);
}

void *realloc(void *old, size_t size)
{
    const void *caller = __builtin_return_address(0);
    if (fail_now(caller))
        return NULL;
    if (fail_on != FAIL_NONE && old)
        fail_forget(old);
    return fail_made(__libc_realloc(old, size), caller);
}

void free(void *block)
{
    if (fail_on != FAIL_NONE && block)
        fail_forget(block);
    __libc_free(block);
}
#endif

#endif
