/* The kernels of core/kernels.h, for every instruction set of this CPU, against plain sums in
 * double: values, all tails, and what lies behind an array's end. */
#include <float.h>

#include "core/philox.h"
#include "tests/batch.h"
#include "tests/each_isa.h"

enum { LONGEST = 70, ROOM = 512, GUARD = 32 };

#ifdef PARE_DOUBLE
static const double unit = 0x1p-53;
#else
static const double unit = 0x1p-24;
#endif

static void expect(double got, double want, double bound, const char *what, int64_t n, int64_t i)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%s (%s), n %lld: [%lld] is %.9g, not %.9g (bound %.2g)", what,
                 pare_isa_name(pare_cpu_isa()), (long long)n, (long long)i, got, want, bound);
}

/* x[n] = scale * uniform in [-1, 1), and NaN behind it: what reads on shows it. */
static void fill(real *x, int64_t n, uint64_t stream, double scale)
{
    for (int64_t i = 0; i < n + GUARD; i++)
        x[i] = i < n ? (real)(scale * (double)test_random(stream, i)) : (real)NAN;
}

static void expect_guard(const real *x, int64_t n, const char *what)
{
    for (int64_t i = n; i < n + GUARD; i++)
        if (!isnan(x[i]))
            fail_msg("%s (%s), n %lld: wrote behind the end", what,
                     pare_isa_name(pare_cpu_isa()), (long long)n);
}

/* ---- activations ---- */

static double gelu_new_inner(double x)
{
    return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
}

static double activation(double x, pare_activation act)
{
    switch (act) {
    case PARE_ACT_GELU: return 0.5 * x * erfc(-x * M_SQRT1_2);
    case PARE_ACT_GELU_NEW: return 0.5 * x * (1 + tanh(gelu_new_inner(x)));
    case PARE_ACT_RELU: return x > 0 ? x : 0;
    case PARE_ACT_TANH: return tanh(x);
    case PARE_ACT_NONE: break;
    }
    return x;
}

static double slope(double x, pare_activation act)
{
    const double t = tanh(act == PARE_ACT_TANH ? x : gelu_new_inner(x));
    switch (act) {
    case PARE_ACT_GELU:
        return 0.5 * erfc(-x * M_SQRT1_2) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
    case PARE_ACT_GELU_NEW:
        return 0.5 * (1 + t) +
               0.5 * x * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    case PARE_ACT_RELU: return x > 0;
    case PARE_ACT_TANH: return 1 - t * t;
    case PARE_ACT_NONE: break;
    }
    return 1;
}

/* Absolute bounds: far below 0 digits are lost, as they are with 1 + erf(x) in any framework. */
static void check_activations(void)
{
    real x[ROOM], y[ROOM], dy[ROOM], dx[ROOM], before[ROOM];
    for (int act = PARE_ACT_NONE; act <= PARE_ACT_TANH; act++)
        for (int64_t n = 1; n <= LONGEST; n++) {
            const pare_activation a = (pare_activation)act;
            fill(x, n, 1, n % 3 ? 4 : 12);
            fill(y, 0, 0, 0);
            memset(y, 0xff, sizeof y); /* NaN */
            k->activate(y, x, n, a);
            expect_guard(y, n, "activate");
            for (int64_t i = 0; i < n; i++)
                expect(y[i], activation(x[i], a), 4 * unit * (1 + fabs((double)x[i])), "activate",
                       n, i);
            for (int add = 0; add < 2; add++) {
                fill(dy, n, 2, 1);
                fill(before, n, 3, 1);
                memcpy(dx, add ? before : y + ROOM - GUARD - n, (size_t)n * sizeof(real));
                fill(dx + n, 0, 0, 0);
                k->activate_grad(dx, dy, x, n, a, add);
                expect_guard(dx, n, "activate_grad");
                for (int64_t i = 0; i < n; i++)
                    expect(dx[i], (double)dy[i] * slope(x[i], a) + (add ? (double)before[i] : 0),
                           16 * unit * (1 + fabs((double)x[i])), "activate_grad", n, i);
            }
        }
}

