/* kernels.c: picks the kernels of the instruction set in use. */
#include "core/kernels.h"

#include "core/cpu.h"
#include "core/cpu/kernels_tables.h"

const pare_kernels *pare_kernels_get(void)
{
    static const pare_kernels *const table[PARE_ISA_COUNT] = {
        [PARE_ISA_PORTABLE] = &pare_kernels_portable,
#ifdef __x86_64__
        [PARE_ISA_AVX2] = &pare_kernels_avx2,
        [PARE_ISA_AVX512] = &pare_kernels_avx512,
#endif
    };
    return table[pare_cpu_isa()];
}
