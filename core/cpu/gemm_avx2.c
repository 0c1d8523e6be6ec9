/* gemm_avx2.c: products with AVX2 and FMA, 16 registers of 8 floats. */
#if defined(__x86_64__)

#include <immintrin.h>

#define VECTOR_BYTES 32
#define TILE_ROWS 6
#ifdef PARE_DOUBLE
#define STEP(sum, x, v) sum = (vector)_mm256_fmadd_pd(_mm256_set1_pd(x), v, sum)
#else
#define STEP(sum, x, v) sum = (vector)_mm256_fmadd_ps(_mm256_set1_ps(x), v, sum)
#endif
#define KERNELS pare_gemm_avx2
#ifndef PARE_DOUBLE
#define ROUNDED pare_gemm_avx2_bf16
#endif
#include "core/cpu/gemm_template.h"

#endif
