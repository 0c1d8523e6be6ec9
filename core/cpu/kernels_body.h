/* kernels_body.h: the kernels of core/kernels.h, once for each instruction set.
 *
 * A file names its table and includes this:
 *   #define KERNELS_TABLE pare_kernels_avx2
 *   #include "core/cpu/kernels_body.h"
 * Loops run over whole vectors, then once over the tail through v_load_part and v_store_part, so
 * that the tail's lanes see the same arithmetic. */
#include "core/cpu/vmath.h"
#include "core/kernels.h"
#include "core/philox.h"

/* Runs BODY_WHOLE for i = 0, VL, 2 VL, ..., and BODY_PART for the `part` elements that are left. */
#define FOR_VECTORS(n, BODY_WHOLE, BODY_PART)                                                      \
    do {                                                                                           \
        int64_t i = 0;                                                                             \
        for (; i + VL <= (n); i += VL) {                                                           \
            BODY_WHOLE;                                                                            \
        }                                                                                          \
        if (i < (n)) {                                                                             \
            int64_t part = (n)-i;                                                                  \
            BODY_PART;                                                                             \
        }                                                                                          \
    } while (0)

#define WHOLE(p) v_load((p) + i)
#define PART(p) v_load_part((p) + i, part)

/* What a pass reads from memory is asked for before it is there: the cores' own prefetching does
 * not keep up with some 30 cycles a vector. */
enum { FETCH_AHEAD = 1024 }; /* bytes */
#define FETCH(p) __builtin_prefetch((const char *)((p) + i) + FETCH_AHEAD, 0, 2)

/* ---- activations ---- */

#define GELU_NEW_SCALE ((real)0.79788456080286535588) /* sqrt(2 / pi) */
#define GELU_NEW_CUBIC ((real)0.044715)
#define NORMAL_PEAK ((real)0.39894228040143267794) /* 1 / sqrt(2 pi) */
#define HALF_LOG2_E ((real)-0.72134752044448170368) /* e^(-x^2 / 2) is 2 to this times x^2 */

static inline vreal activation(vreal x, pare_activation act)
{
    switch (act) {
    case PARE_ACT_GELU:
        return x * v_normal(x);
    case PARE_ACT_GELU_NEW:
        return x * (real)0.5 *
               ((real)1 + v_tanh(GELU_NEW_SCALE * (x + GELU_NEW_CUBIC * x * x * x)));
    case PARE_ACT_RELU:
        return v_select(x <= (real)0, v_set(0), x);
    case PARE_ACT_TANH:
        return v_tanh(x);
    case PARE_ACT_NONE:
        break;
    }
    return x;
}

static inline vreal activation_slope(vreal x, pare_activation act)
{
    switch (act) {
    case PARE_ACT_GELU: {
        const vreal near = v_max(v_min(x, v_set(13)), v_set(-13)); /* beyond, nothing is left */
        return v_normal(x) + near * NORMAL_PEAK * v_exp2_below(near * near * HALF_LOG2_E);
    }
    case PARE_ACT_GELU_NEW: {
        vreal t = v_tanh(GELU_NEW_SCALE * (x + GELU_NEW_CUBIC * x * x * x));
        vreal inner = GELU_NEW_SCALE * ((real)1 + (real)3 * GELU_NEW_CUBIC * x * x);
        return (real)0.5 * ((real)1 + t) + (real)0.5 * x * ((real)1 - t * t) * inner;
    }
    case PARE_ACT_RELU:
        return v_select(x <= (real)0, v_set(0), v_set(1));
    case PARE_ACT_TANH: {
        vreal t = v_tanh(x);
        return (real)1 - t * t;
    }
    case PARE_ACT_NONE:
        break;
    }
    return v_set(1);
}

