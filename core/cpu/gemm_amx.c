/* gemm_amx.c: products with AMX (Intel SDM volume 1, chapter 18), whose tile registers hold 16 rows
 * of 64 bytes: of bf16, and of floats as sums of three bf16.
 *
 * A tile of C is 32 x 32: four registers of sums, two of A's rows, two of B's columns. One
 * instruction adds the products of 16 rows, 16 columns and 16 pairs.
 *
 * A float is the sum of three bf16, its terms: what is left after rounding is rounded again, and
 * once more (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype
 * For Higher-Precision Computations", 2019). Of the nine products of two such sums the six largest
 * are added; the other three are at most 2^-23 of the whole. Terms below 2^-126 count as 0.
 *
 * A panel is [depth / 32][terms][2 registers][16 rows][16 pairs]. A's registers have a row of A in
 * each of theirs, and its pairs along it; B's have a pair in each, and B's columns along it. */
#if defined(__x86_64__) && !defined(PARE_DOUBLE)

#include <stdalign.h>

#define VECTOR_BYTES 64
#include "core/cpu/gemm_pack.h"

#ifndef AMX_EMULATED /* tests bring the instructions, for CPUs without them */
#include <immintrin.h>
#define PRODUCTS_OF_BF16 pare_gemm_amx
#define PRODUCTS_OF_FP32 pare_gemm_amx_fp32
/* 32 floats rounded to bf16: x's, then y's. Denormal numbers become 0, as in the products. */
#define ROUND(x, y) ((halves)_mm512_cvtne2ps_pbh((__m512)(y), (__m512)(x)))
/* A whole line, past the caches; others see it behind the fence. */
#define WRITE_PAST(to, x) _mm512_stream_ps(to, (__m512)(x))
#define FENCE() _mm_sfence()
#endif

enum {
    SIDE = 16, /* rows of a register; pairs or floats in a row */
    REGISTER = SIDE * SIDE,
    TILE = 2 * SIDE,
    STEPS = 2 * SIDE, /* of depth, in a register */
    ROW_BYTES = 64,
    FLOAT_BYTES = sizeof(float),
    HALF_BYTES = sizeof(pare_half),
    TERMS = 3, /* of a float */
    AHEAD = 2, /* registers by which memory is fetched before it is packed */
    STREAM_AHEAD = 8192 /* bytes by which a panel is, if a single tile reads it */
};

/* Every register has 16 rows of 64 bytes. (A constant, for of a local array gcc 12 believes that
 * only the first 8 bytes are read.) */
static void begin(void)
{
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape __attribute__((aligned(64))) = {
        .palette = 1,
        .row_bytes = {ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES,
                      ROW_BYTES},
        .rows = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE},
    };
    _tile_loadconfig(&shape);
}

static void end(void)
{
    FENCE();
    _tile_release();
}

/* ---- The tile ---- */

/* Registers 0 to 3 are the sums, 4 and 5 A's, 6 and 7 B's. Loads stand between products: what waits
 * for one is not the first to wait. */
#define LOAD(to, from, half, term)                                                                 \
    _tile_loadd(to, (from) + ((term) * 2 + (half)) * REGISTER, ROW_BYTES)
#define MULTIPLY_UPPER(load_between)                                                               \
    _tile_dpbf16ps(0, 4, 6);                                                                       \
    load_between;                                                                                  \
    _tile_dpbf16ps(1, 4, 7)
#define MULTIPLY_LOWER(load_before)                                                                \
    if (rows > SIDE) {                                                                             \
        load_before;                                                                               \
        _tile_dpbf16ps(2, 5, 6);                                                                   \
        _tile_dpbf16ps(3, 5, 7);                                                                   \
    }
/* With both registers of one side's term, or of the other's, loaded anew. */
#define WITH_NEW_A(term)                                                                           \
    LOAD(4, a, 0, term);                                                                           \
    MULTIPLY_UPPER();                                                                              \
    MULTIPLY_LOWER(LOAD(5, a, 1, term))
#define WITH_NEW_B(term)                                                                           \
    LOAD(6, b, 0, term);                                                                           \
    MULTIPLY_UPPER(LOAD(7, b, 1, term));                                                           \
    MULTIPLY_LOWER()

INLINE const char *fetch(const char *from, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += ROW_BYTES)
        __builtin_prefetch(from + i, 0, 2);
    return from + bytes;
}

/* Whether C is written past the caches. Where a tile takes six times as long, fetching it hides
 * behind the products, and is faster. */
