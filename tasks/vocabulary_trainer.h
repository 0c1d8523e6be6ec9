/* vocabulary_trainer.h: learns a WordPiece vocabulary from texts. */
#ifndef PARE_TASKS_VOCABULARY_TRAINER_H
#define PARE_TASKS_VOCABULARY_TRAINER_H

#include "models/model.h" /* pare_vocabulary_spec */

/* Learns a vocabulary of at most `size` tokens from texts[n_texts] and gives it as the text of a
 * vocab.txt, to be given to pare_free: [PAD] [UNK] [CLS] [SEP] [MASK], every character of the
 * normalized texts, every character that can continue a word once more with ##, then what merging
 * neighbours gave, in the order it was learned: the pair that stands next to each other most often,
 * on a tie the first by its texts' bytes, as long as it does so twice or more (byte-pair encoding,
 * Sennrich et al. 2016). The same texts give the same bytes.
 *
 * Words are made by the rules of `spec`; its text is ignored. A size that cannot hold the
 * characters is PARE_USAGE, naming the smallest that can. */
pare_status pare_vocabulary_train(const pare_vocabulary_spec *spec, const char *const *texts,
                                  int64_t n_texts, int64_t size, char **out);

#endif