/* The switch on `act` stands outside the loops: one loop a case, by inlining with a constant. */
#define DISPATCH_ACTIVATION(act, CALL)                                                             \
    switch (act) {                                                                                 \
    case PARE_ACT_GELU: CALL(PARE_ACT_GELU); break;                                                \
    case PARE_ACT_GELU_NEW: CALL(PARE_ACT_GELU_NEW); break;                                        \
    case PARE_ACT_RELU: CALL(PARE_ACT_RELU); break;                                                \
    case PARE_ACT_TANH: CALL(PARE_ACT_TANH); break;                                                \
    case PARE_ACT_NONE: CALL(PARE_ACT_NONE); break;                                                \
    }

static void k_activate(real *y, const real *x, int64_t n, pare_activation act)
{
#define CALL(A)                                                                                    \
    FOR_VECTORS(n, FETCH(x); v_store(y + i, activation(WHOLE(x), A)),                              \
                v_store_part(y + i, activation(PART(x), A), part))
    DISPATCH_ACTIVATION(act, CALL)
#undef CALL
}

/* dx is read only where it is added to: it may hold anything. */
static void k_activate_grad(real *dx, const real *dy, const real *x, int64_t n, pare_activation act,
                            bool add)
{
#define CALL(A)                                                                                    \
    do {                                                                                           \
        if (add)                                                                                   \
            FOR_VECTORS(                                                                           \
                n, FETCH(x);                                                                       \
                v_store(dx + i, WHOLE(dx) + WHOLE(dy) * activation_slope(WHOLE(x), A)),            \
                v_store_part(dx + i, PART(dx) + PART(dy) * activation_slope(PART(x), A), part));   \
        else                                                                                       \
            FOR_VECTORS(n, FETCH(x); v_store(dx + i, WHOLE(dy) * activation_slope(WHOLE(x), A)),   \
                        v_store_part(dx + i, PART(dy) * activation_slope(PART(x), A), part));      \
    } while (0)
    DISPATCH_ACTIVATION(act, CALL)
#undef CALL
}

/* ---- LayerNorm ---- */

/* sum[n] = residual + factor * a; returns its total. */
static real residual_sum(real *sum, const real *a, const real *factor, const real *residual,
                         int64_t n)
{
    vreal total = {0};
#define TERM(LOAD)                                                                                 \
    vreal s = LOAD(a);                                                                             \
    if (factor)                                                                                    \
        s = s * LOAD(factor);                                                                      \
    if (residual)                                                                                  \
        s = s + LOAD(residual);                                                                    \
    total = total + s;
    FOR_VECTORS(n, TERM(WHOLE) v_store(sum + i, s), TERM(PART) v_store_part(sum + i, s, part));
#undef TERM
    return v_sum(total);
}

static void k_norm(real *y, real *sum, real stats[2], const real *a, const real *factor,
                   const real *residual, const real *gamma, const real *beta, double eps, int64_t n)
{
    const real near = residual_sum(sum, a, factor, residual, n) / (real)n;
    vreal squares = {0}, rest = {0};
    FOR_VECTORS(n, vreal d = WHOLE(sum) - near; squares = squares + d * d; rest = rest + d,
                vreal d = v_keep(PART(sum) - near, part); squares = squares + d * d;
                rest = rest + d);
    /* `near` may be a rounding error away: in a row of equal numbers that would be all there is */
    const real off = v_sum(rest) / (real)n, mean = near + off;
    const double variance = (double)(v_sum(squares) / (real)n) - (double)off * (double)off;
    const real scale = (real)(1 / sqrt((variance > 0 ? variance : 0) + eps));
    FOR_VECTORS(n, v_store(y + i, (WHOLE(sum) - mean) * scale * WHOLE(gamma) + WHOLE(beta)),
                v_store_part(y + i, (PART(sum) - mean) * scale * PART(gamma) + PART(beta), part));
    stats[0] = mean;
    stats[1] = scale;
}

