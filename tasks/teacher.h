/* teacher.h: a larger model's answers to the training examples, as a second target (Hinton et al.
 * 2015, arXiv 1503.02531): probabilities, or the score of a regression. */
#ifndef PARE_TASKS_TEACHER_H
#define PARE_TASKS_TEACHER_H

#include "tasks/training.h"

/* t->answers of options->teacher, computed once: where options->answers names a file they are kept
 * there, and read if they are there already. A model that has other labels than the run's task is
 * PARE_INPUT; answers of another teacher (file) or to other examples are made anew. */
pare_status pare_teacher_answers(pare_training *t);

#endif