INLINE bool goes_past(const pare_gemm_tile *t, int terms)
{
    return terms == 1 && t->far && t->rows == TILE && t->columns == TILE && !t->add && !t->bias &&
           ((uintptr_t)t->c | (uintptr_t)(t->ldc * FLOAT_BYTES)) % ROW_BYTES == 0;
}

/* The sums go on from what is at `from` (rows so many bytes apart; NULL: zeros) and end up in c.
 * `rows` and `terms` are constants wherever this is inlined; rows > 16: both registers of A. */
INLINE void multiply(const pare_gemm_tile *t, const float *from, int64_t from_bytes, float *c,
                     int64_t c_bytes, int64_t rows, int terms)
{
    const word *a = (const word *)t->a, *b = (const word *)t->b;
    const int64_t step = SIDE * terms, ahead_bytes = SIDE * t->ahead_step; /* a term */
    const bool single = t->ahead_step == TILE * FLOAT_BYTES;
    const char *ahead = single ? (const char *)t->b + STREAM_AHEAD : t->ahead;
    const int64_t c_rows = goes_past(t, terms) || t->more ? 0 : TILE; /* of the next tile */
    const char *next = (const char *)t->next_c, *end = next + c_rows * t->ldc * FLOAT_BYTES;
    const int64_t next_rows = TILE * step / t->depth + 1; /* so many at a time */
    if (from) {
        _tile_loadd(0, from, from_bytes);
        _tile_loadd(1, from + SIDE, from_bytes);
        if (rows > SIDE) {
            const float *below = (const float *)((const char *)from + SIDE * from_bytes);
            _tile_loadd(2, below, from_bytes);
            _tile_loadd(3, below + SIDE, from_bytes);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t p = 0; p < t->depth; p += step) {
        LOAD(4, a, 0, terms - 1);
        LOAD(6, b, 0, 0);
        MULTIPLY_UPPER(LOAD(7, b, 1, 0));
        MULTIPLY_LOWER(LOAD(5, a, 1, terms - 1));
        ahead = fetch(ahead, ahead_bytes);
        if (terms > 1) { /* the largest last; neighbours share a side */
            WITH_NEW_A(1);
            ahead = fetch(ahead, ahead_bytes);
            WITH_NEW_B(1);
            ahead = fetch(ahead, ahead_bytes);
            WITH_NEW_A(0);
            WITH_NEW_B(2);
            WITH_NEW_B(0);
        }
        a += terms * 2 * REGISTER;
        b += terms * 2 * REGISTER;
        for (int64_t i = 0; i < next_rows && next < end; i++, next += t->ldc * FLOAT_BYTES) {
            __builtin_prefetch(next, 1);
            __builtin_prefetch(next + ROW_BYTES, 1);
        }
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c + SIDE, c_bytes);
    if (rows > SIDE) {
        float *below = (float *)((char *)c + SIDE * c_bytes);
        _tile_stored(2, below, c_bytes);
        _tile_stored(3, below + SIDE, c_bytes);
    }
}

INLINE void multiply_rows(const pare_gemm_tile *t, const float *from, int64_t from_bytes, float *c,
                          int64_t c_bytes, int terms)
{
    if (t->rows > SIDE)
        multiply(t, from, from_bytes, c, c_bytes, TILE, terms);
    else
        multiply(t, from, from_bytes, c, c_bytes, SIDE, terms);
}

/* Where the sums begin, and the bytes from row to row; NULL: zeros. C and bias both, and what is
 * less than a tile, are put together in `sums`. */
INLINE const float *start_of(const pare_gemm_tile *t, bool whole, float *sums, int64_t *bytes)
{
    *bytes = TILE * FLOAT_BYTES;
    if (t->resumed)
        return sums;
    if (!t->add && (!t->bias || t->columns == TILE)) {
        *bytes = 0; /* the same row for all */
        return t->bias;
    }
    if (whole && !t->bias) {
        *bytes = t->ldc * FLOAT_BYTES;
        return t->c;
    }
    memset(sums, 0, TILE * TILE * FLOAT_BYTES);
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t j = 0; j < t->columns; j++) {
            float *sum = &sums[i * TILE + j];
            if (t->add)
                *sum = t->c[i * t->ldc + j];
            if (t->bias)
                *sum = t->add ? *sum + t->bias[j] : t->bias[j];
        }
    return sums;
}

