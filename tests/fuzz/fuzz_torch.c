/* tests/fuzz/fuzz_torch.c: pytorch_model.bin as it is: archive, pickle, storages. */
#include "tests/fuzz/fuzz_foreign.h"

#include "models/torch_file.h"

static void fuzz(const unsigned char *bytes, size_t size)
{
    fuzz_weights(pare_torch_read, fuzz_file("pytorch_model.bin", bytes, size));
}
