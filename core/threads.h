/* threads.h: work cut into numbered tiles, run by a fixed team.
 *
 *   static void add_tile(void *context, int64_t tile) { ... }
 *   pare_parallel(n_tiles, add_tile, &args);
 *
 * The number and shape of tiles depend on the shapes of the data and never on the number of
 * threads, and two tiles never write the same memory: so results are the same bits at any thread
 * count. Tiles are handed out in order, the next free thread taking the next one. */
#ifndef PARE_CORE_THREADS_H
#define PARE_CORE_THREADS_H

#include <stdint.h>

#include "pare.h" /* pare_threads_set, pare_threads */

typedef void pare_tile_function(void *context, int64_t tile);

/* Runs function(context, t) for every t in [0, n_tiles); returns when all are done. A call from
 * inside a tile runs its tiles one after the other. */
void pare_parallel(int64_t n_tiles, pare_tile_function *function, void *context);

/* The same, but on the calling thread alone where all tiles together cost less than waking a team
 * does: `work` counts elements of a pass, or multiply-adds / 16 of a product; INFINITY is always
 * worth a team. */
void pare_parallel_work(int64_t n_tiles, double work, pare_tile_function *function, void *context);

/* The same for tiles that may fail: PARE_OK, or how the first of those failed that did. A message
 * belongs to its thread, so that tile and all behind it are then run again on this one: running a
 * tile twice must do what running it once does. */
typedef pare_status pare_try_function(void *context, int64_t tile);
pare_status pare_parallel_try(int64_t n_tiles, double work, pare_try_function *function,
                              void *context);

/* The team's member that runs the calling tile, in [0, pare_threads()): for scratch memory a
 * thread, never for results. */
int pare_thread_index(void);

#endif
