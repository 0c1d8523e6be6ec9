/* Products: every kernel path against sums in long double, and the promise about bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/gemm.h"
#include "core/memory.h"
#include "core/threads.h"

static const struct {
    const char *kernels;
    pare_precision precision;
} paths[] = {
    {"portable", PARE_PRECISION_FP32},   {"avx2", PARE_PRECISION_FP32},
    {"avx512", PARE_PRECISION_FP32},     {"blis", PARE_PRECISION_FP32},
    {"portable", PARE_PRECISION_BF16},   {"avx2", PARE_PRECISION_BF16},
    {"avx512", PARE_PRECISION_BF16},     {"blis", PARE_PRECISION_BF16},
    {"avx512bf16", PARE_PRECISION_BF16}, {"amx", PARE_PRECISION_BF16},
    {"amx", PARE_PRECISION_FP32},
};
enum { N_PATHS = sizeof paths / sizeof *paths, GAP = 3 };
static pare_precision precision; /* of the path in use */

/* A product with rows further apart than they are long, NaN between them and behind the end. */
typedef struct problem {
    int64_t m, n, k;
    bool a_transposed, b_transposed, accumulate, with_bias;
    int64_t lda, ldb, ldc;
    real *a, *b, *bias, *before, *c;
    pare_half *half_a, *half_b; /* a and b rounded */
} problem;

static uint32_t random_state = 1;

static real random_number(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (real)((double)(random_state >> 8) / (1 << 23) - 1);
}

static int random_below(int n)
{
    return (int)((random_number() + 1) / 2 * (real)n);
}

static real *matrix(int64_t rows, int64_t columns, int64_t stride)
{
    real *x = pare_malloc((size_t)(rows * stride + GAP) * sizeof(real));
    assert_non_null(x);
    for (int64_t i = 0; i < rows * stride + GAP; i++)
        x[i] = i / stride < rows && i % stride < columns ? random_number() : (real)NAN;
    return x;
}

static pare_half *halves_of(const real *x, int64_t rows, int64_t stride)
{
    const int64_t n = rows * stride + GAP;
    pare_half *y = pare_malloc((size_t)n * sizeof *y);
    assert_non_null(y);
    for (int64_t i = 0; i < n; i++)
        y[i] = pare_half_from((float)x[i]);
    return y;
}

static problem problem_new(int64_t m, int64_t n, int64_t k, bool ta, bool tb, bool accumulate,
                           bool with_bias)
{
    problem p = {.m = m, .n = n, .k = k, .a_transposed = ta, .b_transposed = tb,
                 .accumulate = accumulate, .with_bias = with_bias};
    p.lda = (ta ? m : k) + GAP;
    p.ldb = (tb ? k : n) + GAP;
    p.ldc = n + GAP;
    p.a = matrix(ta ? k : m, ta ? m : k, p.lda);
    p.b = matrix(tb ? n : k, tb ? k : n, p.ldb);
    p.bias = matrix(1, n, n);
    p.before = matrix(m, n, p.ldc);
    p.c = matrix(m, n, p.ldc);
    p.half_a = halves_of(p.a, ta ? k : m, p.lda);
    p.half_b = halves_of(p.b, tb ? n : k, p.ldb);
    return p;
}

static void problem_free(problem *p)
{
    pare_free(p->a);
    pare_free(p->b);
    pare_free(p->bias);
    pare_free(p->before);
    pare_free(p->c);
    pare_free(p->half_a);
    pare_free(p->half_b);
}

/* As the path takes it: of a float that is rounded to bf16, 8 bits of mantissa are left. */
static real operand(real x)
{
    int exponent;
    if (precision == PARE_PRECISION_FP32)
        return x;
    const double mantissa = frexp(x, &exponent);
    return (real)ldexp(nearbyint(ldexp(mantissa, 8)), exponent - 8);
}

static real a_at(const problem *p, int64_t i, int64_t q)
{
    return operand(p->a_transposed ? p->a[q * p->lda + i] : p->a[i * p->lda + q]);
}

static real b_at(const problem *p, int64_t q, int64_t j)
{
    return operand(p->b_transposed ? p->b[j * p->ldb + q] : p->b[q * p->ldb + j]);
}

/* Rows i0.. and columns j0.. of the problem, as a product of its own into c. What was in c counts
 * only if the problem accumulates: otherwise it is NaN. */
