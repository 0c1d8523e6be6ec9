/* tests/golden.h: numbers of golden files, straight from HDF5.
 *
 * core/store reads files of its own making only, so this is the tests' one user of HDF5's header.
 * A name that is missing fails the test that asked for it. */
#ifndef PARE_TESTS_GOLDEN_H
#define PARE_TESTS_GOLDEN_H

#include <hdf5.h>

#include "tests/harness.h"

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

#endif
