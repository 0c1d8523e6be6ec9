/* test_amx.c: the kernels of AMX on any CPU: everything but the instructions themselves, which are
 * done in C after their description (Intel SDM volume 2: TILELOADD, TDPBF16PS, TILESTORED). */
#include "tests/pair_kernels.h"

#if defined(__x86_64__) && !defined(PARE_DOUBLE)
#include <stdint.h>

#pragma GCC diagnostic ignored "-Wpsabi"

static uint32_t tiles[8][16][16];
static bool configured;

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void _tile_loadconfig(const void *shape)
{
    const unsigned char *at = shape;
    assert_int_equal(at[0], 1); /* palette */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(at[16 + 2 * i] + 256 * at[17 + 2 * i], 64); /* bytes a row */
        assert_int_equal(at[48 + i], 16);                            /* rows */
    }
    configured = true;
}

static void _tile_release(void)
{
    configured = false;
}

static void _tile_zero(int to)
{
    assert_true(configured);
    memset(tiles[to], 0, sizeof tiles[to]);
}

static void _tile_loadd(int to, const void *base, int64_t stride)
{
    for (int r = 0; r < 16; r++)
        memcpy(tiles[to][r], (const char *)base + r * stride, 64);
}

static void _tile_stored(int from, void *base, int64_t stride)
{
    for (int r = 0; r < 16; r++)
        memcpy((char *)base + r * stride, tiles[from][r], 64);
}

/* sums[m][n] += a[m][k].even b[k][n].even + a[m][k].odd b[k][n].odd, k after k */
static void _tile_dpbf16ps(int sums, int a, int b)
{
    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 16; n++) {
            float sum = from_bits(tiles[sums][m][n]);
            for (int k = 0; k < 16; k++) {
                const uint32_t x = tiles[a][m][k], y = tiles[b][k][n];
                sum += from_bits(x << 16) * from_bits(y << 16);
                sum += from_bits(x & 0xffff0000u) * from_bits(y & 0xffff0000u);
            }
            memcpy(&tiles[sums][m][n], &sum, sizeof sum);
        }
}

#define AMX_EMULATED
#define WRITE_PAST(to, x) (*(vector *)(to) = (x))
#define FENCE()
#define ROUND(x, y)                                                                                \
    __extension__({                                                                                \
        halves rounded_ = {0};                                                                     \
        for (int i_ = 0; i_ < 32; i_++)                                                            \
            rounded_[i_] =                                                                         \
                (uint16_t)pare_half_of(((words)(i_ < 16 ? (x) : (y)))[i_ % 16]);                   \
        rounded_;                                                                                  \
    })
#define PRODUCTS_OF_BF16 pare_gemm_emulated
#define PRODUCTS_OF_FP32 pare_gemm_emulated_fp32
extern const pare_gemm_kernels pare_gemm_emulated, pare_gemm_emulated_fp32;
#include "core/cpu/gemm_amx.c"

#define EMULATED &pare_gemm_emulated, &pare_gemm_emulated_fp32
#endif

#include "tests/pair_kernels_main.h"
