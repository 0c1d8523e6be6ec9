/* wordpiece.h: a vocabulary as a lookup table, and words cut into its tokens.
 *
 * A word becomes the longest token that begins it, then the longest "##" token that begins the
 * rest, and so on (Wu et al. 2016, greedy from the left); if that gets stuck, it is [UNK]. */
#ifndef PARE_TASKS_WORDPIECE_H
#define PARE_TASKS_WORDPIECE_H

#include "core/status.h"
#include "tasks/words.h"

typedef struct pare_wordpiece pare_wordpiece;

/* The ceiling on lines keeps the tables of a hostile file small. */
enum { PARE_VOCABULARY_LIMIT = 1 << 21 };

/* Reads a vocab.txt: the k-th line, counted from 0, is the token of id k. White space at a line's
 * end is no part of it; of equal lines the last one counts. Invalid UTF-8 is PARE_INPUT with the
 * line's number. The text is copied. */
pare_status pare_wordpiece_new(const char *text, pare_wordpiece **out);
void pare_wordpiece_free(pare_wordpiece *pieces); /* NULL is allowed */

int32_t pare_wordpiece_size(const pare_wordpiece *pieces); /* lines */

/* The token's id, or -1. */
int32_t pare_wordpiece_find(const pare_wordpiece *pieces, const char *token);

/* Writes the ids of a word of at most PARE_WORD_LIMIT characters; returns how many, at most one a
 * character, or 0 if the vocabulary cannot spell it. */
size_t pare_wordpiece_split(const pare_wordpiece *pieces, const char *word, size_t length,
                            int32_t *ids);

#endif