static void run_part(const problem *p, int64_t i0, int64_t m, int64_t j0, int64_t n, real *c)
{
    size_t bytes = pare_gemm_workspace(m, n, p->k);
    char *workspace = pare_malloc(bytes + 16);
    assert_non_null(workspace);
    memset(workspace, 0xff, bytes + 16); /* NaN */
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * p->ldc + j] =
                p->accumulate ? p->before[(i0 + i) * p->ldc + j0 + j] : (real)NAN;
    pare_gemm(c, p->ldc, p->a + i0 * (p->a_transposed ? 1 : p->lda), p->lda, p->a_transposed,
              p->b + j0 * (p->b_transposed ? p->ldb : 1), p->ldb, p->b_transposed, m, n, p->k,
              p->accumulate, p->with_bias ? p->bias + j0 : NULL, workspace);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal((unsigned char)workspace[bytes + i], 0xff);
    pare_free(workspace);
}

static void check_values(const problem *p)
{
    double unit = sizeof(real) == 8 ? 0x1p-53 : 0x1p-24;
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            long double sum = 0, size = 1;
            for (int64_t q = 0; q < p->k; q++) {
                long double x = (long double)a_at(p, i, q) * b_at(p, q, j);
                sum += x;
                size += fabsl(x);
            }
            sum += p->with_bias ? p->bias[j] : 0;
            sum += p->accumulate ? p->before[i * p->ldc + j] : 0;
            double error = fabs((double)(p->c[i * p->ldc + j] - sum));
            if (!(error <= 4 * unit * (double)size * sqrt((double)p->k + 4)))
                fail_msg("%s m=%d n=%d k=%d [%d,%d]: %g, not %Lg", pare_gemm_path(), (int)p->m,
                         (int)p->n, (int)p->k, (int)i, (int)j, (double)p->c[i * p->ldc + j], sum);
        }
        for (int64_t j = p->n; j < p->ldc; j++)
            assert_true(isnan(p->c[i * p->ldc + j])); /* nothing written beside C */
    }
}

/* Paths that this CPU has not are named in the log. */
static bool choose(int path)
{
    precision = paths[path].precision;
    if (sizeof(real) == 8 && precision == PARE_PRECISION_BF16)
        return false;
    if (pare_kernels_set(paths[path].kernels) == PARE_OK) {
        assert_int_equal(pare_gemm_precision_set(precision), PARE_OK);
        return true;
    }
    print_message("not run, as this CPU has no %s: products of %s\n", paths[path].kernels,
                  precision == PARE_PRECISION_BF16 ? "bf16" : "fp32");
    return false;
}

static void test_values(void **state)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 11, 12, 13, 31, 32, 33, 64, 97, 131};
    static const int64_t depths[] = {0, 1, 3, 4, 5, 16, 63, 200, 449, 767, 769, 1541};
    (void)state;
    for (int path = 0; path < N_PATHS; path++) {
        if (!choose(path))
            continue;
        for (int round = 0; round < 300; round++) {
            random_state = (uint32_t)round;
            int64_t m = sizes[random_below(13)], n = sizes[random_below(13)];
            int64_t k = depths[random_below(12)];
            problem p = problem_new(m, n, k, round & 1, round & 2, round & 4, round & 8);
            run_part(&p, 0, m, 0, n, p.c);
            check_values(&p);
            problem_free(&p);
        }
    }
}

static void expect_same_bits(const problem *p, const real *part, int64_t i0, int64_t m, int64_t j0,
                             int64_t n, const char *what)
{
    for (int64_t i = 0; i < m; i++)
        if (memcmp(part + i * p->ldc, p->c + (i0 + i) * p->ldc + j0, (size_t)n * sizeof(real)))
            fail_msg("%s, %s: other bits in row %d of m=%d n=%d k=%d (%d%d)", pare_gemm_path(),
                     what, (int)(i0 + i), (int)p->m, (int)p->n, (int)p->k, p->a_transposed,
                     p->b_transposed);
}

