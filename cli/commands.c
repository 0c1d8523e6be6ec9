/* commands.c: the command table and the way from argv to a command's function. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/help.h"
#include "cli/options.h"
#include "core/cpu.h"
#include "core/gemm.h"

const pare_command pare_command_table[PARE_COMMAND_COUNT] = {
#define COMMAND(id, ...) [PARE_COMMAND_##id] = {__VA_ARGS__},
#include "cli/commands.def"
};

const pare_command *pare_command_find(const char *name)
{
    for (size_t i = 0; i < PARE_COMMAND_COUNT; i++)
        if (strcmp(pare_command_table[i].name, name) == 0)
            return &pare_command_table[i];
    return NULL;
}

static pare_status unknown_command(const char *name)
{
    const pare_command *nearest = NULL;
    int best = 0;

    for (size_t i = 0; i < PARE_COMMAND_COUNT; i++) {
        int cost = pare_name_unlikeness(name, strlen(name), pare_command_table[i].name);
        if (cost >= 0 && (!nearest || cost < best)) {
            nearest = &pare_command_table[i];
            best = cost;
        }
    }
    pare_fail(PARE_USAGE, "unknown command \"%s\"", name);
    if (nearest)
        return pare_hint(PARE_USAGE, "did you mean pare %s? pare --help lists every command",
                         nearest->name);
    return pare_hint(PARE_USAGE, "pare --help lists every command");
}

/* A text that was made, to standard output; frees it. */
static pare_status print_text(pare_text *text)
{
    pare_status status = pare_text_status(text);

    if (status == PARE_OK && text->n > 0)
        status = pare_out_bytes(text->bytes, text->n);
    pare_text_free(text);
    return status;
}

static pare_status print_version(void)
{
    pare_out("pare " PARE_VERSION "\n");
    return PARE_OK;
}

/* What the options ask for, once they are known. */
static pare_status run(const pare_command *command, const pare_options *options)
{
    pare_text text = {0};

    if (options->version)
        return print_version();
    if (options->help) {
        pare_help_command(command, &text);
        return print_text(&text);
    }
    pare_console_init(options->color, options->quiet, options->verbose);
    if (options->print_config) {
        pare_options_write(options, &text);
        return print_text(&text);
    }
    if (options->kernels)
        PARE_TRY(pare_context(pare_kernels_set(options->kernels), "--kernels"));
    else
        PARE_TRY(pare_kernels_set_from_environment());
    const bool bf16 = options->precision && strcmp(options->precision, "bf16") == 0;
    PARE_TRY(pare_gemm_precision_set(bf16 ? PARE_PRECISION_BF16 : PARE_PRECISION_FP32));
    if (options->threads > 0)
        pare_threads_set((int)options->threads);
    return command->function(options);
}

static pare_status run_command(const pare_command *command, int argc, char **argv)
{
    pare_options options;
    pare_status status = pare_options_init(&options, command);

    if (status == PARE_OK)
        status = pare_options_parse(&options, argc, argv);
    if (status == PARE_OK)
        status = run(command, &options);
    pare_options_free(&options);
    return status;
}

/* pare, pare --help, pare --version, pare help [COMMAND]: *done tells whether it was one. */
static pare_status run_without_command(int argc, char **argv, bool *done)
{
    const char *first = argc > 1 ? argv[1] : "";
    pare_text text = {0};

    *done = true;
    if (argc < 2) {
        pare_help_short(&text);
        if (text.bytes)
            fputs(text.bytes, stderr);
        pare_text_free(&text);
        return PARE_USAGE;
    }
    if (strcmp(first, "--version") == 0)
        return print_version();
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 ||
        (strcmp(first, "help") == 0 && argc == 2)) {
        pare_help_program(&text);
        return print_text(&text);
    }
    if (strcmp(first, "help") == 0) {
        const pare_command *command = pare_command_find(argv[2]);
        if (!command)
            return unknown_command(argv[2]);
        pare_help_command(command, &text);
        return print_text(&text);
    }
    *done = false;
    return PARE_OK;
}

pare_status pare_program(int argc, char **argv)
{
    bool done;

    pare_console_init("auto", false, false);
    pare_status status = run_without_command(argc, argv, &done);
    if (done)
        return status;
    if (argv[1][0] == '-')
        return pare_hint(pare_fail(PARE_USAGE, "%s stands where a command should", argv[1]),
                         "pare COMMAND [options]; pare --help lists every command");
    const pare_command *command = pare_command_find(argv[1]);
    return command ? run_command(command, argc - 2, argv + 2) : unknown_command(argv[1]);
}
