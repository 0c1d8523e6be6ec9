/* library_guard.h: a program that ends in order where a library, out of memory, does not.
 *
 *   int main(...) { pare_library_guard(); ... }
 *
 * libhdf5 1.10 crashes, or ends the process, where an allocation of its own fails: at one in seven
 * of them, in hundreds of places. cairo 1.16 and libpng have some such places too
 * (docs/reliability.md). No file under a final name is harmed, as pare writes to temporary ones
 * alone; but a crash tells nobody what to do. So pare says when such a library is at work, and a
 * program may ask that a crash meanwhile or later, after an allocation that failed there, becomes a
 * message and exit code 5. Any other crash stays what it is.
 */
#ifndef PARE_CORE_LIBRARY_GUARD_H
#define PARE_CORE_LIBRARY_GUARD_H

#include <stdbool.h>

/* Catches SIGSEGV, SIGABRT and exit from here on; for main, on the main thread. A host
 * program of libpare, whose signals are its own, does without. */
void pare_library_guard(void);

/* This thread begins to use a library for `what` (a file's path), and ends it; one at a time. The
 * texts must live until then. errno is cleared: ENOMEM from then on tells of an allocation that
 * failed. */
void pare_library_enter(const char *library, const char *what);
void pare_library_leave(void);
bool pare_library_inside(void);

#endif
