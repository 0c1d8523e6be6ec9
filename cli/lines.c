/* lines.c: one buffer that holds at least a whole line. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"

enum { PIECE = 1 << 20 };

/* Moves what is unread to the front, and makes room for one more piece. */
static pare_status make_room(pare_lines *l)
{
    if (l->bytes && l->start > 0) {
        memmove(l->bytes, l->bytes + l->start, l->end - l->start);
        l->end -= l->start;
        l->scanned -= l->start;
        l->start = 0;
    }
    if (l->room - l->end >= PIECE)
        return PARE_OK;
    if (l->room > SIZE_MAX / 4)
        return pare_fail(PARE_INPUT, "%s: a line of %zu bytes", l->name, l->end);
    size_t room = 2 * l->room + PIECE;
    char *bytes = pare_realloc(l->bytes, room);
    if (!bytes)
        return pare_context(PARE_MEMORY, "%s: a line of more than %zu bytes", l->name, l->end);
    l->bytes = bytes;
    l->room = room;
    return PARE_OK;
}

static pare_status read_more(pare_lines *l)
{
#ifdef F_SETPIPE_SZ
    if (!l->bytes) /* a pipe that holds more makes larger batches; where it cannot, no harm */
        (void)fcntl(l->fd, F_SETPIPE_SZ, PIECE);
#endif
    PARE_TRY(make_room(l));
    ssize_t n;
    do
        n = read(l->fd, l->bytes + l->end, PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return pare_fail(PARE_IO, "%s: %s", l->name, strerror(errno));
    l->end += (size_t)n;
    l->at_end = n == 0;
    return PARE_OK;
}

/* The end of the line at l->start, or NULL if it has not arrived. */
static const char *line_end(pare_lines *l)
{
    size_t left = l->end - l->scanned;
    const char *newline = left > 0 ? memchr(l->bytes + l->scanned, '\n', left) : NULL;

    l->scanned = newline ? l->scanned : l->end;
    if (!newline && l->at_end && l->start < l->end)
        return l->bytes + l->end;
    return newline;
}

static pare_status batch_room(pare_lines *l, int64_t n)
{
    if (n <= l->batch_room)
        return PARE_OK;
    int64_t room = 2 * l->batch_room + 64;
    pare_line *batch = pare_realloc(l->batch, (size_t)room * sizeof *batch);
    if (!batch)
        return PARE_MEMORY;
    l->batch = batch;
    l->batch_room = room;
    return PARE_OK;
}

pare_status pare_lines_next(pare_lines *l, int64_t most, const pare_line **batch, int64_t *n)
{
    const char *end = line_end(l);

    *n = 0;
    while (!end && !l->at_end) {
        PARE_TRY(read_more(l));
        end = line_end(l);
    }
    while (end && *n < most) {
        PARE_TRY(batch_room(l, *n + 1));
        const char *text = l->bytes + l->start;
        l->batch[(*n)++] = (pare_line){text, (size_t)(end - text)};
        l->start = (size_t)(end - l->bytes) + (end < l->bytes + l->end);
        l->scanned = l->start;
        end = line_end(l);
    }
    *batch = l->batch;
    return PARE_OK;
}

void pare_lines_free(pare_lines *l)
{
    pare_free(l->bytes);
    pare_free(l->batch);
    l->bytes = NULL;
    l->batch = NULL;
}

void pare_line_split(const pare_line *line, pare_line *text, pare_line *pair)
{
    const char *tab = line->n > 0 ? memchr(line->text, '\t', line->n) : NULL;
    size_t before = tab ? (size_t)(tab - line->text) : line->n;

    *text = (pare_line){line->text, before};
    *pair = (pare_line){tab ? tab + 1 : "", tab ? line->n - before - 1 : 0};
}