static void test_activations(void **state)
{
    (void)state;
    each(check_activations);
}

/* Far from 0 the slope is that of the straight lines which GELU comes to. */
static void check_far_slopes(void)
{
    static const double far[] = {13.2, 14, 20, 1e5, 1e19, 1e30, 3e38};
    real x[14], dx[14], ones[14];
    for (int i = 0; i < 14; i++) {
        x[i] = (real)(i & 1 ? -far[i / 2] : far[i / 2]);
        ones[i] = 1;
    }
    k->activate_grad(dx, ones, x, 14, PARE_ACT_GELU, false);
    for (int i = 0; i < 14; i++)
        expect(dx[i], i & 1 ? 0 : 1, 1e-30, "a far slope", 14, i);
}

static void test_far_slopes(void **state)
{
    (void)state;
    each(check_far_slopes);
}

/* An element's bits do not depend on where in the array it stands: batches rely on it. */
static void check_places(void)
{
    real x[ROOM], y[ROOM], z[ROOM];
    fill(x, 200, 4, 5);
    for (int act = PARE_ACT_NONE; act <= PARE_ACT_TANH; act++) {
        const pare_activation a = (pare_activation)act;
        k->activate(y, x, 200, a);
        for (int64_t first = 0; first < 40; first++) {
            k->activate(z, x + first, 41, a);
            assert_memory_equal(z, y + first, 41 * sizeof(real));
        }
        k->activate_grad(y, x, x, 200, a, false);
        for (int64_t first = 0; first < 40; first++) {
            k->activate_grad(z, x + first, x + first, 41, a, false);
            assert_memory_equal(z, y + first, 41 * sizeof(real));
        }
    }
}

static void test_places_do_not_matter(void **state)
{
    (void)state;
    each(check_places);
}

/* ---- LayerNorm ---- */

