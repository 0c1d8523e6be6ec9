/* utf8.h: characters of a text, whatever its bytes. */
#ifndef PARE_CORE_UTF8_H
#define PARE_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* U+FFFD stands for bytes that are no UTF-8. */
#define PARE_CHAR_INVALID 0xFFFDu
#define PARE_CHAR_INVALID_BYTES "\xEF\xBF\xBD"

/* Reads the character that begins bytes[0..n), n > 0, and returns its length in bytes. Whatever
 * UTF-8 forbids (overlong forms, surrogates, cut sequences, points beyond U+10FFFF) becomes one
 * PARE_CHAR_INVALID for each longest prefix that could have begun a character (Unicode 15, table
 * 3-7). Nothing behind a NUL is read. */
size_t pare_utf8_decode(const char *bytes, size_t n, uint32_t *point);

/* Whether `length` bytes that were read as `point` are a character: U+FFFD is one too. */
bool pare_utf8_valid(const char *bytes, size_t length, uint32_t point);
/* The length, and whether it is a character's. */
size_t pare_utf8_step(const char *bytes, size_t n, bool *valid);

/* Writes a character of at most U+10FFFF; returns its length, 1 to 4. */
size_t pare_utf8_encode(uint32_t point, char bytes[4]);

#endif
