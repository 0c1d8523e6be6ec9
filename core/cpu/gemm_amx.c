/* gemm_amx.c: products of bf16 with AMX (Intel SDM volume 1, chapter 18), whose tile registers hold
 * 16 rows of 64 bytes. A tile of C is 32 x 32: four registers of sums, two of A's rows, two of B's
 * columns. One instruction adds the products of 16 rows, 16 columns and 16 pairs.
 *
 * A panel of A is [depth / 32][32 rows][16 pairs], one of B [depth / 2][32 columns] of pairs. */
#if defined(__x86_64__) && !defined(PARE_DOUBLE)

#ifndef AMX_EMULATED /* tests bring the intrinsics, for CPUs without them */
#include <immintrin.h>
#define KERNELS pare_gemm_amx
#endif
#include <stdalign.h>

#define VECTOR_BYTES 64
#include "core/cpu/gemm_pack.h"

enum {
    REGISTER = 16, /* rows, and pairs or floats in a row */
    TILE = 2 * REGISTER,
    PAIR_BYTES = 4,
    A_STRIDE = REGISTER * PAIR_BYTES,
    B_STRIDE = TILE * PAIR_BYTES
};

/* Every register has 16 rows of 64 bytes. Said before each use: a thread's configuration is not
 * ours alone, and does not outlive a fork. (A constant, for of a local array gcc 12 believes that
 * only the first 8 bytes are read.) */
static void configure(void)
{
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape __attribute__((aligned(64))) = {
        .palette = 1,
        .row_bytes = {A_STRIDE, A_STRIDE, A_STRIDE, A_STRIDE, A_STRIDE, A_STRIDE, A_STRIDE,
                      A_STRIDE},
        .rows = {REGISTER, REGISTER, REGISTER, REGISTER, REGISTER, REGISTER, REGISTER, REGISTER},
    };
    _tile_loadconfig(&shape);
}

/* sums[32, 32] = the products of two panels. */
static void multiply(float *sums, const pare_gemm_tile *t)
{
    const word *a = (const word *)t->a, *b = (const word *)t->b;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t p = 0; p < t->depth; p += REGISTER) {
        _tile_loadd(4, a + p * TILE, A_STRIDE);
        _tile_loadd(5, a + p * TILE + REGISTER * REGISTER, A_STRIDE);
        _tile_loadd(6, b + p * TILE, B_STRIDE);
        _tile_loadd(7, b + p * TILE + REGISTER, B_STRIDE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        for (int64_t i = 0; i < REGISTER; i++)
            __builtin_prefetch(t->ahead + (p + i) * t->ahead_step, 0, 2);
    }
    _tile_stored(0, sums, B_STRIDE);
    _tile_stored(1, sums + REGISTER, B_STRIDE);
    _tile_stored(2, sums + REGISTER * TILE, B_STRIDE);
    _tile_stored(3, sums + REGISTER * TILE + REGISTER, B_STRIDE);
}

static void run(const pare_gemm_tile *t)
{
    alignas(64) float sums[TILE * TILE];
    configure();
    multiply(sums, t);
    for (int64_t i = 0; i < t->rows; i++) {
        float *c = t->c + i * t->ldc;
        const float *sum = sums + i * TILE;
        for (int64_t j = 0; j < t->columns; j++) {
            const float x = t->bias ? sum[j] + t->bias[j] : sum[j];
            c[j] = t->add ? c[j] + x : x;
        }
    }
}

static int64_t pairs_of(int64_t depth)
{
    return (depth + TILE - 1) / TILE * REGISTER;
}

/* A's panels are those of a matrix whose rows are the pairs: each group of 16 pairs is a panel as
 * wide, with a row of A a step. */
static void pack_a(real *panels, const real *from, int64_t stride, bool along, int64_t count,
                   int64_t depth)
{
    word pairs[TILE * PARE_GEMM_DEPTH_MAX / 2];
    const int64_t n_pairs = pairs_of(depth);
    for (int64_t i = 0; i < count; i += TILE, panels += n_pairs * TILE) {
        const int64_t rows = count - i < TILE ? count - i : TILE;
        join_panel(pairs, from + i * (along ? stride : 1), stride, along, rows, depth, n_pairs);
        for (int64_t p = 0; p < n_pairs; p += REGISTER) {
            real *group = panels + p * TILE;
            pack(group, REGISTER, (const real *)(pairs + p * (along ? 1 : rows)),
                 along ? n_pairs : rows, !along, REGISTER, rows);
            memset(group + rows * REGISTER, 0, (size_t)((TILE - rows) * REGISTER) * PAIR_BYTES);
        }
    }
}

static void pack_b(real *panels, const real *from, int64_t stride, bool along, int64_t count,
                   int64_t depth)
{
    pack_pairs(panels, TILE, from, stride, along, count, depth, pairs_of(depth));
}

/* ---- The ceiling ---- */

static void peak(int64_t rounds)
{
    configure();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (int64_t r = 0; r < rounds; r++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

const pare_gemm_kernels KERNELS = {
    TILE, TILE, 2, REGISTER, false, run, pack_a, pack_b, peak,
    4 * 2 * REGISTER * REGISTER * 2 * REGISTER};

#endif
