/* options.h: every option of every command, made from cli/options.def.
 *
 *   pare_options options;
 *   pare_options_init(&options, command);            // defaults
 *   pare_options_parse(&options, argc, argv);        // the command line, then --config's file
 *   if (options.given.seed) ...
 *
 * What is typed wins over the config file, which wins over the defaults. Numbers are read whole and
 * checked against their range. */
#ifndef PARE_CLI_OPTIONS_H
#define PARE_CLI_OPTIONS_H

#include "cli/commands.h"
#include "tasks/evaluate.h"
#include "tasks/trainer.h"

typedef enum pare_option_kind {
    PARE_OPTION_STRING,
    PARE_OPTION_INT,
    PARE_OPTION_REAL,
    PARE_OPTION_FLAG,
    PARE_OPTION_CHOICE,
    PARE_OPTION_LIST, /* may be given again and again: its values, a newline between them */
    PARE_OPTION_GROUP /* no option: the heading of those that follow */
} pare_option_kind;

/* The C type of each kind. */
#define PARE_C_STRING const char *
#define PARE_C_INT int64_t
#define PARE_C_REAL double
#define PARE_C_FLAG bool
#define PARE_C_CHOICE const char *
#define PARE_C_LIST const char *

/* Where a value came from. */
enum { PARE_GIVEN_DEFAULT, PARE_GIVEN_CONFIG, PARE_GIVEN_LINE };

/* The values, one member an option: options.batch_size, options.model, ... */
typedef struct pare_options {
#define OPTION(kind, field, ...) PARE_C_##kind field;
#include "cli/options.def"
    struct {
#define OPTION(kind, field, ...) unsigned char field;
#include "cli/options.def"
    } given;
    const pare_command *command;
    const char **operands; /* [n_operands] arguments that are no options, in order */
    int n_operands;
    pare_arena *arena; /* owns operands, lists and the strings of the config file */
} pare_options;

/* One row of options.def. */
typedef struct pare_option {
    pare_option_kind kind;
    const char *name;      /* with underscores */
    const char *otherwise; /* the default as text, or NULL */
    const char *range;
    uint32_t commands;     /* PARE_COMMAND_BIT of those that take it */
    bool line_only;        /* no config key */
    const char *value, *help;
    size_t offset, given_offset; /* in pare_options */
} pare_option;

extern const pare_option pare_option_table[];
extern const size_t pare_option_count;

/* Every value at its default. */
pare_status pare_options_init(pare_options *options, const pare_command *command);
void pare_options_free(pare_options *options);

/* Reads the arguments behind the command's name, and the config file they name. Stops early at
 * --help and --version, with that member set. */
pare_status pare_options_parse(pare_options *options, int argc, char **argv);

/* The row that `command` takes under this name (dashes or underscores), or NULL. command NULL: the
 * first row of that name. */
const pare_option *pare_option_find(const char *name, size_t length, const pare_command *command);

/* Checks `text` and stores it, with where it came from. `shown` begins the error messages
 * ("--seed", "mrpc.ini:3: seed"). Strings are borrowed; a list that was given by the same source
 * before grows. options NULL: the check alone. */
pare_status pare_option_set(pare_options *options, const pare_option *row, const char *text,
                            unsigned char given, const char *shown);
int pare_option_given(const pare_options *options, const pare_option *row);

/* "--max-steps" for max_steps; the name is cut to fit. */
enum { PARE_OPTION_SHOWN = 64 };
const char *pare_option_shown(const pare_option *row, char shown[PARE_OPTION_SHOWN]);

/* The option nearest to a name that is unknown, for "did you mean": of this command's, or NULL. */
const pare_option *pare_option_nearest(const char *name, size_t length,
                                       const pare_command *command, bool config_key);
/* How unlikely it is that `name` was meant by what was typed: the number of edits (a letter more,
 * less, changed, or two swapped; - and _ are one), more for initials or a part; -1: not at all. */
int pare_name_unlikeness(const char *typed, size_t length, const char *name);

/* PARE_USAGE naming the option unless it was given a value. */
pare_status pare_option_need(const pare_options *options, const char *name, const char *value);

/* The options that say which data are read. */
pare_data_options pare_options_data(const pare_options *options);
/* ... and what is judged on them. */
pare_evaluate_options pare_options_evaluate(const pare_options *options);

/* The options that the trainer takes. Strings are borrowed from `options`. */
void pare_options_train(const pare_options *options, pare_train_options *out);

#endif
