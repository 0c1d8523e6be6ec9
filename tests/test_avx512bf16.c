/* test_avx512bf16.c: the kernels of AVX512-BF16 on any CPU: everything but the instruction itself,
 * which is done in C. */
#include "tests/pair_kernels.h"

#if defined(__x86_64__) && !defined(PARE_DOUBLE)
#include <stdint.h>

#pragma GCC diagnostic ignored "-Wpsabi"

/* Both products of 16 pairs, the odd ones first. */
#define STEP(sum, x, v)                                                                            \
    do {                                                                                           \
        typedef uint32_t words __attribute__((vector_size(64)));                                   \
        const float pair = x;                                                                      \
        uint32_t bits;                                                                             \
        memcpy(&bits, &pair, sizeof bits);                                                         \
        const words even = (words){0} + (bits << 16), odd = (words){0} + (bits & 0xffff0000u);     \
        sum += (vector)odd * (vector)((words)(v)&0xffff0000u);                                     \
        sum += (vector)even * (vector)((words)(v) << 16);                                          \
    } while (0)
#define KERNELS pare_gemm_emulated
extern const pare_gemm_kernels pare_gemm_emulated;
#include "core/cpu/gemm_avx512bf16.c"

#define EMULATED &pare_gemm_emulated
#endif

#include "tests/pair_kernels_main.h"
