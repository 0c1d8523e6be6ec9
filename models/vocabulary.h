/* vocabulary.h: the vocabulary and its switches, out of a Hugging Face directory.
 *
 * Tokens: vocab.txt; without one, tokenizer.json's model.vocab in the order of its ids, where an id
 * that no text can give (a gap, a token with a line break) becomes a placeholder line.
 * What is no tokenizer of BERT's is refused (models/tokenizer_check.h).
 * Switches (lower case, accents, Chinese characters), each from the first that has it, which is
 * what transformers does with files that agree:
 *   1. tokenizer.json's BertNormalizer, if the tokenizer_class is a generic one
 *      (PreTrainedTokenizerFast, TokenizersBackend)
 *   2. tokenizer_config.json: do_lower_case, strip_accents, tokenize_chinese_chars
 *   3. tokenizer.json's BertNormalizer: lowercase, strip_accents, handle_chinese_chars
 *   4. BertTokenizer's defaults: lower case, accents as that, Chinese characters apart */
#ifndef PARE_MODELS_VOCABULARY_H
#define PARE_MODELS_VOCABULARY_H

#include "core/json.h"
#include "models/model.h"

/* BERT's special tokens, the only ones that are found in a text; by exact case. */
typedef enum pare_special_token {
    PARE_TOKEN_PAD,
    PARE_TOKEN_UNK,
    PARE_TOKEN_CLS,
    PARE_TOKEN_SEP,
    PARE_TOKEN_MASK,
    PARE_SPECIAL_TOKENS
} pare_special_token;
extern const char *const pare_special_tokens[PARE_SPECIAL_TOKENS];

/* The text is in the arena. More tokens than vocab_size, bytes that are no UTF-8, and a tokenizer
 * that is not BERT's are PARE_INPUT; fewer tokens and added ones are noted on stderr. model_config
 * is config.json, which may name the tokenizer's class; or NULL. */
pare_status pare_vocabulary_read(const char *directory, const pare_json *model_config,
                                 int64_t vocab_size, pare_arena *arena, pare_vocabulary_spec *out);

#endif
