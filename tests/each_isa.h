/* tests/each_isa.h: a check of kernels, `k`, for each instruction set of this CPU. */
#ifndef PARE_TESTS_EACH_ISA_H
#define PARE_TESTS_EACH_ISA_H

#include "core/cpu.h"
#include "core/kernels.h"
#include "tests/harness.h"

static const pare_kernels *k;

static void each(void (*check)(void))
{
    for (int isa = 0; isa < PARE_ISA_COUNT; isa++)
        if (pare_cpu_supports((pare_isa)isa)) {
            assert_ok(pare_kernels_set(pare_isa_name((pare_isa)isa)));
            k = pare_kernels_get();
            check();
        }
}

#endif
