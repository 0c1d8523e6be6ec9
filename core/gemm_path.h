/* gemm_path.h: which kernels multiply. */
#ifndef PARE_CORE_GEMM_PATH_H
#define PARE_CORE_GEMM_PATH_H

#include "core/cpu/gemm_kernels.h"

/* Those of the instruction set and the precision in use. */
const pare_gemm_kernels *pare_gemm_kernels_get(void);

/* BLIS multiplies instead. */
bool pare_gemm_by_blis(void);

#endif
