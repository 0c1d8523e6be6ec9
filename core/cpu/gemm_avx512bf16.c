/* gemm_avx512bf16.c: products of bf16 with AVX512-BF16, whose one instruction multiplies 16 pairs
 * and adds both products to 16 floats. */
#if defined(__x86_64__) && !defined(PARE_DOUBLE)

#include <immintrin.h>

#define VECTOR_BYTES 64
#define TILE_ROWS 12
#define PAIRS
#ifndef STEP /* tests define one of their own, for CPUs without the instruction */
#define STEP(sum, x, v)                                                                            \
    sum = (vector)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)_mm512_set1_ps(x), (__m512bh)(v))
#define KERNELS pare_gemm_avx512bf16
#endif
#include "core/cpu/gemm_template.h"

#endif
