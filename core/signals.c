/* signals.c: two handlers, for three signals, that set flags. */
#include "core/signals.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pare.h" /* PARE_FORCED */

static volatile sig_atomic_t stop_requests;
static volatile sig_atomic_t stop_time; /* of the first request */
static volatile sig_atomic_t save_request;

enum { SAME_REQUEST = 100 /* ms */ };

/* Milliseconds of a clock that goes forward, modulo 2^31; safe in a handler. */
static sig_atomic_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (sig_atomic_t)(((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) &
                          INT32_MAX);
}

/* A second request leaves at once: nothing half-written has its final name. One that comes together
 * with the first is the same request: timeout(1) sends its signal to the program and its group. */
static void on_stop(int number)
{
    (void)number;
    const sig_atomic_t now = milliseconds();
    if (stop_requests > 0 && ((now - stop_time) & INT32_MAX) >= SAME_REQUEST)
        _exit(PARE_FORCED);
    if (stop_requests == 0)
        stop_time = now;
    stop_requests = 1;
}

static void on_save(int number)
{
    (void)number;
    save_request = 1;
}

/* SA_RESTART: reads and writes that a signal interrupts go on by themselves. The other signals
 * wait while a handler runs. */
static void handle(int number, void (*handler)(int))
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(number, &action, NULL);
}

void pare_signals_install(void)
{
    handle(SIGINT, on_stop);
    handle(SIGTERM, on_stop);
    handle(SIGUSR1, on_save);
}

bool pare_signal_stop_requested(void)
{
    return stop_requests > 0;
}

bool pare_signal_save_requested(void)
{
    if (!save_request)
        return false;
    save_request = 0;
    return true;
}
