/* demo_corpus.h: a small labelled corpus of opinions, made by a grammar, for `pare demo` and tests.
 *
 *   the new script is anything but dull , and we admired the music .   1
 *   for all its charm , the ending loses its way .                     0
 *
 * Counting kind and unkind words is not enough: about every second sentence denies one ("never
 * dull", "nobody enjoyed"), or grants the other side its point before it judges. */
#ifndef PARE_TASKS_DEMO_CORPUS_H
#define PARE_TASKS_DEMO_CORPUS_H

#include <stdint.h>

#include "core/status.h"

/* Writes DIRECTORY/train.tsv and dev.tsv in the columns of GLUE's SST-2 (sentence, label: 1 for
 * praise, 0 for blame); the folder is made if it is missing. No sentence occurs twice, in one file
 * or in both. The same numbers and seed give the same bytes. */
pare_status pare_demo_corpus_write(const char *directory, int64_t n_train, int64_t n_dev,
                                   uint64_t seed);

#endif
