/* tests/fuzz/fuzz_arguments.c: a command line, one argument a line, for the command that the first
 * byte picks; each argument also as a list of layers. */
#include "tests/fuzz/fuzz.h"

#include "cli/options.h"
#include "prune/layers.h"

enum { ARGUMENTS = 32, LAYERS = 12 };

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size < 1)
        return;
    char *text = malloc(size + 1), *arguments[ARGUMENTS + 1];
    pare_options options;
    pare_layer_choice choice;
    int n = 0;
    fuzz_check(text);
    memcpy(text, bytes, size);
    text[size] = '\0';
    for (char *at = text + 1; at && n < ARGUMENTS;) {
        char *line = strsep(&at, "\n");
        if (strstr(line, "--co")) /* --config would read files that are there */
            continue;
        arguments[n++] = line;
        pare_status status = pare_layers_list(line, LAYERS, &choice);
        fuzz_check(status == PARE_OK || status == PARE_USAGE);
    }
    fuzz_check(pare_options_init(&options, &pare_command_table[bytes[0] % PARE_COMMAND_COUNT]) ==
               PARE_OK);
    pare_status status = pare_options_parse(&options, n, arguments);
    fuzz_check(status == PARE_OK || status == PARE_USAGE);
    pare_options_free(&options);
    free(text);
}
