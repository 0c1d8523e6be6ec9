/* status.c: the last failure of each thread, in fixed storage. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 2048 };

static _Thread_local char message[MESSAGE_SIZE];
static _Thread_local char hint[MESSAGE_SIZE];

const char *pare_error_message(void)
{
    return message;
}

const char *pare_error_hint(void)
{
    return hint;
}

pare_status pare_fail(pare_status code, const char *format, ...)
{
    /* Formatted beside the old text: the arguments may point into it. */
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
    hint[0] = '\0';
    return code;
}

pare_status pare_hint(pare_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(hint, sizeof hint, format, args);
    va_end(args);
    return code;
}

pare_status pare_context(pare_status code, const char *format, ...)
{
    if (code == PARE_OK)
        return code;
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (used < 0 || used >= MESSAGE_SIZE)
        return code;
    snprintf(text + used, sizeof text - (size_t)used, ": %.*s", MESSAGE_SIZE - used - 3, message);
    memcpy(message, text, sizeof message);
    return code;
}
