/* tests/fuzz/fuzz_grid.c: --grid of pare sweep, one a line; a line that begins with a digit is
 * --seeds. Names with a '/' are left out, for they would be read. */
#include "tests/fuzz/fuzz_seal.h"

#include "cli/sweep_grid.h"

enum { ARGUMENTS = 48, MODEL = 1 << 15 };

static const char *model(void)
{
    static unsigned char bytes[MODEL];
    return fuzz_sealed("model.h5", bytes, fuzz_tiny(bytes, sizeof bytes));
}

static void open_grid(int n, char **arguments)
{
    const pare_command *sweep = NULL;
    for (int i = 0; i < PARE_COMMAND_COUNT; i++)
        if (strcmp(pare_command_table[i].name, "sweep") == 0)
            sweep = &pare_command_table[i];
    pare_options options;
    pare_sweep_grid grid;
    fuzz_check(sweep && pare_options_init(&options, sweep) == PARE_OK);
    if (pare_options_parse(&options, n, arguments) == PARE_OK) {
        pare_status status = pare_sweep_grid_open(&options, &grid);
        fuzz_check(status == PARE_OK || status == PARE_USAGE || status == PARE_INPUT ||
                   status == PARE_IO);
        fuzz_check(status != PARE_OK || grid.n_cells == grid.n_points * grid.n_seeds);
        pare_sweep_grid_close(&grid);
    }
    pare_options_free(&options);
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    static const char *path;
    static const char rows[] = "sentence\tlabel\nfine\t1\nbad\t0\n";
    if (!path) {
        path = model();
        fuzz_file("train.tsv", rows, sizeof rows - 1);
        fuzz_file("dev.tsv", rows, sizeof rows - 1);
    }
    char *arguments[ARGUMENTS + 2] = {"--model", (char *)(uintptr_t)path, "--task", "SST-2",
                                      "--data", (char *)(uintptr_t)fuzz_root(), "--output",
                                      "never"};
    char *text = malloc(size + 1);
    int n = 8;
    fuzz_check(text);
    memcpy(text, bytes, size);
    text[size] = '\0';
    for (char *at = text; at && n < ARGUMENTS;) {
        char *line = strsep(&at, "\n");
        if (strchr(line, '/'))
            continue;
        arguments[n++] = line[0] >= '0' && line[0] <= '9' ? "--seeds" : "--grid";
        arguments[n++] = line;
    }
    open_grid(n, arguments);
    free(text);
}
