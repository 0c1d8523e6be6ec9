/* note.c: whether anybody wants them, and the line. */
#include "core/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool silenced;

void pare_notes_silence(bool silent)
{
    silenced = silent;
}

void pare_note(const char *format, ...)
{
    char line[4096];
    va_list args;

    if (silenced)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    strcat(line, "\n");
    fputs(line, stderr); /* in one piece: threads and other programs write there too */
}
