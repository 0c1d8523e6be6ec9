/* tokenizer.h: BERT's WordPiece tokenizer, equal to Hugging Face's BertTokenizerFast.
 *
 * Equal means the same ids and types for every Unicode string, with or without lower case, accents
 * and split ideographs, at every length. */
#ifndef PARE_TASKS_TOKENIZER_H
#define PARE_TASKS_TOKENIZER_H

#include "models/model.h" /* pare_vocabulary_spec */

typedef struct pare_tokenizer pare_tokenizer;

/* Builds the lookup tables of a vocabulary. Special tokens that are missing from it are PARE_INPUT,
 * by name ([PAD] and [MASK] may be). The text is copied. */
pare_status pare_tokenizer_new(const pare_vocabulary_spec *spec, pare_tokenizer **out);
void pare_tokenizer_free(pare_tokenizer *tokenizer); /* NULL is allowed */
int32_t pare_tokenizer_vocabulary_size(const pare_tokenizer *tokenizer);

/* ids and types of one sentence with [CLS] and [SEP], to be given to pare_free. */
typedef struct pare_encoding {
    int32_t *ids;
    uint8_t *types;
    int64_t n;
} pare_encoding;

/* Encodes text, or text and pair, of the given bytes (any bytes: invalid UTF-8 becomes U+FFFD).
 * max_length 0 = no truncation; else longest_first as the Fast tokenizer computes it. Thread-safe:
 * one tokenizer may serve many threads. */
pare_status pare_tokenizer_encode(const pare_tokenizer *tokenizer, const char *text, size_t length,
                                  const char *pair, size_t pair_length, int64_t max_length,
                                  pare_encoding *out);
void pare_encoding_free(pare_encoding *encoding);

#endif
