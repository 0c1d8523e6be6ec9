/* kernels_portable.c: the kernels of core/kernels.h for portable (see core/cpu.h). */
#include "core/cpu/kernels_tables.h"

#define KERNELS_TABLE pare_kernels_portable
#include "core/cpu/kernels_body.h"
