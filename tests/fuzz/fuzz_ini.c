/* tests/fuzz/fuzz_ini.c: a config file for the command that the first byte picks. The options that
 * it gives are written as such a file, which reads back to the same. */
#include "tests/fuzz/fuzz.h"

#include "cli/config_file.h"

/* The options of this file, as text again; false if it was refused. */
static bool read_options(const pare_command *command, const char *path, pare_text *text)
{
    pare_options options;
    fuzz_check(pare_options_init(&options, command) == PARE_OK);
    pare_status status = pare_options_read(path, &options);
    fuzz_check(status == PARE_OK || status == PARE_INPUT || status == PARE_USAGE);
    if (status == PARE_OK)
        pare_options_write(&options, text);
    pare_options_free(&options);
    return status == PARE_OK;
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size < 1)
        return;
    const pare_command *command = &pare_command_table[bytes[0] % PARE_COMMAND_COUNT];
    pare_text first = {0}, second = {0};
    if (read_options(command, fuzz_file("a.ini", bytes + 1, size - 1), &first)) {
        fuzz_check(first.n > 0);
        fuzz_check(read_options(command, fuzz_file("b.ini", first.bytes, first.n), &second));
        fuzz_check(first.n == second.n &&
                   memcmp(first.bytes, second.bytes, first.n) == 0);
    }
    pare_text_free(&first);
    pare_text_free(&second);
}
