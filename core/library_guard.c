/* library_guard.c: what only writes a message and leaves. */
#include "core/library_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pare.h" /* PARE_MEMORY */

enum { STACK = 1 << 16 };

static _Thread_local const char *volatile inside; /* the library at work; or NULL */
static _Thread_local const char *volatile task;
static const char *volatile suspect; /* a library that ran out of memory: the heap may be hurt */

void pare_library_enter(const char *library, const char *what)
{
    task = what;
    inside = library;
    errno = 0;
}

void pare_library_leave(void)
{
    if (errno == ENOMEM)
        suspect = inside;
    inside = NULL;
}

bool pare_library_inside(void)
{
    return inside != NULL;
}

/* By system calls alone: neither memory nor locks can be relied on any more. */
static void say(const char *text)
{
    for (size_t n = strlen(text); n > 0;) {
        const ssize_t written = write(STDERR_FILENO, text, n);
        if (written <= 0)
            return;
        text += written;
        n -= (size_t)written;
    }
}

static void leave_for(const char *library)
{
    say("\nerror: "); /* the library may have been in the middle of a line */
    if (inside) {
        say(task);
        say(": ");
    }
    say("out of memory inside ");
    say(library);
    say(", which cannot go on after that\n"
        "help: free some memory and try again; files under their final names are whole\n");
    _exit(PARE_MEMORY);
}

static void on_exit_inside(void)
{
    if (inside && errno == ENOMEM)
        leave_for(inside);
}

/* A heap that was damaged shows later, to whoever uses it next. Any other crash is that of the
 * default handler, which is back in its place. */
static void on_crash(int number)
{
    on_exit_inside();
    if (suspect)
        leave_for(suspect);
    raise(number); /* when this handler is done, at the place of the fault */
}

void pare_library_guard(void)
{
    /* HDF5's handling of errors may fill the stack, calling itself: the handler has its own. */
    static char memory[STACK];
    const stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    struct sigaction action = {.sa_handler = on_crash};
    sigemptyset(&action.sa_mask);
    action.sa_flags = sigaltstack(&stack, NULL) == 0 ? (int)(SA_RESETHAND | SA_ONSTACK)
                                                     : (int)SA_RESETHAND;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    atexit(on_exit_inside);
}
