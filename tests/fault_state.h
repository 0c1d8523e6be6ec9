/* tests/fault_state.h: what tests/fault_shim.c tells the test that set it up: a file of this,
 * mapped by every process that the shim is in. */
#ifndef PARE_TESTS_FAULT_STATE_H
#define PARE_TESTS_FAULT_STATE_H

#include <stdatomic.h>
#include <stdbool.h>

typedef struct fault_state {
    atomic_long calls;  /* so far, of all the processes */
    atomic_int is_full; /* the first write that did not fit has been */
    char what[300];     /* the k-th call: "pwrite /tmp/x/out/last.h5.tmp"; "" if there was none */
} fault_state;

#endif