static void check_norm_of(int64_t n, bool with_factor, bool with_residual)
{
    real a[ROOM], factor[ROOM], residual[ROOM], gamma[ROOM], beta[ROOM], sum[ROOM], y[ROOM];
    real dy[ROOM], dsum[ROOM], dgamma[ROOM], dbeta[ROOM], stats[2];
    double s[ROOM], mean = 0, variance = 0, total = 0, dotted = 0;
    const double eps = 1e-5, bound = (double)(n + 32) * unit;
    fill(a, n, 5, 2);
    fill(factor, n, 6, 2);
    fill(residual, n, 7, 1);
    fill(gamma, n, 8, 2);
    fill(beta, n, 9, 1);
    fill(dy, n, 10, 1);
    fill(dgamma, n, 11, 1);
    fill(dbeta, n, 12, 1);
    for (int64_t i = 0; i < n; i++) {
        s[i] = (double)a[i] * (with_factor ? (double)factor[i] : 1) +
               (with_residual ? (double)residual[i] : 0);
        mean += s[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        variance += (s[i] - mean) * (s[i] - mean) / (double)n;
    const double scale = 1 / sqrt(variance + eps);
    memset(y, 0xff, sizeof y);
    memcpy(sum, a, sizeof sum); /* in place, as add_norm does */
    k->norm(y, sum, stats, sum, with_factor ? factor : NULL, with_residual ? residual : NULL, gamma,
            beta, eps, n);
    expect_guard(y, n, "norm");
    expect_guard(sum, n, "norm's sum");
    for (int64_t i = 0; i < n; i++) {
        const double normal = (s[i] - mean) * scale, g = (double)dy[i] * (double)gamma[i];
        expect(sum[i], s[i], 4 * unit * 5, "norm's sum", n, i);
        expect(y[i], normal * (double)gamma[i] + (double)beta[i], bound * (2 + 4 * scale), "norm",
               n, i);
        total += g / (double)n;
        dotted += g * normal / (double)n;
    }
    memcpy(dsum, dy, sizeof dsum);
    k->norm_grad(dsum, dgamma, dbeta, dsum, sum, stats, gamma, n);
    expect_guard(dsum, n, "norm_grad");
    expect_guard(dgamma, n, "norm_grad's gamma");
    expect_guard(dbeta, n, "norm_grad's beta");
    for (int64_t i = 0; i < n; i++) {
        const double normal = (s[i] - mean) * scale, g = (double)dy[i] * (double)gamma[i];
        const double wide = bound * (4 + 8 * scale);
        expect(dsum[i], scale * (g - total - normal * dotted), wide * scale, "norm_grad", n, i);
        expect(dgamma[i], (double)test_random(11, i) + (double)dy[i] * normal, wide,
               "norm_grad's gamma", n, i);
        expect(dbeta[i], (double)test_random(12, i) + (double)dy[i], 4 * unit, "norm_grad's beta",
               n, i);
    }
}

static void check_norm(void)
{
    for (int64_t n = 1; n <= LONGEST; n++)
        for (int kind = 0; kind < 4; kind++)
            check_norm_of(n, kind & 1, kind & 2);
    check_norm_of(384, true, true);
    real x[47], y[47], ones[47], stats[2]; /* a mean that is not the number itself, then eps */
    for (int i = 0; i < 47; i++) {
        x[i] = (real)12345.678;
        ones[i] = 1;
    }
    k->norm(y, x, stats, x, NULL, NULL, ones, ones, 1e-12, 47);
    for (int i = 0; i < 47; i++)
        expect(y[i], 1, 0, "norm of equal numbers", 47, i);
}

static void test_norm(void **state)
{
    (void)state;
    each(check_norm);
}

/* ---- softmax ---- */

static void softmax_of(double *p, const real *row, double scale, int64_t n)
{
    double largest = -INFINITY, total = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, scale * (double)row[i]);
    for (int64_t i = 0; i < n; i++)
        total += p[i] = exp(scale * (double)row[i] - largest);
    for (int64_t i = 0; i < n; i++)
        p[i] /= total;
}

/* The argument's own rounding counts as often as it is large. */
static void check_softmax_of(int64_t n, double size, double scale)
{
    real row[ROOM], dp[ROOM];
    double p[ROOM], dot = 0;
    fill(row, n, 13 + (uint64_t)n, size);
    if (n > 4)
        row[n / 2] = -INFINITY; /* as a mask would */
    softmax_of(p, row, scale, n);
    k->softmax(row, scale, n);
    expect_guard(row, n, "softmax");
    for (int64_t i = 0; i < n; i++)
        expect(row[i], p[i], (16 + 4 * size * scale) * unit * p[i] + FLT_MIN, "softmax", n, i);
    if (n > 4)
        assert_true(row[n / 2] == 0);
    fill(dp, n, 14, 1);
    for (int64_t i = 0; i < n; i++)
        dot += (double)dp[i] * (double)row[i];
    k->softmax_grad(dp, row, scale, n);
    expect_guard(dp, n, "softmax_grad");
    for (int64_t i = 0; i < n; i++)
        expect(dp[i], scale * (double)row[i] * ((double)test_random(14, i) - dot),
               32 * unit * scale * (double)row[i] + FLT_MIN, "softmax_grad", n, i);
}

static void check_softmax(void)
{
    for (int64_t n = 1; n <= LONGEST; n++) {
        check_softmax_of(n, 8, 0.125);
        check_softmax_of(n, 1e4, 0.17677669529663687);
        check_softmax_of(n, 20, 1);
    }
    real huge[] = {1e38f, 1e38f, -1e38f, 0}; /* no overflow: the largest becomes exp(0) */
    k->softmax(huge, 0.5, 4);
    assert_true(huge[0] == 0.5f && huge[1] == 0.5f && huge[2] == 0 && huge[3] == 0);
    real large[8] = {0}; /* the largest's rounding error alone is thousands */
    for (int i = 0; i < 8; i++)
        large[i] = (real)(1e12 + 1e10 * i);
    k->softmax(large, 0.35355339059327379, 8);
    for (int i = 0; i < 8; i++)
        assert_true(large[i] == (i == 7));
    real poisoned[20] = {0};
    poisoned[17] = (real)NAN;
    k->softmax(poisoned, 1, 20);
    assert_true(isnan(poisoned[0]) && isnan(poisoned[19])); /* a fault stays visible */
}

static void test_softmax(void **state)
{
    (void)state;
    each(check_softmax);
}

/* ---- small matrices ---- */

static void check_transpose_of(int64_t rows, int64_t columns)
{
    static real from[40 * 45], to[40 * 45];
    const int64_t ldf = columns + 3, ldt = rows + 2;
    for (int64_t i = 0; i < 40 * 45; i++) {
        from[i] = test_random(14, i);
        to[i] = (real)NAN;
    }
    k->transpose(to, ldt, from, ldf, rows, columns);
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t r = 0; r < rows; r++)
            assert_true(to[c * ldt + r] == from[r * ldf + c]);
        assert_true(isnan(to[c * ldt + rows]));
    }
}

