/* gemm_avx512.c: products with AVX-512, 32 registers of 16 floats. */
#if defined(__x86_64__)

#include <immintrin.h>

#define VECTOR_BYTES 64
#define TILE_ROWS 14
#ifdef PARE_DOUBLE
#define STEP(sum, x, v) sum = (vector)_mm512_fmadd_pd(_mm512_set1_pd(x), v, sum)
#else
#define STEP(sum, x, v) sum = (vector)_mm512_fmadd_ps(_mm512_set1_ps(x), v, sum)
#endif
#define KERNELS pare_gemm_avx512
#ifndef PARE_DOUBLE
#define ROUNDED pare_gemm_avx512_bf16
#endif
#include "core/cpu/gemm_template.h"

#endif
