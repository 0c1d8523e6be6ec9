/* commands.h: the commands, made from cli/commands.def; each is one function in a cmd_ file. */
#ifndef PARE_CLI_COMMANDS_H
#define PARE_CLI_COMMANDS_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct pare_options;
typedef pare_status pare_command_function(const struct pare_options *options);

enum {
#define COMMAND(id, ...) PARE_COMMAND_##id,
#include "cli/commands.def"
    PARE_COMMAND_COUNT
};

/* One row of commands.def. */
typedef struct pare_command {
    const char *name;
    const char *operands;
    int fewest, most; /* operands; most -1: any number */
    pare_command_function *function;
    const char *help;    /* one line */
    const char *details; /* the rest of its page */
} pare_command;

extern const pare_command pare_command_table[PARE_COMMAND_COUNT];

#define PARE_COMMAND_BIT(command) (UINT32_C(1) << ((command) - pare_command_table))

/* NULL if there is no command of that name. */
const pare_command *pare_command_find(const char *name);

#define COMMAND(id, name, operands, fewest, most, function, ...) pare_command_function function;
#include "cli/commands.def"

/* The whole program: finds the command, reads its options, runs it. The status is the program's
 * exit code; a failure's message is pare_error_message (empty when there is nothing to say). */
pare_status pare_program(int argc, char **argv);

#endif