static void k_norm_grad(real *dsum, real *dgamma, real *dbeta, const real *dy, const real *sum,
                        const real stats[2], const real *gamma, int64_t n)
{
    const real mean = stats[0], scale = stats[1];
    vreal total = {0}, dotted = {0}; /* sums of g and of g * normal, g = dy * gamma */
#define TERM(LOAD)                                                                                 \
    vreal normal = (LOAD(sum) - mean) * scale, d = LOAD(dy), g = d * LOAD(gamma);                  \
    total = total + g;                                                                             \
    dotted = dotted + g * normal;
    FOR_VECTORS(n,
                TERM(WHOLE) v_store(dgamma + i, WHOLE(dgamma) + d * normal);
                v_store(dbeta + i, WHOLE(dbeta) + d),
                TERM(PART) v_store_part(dgamma + i, PART(dgamma) + d * normal, part);
                v_store_part(dbeta + i, PART(dbeta) + d, part));
#undef TERM
    const real mean_g = v_sum(total) / (real)n, mean_dot = v_sum(dotted) / (real)n;
#define RESULT(LOAD)                                                                               \
    ((LOAD(dy) * LOAD(gamma) - mean_g - (LOAD(sum) - mean) * scale * mean_dot) * scale)
    FOR_VECTORS(n, v_store(dsum + i, RESULT(WHOLE)), v_store_part(dsum + i, RESULT(PART), part));
#undef RESULT
}

/* ---- softmax ---- */

/* exp((x - largest) scale), 0 behind the end */
#define TERM(x) v_exp(((x) - largest) * factor)

/* A row of one vector stays in its register. */
static inline void softmax_vector(real *row, real factor, int64_t n)
{
    const vreal x = v_load_part(row, n);
    const real largest = v_largest(v_select(v_first(n), x, v_set(row[0])));
    const vreal e = v_keep(TERM(x), n);
    v_store_part(row, e * ((real)1 / v_sum(e)), n);
}

static void k_softmax(real *row, double scale, int64_t n)
{
    const real factor = (real)scale;
    if (n <= VL) {
        softmax_vector(row, factor, n);
        return;
    }
    vreal largest_lanes = v_set(row[0]);
    FOR_VECTORS(n, largest_lanes = v_max(largest_lanes, WHOLE(row)),
                largest_lanes =
                    v_max(largest_lanes, v_select(v_first(part), PART(row), largest_lanes)));
    const real largest = v_largest(largest_lanes);
    vreal total = {0};
    FOR_VECTORS(n, vreal e = TERM(WHOLE(row)); total = total + e; v_store(row + i, e),
                vreal e = v_keep(TERM(PART(row)), part); total = total + e;
                v_store_part(row + i, e, part));
    const real inverse = (real)1 / v_sum(total);
    FOR_VECTORS(n, v_store(row + i, WHOLE(row) * inverse),
                v_store_part(row + i, PART(row) * inverse, part));
}
#undef TERM

static void k_softmax_grad(real *dp, const real *p, double scale, int64_t n)
{
    vreal dotted = {0};
    FOR_VECTORS(n, dotted = dotted + WHOLE(dp) * WHOLE(p), dotted = dotted + PART(dp) * PART(p));
    const real dot = v_sum(dotted), factor = (real)scale;
    FOR_VECTORS(n, v_store(dp + i, WHOLE(p) * (WHOLE(dp) - dot) * factor),
                v_store_part(dp + i, PART(p) * (PART(dp) - dot) * factor, part));
}

/* ---- small matrices ---- */

typedef real quad __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));

