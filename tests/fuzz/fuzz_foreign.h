/* tests/fuzz/fuzz_foreign.h: reading a weights' file, and every element of what it holds. */
#ifndef PARE_TESTS_FUZZ_FOREIGN_H
#define PARE_TESTS_FUZZ_FOREIGN_H

#include "tests/fuzz/fuzz.h"

#include "models/foreign.h"

/* A few bytes may be shown as large tensors (stride 0): what a model would take is read. */
enum { FUZZ_ELEMENTS = 1 << 16 };

static void fuzz_convert(pare_foreign_tensor *t)
{
    static real out[FUZZ_ELEMENTS];
    if (t->rank < 1 || t->rank > 2 || t->shape[0] > FUZZ_ELEMENTS ||
        t->shape[t->rank - 1] > FUZZ_ELEMENTS)
        return;
    int64_t rows = t->rank == 1 ? 1 : t->shape[0], cols = t->shape[t->rank - 1];
    if (rows * cols > FUZZ_ELEMENTS)
        return;
    pare_foreign_job job = {.tensor = t, .rows = rows, .cols = cols, .out = out};
    (void)fuzz_read(pare_foreign_convert(&job, 1, "weights"));
}

static void fuzz_weights(pare_status (*read)(const char *path, pare_foreign *file),
                         const char *path)
{
    pare_foreign *file = NULL;
    fuzz_check(pare_foreign_new(&file) == PARE_OK);
    if (fuzz_read(read(path, file)) && fuzz_read(pare_foreign_sort(file, path)))
        for (size_t i = 0; i < file->n; i++) {
            fuzz_check(pare_foreign_find(file, file->tensors[i].name) == &file->tensors[i]);
            fuzz_convert(&file->tensors[i]);
        }
    pare_foreign_free(file);
}

#endif
