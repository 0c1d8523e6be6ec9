/* gemm_portable.c: products with what every CPU of its kind has: SSE2 or NEON through the
 * compiler's vectors of 16 bytes. Multiplications are rounded before they are added (built with
 * -ffp-contract=off), so that x86-64 CPUs of any age give the same bits. */
#define VECTOR_BYTES 16
#define TILE_ROWS 4
#define STEP(sum, x, v) sum = sum + (x) * (v)
#define KERNELS pare_gemm_portable
#ifndef PARE_DOUBLE
#define ROUNDED pare_gemm_portable_bf16
#endif
#include "core/cpu/gemm_template.h"
