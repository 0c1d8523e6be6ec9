/* memory.c: malloc behind one seam, and arenas over it.
 *
 * An arena is a list of blocks, the newest first. Allocation bumps the newest block; where it does
 * not fit, a new block follows, as large as all before it up to 64 MiB, so there are few. The
 * largest block given back waits for the next: fresh memory costs the system more than using it
 * does. For that reason an emptied arena has room for more than it ever held: what is not touched
 * costs nothing. */
#include "core/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/status.h"

enum { ALIGNMENT = 64, FIRST_BLOCK = 1 << 16, LARGE_BLOCK = 1 << 26, LARGE_PAGE = 1 << 21,
       HEADROOM = 4 };

typedef struct block {
    struct block *older;
    unsigned char *bytes; /* aligned; memory behind it belongs to `memory` */
    void *memory;
    size_t size, used;
} block;

struct pare_arena {
    const char *name;
    block *newest;
    block *spare; /* or NULL; given back, and not handed out */
    size_t total; /* bytes handed out, alignment included */
    size_t peak;
};

void *pare_malloc(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        pare_fail(PARE_MEMORY, "out of memory: %zu bytes were wanted", bytes);
    return memory;
}

void *pare_calloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        pare_fail(PARE_MEMORY, "out of memory: %zu times %zu bytes were wanted", count, size);
    return memory;
}

void *pare_realloc(void *old, size_t bytes)
{
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory)
        pare_fail(PARE_MEMORY, "out of memory: %zu bytes were wanted", bytes);
    return memory;
}

void pare_free(void *memory)
{
    free(memory);
}

char *pare_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = pare_malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

pare_arena *pare_arena_new(const char *name)
{
    pare_arena *arena = pare_calloc(1, sizeof *arena);
    if (arena)
        arena->name = name;
    return arena;
}

static void free_block(block *b)
{
    if (!b)
        return;
    pare_free(b->memory);
    pare_free(b);
}

static void free_spare(pare_arena *arena)
{
    free_block(arena->spare);
    arena->spare = NULL;
}

/* The newest block becomes the spare one, unless that is larger. */
static void retire_newest(pare_arena *arena)
{
    block *old = arena->newest;
    arena->newest = old->older;
    if (arena->spare && arena->spare->size >= old->size) {
        free_block(old);
        return;
    }
    free_spare(arena);
    arena->spare = old;
}

void pare_arena_free(pare_arena *arena)
{
    if (!arena)
        return;
    while (arena->newest)
        retire_newest(arena);
    free_spare(arena);
    pare_free(arena);
}

/* Large blocks ask the system for large pages: a product walks megabytes, and every page of 4 KiB
 * costs it an entry in the CPU's small cache of page tables. Only a wish: its failure means
 * nothing. */
static void ask_for_large_pages(const block *b)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = LARGE_PAGE;
    const uintptr_t start = ((uintptr_t)b->memory + page - 1) & ~(page - 1);
    const uintptr_t end = ((uintptr_t)b->bytes + b->size) & ~(page - 1);
    if (end > start)
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
#else
    (void)b;
#endif
}

static block *push(pare_arena *arena, block *b)
{
    b->older = arena->newest;
    arena->newest = b;
    return b;
}

/* The spare block as the newest if `bytes` fit there; else it goes, before memory for a larger one
 * is asked for, and NULL. */
static block *reuse_spare(pare_arena *arena, size_t bytes)
{
    block *b = arena->spare;
    if (!b || b->size < bytes) {
        free_spare(arena);
        return NULL;
    }
    arena->spare = NULL;
    b->used = 0;
    return push(arena, b);
}

/* A new newest block with room for `bytes`. calloc: large fresh memory then comes as untouched
 * zero pages, which makes zeroing it free (fresh tells pare_arena_zalloc). */
static block *add_block(pare_arena *arena, size_t bytes)
{
    size_t size = arena->total < LARGE_BLOCK ? arena->total : LARGE_BLOCK;
    if (size < FIRST_BLOCK)
        size = FIRST_BLOCK;
    if (size < bytes)
        size = bytes;
    block *b = pare_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->memory = size > SIZE_MAX - ALIGNMENT ? NULL : calloc(1, size + ALIGNMENT);
    if (!b->memory) {
        pare_free(b);
        pare_fail(PARE_MEMORY, "out of memory: the %s arena holds %zu bytes and wants %zu more",
                  arena->name, arena->total, bytes);
        return NULL;
    }
    uintptr_t start = ((uintptr_t)b->memory + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    b->bytes = (unsigned char *)start;
    b->size = size;
    ask_for_large_pages(b);
    return push(arena, b);
}

/* *fresh tells whether the memory was never handed out before, and so is zero. */
static void *take(pare_arena *arena, size_t bytes, bool *fresh)
{
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded < bytes) {
        pare_fail(PARE_MEMORY, "the %s arena cannot hold %zu bytes", arena->name, bytes);
        return NULL;
    }
    block *b = arena->newest;
    *fresh = false;
    if (!b || b->size - b->used < rounded) {
        b = reuse_spare(arena, rounded);
        *fresh = !b;
        if (!b)
            b = add_block(arena, rounded);
        if (!b)
            return NULL;
    }
    void *memory = b->bytes + b->used;
    b->used += rounded;
    arena->total += rounded;
    if (arena->total > arena->peak)
        arena->peak = arena->total;
    return memory;
}

void *pare_arena_alloc(pare_arena *arena, size_t bytes)
{
    bool fresh;
    return take(arena, bytes, &fresh);
}

void *pare_arena_zalloc(pare_arena *arena, size_t bytes)
{
    bool fresh;
    void *memory = take(arena, bytes, &fresh);
    if (memory && !fresh)
        memset(memory, 0, bytes);
    return memory;
}

char *pare_arena_strdup(pare_arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = pare_arena_alloc(arena, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

char *pare_arena_printf(pare_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = length < 0 ? NULL : pare_arena_alloc(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

pare_mark pare_arena_mark(const pare_arena *arena)
{
    const block *b = arena->newest;
    return (pare_mark){(void *)(uintptr_t)b, b ? b->used : 0, arena->total};
}

void pare_arena_release(pare_arena *arena, pare_mark mark)
{
    if (mark.total == 0) { /* empty: keep one block, larger than the whole ever was */
        if (arena->newest && arena->newest->size < arena->peak) {
            while (arena->newest)
                retire_newest(arena);
            free_spare(arena);
            arena->total = 0;
            if (!add_block(arena, HEADROOM * arena->peak) && !add_block(arena, arena->peak))
                return; /* tried again, and reported, by the next allocation */
        }
        if (arena->newest)
            arena->newest->used = 0;
        arena->total = 0;
        return;
    }
    while (arena->newest != mark.block)
        retire_newest(arena);
    arena->newest->used = mark.used;
    arena->total = mark.total;
}

size_t pare_arena_used(const pare_arena *arena)
{
    return arena->total;
}

size_t pare_arena_peak(const pare_arena *arena)
{
    return arena->peak;
}
