/* tokenizer_check.h: whether a Hugging Face directory's tokenizer gives the ids that BERT's gives.
 *
 * transformers goes by the class. BERT's own builds everything from the vocabulary and three
 * switches, as pare does (version 4 took the rest from tokenizer.json); a generic one does what
 * tokenizer.json says. So what differs there is refused with a generic class and noted with
 * another, and so is what makes no difference to most texts. */
#ifndef PARE_MODELS_TOKENIZER_CHECK_H
#define PARE_MODELS_TOKENIZER_CHECK_H

#include "core/json.h"

/* Whether the class takes tokenizer.json as it is (PreTrainedTokenizerFast, TokenizersBackend). */
bool pare_tokenizer_is_generic(const char *class_name);

/* A class that is neither generic nor BERT's under another name is PARE_INPUT; "" (not stated) is
 * BERT's. `path` is the file that names it. */
pare_status pare_tokenizer_check_class(const char *path, const char *class_name);

/* Of tokenizer.json; members that are missing are as BERT's. */
pare_status pare_tokenizer_check_json(const char *path, const pare_json *json, bool generic);

#endif
