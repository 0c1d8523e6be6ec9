/* console.h: what goes to standard output and standard error, and how.
 *
 * Standard output is for results, standard error for messages. Each is asked by itself whether it
 * is a terminal. Failed writes of results are remembered until pare_console_finish. */
#ifndef PARE_CLI_CONSOLE_H
#define PARE_CLI_CONSOLE_H

#include "core/json.h"
#include "core/note.h" /* pare_note: a line for people on stderr, unless --quiet */
#include "core/status.h"

typedef struct pare_console {
    bool out_color, err_color; /* colours may be used */
    bool err_live;             /* a line on stderr may be drawn over: a terminal that is not dumb */
    bool quiet, verbose;
} pare_console;

/* color is "auto", "always" or "never". NO_COLOR (not empty) and TERM=dumb turn "auto" off. */
void pare_console_init(const char *color, bool quiet, bool verbose);
const pare_console *pare_console_get(void);

/* Columns of the terminal on stderr; 80 where that is not known. */
int pare_console_width(void);

/* "error: ..." and "help: ..." of the last failure. A stop with a checkpoint is no error and says
 * "note: ...". */
void pare_console_error(pare_status status);

/* Results. pare_out_bytes fails at once when nobody reads them any more or the disk is full. */
void pare_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
pare_status pare_out_bytes(const char *bytes, size_t n);
pare_status pare_out_flush(void);
/* One line of JSON; frees it. */
pare_status pare_out_json(pare_json *object);
/* A command's result, as that line with `json`, else for people: a line a member, those of objects
 * inside with the object's name before; lists of objects or lists are left out. Frees it. */
pare_status pare_out_result(pare_json *object, bool json);
/* Whether a result could be written there, before there is one; NULL can. */
pare_status pare_result_writable(const char *path);
/* The object that --json prints, as a file: replaced whole. */
pare_status pare_result_file(const char *path, const pare_json *result);
/* Both; path NULL: no file. */
pare_status pare_out_result_and_file(pare_json *object, bool json, const char *path);

/* What is left to be written is written. PARE_IO if any write to standard output failed. */
pare_status pare_console_finish(void);
/* Whether it failed because its reader has gone: no reason to complain. */
bool pare_console_reader_gone(void);

#endif
