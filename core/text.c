/* text.c: a byte buffer that doubles. */
#include "core/text.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"

/* Room for n more bytes and a NUL; false once memory has run out. */
static bool reserve(pare_text *text, size_t n)
{
    if (text->failed)
        return false;
    if (text->room > text->n && n < text->room - text->n)
        return true;
    if (n > SIZE_MAX / 4 || text->n > SIZE_MAX / 4) {
        text->failed = true;
        return false;
    }
    size_t room = 2 * (text->n + n) + 64;
    char *bytes = pare_realloc(text->bytes, room);
    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->room = room;
    return true;
}

void pare_text_add(pare_text *text, const char *bytes, size_t n)
{
    if (!reserve(text, n))
        return;
    memcpy(text->bytes + text->n, bytes, n);
    text->n += n;
    text->bytes[text->n] = '\0';
}

void pare_text_puts(pare_text *text, const char *string)
{
    pare_text_add(text, string, strlen(string));
}

void pare_text_int(pare_text *text, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        digits[--at] = '-';
    pare_text_add(text, digits + at, sizeof digits - at);
}

void pare_text_printf(pare_text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(text, (size_t)n))
        return;
    va_start(args, format);
    vsnprintf(text->bytes + text->n, (size_t)n + 1, format, args);
    va_end(args);
    text->n += (size_t)n;
}

pare_status pare_text_status(const pare_text *text)
{
    if (!text->failed)
        return PARE_OK;
    return pare_fail(PARE_MEMORY, "out of memory for %zu bytes of text", text->n);
}

void pare_text_clear(pare_text *text)
{
    text->n = 0;
}

void pare_text_free(pare_text *text)
{
    pare_free(text->bytes);
    *text = (pare_text){0};
}

void pare_text_wrap(pare_text *text, const char *words, const char *indent, size_t column,
                    size_t width)
{
    bool line_start = true;

    while (*words) {
        size_t n = strcspn(words, " \n");
        size_t space = line_start ? 0 : 1;
        if (n > 0 && !line_start && column + space + n > width) {
            pare_text_printf(text, "\n%s", indent);
            column = strlen(indent);
            space = 0;
        }
        if (n > 0) {
            pare_text_add(text, " ", space);
            pare_text_add(text, words, n);
            column += space + n;
            line_start = false;
        }
        words += n;
        if (*words == '\n') {
            pare_text_printf(text, "\n%s", indent);
            column = strlen(indent);
            line_start = true;
        }
        words += *words != '\0';
    }
}

bool pare_ends_with(const char *text, const char *ending)
{
    const size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}
