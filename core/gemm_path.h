/* gemm_path.h: which kernels multiply. */
#ifndef PARE_CORE_GEMM_PATH_H
#define PARE_CORE_GEMM_PATH_H

#include "core/cpu/gemm_kernels.h"

/* Those of the instruction set and the precision in use. */
const pare_gemm_kernels *pare_gemm_kernels_get(void);

/* Elements of a packed panel's depth. */
static inline int64_t pare_gemm_packed_depth(const pare_gemm_kernels *with, int64_t depth)
{
    const int64_t elements = (depth + with->pair - 1) / with->pair;
    return (elements + with->step - 1) / with->step * with->step * with->terms;
}

/* BLIS multiplies instead. */
bool pare_gemm_by_blis(void);

#endif
