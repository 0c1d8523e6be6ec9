/* kernels_avx512.c: the kernels of core/kernels.h for avx512 (see core/cpu.h). */
#ifdef __x86_64__
#include "core/cpu/kernels_tables.h"

#define KERNELS_TABLE pare_kernels_avx512
#include "core/cpu/kernels_body.h"
#endif
