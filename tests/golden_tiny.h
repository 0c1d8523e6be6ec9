/* tests/golden_tiny.h: the golden model with its numbers, `f`, for all tests of a program. */
#ifndef PARE_TESTS_GOLDEN_TINY_H
#define PARE_TESTS_GOLDEN_TINY_H

#include "models/model.h"
#include "tests/golden.h"

typedef struct golden_tiny {
    bool present;
    char directory[TEST_PATH];
    hid_t file;
    pare_arena *arena, *step, *scratch;
    pare_model *model;
} golden_tiny;

static golden_tiny f;

#define NEED_GOLDEN()                                                                              \
    do {                                                                                           \
        if (!f.present)                                                                            \
            skip();                                                                                \
    } while (0)

/* 0, or 1 with a message: as cmocka's set-up functions. */
static int golden_open(void)
{
    char path[TEST_PATH], model[TEST_PATH];
    f = (golden_tiny){.file = -1};
    f.present =
        test_shared(f.directory, "golden/tiny") && test_shared(path, "golden/tiny/golden.h5");
    if (!f.present)
        return 0;
    test_path(model, f.directory, "model");
    f.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    f.arena = pare_arena_new("golden");
    f.step = pare_arena_new("step");
    f.scratch = pare_arena_new("scratch");
    if (f.file >= 0 && f.arena && f.step && f.scratch && pare_import(model, &f.model) == PARE_OK)
        return 0;
    fprintf(stderr, "%s: %s\n", path, pare_error_message());
    return 1;
}

static int golden_close(void **state)
{
    (void)state;
    if (!f.present)
        return 0;
    pare_model_free(f.model);
    pare_arena_free(f.scratch);
    pare_arena_free(f.step);
    pare_arena_free(f.arena);
    H5Fclose(f.file);
    return 0;
}

#endif