static void check_transpose(void)
{
    for (int64_t rows = 1; rows <= 37; rows++)
        for (int64_t columns = 1; columns <= 37; columns++)
            check_transpose_of(rows, columns);
}

static void test_transpose(void **state)
{
    (void)state;
    each(check_transpose);
}

static void check_product(int64_t m, int64_t n, int64_t depth, bool transposed)
{
    static real a[64 * 64], b[64 * 96], c[64 * 96];
    const int64_t ld = (n + PARE_VECTOR_LANES - 1) / PARE_VECTOR_LANES * PARE_VECTOR_LANES;
    const int64_t row = transposed ? 1 : depth + 1, column = transposed ? m + 1 : 1;
    for (int64_t i = 0; i < 64 * 64; i++)
        a[i] = test_random(15, i);
    for (int64_t i = 0; i < depth * ld; i++)
        b[i] = i % ld < n ? test_random(16, i) : (real)NAN; /* padding may hold anything */
    for (int64_t i = 0; i < 64 * 96; i++)
        c[i] = (real)NAN;
    k->small_product(c, ld, a, row, column, b, ld, m, n, depth);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t q = 0; q < depth; q++)
                sum += (double)a[i * row + q * column] * (double)b[q * ld + j];
            expect(c[i * ld + j], sum, 2 * (double)depth * unit, "small_product", n, i * n + j);
        }
    for (int64_t i = m * ld; i < 64 * 96; i++)
        assert_true(isnan(c[i]));
}

static void check_products(void)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 48, 61};
    for (size_t i = 0; i < 14; i++)
        for (size_t j = 0; j < 14; j++)
            for (size_t q = 0; q < 14; q += 3)
                check_product(sizes[i], sizes[j], sizes[q], (i + j) & 1);
}

static void test_small_products(void **state)
{
    (void)state;
    each(check_products);
}

/* ---- dropout ---- */

/* Factor i of a row, from one call of the published generator. */
static double factor_of(const pare_dropout_key *key, uint32_t row, int64_t i)
{
    const uint32_t threshold = (uint32_t)(key->probability * 65536 + 0.5);
    const uint32_t philox_key[2] = {(uint32_t)key->seed,
                                    (uint32_t)(key->seed >> 32) ^ key->site << 8};
    const uint32_t counter[4] = {(uint32_t)(i / 128 * 16 + i % 16), row, key->example,
                                 (uint32_t)key->step ^ (uint32_t)PARE_RANDOM_DROPOUT << 28};
    const uint32_t word = pare_philox(philox_key, counter).word[i % 128 / 32];
    const uint32_t number = i % 32 < 16 ? word & 0xffff : word >> 16;
    return number < threshold ? 0 : 65536.0 / (65536.0 - threshold);
}

static const pare_dropout_key some_key = {0x123456789abcdef0u, 77, 5 | 2 << 8, 4242, 0.1};

static void check_dropout_bits(void)
{
    real factor[ROOM];
    for (int64_t n = 1; n <= 400; n += n < LONGEST ? 1 : 37) {
        memset(factor, 0xff, sizeof factor);
        k->dropout(factor, &some_key, 9, n);
        for (int64_t i = 0; i < n; i++)
            assert_true(factor[i] == (real)factor_of(&some_key, 9, i));
        expect_guard(factor, n, "dropout");
    }
    pare_dropout_key none = some_key;
    none.probability = 0;
    k->dropout(factor, &none, 9, 300);
    for (int i = 0; i < 300; i++)
        assert_true(factor[i] == 1);
}

