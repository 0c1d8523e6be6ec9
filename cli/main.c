/* main.c: the program. Nothing else calls exit. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "core/library_guard.h"

/* A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and messages would
 * land in it. /dev/null, opened so that using it fails, takes its place: the lowest that is
 * free. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Sets what the user has not; false if nothing was set. */
static bool set_default(const char *name, const char *value)
{
    return !getenv(name) && setenv(name, value, 1) == 0;
}

/* GNU's OpenMP lets a thread that waits spin for milliseconds. Where other programs want the cores
 * too, the spinners take them from the threads they wait for, and training becomes ten times
 * slower. It reads its settings while it loads: so the program starts itself anew with a better
 * one, unless the user has chosen one. */
static void settle_libraries(char **argv)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (length <= 0 || getenv("OMP_WAIT_POLICY") || !set_default("GOMP_SPINCOUNT", "10000"))
        return;
    self[length] = '\0';
    execv(self, argv); /* where that fails, all goes on as it is */
}

/* What a mapped file ends in when its disk fails, or another program cuts it short. Files under way
 * have temporary names, so nothing is lost. */
static void on_bus_error(int number)
{
    static const char text[] = "error: a file could not be read: its disk failed, or it was cut "
                               "short meanwhile\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(PARE_IO);
}

int main(int argc, char **argv)
{
    signal(SIGUSR1, SIG_IGN); /* a request to save, before there is anything to */
    settle_libraries(argv);
    fill_standard_descriptors();
    pare_library_guard();
    /* A reader that goes away shows as a failed write, so that files are put in order first. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* so does a file that passes the limit (ulimit -f) */
    signal(SIGBUS, on_bus_error);
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
