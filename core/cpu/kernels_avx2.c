/* kernels_avx2.c: the kernels of core/kernels.h for avx2 (see core/cpu.h). */
#ifdef __x86_64__
#include "core/cpu/kernels_tables.h"

#define KERNELS_TABLE pare_kernels_avx2
#include "core/cpu/kernels_body.h"
#endif
