/* threads.c: the team, on OpenMP (the only user of its header). */
#define _GNU_SOURCE
#include "core/threads.h"

#include <omp.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "core/status.h"

/* Elements of a pass that one thread does in some 50 us. Less is not worth a team: where other
 * programs want the cores too, waiting for all its members can take a hundred times as long. */
#define TEAM_WORK 200000.0

static atomic_int team_size; /* 0: not chosen yet */

/* Of our own teams: a program that links libpare may call it from inside one of its own. */
static _Thread_local int member;

/* A container's share of the processors, by its control group (v2), rounded up. */
static long long shared_cores(void)
{
    long long quota, period;
    char text[64];
    const int file = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);
    const ssize_t n = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[n < 0 ? 0 : n] = '\0';
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0)
        return INT_MAX; /* "max 100000", or there is no such file: no limit */
    return (quota - 1) / period + 1;
}

/* The cores this process may run on: taskset and containers count. */
static int available_cores(void)
{
    cpu_set_t set; /* of 1,024 */
    const long long ours = sched_getaffinity(0, sizeof set, &set) == 0
                               ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    const long long shared = shared_cores(), n = ours < shared ? ours : shared;
    return n > 0 ? (int)n : 1;
}

void pare_threads_set(int count)
{
    team_size = count > 0 ? count : available_cores();
}

int pare_threads(void)
{
    if (team_size == 0)
        pare_threads_set(0);
    return team_size;
}

void pare_parallel(int64_t n_tiles, pare_tile_function *function, void *context)
{
    int n = pare_threads();
    if (n > n_tiles)
        n = (int)n_tiles;
    if (n <= 1 || omp_in_parallel()) {
        for (int64_t t = 0; t < n_tiles; t++)
            function(context, t);
        return;
    }
#pragma omp parallel num_threads(n)
    {
        member = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1) nowait /* the team's end is barrier enough */
        for (int64_t t = 0; t < n_tiles; t++)
            function(context, t);
        member = 0;
    }
}

void pare_parallel_work(int64_t n_tiles, double work, pare_tile_function *function, void *context)
{
    if (work >= TEAM_WORK) {
        pare_parallel(n_tiles, function, context);
        return;
    }
    for (int64_t t = 0; t < n_tiles; t++)
        function(context, t);
}

typedef struct trial {
    pare_try_function *function;
    void *context;
    _Atomic int64_t failed; /* the first tile that did, as far as is known; or their number */
} trial;

static void try_tile(void *context, int64_t tile)
{
    trial *t = context;
    int64_t failed = atomic_load(&t->failed);
    if (tile > failed || t->function(t->context, tile) == PARE_OK)
        return;
    while (tile < failed && !atomic_compare_exchange_weak(&t->failed, &failed, tile))
        ;
}

pare_status pare_parallel_try(int64_t n_tiles, double work, pare_try_function *function,
                              void *context)
{
    trial t = {.function = function, .context = context, .failed = n_tiles};
    pare_parallel_work(n_tiles, work, try_tile, &t);
    for (int64_t i = atomic_load(&t.failed); i < n_tiles; i++)
        PARE_TRY(function(context, i));
    return PARE_OK;
}

int pare_thread_index(void)
{
    return member;
}