static void test_dropout_is_the_same_everywhere(void **state)
{
    (void)state;
    each(check_dropout_bits);
}

/* mask[rows][384] of a key; how many were dropped in all, and together with those of `other`. */
enum { MASK_ROWS = 400, MASK_COLUMNS = 384 };
static real mask[MASK_ROWS * MASK_COLUMNS], other_mask[MASK_ROWS * MASK_COLUMNS];

static void fill_mask(real *out, const pare_dropout_key *key, uint32_t first_row)
{
    for (uint32_t r = 0; r < MASK_ROWS; r++)
        k->dropout(out + r * MASK_COLUMNS, key, first_row + r, MASK_COLUMNS);
}

/* Five standard deviations of a binomial count. */
static void expect_count(int64_t count, double probability, const char *what)
{
    const double n = MASK_ROWS * MASK_COLUMNS;
    const double bound = 5 * sqrt(n * probability * (1 - probability));
    expect((double)count, n * probability, bound, what, MASK_COLUMNS, 0);
}

static int64_t count_dropped(void)
{
    int64_t count = 0;
    for (int64_t i = 0; i < MASK_ROWS * MASK_COLUMNS; i++)
        count += mask[i] == 0;
    return count;
}

static int64_t count_both(void)
{
    int64_t count = 0;
    for (int64_t i = 0; i < MASK_ROWS * MASK_COLUMNS; i++)
        count += mask[i] == 0 && other_mask[i] == 0;
    return count;
}

static void test_dropout_is_random(void **state)
{
    (void)state;
    k = pare_kernels_get();
    static const double rates[] = {0.01, 0.1, 0.5, 0.9};
    for (int i = 0; i < 4; i++) {
        pare_dropout_key key = some_key;
        key.probability = rates[i];
        fill_mask(mask, &key, 0);
        expect_count(count_dropped(), rates[i], "dropout's rate");
    }
    pare_dropout_key key = some_key;
    key.probability = 0.3;
    fill_mask(mask, &key, 0);
    for (int field = 0; field < 7; field++) { /* any other key gives an independent mask */
        pare_dropout_key changed = key;
        changed.seed += field == 0 ? 1 : field == 1 ? (uint64_t)1 << 32 : 0;
        changed.step += field == 2;
        changed.site += field == 3 ? 1 : field == 4 ? 1 << 8 : 0;
        changed.example += field == 5;
        fill_mask(other_mask, &changed, field == 6 ? MASK_ROWS : 0);
        expect_count(count_both(), 0.3 * 0.3, "dropout's independence");
    }
    memmove(other_mask, mask + 1, sizeof mask - sizeof *mask); /* neighbours */
    expect_count(count_both(), 0.3 * 0.3, "neighbours");
    memmove(other_mask, mask + MASK_COLUMNS, sizeof mask - MASK_COLUMNS * sizeof *mask);
    expect_count(count_both(), 0.3 * 0.3, "rows");
}

/* ---- vectors ---- */

static void check_vectors(void)
{
    real x[ROOM], y[ROOM], z[ROOM];
    for (int64_t n = 1; n <= LONGEST; n++) {
        fill(x, n, 17, 3);
        fill(y, n, 18, 1);
        k->add(y, x, n);
        expect_guard(y, n, "add");
        for (int64_t i = 0; i < n; i++)
            assert_true(y[i] == (real)(test_random(18, i) + x[i]));
        memset(z, 0xff, sizeof z);
        k->multiply(z, x, y, n);
        expect_guard(z, n, "multiply");
        for (int64_t i = 0; i < n; i++)
            assert_true(z[i] == (real)(x[i] * y[i]));
        double squares = 0;
        for (int64_t i = 0; i < n; i++)
            squares += (double)x[i] * (double)x[i];
        expect(k->sum_squares(x, n), squares, (double)(n + 8) * unit * squares, "sum_squares", n,
               0);
    }
}

static void test_vectors(void **state)
{
    (void)state;
    each(check_vectors);
}

