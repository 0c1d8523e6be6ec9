/* columns.h: rows of cells as columns that line up, for people. */
#ifndef PARE_CLI_COLUMNS_H
#define PARE_CLI_COLUMNS_H

#include "core/status.h"
#include "core/text.h"

/* Adds `rows`, whose cells end in a TAB or a newline and whose first row is a heading, with blanks
 * in the TABs' place. A column of numbers is set to the right; "-" counts as one. */
void pare_columns_add(pare_text *out, const char *rows);

/* The same to standard output. What went wrong while `rows` were made is reported; they are
 * freed. */
pare_status pare_columns_print(pare_text *rows);

#endif
