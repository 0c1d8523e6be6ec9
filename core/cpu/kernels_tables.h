/* kernels_tables.h: the tables that the kernel files define, one an instruction set. */
#ifndef PARE_CPU_KERNELS_TABLES_H
#define PARE_CPU_KERNELS_TABLES_H

#include "core/kernels.h"

extern const pare_kernels pare_kernels_portable;
#ifdef __x86_64__
extern const pare_kernels pare_kernels_avx2;
extern const pare_kernels pare_kernels_avx512;
#endif

#endif
