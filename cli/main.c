/* main.c: the program. Nothing else calls exit. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/console.h"

/* A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and messages would
 * land in it. /dev/null, opened so that using it fails, takes its place. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    /* A reader that goes away shows as a failed write, so that files are put in order first. */
    signal(SIGPIPE, SIG_IGN);
    pare_status status = pare_program(argc, argv);
    pare_status finished = pare_console_finish();
    if (status == PARE_OK)
        status = finished;
    if (pare_console_reader_gone()) {
        signal(SIGPIPE, SIG_DFL); /* now end as any filter does: quietly, by that signal */
        raise(SIGPIPE);
    }
    if (status != PARE_OK)
        pare_console_error(status);
    return status;
}
