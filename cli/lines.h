/* lines.h: standard input line by line, for lines of any length holding any bytes.
 *
 *   pare_lines lines = {.name = "standard input", .fd = 0};
 *   do {
 *       PARE_TRY(pare_lines_next(&lines, 8192, &line, &n));     // line[n]
 *       ...
 *   } while (n > 0);
 *   pare_lines_free(&lines);
 *
 * A batch holds what has arrived: a program that waits for each answer gets it, and a file comes in
 * large pieces. The newline is not part of a line; the last line may lack it. */
#ifndef PARE_CLI_LINES_H
#define PARE_CLI_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef struct pare_line {
    const char *text; /* valid until the next call */
    size_t n;
} pare_line;

typedef struct pare_lines {
    const char *name; /* for messages */
    int fd;
    /* private: bytes[start, end) is unread, of which [start, scanned) holds no newline */
    char *bytes;
    size_t start, scanned, end, room;
    bool at_end;
    pare_line *batch;
    int64_t batch_room;
} pare_lines;

/* The next lines, at least one and at most `most`; *n = 0 at the end of the input. */
pare_status pare_lines_next(pare_lines *lines, int64_t most, const pare_line **batch, int64_t *n);
void pare_lines_free(pare_lines *lines);

/* Cuts a line at its first TAB. Without one the second text is empty. */
void pare_line_split(const pare_line *line, pare_line *text, pare_line *pair);

#endif
