/* signals.c: three handlers that set flags. */
#include "core/signals.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "pare.h" /* PARE_FORCED */

static volatile sig_atomic_t stop_requests;
static volatile sig_atomic_t save_request;

static void on_stop(int number)
{
    (void)number;
    if (stop_requests > 0)
        _exit(PARE_FORCED); /* the second one: nothing half-written has its final name */
    stop_requests = 1;
}

static void on_save(int number)
{
    (void)number;
    save_request = 1;
}

/* SA_RESTART: reads and writes that a signal interrupts go on by themselves. The other signals
 * wait while a handler runs, so that two at once are counted as two. */
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
