/* memory.h: the only place that allocates.
 *
 * Two ways to hold memory:
 *   - pare_malloc / pare_realloc / pare_free: one object with an owner, like the C library's.
 *   - an arena: many objects that die together. The run arena holds what lives as long as a model
 *     or a run; the step arena what one training step makes; scratch what one op needs. An arena
 *     hands out 64-byte aligned memory and takes it back by a mark:
 *
 *       pare_mark mark = pare_arena_mark(scratch);
 *       real *rows = pare_arena_alloc(scratch, n * sizeof *rows);
 *       ...
 *       pare_arena_release(scratch, mark);
 *
 * A failed allocation returns NULL with PARE_MEMORY set, naming the arena and the size. An arena
 * is used by one thread at a time. */
#ifndef PARE_CORE_MEMORY_H
#define PARE_CORE_MEMORY_H

#include <stddef.h>

void *pare_malloc(size_t bytes);             /* uninitialised; NULL on failure, PARE_MEMORY set */
void *pare_calloc(size_t count, size_t size); /* zeros; checks the product for overflow */
void *pare_realloc(void *old, size_t bytes); /* the old block stays valid on failure */
void pare_free(void *memory);                /* NULL is allowed */
char *pare_strdup(const char *text);         /* to be given to pare_free */

typedef struct pare_arena pare_arena;
typedef struct pare_mark {
    void *block;
    size_t used;
    size_t total;
} pare_mark;

/* `name` appears in messages; it must outlive the arena (a literal). NULL on failure. */
pare_arena *pare_arena_new(const char *name);
void pare_arena_free(pare_arena *arena); /* NULL is allowed */

/* Uninitialised and zeroed memory, 64-byte aligned. 0 bytes give a valid pointer. */
void *pare_arena_alloc(pare_arena *arena, size_t bytes);
void *pare_arena_zalloc(pare_arena *arena, size_t bytes);
char *pare_arena_strdup(pare_arena *arena, const char *text);
char *pare_arena_printf(pare_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Everything handed out after the mark is given back. A mark taken from an empty arena empties it;
 * an emptied arena joins its blocks into one with room for more than its peak: a loop of steps of
 * about the same size stops allocating. */
pare_mark pare_arena_mark(const pare_arena *arena);
void pare_arena_release(pare_arena *arena, pare_mark mark);

size_t pare_arena_used(const pare_arena *arena);
size_t pare_arena_peak(const pare_arena *arena);

#endif
