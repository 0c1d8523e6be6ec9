/* msr.h: which pairs of Microsoft's original MRPC training file are GLUE's dev set.
 *
 * GLUE's train.tsv and dev.tsv are msr_paraphrase_train.txt split by dev_ids.tsv, a list of the
 * dev pairs' two sentence ids, in the original's order. */
#ifndef PARE_TASKS_MSR_H
#define PARE_TASKS_MSR_H

#include "tasks/table.h"

typedef struct pare_msr_ids pare_msr_ids;

/* Reads dev_ids.tsv. */
pare_status pare_msr_ids_read(const char *path, pare_msr_ids **out);
void pare_msr_ids_free(pare_msr_ids *ids); /* NULL is allowed */
bool pare_msr_is_dev(const pare_msr_ids *ids, pare_cell id1, pare_cell id2);

#endif
