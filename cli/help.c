/* help.c: help pages from the two tables. */
#include "cli/help.h"

#include <string.h>

enum { WIDTH = 79, HELP_COLUMN = 28 };
#define HELP_INDENT "                            " /* HELP_COLUMN blanks */
_Static_assert(sizeof HELP_INDENT == HELP_COLUMN + 1, "the indent is as wide as the column");

static void list_commands(pare_text *out)
{
    for (size_t i = 0; i < PARE_COMMAND_COUNT; i++)
        pare_text_printf(out, "  %-12s %s\n", pare_command_table[i].name,
                         pare_command_table[i].help);
}

void pare_help_short(pare_text *out)
{
    pare_text_puts(out, "usage: pare COMMAND [options]\n\n");
    list_commands(out);
    pare_text_puts(out, "\npare COMMAND --help tells more; pare --help shows a first session.\n");
}

void pare_help_program(pare_text *out)
{
    pare_text_puts(out, "pare " PARE_VERSION ": fine-tune BERT and make it smaller, on ordinary "
                        "CPUs\n\n"
                        "usage: pare COMMAND [options]\n\n"
                        "commands:\n");
    list_commands(out);
    pare_text_puts(out, "\nA first session:\n"
                        "  pare import bert-base-uncased bert.h5\n"
                        "  pare finetune --model bert.h5 --task MRPC --data glue "
                        "--output runs/mrpc\n"
                        "  pare evaluate --model runs/mrpc/best.h5 --task MRPC --data glue\n"
                        "\n"
                        "pare COMMAND --help lists a command's options. Results go to standard "
                        "output,\nmessages to standard error; --json is for scripts.\n"
                        "\n"
                        "exit codes: 0 done, 1 internal fault, 2 usage, 3 bad input or corrupt "
                        "file,\n4 I/O or disk full, 5 out of memory, 6 diverged, 7 target missed, "
                        "75 stopped\nwith a checkpoint (repeat the command; "
                        "finetune, flop train: with --resume),\n130 forced\n");
}

/* "-q, --quiet", "    --batch-size N", "    --[no-]shuffle" */
static void option_name(const pare_option *row, pare_text *out)
{
    char shown[PARE_OPTION_SHOWN];
    bool on = row->kind == PARE_OPTION_FLAG && strcmp(row->otherwise, "true") == 0;
    bool has_short = strcmp(row->name, "help") == 0 || strcmp(row->name, "quiet") == 0 ||
                     strcmp(row->name, "verbose") == 0;

    pare_option_shown(row, shown);
    if (has_short)
        pare_text_printf(out, "  -%c, %s", row->name[0], shown);
    else
        pare_text_printf(out, "      --%s%s", on ? "[no-]" : "", shown + 2);
    if (row->value[0])
        pare_text_printf(out, " %s", row->value);
}

static void option_help(const pare_option *row, pare_text *out)
{
    pare_text words = {0};

    pare_text_puts(&words, row->help);
    if (row->kind != PARE_OPTION_FLAG && row->otherwise && row->otherwise[0])
        pare_text_printf(&words, " [%s]", row->otherwise);
    if (words.bytes)
        pare_text_wrap(out, words.bytes, HELP_INDENT, HELP_COLUMN, WIDTH);
    out->failed = out->failed || words.failed;
    pare_text_free(&words);
}

static void option_line(const pare_option *row, pare_text *out)
{
    size_t start = out->n;

    option_name(row, out);
    size_t used = out->n - start;
    if (used + 2 > HELP_COLUMN)
        pare_text_puts(out, "\n" HELP_INDENT);
    else
        pare_text_add(out, HELP_INDENT, HELP_COLUMN - used);
    option_help(row, out);
    pare_text_puts(out, "\n");
}

void pare_help_command(const pare_command *command, pare_text *out)
{
    const pare_option *heading = NULL;

    pare_text_printf(out, "pare %s: %s\n\nusage: pare %s [options]%s%s\n\n", command->name,
                     command->help, command->name, command->operands[0] ? " " : "",
                     command->operands);
    pare_text_puts(out, command->details);
    for (size_t i = 0; i < pare_option_count; i++) {
        const pare_option *row = &pare_option_table[i];
        if (row->kind == PARE_OPTION_GROUP)
            heading = row;
        if (!(row->commands & PARE_COMMAND_BIT(command)))
            continue;
        if (heading)
            pare_text_printf(out, "\n%s:\n", heading->name);
        heading = NULL;
        option_line(row, out);
    }
}
