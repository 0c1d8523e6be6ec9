/* unicode.h: the properties of characters, as BERT's reference tokenizer knows them.
 *
 * The properties come from frozen tables (unicode_tables.h), never from the system's libraries:
 * a character that a later Unicode has added keeps meaning to pare what it means to the reference.
 * The canonical decompositions come from utf8proc (the only user of its header), for those
 * characters alone that the reference decomposes; Unicode never changes one that exists. */
#ifndef PARE_TASKS_UNICODE_H
#define PARE_TASKS_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum {
    PARE_CHAR_DROPPED = 1,      /* control, format, private use, U+0000 and U+FFFD */
    PARE_CHAR_SPACE = 2,        /* White_Space; what is also dropped is dropped first */
    PARE_CHAR_CHINESE = 4,      /* an ideograph that stands as a word of its own */
    PARE_CHAR_ACCENT = 8,       /* a mark without width (Mn) */
    PARE_CHAR_PUNCTUATION = 16, /* all of ASCII's, and the categories P* */
    PARE_CHAR_COMPOSED = 32     /* has a decomposition or a combining class */
};


/* Flags of PARE_CHAR_*. */
unsigned pare_char_flags(uint32_t point);

/* The lower case of one character, alone (no rule of final sigma). Returns how many code points
 * that is: 1, but for U+0130, which becomes i and U+0307. */
size_t pare_char_lower(uint32_t point, uint32_t lower[2]);

/* The full canonical decomposition of one character (up to 4 code points), and the combining
 * class of one: 0 for what stands on its own. */
size_t pare_char_decompose(uint32_t point, uint32_t parts[4]);
unsigned pare_char_class(uint32_t point);

#endif
