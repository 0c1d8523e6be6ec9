/* tests/fuzz/fuzz_store.c: a model file, from byte 512 on, behind a seal that is right. HDF5's own
 * checksums are left to the search. */
#include "tests/fuzz/fuzz_seal.h"

#include "core/store.h"
#include "models/model.h"

enum { ELEMENTS = 1 << 13 };

static void read_arrays(pare_store *store)
{
    static double out[ELEMENTS];
    for (size_t i = 0; i < pare_store_count(store); i++) {
        const pare_array *a = pare_store_array(store, i);
        uint64_t bytes = pare_dtype_size(a->dtype);
        for (int d = 0; d < a->rank && bytes <= sizeof out; d++)
            bytes = (uint64_t)a->shape[d] > sizeof out ? sizeof out + 1
                                                       : bytes * (uint64_t)a->shape[d];
        if (bytes <= sizeof out)
            (void)fuzz_read(pare_store_read(store, a->name, a->dtype, out));
    }
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    const char *path = fuzz_sealed("model.h5", bytes, size);
    pare_store *store = NULL;
    pare_model *model = NULL;
    if (fuzz_read(pare_store_open(path, &store)))
        read_arrays(store);
    pare_store_close(store);
    if (fuzz_read(pare_model_open(path, &model)))
        fuzz_check(model);
    pare_model_free(model);
}
