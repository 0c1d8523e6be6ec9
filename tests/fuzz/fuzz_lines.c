/* tests/fuzz/fuzz_lines.c: standard input by lines. The first byte is the most lines of a batch;
 * lines and the newlines between them are the input again, and each is cut at its first TAB. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>

#include "cli/lines.h"

/* Compares a line with the input at *at, and goes behind it. */
static void check_line(const pare_line *line, const unsigned char *bytes, size_t size, size_t *at)
{
    pare_line text, pair;
    fuzz_check(line->n <= size - *at && memcmp(line->text, bytes + *at, line->n) == 0);
    *at += line->n;
    fuzz_check(*at == size || bytes[*at] == '\n');
    *at += *at < size;
    pare_line_split(line, &text, &pair);
    fuzz_check(text.n + pair.n + 1 == line->n || (text.n == line->n && pair.n == 0));
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size < 1)
        return;
    const pare_line *batch;
    int64_t n, most = bytes[0] + 1;
    size_t at = 1;
    pare_lines lines = {.name = "input", .fd = open(fuzz_file("lines", bytes, size), O_RDONLY)};
    fuzz_check(lines.fd >= 0 && lseek(lines.fd, 1, SEEK_SET) == 1);
    do {
        fuzz_check(pare_lines_next(&lines, most, &batch, &n) == PARE_OK && n <= most);
        for (int64_t i = 0; i < n; i++)
            check_line(&batch[i], bytes, size, &at);
    } while (n > 0);
    fuzz_check(at == size);
    pare_lines_free(&lines);
    close(lines.fd);
}
