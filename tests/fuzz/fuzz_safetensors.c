/* tests/fuzz/fuzz_safetensors.c: model.safetensors, and every tensor's numbers. */
#include "tests/fuzz/fuzz_foreign.h"

#include "models/safetensors.h"

static void fuzz(const unsigned char *bytes, size_t size)
{
    fuzz_weights(pare_safetensors_read, fuzz_file("model.safetensors", bytes, size));
}
