/* text.h: text that grows: a config, a page of help, a picture, thousands of lines of output.
 *
 *   pare_text text = {0};
 *   pare_text_printf(&text, "%s = %d\n", key, value);   // errors are remembered
 *   PARE_TRY(pare_text_status(&text));
 *   fwrite(text.bytes, 1, text.n, stdout);
 *   pare_text_free(&text); */
#ifndef PARE_CORE_TEXT_H
#define PARE_CORE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

/* bytes[n], followed by a NUL after each addition; all zeros is an empty text. */
typedef struct pare_text {
    char *bytes;
    size_t n, room;
    bool failed; /* memory ran out: nothing is added any more */
} pare_text;

void pare_text_add(pare_text *text, const char *bytes, size_t n);
void pare_text_puts(pare_text *text, const char *string);
void pare_text_int(pare_text *text, int64_t value); /* the decimal digits, quickly */
void pare_text_printf(pare_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
pare_status pare_text_status(const pare_text *text); /* PARE_MEMORY if it failed */
void pare_text_clear(pare_text *text);               /* empties it and keeps the room */
void pare_text_free(pare_text *text);

/* By its bytes. */
bool pare_ends_with(const char *text, const char *ending);

/* Adds words, broken at spaces into lines of at most `width` columns. Each line but the first
 * begins with `indent`; `column` is where the first one stands already. "\n" in words breaks too.
 * Ends without a newline. */
void pare_text_wrap(pare_text *text, const char *words, const char *indent, size_t column,
                    size_t width);

#endif
