/* core/elementary.h against the C library's functions in long double, and at the edges. The last
 * line that it prints tells the bits of all results: tests/machines.sh compares it with that of
 * other CPUs. */
#include "core/elementary.h"

#include "core/philox.h"
#include "tests/harness.h"

enum { SAMPLES = 200000 };

/* Between low and high; each call another one. */
static double any(double low, double high)
{
    static uint64_t n;
    return low + (high - low) * pare_random_uniform(1, PARE_RANDOM_DATA, 0, n++);
}

static uint64_t seen = 0xcbf29ce484222325u; /* FNV-1a of all results' bits */

/* In units in the last place of a double near `want`. */
static double error(double got, long double want)
{
    int exponent;
    uint64_t bits;
    memcpy(&bits, &got, sizeof bits);
    seen = (seen ^ bits) * 0x100000001b3u;
    frexpl(want, &exponent);
    return (double)(fabsl(got - want) / ldexpl(1, exponent - 53));
}

static void assert_below(double worst, double bound, const char *what)
{
    printf("%-10s %.3f ulp\n", what, worst);
    if (!(worst <= bound))
        fail_msg("%s: an error of %g ulp, above %g", what, worst, bound);
}

static void test_exp(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double x = i % 2 ? any(-2, 2) : any(-708, 709.7);
        worst = fmax(worst, error(pare_exp(x), expl(x)));
    }
    assert_below(worst, 1, "exp");
    assert_true(pare_exp(0) == 1 && pare_exp(-INFINITY) == 0 && pare_exp(-1e9) == 0);
    assert_true(pare_exp(INFINITY) == INFINITY && pare_exp(710) == INFINITY);
    assert_true(pare_exp(-744) == exp(-744)); /* below the least normal number */
    assert_true(isnan(pare_exp(NAN)));
}

static void test_log(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double x = i % 2 ? any(0.5, 2) : pare_exp(any(-700, 700));
        worst = fmax(worst, error(pare_log(x), logl(x)));
    }
    assert_below(worst, 1, "log");
    assert_true(pare_log(1) == 0 && pare_log(0) == -INFINITY && pare_log(INFINITY) == INFINITY);
    assert_true(isnan(pare_log(-1)) && isnan(pare_log(NAN)));
    assert_below(error(pare_log(5e-324), logl((long double)5e-324)), 1, "log of the least");
}

static void test_circle(void **state)
{
    (void)state;
    const long double turn = 6.283185307179586476925286766559L;
    double worst = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double f = any(-0.125, 0.125), quarters = (double)(i % 17 - 8);
        const double t = 0.25 * quarters + f; /* may be rounded; what is left of it is exact */
        const long double a = turn * (t - 0.25 * quarters);
        const long double c = cosl(a), s = sinl(a);
        const long double cosine[] = {c, -s, -c, s}, sine[] = {s, c, -s, -c};
        double got_cosine, got_sine;
        pare_circle(t, &got_cosine, &got_sine);
        worst = fmax(worst, error(got_cosine, cosine[(i % 17 + 8) % 4]));
        worst = fmax(worst, error(got_sine, sine[(i % 17 + 8) % 4]));
    }
    assert_below(worst, 2, "circle");
    for (int quarter = -4; quarter <= 4; quarter++) {
        double cosine, sine;
        pare_circle(0.25 * quarter, &cosine, &sine);
        assert_true(cosine == (double)((quarter % 4 == 0) - (abs(quarter) % 4 == 2)));
        assert_true(fabs(sine) == abs(quarter) % 2);
    }
}

static void test_log_gamma(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES / 10; i++) {
        const double x = i % 2 ? any(0.01, 30) : pare_exp(any(0, 14)), got = pare_log_gamma(x);
        test_close(got, (double)lgammal(x), 2e-14, 1, "log_gamma");
        error(got, 1);
    }
}

static void test_power(void **state)
{
    (void)state;
    for (int n = 0; n < 5000; n++) {
        const double x = any(0.8, 1.1);
        test_close(pare_power(x, n), (double)powl(x, n), n * 1.2e-16, 0, "power");
        assert_true(pare_power(x, 1) == x);
    }
    assert_true(pare_power(0.9, 268435455) == 0);
    assert_true(pare_power(3, 20) == 3486784401.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),       cmocka_unit_test(test_log), cmocka_unit_test(test_circle),
        cmocka_unit_test(test_log_gamma), cmocka_unit_test(test_power),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("bits %016llx\n", (unsigned long long)seen);
    return failed;
}
