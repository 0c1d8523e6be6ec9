/* words.h: a text taken apart into normalized words, as BERT's reference tokenizer does it.
 *
 * Steps: drop control characters, space around ideographs, decompose and drop accents, lower case,
 * then cut at white space and around every punctuation mark. One pass, in linear time. */
#ifndef PARE_TASKS_WORDS_H
#define PARE_TASKS_WORDS_H

#include "models/model.h" /* pare_vocabulary_spec */

/* Longer words are not looked up: they become [UNK] as a whole. */
enum { PARE_WORD_LIMIT = 100, PARE_WORD_BYTES = 4 * PARE_WORD_LIMIT };

typedef struct pare_word_rules {
    bool lower_case;
    bool strip_accents;
    bool split_chinese;
} pare_word_rules;

/* The rules of a vocabulary: strip_accents -1 is as do_lower_case. */
pare_word_rules pare_word_rules_of(const pare_vocabulary_spec *spec);

/* One word: UTF-8 without a closing NUL, valid during the call. bytes is NULL for a word of more
 * than PARE_WORD_LIMIT characters. A status other than PARE_OK ends the walk and is handed on. */
typedef pare_status pare_word_function(void *context, const char *bytes, size_t length);

/* Calls function for every word of text[0..length), in order. The number of characters in all words
 * is never more than length. */
pare_status pare_words_each(const pare_word_rules *rules, const char *text, size_t length,
                            pare_word_function *function, void *context);

#endif
