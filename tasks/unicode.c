/* unicode.c: UTF-8, searches in the frozen tables, and what utf8proc knows of decompositions. */
#include "tasks/unicode.h"

#include <utf8proc.h>

#include "tasks/unicode_tables.h"

/* What may follow a lead byte: how many bytes, and the bounds of the first of them. The bounds keep
 * out overlong forms, surrogates and points beyond U+10FFFF (Unicode 15, table 3-7). */
static size_t lead_byte(unsigned lead, unsigned *low, unsigned *high)
{
    *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 1;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 2;
    return lead >= 0xF0 && lead <= 0xF4 ? 3 : 0;
}

size_t pare_utf8_decode(const char *bytes, size_t n, uint32_t *point)
{
    const unsigned char *in = (const unsigned char *)bytes;
    *point = in[0];
    if (in[0] < 0x80)
        return 1;
    unsigned low, high;
    size_t follow = lead_byte(in[0], &low, &high);
    uint32_t value = follow == 0 ? 0 : in[0] & (0x3Fu >> follow);
    for (size_t i = 1; i <= follow; i++) {
        if (i == n || in[i] < low || in[i] > high) {
            *point = PARE_CHAR_INVALID;
            return i;
        }
        value = value << 6 | (in[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *point = follow == 0 ? PARE_CHAR_INVALID : value;
    return follow + 1;
}

size_t pare_utf8_encode(uint32_t point, char bytes[4])
{
    if (point < 0x80) {
        bytes[0] = (char)point;
        return 1;
    }
    size_t follow = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    for (size_t i = follow; i > 0; i--, point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3F));
    bytes[0] = (char)(0xF00u >> (follow + 1) | point); /* 110xxxxx, 1110xxxx, 11110xxx */
    return follow + 1;
}

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
