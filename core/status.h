/* status.h: one error type for the whole program.
 *
 *   pare_status save(const char *path)
 *   {
 *       FILE *f = fopen(path, "wb");
 *       if (!f)
 *           return pare_fail(PARE_IO, "%s: %s", path, strerror(errno));
 *       PARE_TRY(write_header(f));         // hands an error on to the caller
 *       ...
 *       return PARE_OK;
 *   }
 *
 * A function that can fail returns a pare_status; its values are the program's exit codes.
 * The message and its hint belong to the thread that failed and stay until the next failure,
 * in fixed storage: reporting that memory ran out needs no memory. */
#ifndef PARE_CORE_STATUS_H
#define PARE_CORE_STATUS_H

#include "pare.h" /* pare_status, pare_error_message, pare_error_hint */

/* Returns the status of `expression` to the caller unless it is PARE_OK. */
#define PARE_TRY(expression)                                                                       \
    do {                                                                                           \
        pare_status try_status_ = (expression);                                                    \
        if (try_status_ != PARE_OK)                                                                \
            return try_status_;                                                                    \
    } while (0)

/* Sets the message (what went wrong, naming the thing, the place and the values; no newline, no
 * "error:"), forgets the hint, and returns `code`. */
pare_status pare_fail(pare_status code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds what to do next to the failure just reported; returns `code`, so that it chains:
 *   return pare_hint(pare_fail(PARE_USAGE, "no --task"), "name one of CoLA, SST-2, ..."); */
pare_status pare_hint(pare_status code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "<context>: " before the message of a failure that passes through; returns `code`.
 * With PARE_OK it does nothing. */
pare_status pare_context(pare_status code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