/* Straight to C where that can be; else beside it. */
INLINE void run(const pare_gemm_tile *t, int terms)
{
    alignas(64) float beside[TILE * TILE];
    float *sums = t->sums ? t->sums : beside;
    const bool whole = (t->rows == TILE || t->rows == SIDE) && t->columns == TILE;
    const bool past = goes_past(t, terms), straight = whole && !past && !t->more;
    int64_t from_bytes;
    const float *from = start_of(t, whole, sums, &from_bytes);
    multiply_rows(t, from, from_bytes, straight ? t->c : sums,
                  (straight ? t->ldc : TILE) * FLOAT_BYTES, terms);
    if (straight || t->more)
        return;
    for (int64_t i = 0; past && i < TILE; i++)
        for (int64_t j = 0; j < TILE; j += SIDE)
            WRITE_PAST(t->c + i * t->ldc + j, *(const vector *)(sums + i * TILE + j));
    for (int64_t i = 0; !past && i < t->rows; i++)
        memcpy(t->c + i * t->ldc, sums + i * TILE, (size_t)t->columns * FLOAT_BYTES);
}

/* ---- Packing ---- */

typedef uint16_t halves __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint32_t words __attribute__((vector_size(VECTOR_BYTES), may_alias));

/* x's first, y's first, x's second, ... */
INLINE words interleave(halves x_y)
{
    return (words)__builtin_shufflevector(x_y, x_y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22,
                                          7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                                          30, 15, 31);
}

/* A register's 16 lines (A's rows, B's columns) and 32 steps of depth, each term's `apart` words
 * behind the one before. Along, a line is a row of the register; else a pair of steps is. What is
 * `ahead` elements behind each line is fetched beside it: fetched all at once, lines would wait. */
INLINE void round_lines(word *to, int64_t apart, const real *from, int64_t stride, bool along,
                        int terms, int64_t ahead)
{
    for (int64_t r = 0; r < SIDE; r++) {
        const real *at = from + r * (along ? stride : 2 * stride);
        __builtin_prefetch(at + ahead);
        __builtin_prefetch(at + ahead + (along ? SIDE : stride));
        vector x = *(const loose *)at, y = *(const loose *)(at + (along ? SIDE : stride));
        for (int term = 0; term < terms; term++) {
            const halves rounded = ROUND(x, y);
            const words pairs = interleave(rounded);
            *(words *)(to + term * apart + r * SIDE) = along ? (words)rounded : pairs;
            x -= (vector)(pairs << 16);
            y -= (vector)(pairs & 0xffff0000);
        }
    }
}

typedef uint16_t half_line __attribute__((vector_size(VECTOR_BYTES / 2), aligned(2), may_alias));

/* The same of halves, which are their only term. */
INLINE void join_lines(word *to, const pare_half *from, int64_t stride, bool along, int64_t ahead)
{
    for (int64_t r = 0; r < SIDE; r++, to += SIDE) {
        const pare_half *at = from + r * (along ? stride : 2 * stride);
        __builtin_prefetch(at + ahead);
        if (!along)
            __builtin_prefetch(at + ahead + stride);
        const half_line *first = (const half_line *)at;
        const half_line *second = (const half_line *)(at + stride);
        if (along)
            memcpy(to, at, ROW_BYTES);
        else
            *(words *)to = __builtin_convertvector(*first, words) |
                           __builtin_convertvector(*second, words) << 16;
    }
}

INLINE void fill_lines(word *to, int64_t apart, pare_numbers from, int64_t stride, bool along,
                       int terms, int64_t ahead)
{
    if (from.half)
        join_lines(to, from.data, stride, along, ahead);
    else
        round_lines(to, apart, from.data, stride, along, terms, ahead);
}

/* The same with rows and columns exchanged, if `turned`. */
INLINE void fill_register(word *to, pare_numbers from, int64_t stride, bool along, bool turned,
                          int terms, int64_t ahead)
{
    alignas(64) word lines[TERMS * REGISTER];
    if (!turned) {
        fill_lines(to, 2 * REGISTER, from, stride, along, terms, ahead);
        return;
    }
    fill_lines(lines, REGISTER, from, stride, along, terms, ahead);
    for (int term = 0; term < terms; term++)
        pack_along_lanes((real *)(to + term * 2 * REGISTER), SIDE, SIDE,
                         (const real *)(lines + term * REGISTER), SIDE, SIDE);
}

