/* hdf5_session.c: a file driver for HDF5, and what surrounds each use of the library. */
#include "core/hdf5_session.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/library_guard.h"
#include "core/memory.h"

/* ---- The file driver: HDF5's virtual file layer over pare_input and pare_output ---- */

typedef struct driver_file {
    H5FD_t header; /* HDF5's part, first */
    pare_hdf5_session *work;
    haddr_t eoa; /* end of what HDF5 has handed out */
} driver_file;

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr)
{
    (void)name, (void)flags, (void)maxaddr;
    pare_hdf5_session *const *work = H5Pget_driver_info(fapl);
    driver_file *file = work ? pare_calloc(1, sizeof *file) : NULL;
    if (!file)
        return NULL;
    file->work = *work;
    return &file->header;
}

static herr_t driver_close(H5FD_t *file)
{
    pare_free(file);
    return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA |
             H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)file)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t eoa)
{
    (void)type;
    ((driver_file *)file)->eoa = eoa;
    return 0;
}

/* After a failed write HDF5 is told what it expects, so that it finishes quietly. */
static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    const driver_file *f = (const driver_file *)file;
    if (f->work->in)
        return pare_input_size(f->work->in);
    return pare_output_status(f->work->out) == PARE_OK ? pare_output_size(f->work->out) : f->eoa;
}

/* What goes wrong is kept: HDF5 would forget it. */
static herr_t read_input(pare_hdf5_session *work, haddr_t at, void *bytes, size_t n)
{
    const pare_status status = pare_input_read_at(work->in, at, bytes, n);
    if (status == PARE_OK)
        return 0;
    if (work->status == PARE_OK)
        snprintf(work->message, sizeof work->message, "%s", pare_error_message());
    work->status = status;
    return -1;
}

/* Bytes past the end, which HDF5 may ask for, are zeros; so is all after a failed write. */
static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t at, size_t size,
                          void *bytes)
{
    (void)type, (void)dxpl;
    driver_file *f = (driver_file *)file;
    uint64_t end = driver_get_eof(file, type);
    uint64_t there = at >= end ? 0 : end - at;
    size_t n = there < size ? (size_t)there : size;
    memset((char *)bytes + n, 0, size - n);
    if (f->work->in)
        return read_input(f->work, at, bytes, n);
    if (pare_output_read_at(f->work->out, at, bytes, n) != PARE_OK)
        memset(bytes, 0, n);
    return 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t at, size_t size,
                           const void *bytes)
{
    (void)type, (void)dxpl;
    pare_output *out = ((driver_file *)file)->work->out;
    if (out)
        pare_output_write_at(out, at, bytes, size); /* which remembers an error */
    return 0;
}

static herr_t driver_truncate(H5FD_t *file, hid_t dxpl, hbool_t closing)
{
    (void)dxpl, (void)closing;
    driver_file *f = (driver_file *)file;
    if (f->work->out && pare_output_size(f->work->out) != f->eoa)
        pare_output_resize(f->work->out, f->eoa);
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 600, /* in the range that HDF5 leaves to anyone */
#endif
    .name = "pare",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(pare_hdf5_session *),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* ---- HDF5 at work: one thread at a time, its error printing off, our driver known ---- */

static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;

/* HDF5 1.10 never lets go of some of what it took when a call of its own, or an allocation, failed,
 * and its handler at exit then complains or crashes: ours leaves it alone. */
static bool hdf5_leaks;

static void close_at_exit(void)
{
    if (hdf5_leaks || pare_library_inside())
        return;
    pare_library_enter("HDF5", "at exit");
    H5close();
    pare_library_leave();
}

void pare_hdf5_release(hid_t object)
{
    if (object >= 0)
        H5Idec_ref(object);
}

bool pare_hdf5_begin(pare_hdf5_session *s, const char *path, const pare_input *in,
                     pare_output *out)
{
    *s = (pare_hdf5_session){.in = in, .out = out, .driver = -1, .fapl = -1};
    pthread_mutex_lock(&hdf5_lock);
    pare_library_enter("HDF5", path);
    if (H5dont_atexit() >= 0) /* once, and not in a program that used HDF5 before */
        atexit(close_at_exit);
    H5Eget_auto2(H5E_DEFAULT, &s->print, &s->print_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    s->driver = H5FDregister(&driver);
    s->fapl = H5Pcreate(H5P_FILE_ACCESS);
    return s->driver >= 0 && s->fapl >= 0 && H5Pset_driver(s->fapl, s->driver, &s) >= 0 &&
           /* Its metadata carry checksums of their own, which older formats' do not. */
           H5Pset_libver_bounds(s->fapl, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0;
}

void pare_hdf5_end(pare_hdf5_session *s)
{
    pare_hdf5_release(s->fapl);
    if (s->driver >= 0)
        H5FDunregister(s->driver);
    H5Eset_auto2(H5E_DEFAULT, s->print, s->print_data);
    hdf5_leaks = hdf5_leaks || errno == ENOMEM; /* of which it may have said nothing */
    pare_library_leave();
    pthread_mutex_unlock(&hdf5_lock);
}

/* The innermost of HDF5's errors is the reason, the others its consequences. */
static herr_t keep_reason(unsigned n, const H5E_error2_t *error, void *reason)
{
    if (n == 0)
        *(const char **)reason = error->desc;
    return 0;
}

pare_status pare_hdf5_fail(const pare_hdf5_session *s, pare_status code, const char *path)
{
    const char *reason = "no reason is given";
    const bool no_memory = errno == ENOMEM; /* pare_hdf5_begin cleared it */
    hdf5_leaks = true;
    if (s->status != PARE_OK)
        return pare_fail(s->status, "%s", s->message);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_reason, &reason);
    if (no_memory)
        return pare_fail(PARE_MEMORY, "%s: out of memory inside HDF5: %s", path, reason);
    return pare_fail(code, "%s: HDF5: %s", path, reason);
}