static inline void transpose_square(real *to, int64_t ldt, const real *from, int64_t ldf)
{
    const quad r0 = *(const quad *)from, r1 = *(const quad *)(from + ldf),
               r2 = *(const quad *)(from + 2 * ldf), r3 = *(const quad *)(from + 3 * ldf);
    const quad low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    const quad low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    const quad high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    const quad high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    *(quad *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    *(quad *)(to + ldt) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    *(quad *)(to + 2 * ldt) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    *(quad *)(to + 3 * ldt) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

static void k_transpose(real *to, int64_t ldt, const real *from, int64_t ldf, int64_t rows,
                        int64_t columns)
{
    const int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (int64_t r = 0; r < whole_rows; r += 4)
        for (int64_t c = 0; c < whole_columns; c += 4)
            transpose_square(to + c * ldt + r, ldt, from + r * ldf + c, ldf);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; c++)
            to[c * ldt + r] = from[r * ldf + c];
}

enum { SMALL_ROWS = VEC_BYTES == 64 ? 8 : 4, SMALL_VECTORS = 2 }; /* sums stay in registers */

/* c[rows, columns of 1 or 2 vectors] */
static inline __attribute__((always_inline)) void
small_block(real *c, int64_t ldc, const real *a, int64_t a_row, int64_t a_column, const real *b,
            int64_t ldb, int64_t k, const int rows, const int vectors)
{
    vreal sum[SMALL_ROWS][SMALL_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sum[r][v] = v_set(0);
    for (int64_t j = 0; j < k; j++)
        for (int v = 0; v < vectors; v++) {
            const vreal b_v = v_load(b + j * ldb + v * VL);
            for (int r = 0; r < rows; r++)
                sum[r][v] = sum[r][v] + a[r * a_row + j * a_column] * b_v;
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            v_store(c + r * ldc + v * VL, sum[r][v]);
}

static void k_small_product(real *c, int64_t ldc, const real *a, int64_t a_row, int64_t a_column,
                            const real *b, int64_t ldb, int64_t m, int64_t n, int64_t k)
{
#define BLOCK(R, V)                                                                                \
    small_block(c + i * ldc + j, ldc, a + i * a_row, a_row, a_column, b + j, ldb, k, R, V)
#define BLOCK_ROWS(R)                                                                              \
    for (; i + (R) <= m; i += (R)) {                                                               \
        int64_t j = 0;                                                                             \
        for (; j + VL < n; j += SMALL_VECTORS * VL)                                                \
            BLOCK(R, 2);                                                                           \
        if (j < n)                                                                                 \
            BLOCK(R, 1);                                                                           \
    }
    int64_t i = 0;
    BLOCK_ROWS(SMALL_ROWS)
    BLOCK_ROWS(4)
    BLOCK_ROWS(2)
    BLOCK_ROWS(1)
#undef BLOCK_ROWS
#undef BLOCK
}

/* ---- dropout ---- */

enum { DROPOUT_GROUP = 128, DROPOUT_LANES = 16 }; /* channels a group, Philox blocks a group */

typedef uint32_t v32 __attribute__((vector_size(VEC_BYTES)));
typedef uint64_t v64 __attribute__((vector_size(VEC_BYTES)));

/* The even lanes of x, times m, in 64 bits. */
static inline v64 even_products(v32 x, uint32_t m)
{
#if defined(__AVX512F__)
    return (v64)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64(m));
#elif defined(__AVX2__)
    return (v64)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x(m));
#elif defined(__SSE2__)
    return (v64)_mm_mul_epu32((__m128i)x, _mm_set1_epi64x(m));
#else
    return ((v64)x & 0xFFFFFFFFu) * m;
#endif
}

/* One half of a Philox round: *high and *low become the halves of the lanes of x, times m. */
static inline void wide_products(v32 x, uint32_t m, v32 *high, v32 *low)
{
    const v64 low_half = (v64){0} + 0xFFFFFFFFu;
    const v64 even = even_products(x, m), odd = even_products((v32)((v64)x >> 32), m);
    *high = (v32)((even >> 32) | (odd & ~low_half));
    *low = (v32)((even & low_half) | (odd << 32));
}

/* The 128 16-bit numbers of group `g`: block 16 g + lane gives the numbers lane, lane + 16, ...
 * (low and high halves of its four words), whatever the width of the vectors that compute it:
 * `first` is the first of the lanes that one vector makes. */
static inline void dropout_lanes(uint32_t number[DROPOUT_GROUP], const pare_dropout_key *key,
                                 uint32_t row, uint32_t g, uint32_t first)
{
    static const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    v32 c0, zero = {0};
    memcpy(&c0, numbers + first, sizeof c0);
    c0 = c0 + g * DROPOUT_LANES;
    v32 c1 = zero + row, c2 = zero + key->example;
    v32 c3 = zero + ((uint32_t)key->step ^ (uint32_t)PARE_RANDOM_DROPOUT << 28);
    uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32) ^ key->site << 8;
    for (int round = 0; round < 10; round++) {
        v32 high0, low0, high1, low1;
        wide_products(c0, 0xD2511F53u, &high0, &low0);
        wide_products(c2, 0xCD9E8D57u, &high1, &low1);
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const v32 word[4] = {c0, c1, c2, c3};
    for (int w = 0; w < 4; w++) {
        v32 low = word[w] & 0xFFFFu, high = word[w] >> 16;
        memcpy(number + 2 * w * DROPOUT_LANES + first, &low, sizeof low);
        memcpy(number + (2 * w + 1) * DROPOUT_LANES + first, &high, sizeof high);
    }
}

static void k_dropout(real *factor, const pare_dropout_key *key, uint32_t row, int64_t n)
{
    const uint32_t threshold = (uint32_t)(key->probability * 65536 + 0.5);
    const real kept = (real)(65536.0 / (65536.0 - threshold));
    uint32_t number[DROPOUT_GROUP];
    for (int64_t start = 0; start < n; start += DROPOUT_GROUP) {
        const int64_t end = n - start < DROPOUT_GROUP ? n - start : DROPOUT_GROUP;
        for (uint32_t first = 0; first < DROPOUT_LANES; first += VEC_BYTES / 4)
            dropout_lanes(number, key, row, (uint32_t)(start / DROPOUT_GROUP), first);
        for (int64_t i = 0; i < end; i++)
            factor[start + i] = number[i] < threshold ? 0 : kept;
    }
}

/* ---- halves ---- */

typedef uint16_t vhalf __attribute__((vector_size(VL * 2), aligned(2), may_alias));

/* pare_half_of, and its inverse, of each lane. */
#ifdef PARE_DOUBLE
static inline vhalf v_narrow(vreal x)
{
    vhalf y = {0};
    for (int l = 0; l < VL; l++)
        y[l] = pare_half_from((float)x[l]);
    return y;
}

static inline vreal v_widen(vhalf x)
{
    vreal y = {0};
    for (int l = 0; l < VL; l++) {
        const uint32_t bits = (uint32_t)x[l] << 16;
        float number;
        memcpy(&number, &bits, sizeof number);
        y[l] = (real)number;
    }
    return y;
}
#else
static inline vhalf v_narrow(vreal x)
{
    const v32 bits = (v32)x, rounded = bits + 0x7fff + (bits >> 16 & 1);
    const v32 is_nan = (v32)((bits & 0x7fffffff) > 0x7f800000);
    const v32 half = ((is_nan & (bits | 0x400000)) | (~is_nan & rounded)) >> 16;
#if defined(__AVX512F__)
    return (vhalf)_mm512_cvtepi32_epi16((__m512i)half);
#else
    return __builtin_convertvector(half, vhalf);
#endif
}

static inline vreal v_widen(vhalf x)
{
    return (vreal)(__builtin_convertvector(x, v32) << 16);
}
#endif

static void k_narrow(pare_half *to, int64_t ldt, const real *from, int64_t ldf, int64_t rows,
                     int64_t columns)
{
    for (int64_t r = 0; r < rows; r++, to += ldt, from += ldf) {
        int64_t j = 0;
        for (; j + VL <= columns; j += VL)
            *(vhalf *)(to + j) = v_narrow(v_load(from + j));
        if (j < columns) {
            const vhalf last = v_narrow(v_load_part(from + j, columns - j));
            memcpy(to + j, &last, (size_t)(columns - j) * sizeof *to);
        }
    }
}

static void k_widen(real *to, int64_t ldt, const pare_half *from, int64_t ldf, int64_t rows,
                    int64_t columns)
{
    for (int64_t r = 0; r < rows; r++, to += ldt, from += ldf) {
        int64_t j = 0;
        for (; j + VL <= columns; j += VL)
            v_store(to + j, v_widen(*(const vhalf *)(from + j)));
        if (j < columns) {
            vhalf last = {0};
            memcpy(&last, from + j, (size_t)(columns - j) * sizeof *from);
            v_store_part(to + j, v_widen(last), columns - j);
        }
    }
}

/* ---- vectors ---- */

static void k_add(real *y, const real *x, int64_t n)
{
    FOR_VECTORS(n, v_store(y + i, WHOLE(y) + WHOLE(x)),
                v_store_part(y + i, PART(y) + PART(x), part));
}

static void k_scale(real *y, real factor, int64_t n)
{
    FOR_VECTORS(n, FETCH(y); v_store(y + i, WHOLE(y) * factor),
                v_store_part(y + i, PART(y) * factor, part));
}

static void k_multiply(real *y, const real *a, const real *b, int64_t n)
{
    FOR_VECTORS(n, v_store(y + i, WHOLE(a) * WHOLE(b)),
                v_store_part(y + i, PART(a) * PART(b), part));
}

enum { SQUARES_BLOCK = 4096 };

/* Where their sum is more than a real holds. */
static double large_squares(const real *x, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (double)x[i] * (double)x[i];
    return total;
}

static double k_sum_squares(const real *x, int64_t n)
{
    double total = 0;
    for (int64_t start = 0; start < n; start += SQUARES_BLOCK) {
        const real *p = x + start;
        const int64_t size = n - start < SQUARES_BLOCK ? n - start : SQUARES_BLOCK;
        vreal sum = {0};
        FOR_VECTORS(size, FETCH(p); vreal s = WHOLE(p); sum = sum + s * s,
                    vreal s = PART(p); sum = sum + s * s);
        const double squares = (double)v_sum(sum);
        total += isinf(squares) ? large_squares(p, size) : squares;
    }
    return total;
}

/* A moment so small moves no weight (v's root stands beside epsilon); as a denormal number, which a
 * gradient of 0 would leave there for good, it takes ten times as long to compute with. */
#define NEGLIGIBLE_MOMENT (real)1e-32

static inline vreal moment(vreal x)
{
    const vint keep = (x > NEGLIGIBLE_MOMENT) | (x < -NEGLIGIBLE_MOMENT) | (x != x);
    return (vreal)((vint)x & keep);
}

static void k_adamw(real *w, real *m, real *v, const real *g, int64_t n, const pare_adamw_step *s)
{
    const real b1 = (real)s->beta1, b2 = (real)s->beta2, r1 = (real)(1 - s->beta1),
               r2 = (real)(1 - s->beta2), clip = (real)s->clip, eps = (real)s->epsilon,
               shrink = (real)(1 - s->learning_rate * s->decay),
               rate = (real)(s->learning_rate * s->correction1), c2 = (real)s->correction2;
#define UPDATE(LOAD, STORE)                                                                        \
    vreal g_i = LOAD(g) * clip;                                                                    \
    vreal m_i = moment(LOAD(m) * b1 + g_i * r1), v_i = moment(LOAD(v) * b2 + g_i * g_i * r2);      \
    vreal w_i = LOAD(w) * shrink - rate * m_i / (v_sqrt(v_i * c2) + eps);                          \
    STORE(m, m_i);                                                                                 \
    STORE(v, v_i);                                                                                 \
    STORE(w, w_i)
#define STORE_WHOLE(p, x) v_store((p) + i, x)
#define STORE_PART(p, x) v_store_part((p) + i, x, part)
    FOR_VECTORS(n, FETCH(w); FETCH(m); FETCH(v); FETCH(g); UPDATE(WHOLE, STORE_WHOLE),
                UPDATE(PART, STORE_PART));
#undef UPDATE
#undef STORE_WHOLE
#undef STORE_PART
}

const pare_kernels KERNELS_TABLE = {
    .activate = k_activate,
    .activate_grad = k_activate_grad,
    .norm = k_norm,
    .norm_grad = k_norm_grad,
    .softmax = k_softmax,
    .softmax_grad = k_softmax_grad,
    .transpose = k_transpose,
    .small_product = k_small_product,
    .dropout = k_dropout,
    .narrow = k_narrow,
    .widen = k_widen,
    .add = k_add,
    .scale = k_scale,
    .multiply = k_multiply,
    .sum_squares = k_sum_squares,
    .adamw = k_adamw,
};
