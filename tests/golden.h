/* tests/golden.h: numbers of golden files, straight from HDF5.
 *
 * core/store reads files of its own making only, so this is the tests' one user of HDF5's header.
 * A name that is missing fails the test that asked for it. */
#ifndef PARE_TESTS_GOLDEN_H
#define PARE_TESTS_GOLDEN_H

#include <hdf5.h>

#include "tests/batch.h"

typedef struct golden_array {
    double *data; /* for free() */
    int64_t n;
    int rank;
    hsize_t shape[4];
} golden_array;

/* Every number of the data set `name`, whatever its type in the file. */
TEST_UNUSED static golden_array golden_read(hid_t file, const char *name)
{
    golden_array a = {0};
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0)
        fail_msg("the golden file has no %s", name);
    hid_t space = H5Dget_space(set);
    a.n = H5Sget_simple_extent_npoints(space);
    a.rank = H5Sget_simple_extent_ndims(space);
    assert_in_range(a.rank, 0, 4);
    H5Sget_simple_extent_dims(space, a.shape, NULL);
    a.data = malloc((size_t)a.n * sizeof *a.data);
    assert_non_null(a.data);
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, a.data) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    return a;
}

/* golden_read of a name made as printf makes it. */
#define golden_get(file, ...) golden_read((file), golden_name((char[256]){0}, __VA_ARGS__))

TEST_UNUSED __attribute__((format(printf, 2, 3))) static const char *
golden_name(char name[256], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(name, 256, format, args);
    va_end(args);
    return name;
}

TEST_UNUSED static double golden_number(hid_t file, const char *name)
{
    golden_array a = golden_read(file, name);
    double x = a.data[0];
    assert_int_equal(a.n, 1);
    free(a.data);
    return x;
}

/* |ours - golden| <= tolerance * max(the tensor's largest, 1e-3 * its group's). Weights
 * that AdamW moved by a quotient of two small gradients keep fewer digits in float. */
#ifdef PARE_DOUBLE
TEST_UNUSED static const double forward_tolerance = 1e-9, gradient_tolerance = 1e-9,
                                weight_tolerance = 1e-9;
#else
TEST_UNUSED static const double forward_tolerance = 2e-5, gradient_tolerance = 2e-4,
                                weight_tolerance = 1e-4;
#endif

/* The largest error of a group of tensors, in units of what it is measured against. */
typedef struct golden_group {
    const char *name;
    double tolerance, floor, worst;
    char worst_name[PARE_NAME_SIZE];
} golden_group;

/* ---- comparing ---- */

TEST_UNUSED static double golden_largest(const double *x, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(x[i]));
    return largest;
}

TEST_UNUSED static void golden_compare(golden_group *g, const real *got,
                                       const golden_array *want, const char *name)
{
    const double unit = fmax(golden_largest(want->data, want->n), g->floor);
    for (int64_t i = 0; i < want->n; i++) {
        const double error = fabs((double)got[i] - want->data[i]) / unit;
        if (!(error <= g->tolerance))
            fail_msg("%s %s[%lld]: got %.17g, want %.17g (error %.2g of %.3g, tolerance %.2g)",
                     g->name, name, (long long)i, (double)got[i], want->data[i], error, unit,
                     g->tolerance);
        if (error > g->worst) {
            g->worst = error;
            snprintf(g->worst_name, sizeof g->worst_name, "%s", name);
        }
    }
}

TEST_UNUSED static void golden_compare_number(golden_group *g, double got, double want,
                                              const char *name)
{
    const real value = (real)got;
    const golden_array one = {.data = &want, .n = 1};
    golden_compare(g, &value, &one, name);
}

TEST_UNUSED static void golden_report(const golden_group *g)
{
    print_message("  %-28s largest error %.2e (%s), tolerance %.0e\n", g->name, g->worst,
                  g->worst_name, g->tolerance);
}

/* ---- batches ---- */

/* The padded arrays under `path` without their padding. */
TEST_UNUSED static pare_packed *golden_batch(hid_t file, pare_arena *arena, const char *path)
{
    golden_array ids = golden_get(file, "%s/input_ids", path);
    golden_array types = golden_get(file, "%s/token_type_ids", path);
    golden_array mask = golden_get(file, "%s/attention_mask", path);
    const int64_t n = (int64_t)ids.shape[0], padded = (int64_t)ids.shape[1];
    test_sentence *s = test_alloc(arena, n, sizeof *s);
    for (int64_t r = 0; r < n; r++) {
        int32_t *id = test_alloc(arena, padded, sizeof *id);
        int32_t *type = test_alloc(arena, padded, sizeof *type);
        s[r] = (test_sentence){0, id, type, (uint32_t)r};
        for (int64_t i = r * padded; i < (r + 1) * padded && mask.data[i] > 0; i++) {
            id[s[r].n] = (int32_t)ids.data[i];
            type[s[r].n++] = (int32_t)types.data[i];
        }
    }
    free(ids.data);
    free(types.data);
    free(mask.data);
    return test_pack(arena, s, n);
}

TEST_UNUSED static int32_t *golden_labels(hid_t file, pare_arena *arena, const char *name)
{
    golden_array a = golden_read(file, name);
    int32_t *labels = test_alloc(arena, a.n, sizeof *labels);
    for (int64_t i = 0; i < a.n; i++)
        labels[i] = (int32_t)a.data[i];
    free(a.data);
    return labels;
}

#endif
