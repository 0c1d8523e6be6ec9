/* utf8.c: lead bytes, and what may follow them. */
#include "core/utf8.h"

#include <string.h>

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

bool pare_utf8_valid(const char *bytes, size_t length, uint32_t point)
{
    return point != PARE_CHAR_INVALID ||
           (length == 3 && memcmp(bytes, PARE_CHAR_INVALID_BYTES, 3) == 0);
}

size_t pare_utf8_step(const char *bytes, size_t n, bool *valid)
{
    uint32_t point;
    const size_t length = pare_utf8_decode(bytes, n, &point);
    *valid = pare_utf8_valid(bytes, length, point);
    return length;
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