/* Few lines, or the last steps of a depth: zeros fill the register. */
INLINE void fill_edge(word *to, pare_numbers from, int64_t stride, bool along, bool turned,
                      int64_t lines, int64_t steps, int terms)
{
    alignas(64) real room[SIDE * STEPS] = {0};
    const pare_numbers whole = {room, from.half};
    const int64_t whole_stride = along ? STEPS : SIDE;
    const int64_t size = from.half ? HALF_BYTES : FLOAT_BYTES;
    for (int64_t i = 0; i < (along ? lines : steps); i++)
        memcpy((char *)room + i * whole_stride * size, pare_numbers_at(from, i * stride).data,
               (size_t)((along ? steps : lines) * size));
    fill_register(to, whole, whole_stride, along, turned, terms, 0);
}

/* Number `at` of the registers across, number `group` along the depth. */
typedef struct place {
    int64_t at, group;
} place;

/* Registers are filled in the order in which their lines lie in memory: along, line after line,
 * else step after step of depth. The place of number n, and where the lines of a place begin: */
INLINE place place_of(int64_t n, int64_t groups, int64_t registers, bool along)
{
    return along ? (place){n / groups, n % groups} : (place){n % registers, n / registers};
}

INLINE int64_t start_of_lines(place p, int64_t stride, bool along)
{
    return p.at * SIDE * (along ? stride : 1) + p.group * STEPS * (along ? 1 : stride);
}

INLINE void pack_panels(real *panels, pare_numbers from, int64_t stride, bool along, bool turned,
                        int64_t count, int64_t depth, int terms)
{
    const int64_t groups = (depth + STEPS - 1) / STEPS, registers = (count + TILE - 1) / TILE * 2;
    for (int64_t n = 0; n < groups * registers; n++) {
        const place p = place_of(n, groups, registers, along);
        const int64_t start = start_of_lines(p, stride, along);
        const int64_t ahead =
            start_of_lines(place_of(n + AHEAD, groups, registers, along), stride, along) - start;
        word *to =
            (word *)panels + ((p.at / 2 * groups + p.group) * terms * 2 + p.at % 2) * REGISTER;
        int64_t lines = count - p.at * SIDE, steps = depth - p.group * STEPS;
        lines = lines < 0 ? 0 : lines < SIDE ? lines : SIDE;
        steps = steps < STEPS ? steps : STEPS;
        if (lines == SIDE && steps == STEPS)
            fill_register(to, pare_numbers_at(from, start), stride, along, turned, terms, ahead);
        else
            fill_edge(to, pare_numbers_at(from, start), stride, along, turned, lines, steps, terms);
    }
}

/* A loop each for floats and for halves. */
INLINE void pack_numbers(real *panels, pare_numbers from, int64_t stride, bool along, bool turned,
                         int64_t count, int64_t depth, int terms)
{
    if (from.half && terms == 1)
        pack_panels(panels, (pare_numbers){from.data, true}, stride, along, turned, count, depth,
                    terms);
    else
        pack_panels(panels, (pare_numbers){from.data, false}, stride, along, turned, count, depth,
                    terms);
}

/* ---- The ceiling ---- */

static void peak(int64_t rounds)
{
    begin();
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
    end();
}

/* ---- The tables: tasks of 0.6 and 1.2 MB, for L2 caches of 2 MiB ---- */

#define TABLE(name, n, task_max, chunk_steps)                                                      \
    static void run_##n(const pare_gemm_tile *t)                                                   \
    {                                                                                              \
        run(t, n);                                                                                 \
    }                                                                                              \
    static void pack_a_##n(real *panels, pare_numbers from, int64_t stride, bool along,            \
                           int64_t count, int64_t depth)                                           \
    {                                                                                              \
        pack_numbers(panels, from, stride, along, !along, count, depth, n);                        \
    }                                                                                              \
    static void pack_b_##n(real *panels, pare_numbers from, int64_t stride, bool along,            \
                           int64_t count, int64_t depth)                                           \
    {                                                                                              \
        pack_numbers(panels, from, stride, along, along, count, depth, n);                         \
    }                                                                                              \
    const pare_gemm_kernels name = {                                                               \
        .rows = TILE, .columns = TILE, .pair = 2, .step = SIDE, .terms = n, .task = task_max,      \
        .chunk = chunk_steps,                                                                      \
        .begin = begin, .end = end, .run = run_##n, .pack_a = pack_a_##n, .pack_b = pack_b_##n,    \
        .peak = peak, .peak_operations = 4 * 2 * REGISTER * STEPS};

TABLE(PRODUCTS_OF_BF16, 1, 384, 128)
TABLE(PRODUCTS_OF_FP32, 3, 256, 0)

#endif
