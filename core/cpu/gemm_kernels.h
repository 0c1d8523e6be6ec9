/* gemm_kernels.h: what core/gemm.c asks of an instruction set.
 *
 * A product C[m,n] = A[m,k] B[k,n] is computed in tiles of `rows` x `columns` elements, whose sums
 * stay in registers. Both operands are first copied ("packed") into panels that a tile reads from
 * front to back: A into panels[ceil(m / rows)][depth][rows], B into
 * panels[ceil(n / columns)][depth][columns], the last panel filled up with zeros.
 *
 * Kernels of bf16 take both operands rounded to bf16, and most of them put two neighbours in depth
 * into the place of one element of a panel: a pair. Depths of packed panels count elements.
 *
 * One element's value is sum_p a[p] * b[p] with p rising, each step rounded as the instruction set
 * does (fused or not), wherever in a tile the element stands. (AMX adds in an order of its own, the
 * same everywhere.) */
#ifndef PARE_CORE_CPU_GEMM_KERNELS_H
#define PARE_CORE_CPU_GEMM_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/half.h"
#include "core/real.h"

/* c[rows, columns] = a b + bias, or += that; rows and columns may be fewer than a whole tile's. */
typedef struct pare_gemm_tile {
    real *c;
    int64_t ldc;
    const real *a; /* one panel, [depth][rows of a whole tile]; or, with lda, A's rows themselves */
    int64_t lda;   /* 0: a is packed; else row i is at a + i * lda (tables with `direct`) */
    const real *b; /* one panel, [depth][columns of a whole tile] */
    int64_t depth;
    int64_t rows, columns;
    const real *next_c; /* that of the tile to come, to be fetched meanwhile */
    const real *bias;   /* [columns] or NULL */
    bool add;           /* to what is in c */
    bool far;           /* c will not be read soon: it may go past the caches */
    real *sums;         /* room for a whole tile, where the depth comes in chunks; else NULL ... */
    bool resumed, more; /* ... sums hold what it came to so far; c waits for the chunks to come */
    const char *ahead;  /* memory that a later tile will read: fetched into the L2 cache, ... */
    int64_t ahead_step; /* ... so many bytes further at each step of depth */
} pare_gemm_tile;

/* Packs `count` rows of A (or columns of B). Element (i, p), i < count, p < depth, stands at
 * from[i * stride + p] if `along` (the depth runs along memory), else at from[p * stride + i].
 * Kernels of bf16 take halves too. */
typedef void pare_gemm_pack(real *panels, pare_numbers from, int64_t stride, bool along,
                            int64_t count, int64_t depth);

enum { PARE_GEMM_DEPTH_MAX = 768 };

typedef struct pare_gemm_kernels {
    int64_t rows, columns;
    int64_t pair;  /* steps of depth in an element of a panel: 1 or 2 */
    int64_t step;  /* a packed depth, in such elements, is filled up with zeros to a multiple */
    int64_t terms; /* bf16 whose sum stands for a number; a panel is so many times as deep */
    int64_t task;  /* rows or columns of a task at most: packed, they stay in the L2 cache */
    int64_t chunk; /* steps of a panel, about, that stay in the L1 cache; 0: chunks do not pay */
    bool direct;   /* tiles can read A where it lies, if the depth runs along memory */
    void (*begin)(void); /* before a thread runs tiles, and behind its last; may be NULL */
    void (*end)(void);
    void (*run)(const pare_gemm_tile *tile);
    pare_gemm_pack *pack_a, *pack_b;
    void (*peak)(int64_t rounds); /* multiplies and adds in registers only ... */
    int64_t peak_operations;      /* ... so often a round */
} pare_gemm_kernels;

extern const pare_gemm_kernels pare_gemm_portable;
#if defined(__x86_64__)
extern const pare_gemm_kernels pare_gemm_avx2, pare_gemm_avx512;
#endif

/* Of bf16: the first three round their operands and multiply floats. */
#ifndef PARE_DOUBLE
extern const pare_gemm_kernels pare_gemm_portable_bf16;
#if defined(__x86_64__)
extern const pare_gemm_kernels pare_gemm_avx2_bf16, pare_gemm_avx512_bf16, pare_gemm_avx512bf16,
    pare_gemm_amx, pare_gemm_amx_fp32;
#endif
#endif

#endif
