/* tests/act_as_pare.h: a test program that starts itself as pare, to have processes to end early.
 *
 *   int main(int argc, char **argv)
 *   {
 *       if (argc > 1)
 *           return act_as_pare(argc, argv); */
#ifndef PARE_TESTS_ACT_AS_PARE_H
#define PARE_TESTS_ACT_AS_PARE_H

#include <signal.h>

#include "cli/commands.h"
#include "cli/console.h"

/* What cli/main.c does, but for pipes. */
static int act_as_pare(int argc, char **argv)
{
    signal(SIGUSR1, SIG_IGN);
    const pare_status status = pare_program(argc, argv), finished = pare_console_finish();
    if (status != PARE_OK)
        pare_console_error(status);
    return status == PARE_OK ? (int)finished : (int)status;
}

#endif
