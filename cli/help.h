/* help.h: help pages, made from commands.def and options.def. They fit 80 columns. */
#ifndef PARE_CLI_HELP_H
#define PARE_CLI_HELP_H

#include "cli/options.h"
#include "core/text.h"

/* What `pare` alone says: one line a command. */
void pare_help_short(pare_text *out);
/* `pare --help`. */
void pare_help_program(pare_text *out);
/* `pare COMMAND --help`: usage, every option with its default, examples. */
void pare_help_command(const pare_command *command, pare_text *out);

#endif