/* Some rows alone, some columns alone, and other numbers of threads. */
static void check_bits(const problem *p)
{
    real *part = matrix(p->m, p->n, p->ldc);
    pare_threads_set(1);
    run_part(p, 0, p->m, 0, p->n, p->c);
    for (int threads = 2; threads <= 4; threads++) {
        pare_threads_set(threads);
        run_part(p, 0, p->m, 0, p->n, part);
        expect_same_bits(p, part, 0, p->m, 0, p->n, "threads");
    }
    for (int64_t i = 0; i < p->m; i = 3 * i + 1) {
        int64_t rows[] = {1, 2, 7, 13};
        int64_t m = rows[i % 4] < p->m - i ? rows[i % 4] : p->m - i;
        run_part(p, i, m, 0, p->n, part);
        expect_same_bits(p, part, i, m, 0, p->n, "rows");
        run_part(p, i, 1, 0, p->n, part);
        expect_same_bits(p, part, i, 1, 0, p->n, "one row");
    }
    for (int64_t j = 0; j < p->n; j = 4 * j + 1) {
        int64_t n = p->n - j < 33 ? p->n - j : 33;
        run_part(p, 0, p->m, j, n, part);
        expect_same_bits(p, part, 0, p->m, j, n, "columns");
        run_part(p, 0, p->m, j, 1, part);
        expect_same_bits(p, part, 0, p->m, j, 1, "one column");
    }
    pare_free(part);
}

/* A and B from an element on, as reals or as halves. */
static pare_numbers part_of_a(const problem *p, int64_t i, bool half)
{
    const pare_numbers a = half ? (pare_numbers){p->half_a, true} : pare_reals(p->a);
    return pare_numbers_at(a, i * (p->a_transposed ? 1 : p->lda));
}

static pare_numbers part_of_b(const problem *p, int64_t j, bool half)
{
    const pare_numbers b = half ? (pare_numbers){p->half_b, true} : pare_reals(p->b);
    return pare_numbers_at(b, j * (p->b_transposed ? p->ldb : 1));
}

/* B packed before, at several numbers of rows and threads. BLIS packs for itself. */
static void check_packed(const problem *p, bool half)
{
    const size_t bytes = pare_gemm_packed_size(p->n, p->k);
    real *part = matrix(p->m, p->n, p->ldc), *packed = aligned_alloc(64, bytes + 64);
    assert_true(bytes > 0 || pare_kernels_blis());
    assert_non_null(packed);
    memset(packed, 0xff, bytes + 64);
    if (bytes > 0)
        pare_gemm_pack_b(packed, p->b, p->ldb, p->n, p->k);
    for (size_t i = bytes; i < bytes + 64; i++)
        assert_int_equal(((unsigned char *)packed)[i], 0xff);
    for (int64_t m = p->m; bytes > 0 && m > 0; m /= 3) {
        pare_threads_set((int)(m % 4 + 1));
        void *workspace = pare_malloc(pare_gemm_workspace(m, p->n, p->k));
        pare_gemm_packed(part, p->ldc, part_of_a(p, 0, half), p->lda, packed, m, p->n, p->k,
                         p->with_bias ? p->bias : NULL, workspace);
        pare_free(workspace);
        expect_same_bits(p, part, 0, m, 0, p->n, "packed before");
    }
    free(packed);
    pare_free(part);
}

/* A third of C's rows, or of its columns, as the result of each of three products. */
static void check_parts(const problem *p, bool own_a, bool half_a, bool half_b)
{
    const int64_t m = own_a ? p->m / 3 : p->m, n = own_a ? p->n : p->n / 3;
    real *c = matrix(p->m, p->n, p->ldc);
    pare_gemm_part parts[3];
    memcpy(c, p->before, (size_t)(p->m * p->ldc) * sizeof(real));
    for (int64_t i = 0; i < 3; i++) {
        const pare_numbers own = own_a ? part_of_a(p, i * m, half_a) : part_of_b(p, i * n, half_b);
        const real *bias = p->with_bias ? p->bias + (own_a ? 0 : i * n) : NULL;
        parts[i] = (pare_gemm_part){c + i * (own_a ? m * p->ldc : n), own, bias, p->accumulate,
                                    i == 1};
    }
    for (int threads = 1; threads <= 3; threads++) {
        pare_threads_set(threads);
        void *workspace = pare_malloc(pare_gemm_parts_workspace(own_a, m, n, p->k));
        pare_gemm_parts(parts, 3, own_a, p->ldc,
                        own_a ? part_of_b(p, 0, half_b) : part_of_a(p, 0, half_a), p->lda,
                        p->a_transposed, p->ldb, p->b_transposed, m, n, p->k, workspace);
        pare_free(workspace);
        expect_same_bits(p, c, 0, own_a ? 3 * m : m, 0, own_a ? n : 3 * n, "parts");
        memcpy(c, p->before, (size_t)(p->m * p->ldc) * sizeof(real));
    }
    pare_free(c);
}

