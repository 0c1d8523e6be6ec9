/* head.h: whether a model's head answers what a data set asks, and which row is which label. */
#ifndef PARE_TASKS_HEAD_H
#define PARE_TASKS_HEAD_H

#include "models/model.h"
#include "tasks/dataset.h"

/* Whether a label has a name, and whether any has: "LABEL_0" is none, transformers writes that
 * where it was given none. */
bool pare_head_label_named(const pare_model *model, int64_t id);
bool pare_head_named(const pare_model *model);

/* A head with as many rows as the data have labels (one for a regression), and for a user's labels
 * with the same names, in any order, or with none. */
bool pare_head_answers(const pare_model *model, const pare_dataset *dataset);

/* The same, of a model that was not made for another of GLUE's tasks. */
bool pare_head_is_for(const pare_model *model, const pare_dataset *dataset);

/* Puts the rows of a head of the right size, with their names, into the order of the data's labels:
 * a row goes where its name stands, be it the label's own or what the label means (glue.h), in any
 * case; others ("LABEL_0") take the places that are left, in their order. *moved (or NULL): it was
 * not so already. PARE_MEMORY leaves the model as it was. */
pare_status pare_head_order(pare_model *model, const pare_dataset *dataset, bool *moved);

#endif
