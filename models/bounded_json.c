/* bounded_json.c: counts before it parses. */
#include "models/bounded_json.h"

#include "core/file.h"
#include "core/memory.h"

enum { MAX_FILE = 32 << 20, MAX_MARKS = 480000 };

/* Every value but the first follows one of these marks. Those inside strings count as well: a
 * multilingual vocabulary still stays below half of the limit. */
static size_t count_marks(const char *text, size_t length)
{
    size_t marks = 0;
    for (size_t i = 0; i < length; i++)
        marks += text[i] == ',' || text[i] == ':' || text[i] == '[' || text[i] == '{';
    return marks;
}

pare_status pare_bounded_json_parse(const char *text, size_t length, const char *where,
                                    pare_json **out)
{
    *out = NULL;
    size_t marks = count_marks(text, length);
    if (marks > MAX_MARKS)
        return pare_fail(PARE_INPUT, "%s: its JSON has %zu commas, colons and brackets; at most "
                         "%d are read", where, marks, MAX_MARKS);
    return pare_json_parse(text, length, where, out);
}

pare_status pare_bounded_json_read(const char *path, pare_json **out)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    PARE_TRY(pare_file_read(path, MAX_FILE, &text, &size));
    pare_status status = pare_bounded_json_parse(text, size, path, out);
    pare_free(text);
    return status;
}