static void test_bits(void **state)
{
    static const int64_t shapes[][3] = {{1, 1, 1},      {2, 3, 5},      {29, 2, 384},
                                        {37, 384, 384}, {61, 77, 1600}, {130, 200, 789},
                                        {100, 768, 40}, {384, 130, 29}, {19, 101, 3072},
                                        {300, 33, 800}};
    (void)state;
    for (int path = 0; path < N_PATHS; path++) {
        if (!choose(path))
            continue;
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (int kind = 0; kind < 4; kind++) {
                const int64_t *size = shapes[s];
                problem p = problem_new(size[0], size[1], size[2], kind & 1, kind & 2,
                                        kind == 1, kind == 2);
                check_bits(&p);
                const bool halves = pare_gemm_takes_halves();
                for (int own_a = 0; own_a < 2; own_a++)
                    for (int which = 0; which < (halves ? 4 : 1); which++)
                        check_parts(&p, own_a, which & 1, which & 2);
                for (int half = 0; half < 1 + halves && kind == 2; half++)
                    check_packed(&p, half);
                problem_free(&p);
            }
    }
}

/* Within one block of k the own kernels are a plain loop: fused where the instruction set is. */
static void test_order_of_additions(void **state)
{
    (void)state;
    for (int path = 0; path < 3; path++) {
        if (!choose(path))
            continue;
        problem p = problem_new(50, 70, 300, false, true, true, true);
        run_part(&p, 0, p.m, 0, p.n, p.c);
        for (int64_t i = 0; i < p.m; i++)
            for (int64_t j = 0; j < p.n; j++) {
                real sum = 0;
                for (int64_t q = 0; q < p.k; q++) {
                    volatile real product = a_at(&p, i, q) * b_at(&p, q, j); /* rounded */
                    real fused = sizeof(real) == 8
                                     ? (real)fma(a_at(&p, i, q), b_at(&p, q, j), sum)
                                     : (real)fmaf((float)a_at(&p, i, q), (float)b_at(&p, q, j),
                                                  (float)sum);
                    sum = path == 0 ? sum + product : fused;
                }
                sum = sum + p.bias[j];
                sum = p.before[i * p.ldc + j] + sum;
                assert_true(sum == p.c[i * p.ldc + j]);
            }
        problem_free(&p);
    }
}

static void test_empty(void **state)
{
    (void)state;
    real c = 7, bias = 2, x = 1;
    char workspace[4096];
    assert_true(pare_gemm_workspace(0, 0, 0) <= sizeof workspace);
    pare_gemm(&c, 1, &x, 1, false, &x, 1, false, 0, 1, 1, false, NULL, workspace);
    pare_gemm(&c, 1, &x, 1, false, &x, 1, false, 1, 0, 1, false, NULL, workspace);
    assert_true(c == 7);
    pare_gemm(&c, 1, &x, 1, false, &x, 1, false, 1, 1, 0, true, &bias, workspace);
    assert_true(c == 9);
    pare_gemm(&c, 1, &x, 1, false, &x, 1, false, 1, 1, 0, false, NULL, workspace);
    assert_true(c == 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(pare_gemm_precision_set(PARE_PRECISION_FP32), PARE_OK);
    assert_int_equal(pare_kernels_set("fastest"), PARE_USAGE);
    assert_non_null(strstr(pare_error_message(), "fastest"));
    assert_non_null(strstr(pare_error_hint(), "portable"));
    assert_int_equal(pare_kernels_set("portable"), PARE_OK);
    assert_int_equal(pare_cpu_isa(), PARE_ISA_PORTABLE);
    assert_string_equal(pare_gemm_path(), sizeof(real) == 8 ? "fp64-portable" : "fp32-portable");
    assert_int_equal(pare_kernels_set("blis"), PARE_OK);
    assert_true(pare_kernels_blis());
    assert_int_equal(pare_kernels_set("auto"), PARE_OK);
    assert_false(pare_kernels_blis());
    assert_int_equal(pare_kernels_set("portable"), PARE_OK);
    assert_int_equal(pare_gemm_precision_set(PARE_PRECISION_BF16),
                     sizeof(real) == 8 ? PARE_USAGE : PARE_OK);
    assert_string_equal(pare_gemm_path(), sizeof(real) == 8 ? "fp64-portable" : "bf16-portable");
    assert_int_equal(pare_gemm_precision_set(PARE_PRECISION_FP32), PARE_OK);
    for (int isa = 0; isa < PARE_ISA_COUNT; isa++)
        assert_int_equal(pare_kernels_set(pare_isa_name((pare_isa)isa)) == PARE_OK,
                         pare_cpu_supports((pare_isa)isa));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_order_of_additions),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
