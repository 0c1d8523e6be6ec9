/* tests/fuzz/replay.c: the main of a fuzz target in the ordinary test suite: every input of its
 * corpus is a test, counted as cmocka counts. With arguments, those files are the inputs. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The target sees a block of just the input's size, so that tools notice what lies past it. */
static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    unsigned char *bytes = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
        rewind(file);
        bytes = malloc(size > 0 ? (size_t)size : 1);
    }
    int read = bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size;
    if (read)
        LLVMFuzzerTestOneInput(bytes, (size_t)size);
    else
        perror(path);
    free(bytes);
    if (file)
        fclose(file);
    return read;
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_counted(const char *path)
{
    printf("[ RUN      ] %s\n", path);
    fflush(stdout);
    int passed = replay(path);
    printf("[%s] %s\n", passed ? "       OK " : "  FAILED  ", path);
    return passed;
}

int main(int argc, char **argv)
{
    char folder[256], path[1024];
    struct dirent **inputs;
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed += !replay_counted(argv[i]);
    if (argc > 1)
        return failed > 0;
    const char *name = strstr(argv[0], "fuzz_");
    for (const char *more = name; more && (more = strstr(more + 1, "fuzz_"));)
        name = more;
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%.64s", name ? name + 5 : "");
    int n = scandir(folder, &inputs, is_input, alphasort);
    if (n <= 0) {
        fprintf(stderr, "%s: no inputs\n", folder);
        return 1;
    }
    printf("[==========] Running %d test(s).\n", n);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, inputs[i]->d_name);
        failed += !replay_counted(path);
        free(inputs[i]);
    }
    free(inputs);
    return failed > 0;
}
