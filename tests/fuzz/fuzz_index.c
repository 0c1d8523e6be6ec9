/* tests/fuzz/fuzz_index.c: model.safetensors.index.json, which names the files that hold a model's
 * parts: whole directories are imported. */
#include "tests/fuzz/fuzz.h"

#include "models/model.h"

/* A file of tests/data/hf/tiny, under another name. */
static void copy(const char *from, const char *name)
{
    static char bytes[1 << 14];
    char path[FUZZ_PATH];
    snprintf(path, sizeof path, "tests/data/hf/tiny/%s", from);
    FILE *file = fopen(path, "rb");
    fuzz_check(file);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    (void)fuzz_file(name, bytes, n);
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    static bool begun;
    pare_model *model = NULL;
    if (!begun) {
        copy("config.json", "config.json");
        copy("vocab.txt", "vocab.txt");
        copy("model.safetensors", "part.safetensors");
        begun = true;
    }
    (void)fuzz_file("model.safetensors.index.json", bytes, size);
    pare_status status = pare_import(fuzz_root(), &model);
    fuzz_check(status == PARE_OK || status == PARE_INPUT || status == PARE_IO);
    fuzz_check((status == PARE_OK) == (model != NULL));
    pare_model_free(model);
}
