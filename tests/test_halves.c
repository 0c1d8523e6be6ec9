/* Reals rounded to bf16 and back, for every instruction set of this CPU. */
#include <float.h>
#include <math.h>

#include "tests/batch.h"
#include "tests/each_isa.h"

enum { LONGEST = 70 };

/* By the definition: of the floats whose lower 16 bits are 0, the nearest, ties to even. */
static double nearest_half(float x)
{
    int exponent;
    const double mantissa = frexp((double)x, &exponent);
    const int digits = exponent < -125 ? 8 + 125 + exponent : 8; /* of denormal numbers, fewer */
    return ldexp(nearbyint(ldexp(mantissa, digits)), exponent - digits);
}

static void expect_half(double got, float x, int64_t n, int64_t i)
{
    const double want = nearest_half(x);
    if (isnan(x))
        assert_true(isnan(got));
    else if (isinf(x) || fabs(want) >= 0x1p128)
        assert_true(isinf(got) && (got > 0) == (x > 0));
    else if (got != want)
        fail_msg("halves (%s), n %lld: [%lld] is %.9g, not %.9g",
                 pare_isa_name(pare_cpu_isa()), (long long)n, (long long)i, got, want);
}

/* Three rows, whose distances differ from what they hold. */
static void check_halves(void)
{
    static const float odd[] = {0, -0.0f, 1, 1.00390625f, 1.01171875f, 1.0039063f, -65504, 3e38f,
                                INFINITY, -INFINITY, NAN, FLT_MAX, FLT_MIN, 1e-40f};
    enum { ODD = sizeof odd / sizeof *odd, MOST = 3 * (LONGEST + 5) };
    static real x[MOST], back[MOST];
    static pare_half y[MOST];
    for (int64_t n = 1; n <= LONGEST; n++) {
        for (int64_t i = 0; i < MOST; i++) {
            x[i] = i % 3 ? test_random(9, i) : (real)odd[i / 3 % ODD];
            y[i] = 0x5555;
            back[i] = 7;
        }
        k->narrow(y, n + 5, x, n + 3, 3, n);
        k->widen(back, n + 2, y, n + 5, 3, n);
        for (int64_t r = 0; r < 3; r++) {
            for (int64_t i = 0; i < n; i++)
                expect_half((double)back[r * (n + 2) + i], (float)x[r * (n + 3) + i], n, i);
            for (int64_t i = n; i < n + 5; i++)
                assert_int_equal(y[r * (n + 5) + i], 0x5555);
            for (int64_t i = n; i < n + 2; i++)
                assert_true(back[r * (n + 2) + i] == 7);
        }
    }
}

static void test_halves(void **state)
{
    (void)state;
    each(check_halves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
