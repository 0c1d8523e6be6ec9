/* hdf5_session.h: HDF5 over pare_input and pare_output (the only user of its header).
 *
 *   pare_hdf5_session work;
 *   bool good = pare_hdf5_begin(&work, path, in, NULL);
 *   hid_t file = good ? H5Fopen("pare", H5F_ACC_RDONLY, work.fapl) : -1;
 *   ...                                                   where HDF5 fails: pare_hdf5_fail
 *   pare_hdf5_release(file);
 *   pare_hdf5_end(&work);                                 in any case
 *
 * HDF5 meets the disk only through a file driver of ours, because its own drivers crash the process
 * at exit after a write that failed: the output remembers its first error, and HDF5 finishes as if
 * there had been none. So pare_output_status is to be asked, too. */
#ifndef PARE_CORE_HDF5_SESSION_H
#define PARE_CORE_HDF5_SESSION_H

#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include "core/file.h"

/* HDF5 at work: one thread at a time, its error printing off, our driver known. */
typedef struct pare_hdf5_session {
    const pare_input *in; /* one of the two */
    pare_output *out;
    pare_status status;   /* the first failure to read from `in`, in words */
    char message[1024];
    H5E_auto2_t print;    /* what the host program had set */
    void *print_data;
    hid_t driver;
    hid_t fapl; /* for H5Fopen and H5Fcreate: whatever their name, they get the input or output */
} pare_hdf5_session;

/* One of in and out is NULL; path names it until the end. false: HDF5 has an error. */
bool pare_hdf5_begin(pare_hdf5_session *s, const char *path, const pare_input *in,
                     pare_output *out);
void pare_hdf5_end(pare_hdf5_session *s);

/* The failure of HDF5's last call, with its innermost reason: `code`, or PARE_MEMORY, or the
 * failure to read that it comes from. */
pare_status pare_hdf5_fail(const pare_hdf5_session *s, pare_status code, const char *path);

/* Lets go of an object of any kind; an invalid one is allowed. */
void pare_hdf5_release(hid_t object);

#endif