/* Blocks in order: a long sum is the sum of its parts, and a fault anywhere is seen. */
static void check_long_sums(void)
{
    enum { N = 3 * 4096 + 11 };
    static real x[N + GUARD];
    fill(x, N, 19, 1);
    double parts = 0;
    for (int64_t at = 0; at < N; at += 4096)
        parts += k->sum_squares(x + at, N - at < 4096 ? N - at : 4096);
    assert_true(k->sum_squares(x, N) == parts);
    for (int i = 0; i < 300; i++) /* their sum is beyond a float, not the norm */
        x[i] = (real)3e18;
    expect(k->sum_squares(x, 300) / 300, (double)(real)3e18 * (double)(real)3e18, 1e25,
           "sum_squares", 300, 0);
    x[N - 1] = (real)INFINITY;
    assert_true(isinf(k->sum_squares(x, N)));
    x[5000] = (real)NAN;
    assert_true(isnan(k->sum_squares(x, N)));
}

static void test_long_sums(void **state)
{
    (void)state;
    each(check_long_sums);
}

/* ---- AdamW ---- */

static void check_adamw(void)
{
    real w[ROOM], m[ROOM], v[ROOM], g[ROOM];
    const pare_adamw_step s = {1e-2, 0.9, 0.999, 1e-8, 0.1, 0.7, 1 / (1 - 0.81), 1 / (1 - 0.998)};
    for (int64_t n = 1; n <= LONGEST; n++) {
        fill(w, n, 21, 1);
        fill(m, n, 22, 0.1);
        fill(v, n, 23, 0.1);
        fill(g, n, 24, 2);
        for (int64_t i = 0; i < n; i++)
            v[i] = (real)fabs((double)v[i]);
        real w0[ROOM], m0[ROOM], v0[ROOM];
        memcpy(w0, w, sizeof w);
        memcpy(m0, m, sizeof m);
        memcpy(v0, v, sizeof v);
        k->adamw(w, m, v, g, n, &s);
        expect_guard(w, n, "adamw");
        expect_guard(m, n, "adamw's m");
        expect_guard(v, n, "adamw's v");
        for (int64_t i = 0; i < n; i++) {
            const double clipped = (double)g[i] * s.clip;
            const double m1 = (double)m0[i] * 0.9 + clipped * 0.1,
                         v1 = (double)v0[i] * 0.999 + clipped * clipped * 0.001;
            const double w1 = (double)w0[i] * (1 - 1e-2 * 0.1) -
                              1e-2 * m1 * s.correction1 / (sqrt(v1 * s.correction2) + 1e-8);
            expect(m[i], m1, 4 * unit, "adamw's m", n, i);
            expect(v[i], v1, 4 * unit, "adamw's v", n, i);
            expect(w[i], w1, 8 * unit * (1 + fabs(w1 - (double)w0[i])), "adamw", n, i);
        }
    }
}

/* Without a gradient moments end at 0, not among the denormal numbers, and a fault stays one. */
static void check_fading_moments(void)
{
    const pare_adamw_step s = {1e-2, 0.9, 0.999, 1e-8, 0, 1, 1, 1};
    real w[20] = {0}, m[20], v[20], g[20] = {0};
    for (int i = 0; i < 20; i++)
        m[i] = (real)(i % 2 ? 1e-31 : -5e-32), v[i] = (real)1e-31;
    m[18] = (real)NAN;
    for (int step = 0; step < 50; step++)
        k->adamw(w, m, v, g, 20, &s);
    for (int i = 0; i < 20; i++)
        assert_true(i == 18 ? isnan(m[i]) && isnan(w[i]) : m[i] == 0 && v[i] > 0);
}

static void test_adamw(void **state)
{
    (void)state;
    each(check_fading_moments);
    each(check_adamw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_far_slopes),
        cmocka_unit_test(test_places_do_not_matter),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_small_products),
        cmocka_unit_test(test_dropout_is_the_same_everywhere),
        cmocka_unit_test(test_dropout_is_random),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_long_sums),
        cmocka_unit_test(test_adamw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
