/* unicode.c: searches in the frozen tables, and what utf8proc knows of decompositions. */
#include "tasks/unicode.h"

#include <utf8proc.h>

#include "tasks/unicode_tables.h"

unsigned pare_char_flags(uint32_t point)
{
    if (point < 128)
        return ascii_flags[point];
    size_t low = 0, high = sizeof flag_ranges / sizeof *flag_ranges;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (point > flag_ranges[middle].last)
            low = middle + 1;
        else if (point < flag_ranges[middle].first)
            high = middle;
        else
            return flag_ranges[middle].flags;
    }
    return 0;
}

/* What must be added to a character beyond ASCII to get its lower case. */
static int32_t lower_delta(uint32_t point)
{
    size_t low = 0, high = sizeof lower_ranges / sizeof *lower_ranges;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct lower_range *range = &lower_ranges[middle];
        if (point > range->last)
            low = middle + 1;
        else if (point < range->first)
            high = middle;
        else
            return (point - range->first) % range->step == 0 ? range->delta : 0;
    }
    return 0;
}

size_t pare_char_lower(uint32_t point, uint32_t lower[2])
{
    if (point < 128) {
        lower[0] = point >= 'A' && point <= 'Z' ? point + ('a' - 'A') : point;
        return 1;
    }
    lower[0] = (uint32_t)((int32_t)point + lower_delta(point));
    lower[1] = 0x307;
    return point == 0x130 ? 2 : 1;
}

size_t pare_char_decompose(uint32_t point, uint32_t parts[4])
{
    utf8proc_int32_t out[4];
    parts[0] = point;
    if (!(pare_char_flags(point) & PARE_CHAR_COMPOSED))
        return 1;
    int boundary = 0; /* of grapheme clusters: not asked for */
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)point, out, 4, UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > 4)
        return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++)
        parts[i] = (uint32_t)out[i];
    return (size_t)n;
}

unsigned pare_char_class(uint32_t point)
{
    if (!(pare_char_flags(point) & PARE_CHAR_COMPOSED))
        return 0;
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)point)->combining_class;
}
