/* core/svd.h: a = u s vt, u and vt orthonormal, for matrices of all kinds and shapes. */
#include "core/svd.h"

#include "core/philox.h"
#include "tests/harness.h"

typedef struct svd {
    int64_t m, n, k;
    double *a, *u, *s, *vt;
} svd;

static svd svd_new(int64_t m, int64_t n)
{
    const int64_t k = m < n ? m : n;
    svd d = {m, n, k, calloc((size_t)(m * n), 8), calloc((size_t)(m * k), 8),
             calloc((size_t)k, 8), calloc((size_t)(k * n), 8)};
    assert_true(d.a && d.u && d.s && d.vt);
    return d;
}

static void svd_free(svd *d)
{
    free(d->a);
    free(d->u);
    free(d->s);
    free(d->vt);
}

static double normal(uint64_t index)
{
    return pare_random_normal(2, PARE_RANDOM_DATA, 0, index);
}

/* A random matrix; below full rank it is a product over `rank`. */
static void fill(svd *d, int64_t rank, double size)
{
    for (int64_t i = 0; i < d->m; i++)
        for (int64_t j = 0; j < d->n; j++) {
            double *x = &d->a[i * d->n + j];
            if (rank == d->k)
                *x = size * normal((uint64_t)(i * d->n + j));
            for (int64_t r = 0; rank < d->k && r < rank; r++)
                *x += size * normal((uint64_t)(i * rank + r)) *
                      normal((uint64_t)(1000000 + j * rank + r));
        }
}

/* Columns p and q of u, or rows of vt. */
static double inner(const svd *d, bool left, int64_t p, int64_t q)
{
    double sum = 0;
    for (int64_t i = 0; i < (left ? d->m : d->n); i++)
        sum += left ? d->u[i * d->k + p] * d->u[i * d->k + q]
                    : d->vt[p * d->n + i] * d->vt[q * d->n + i];
    return sum;
}

/* Of the first `rank` vectors; the others are zeros. */
static void assert_orthonormal(const svd *d, bool left, int64_t rank)
{
    for (int64_t p = 0; p < d->k; p++)
        for (int64_t q = p; q < d->k; q++)
            test_close(inner(d, left, p, q), p == q && p < rank, 1e-11, 1, left ? "u" : "vt");
}

/* u s vt is a. */
static void assert_product(const svd *d)
{
    for (int64_t i = 0; i < d->m; i++)
        for (int64_t j = 0; j < d->n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < d->k; k++)
                sum += d->u[i * d->k + k] * d->s[k] * d->vt[k * d->n + j];
            test_close(sum, d->a[i * d->n + j], 1e-12, d->s[0], "u s vt");
        }
}

static void assert_decomposed(int64_t m, int64_t n, int64_t rank, double size)
{
    svd d = svd_new(m, n);
    fill(&d, rank, size);
    assert_ok(pare_svd(d.a, m, n, d.u, d.s, d.vt));
    assert_product(&d);
    for (int64_t k = 0; k < d.k; k++) {
        assert_true(k == 0 || d.s[k] <= d.s[k - 1]);
        if (k >= rank)
            assert_true(d.s[k] <= 1e-13 * d.s[0]);
    }
    if (rank == d.k) {
        assert_orthonormal(&d, true, rank);
        assert_orthonormal(&d, false, rank);
    }
    svd_free(&d);
}

static void test_shapes(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 1},   {1, 5},   {5, 1},   {7, 7},    {16, 40},
                                        {40, 16}, {33, 65}, {65, 33}, {100, 99}, {128, 128}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t m = shapes[i][0], n = shapes[i][1];
        assert_decomposed(m, n, m < n ? m : n, 0.04);
    }
}

static void test_ranks_and_sizes(void **state)
{
    (void)state;
    assert_decomposed(40, 30, 7, 1);
    assert_decomposed(30, 40, 29, 1);
    assert_decomposed(20, 20, 20, 1e200);
    assert_decomposed(20, 20, 20, 1e-200);
}

/* Columns that depend on each other exactly, with nothing random in what is left of them. */
static void test_exactly_dependent(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{32, 32}, {128, 128}, {200, 37}, {37, 200}};
    for (size_t i = 0; i < 3 * sizeof shapes / sizeof *shapes; i++) {
        const int64_t m = shapes[i / 3][0], n = shapes[i / 3][1];
        svd d = svd_new(m, n);
        for (int64_t r = 0; r < m; r++)
            for (int64_t c = 0; c < n; c++)
                d.a[r * n + c] = i % 3 == 0   ? (double)0.02f                 /* constant */
                                 : i % 3 == 1 ? sin((double)c)                /* equal rows */
                                              : (double)((31 * r + 17 * c) % 7 - 3);
        assert_ok(pare_svd(d.a, m, n, d.u, d.s, d.vt));
        assert_product(&d);
        svd_free(&d);
    }
}

/* diag(5, 3, 0) behind a rotation, with its known values. */
static void test_known_values(void **state)
{
    (void)state;
    const double c = 0.6, s = 0.8;
    svd d = svd_new(3, 3);
    const double a[] = {0, 5 * c, -3 * s, 0, 5 * s, 3 * c, 0, 0, 0};
    memcpy(d.a, a, sizeof a);
    assert_ok(pare_svd(d.a, 3, 3, d.u, d.s, d.vt));
    test_close(d.s[0], 5, 1e-15, 0, "s[0]");
    test_close(d.s[1], 3, 1e-15, 0, "s[1]");
    assert_true(d.s[2] == 0);
    assert_orthonormal(&d, true, 2);
    assert_orthonormal(&d, false, 2);
    svd_free(&d);
}

static void test_zeros_and_not_finite(void **state)
{
    (void)state;
    svd d = svd_new(6, 4);
    assert_ok(pare_svd(d.a, 6, 4, d.u, d.s, d.vt));
    for (int k = 0; k < 4; k++)
        assert_true(d.s[k] == 0);
    d.a[5] = NAN;
    assert_status(pare_svd(d.a, 6, 4, d.u, d.s, d.vt), PARE_DIVERGED);
    assert_message_has("element 5");
    d.a[5] = INFINITY;
    assert_status(pare_svd(d.a, 6, 4, d.u, d.s, d.vt), PARE_DIVERGED);
    svd_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_ranks_and_sizes),
        cmocka_unit_test(test_exactly_dependent),
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_zeros_and_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
