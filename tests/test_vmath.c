/* exp, the normal distribution, tanh and gelu of the float build in units of the last place, over a
 * sweep of all floats: denormals, zeros, infinities and what is no number among them. */
#include <float.h>

#include "core/cpu/vmath.h"
#include "tests/each_isa.h"

#ifndef PARE_DOUBLE /* there, the C library's functions are used */

enum { SWEEP = 4096 };
static const uint32_t sweep_step = 1021; /* every 1,021st float of all there are */

/* The next SWEEP floats from bit pattern *bits on; false when all have been given. */
static bool next_floats(uint32_t *bits, float *x)
{
    const uint32_t first = *bits;
    for (int i = 0; i < SWEEP; i++, *bits += sweep_step)
        memcpy(&x[i], bits, sizeof *bits);
    return *bits > first;
}

/* |got - want| in units of the last place of want as a float; denormals have one of 2^-149. */
static double ulps(float got, double want)
{
    int exponent;
    frexp(fmax(fabs(want), FLT_MIN), &exponent);
    return fabs((double)got - want) / ldexp(1, exponent - 24);
}

typedef struct worst {
    const char *name;
    double ulps;
    float at;
} worst;

static void measure(worst *w, float x, float got, double want)
{
    if (isnan(want) || isinf((float)want)) {
        if (isnan(want) ? !isnan(got) : got != (float)want)
            fail_msg("%s (%s) of %g is %g", w->name, pare_isa_name(pare_cpu_isa()), (double)x,
                     (double)got);
        return;
    }
    const double error = ulps(got, want);
    if (!(error <= w->ulps)) {
        w->ulps = error;
        w->at = x;
    }
}

static void report(const worst *w, double limit)
{
    print_message("  %-9s %-6s %.2f ulp at most (at %.9g)\n", pare_isa_name(pare_cpu_isa()),
                  w->name, w->ulps, (double)w->at);
    assert_true(w->ulps <= limit);
}

static double normal(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

/* The functions themselves, as the baseline compiles them; exp makes results below FLT_MIN 0. */
static void test_vector_functions_keep_four_ulp(void **state)
{
    (void)state;
    float x[SWEEP], y[SWEEP], z[SWEEP];
    uint32_t bits = 0;
    worst e = {"exp", 0, 0}, n = {"normal", 0, 0};
    assert_ok(pare_kernels_set("portable"));
    for (bool more = true; more;) {
        more = next_floats(&bits, x);
        for (int i = 0; i < SWEEP; i += VL) {
            v_store(y + i, v_exp(v_load(x + i)));
            v_store(z + i, v_normal(v_load(x + i)));
        }
        for (int i = 0; i < SWEEP; i++) {
            const double want = exp((double)x[i]);
            measure(&e, x[i], y[i], want < FLT_MIN && y[i] == 0 ? 0 : want);
            if (x[i] >= -0.5f)
                measure(&n, x[i], z[i], normal((double)x[i]));
            else if (!isnan(x[i])) /* next to 1: the tail's own digits are fewer */
                assert_true(fabs((double)z[i] - normal((double)x[i])) <= 0x1p-23);
        }
    }
    report(&e, 4);
    report(&n, 4);
}

/* exp by way of softmax: of a row (0, x) the second is e^x times the first, and the division adds
 * at most 1.5 ulp. The normal distribution from -1/2 on by way of gelu, x times it. */
static void check_ulps(void)
{
    float x[SWEEP], y[SWEEP];
    uint32_t bits = 0;
    worst e = {"exp", 0, 0}, g = {"gelu", 0, 0}, t = {"tanh", 0, 0};
    for (bool more = true; more;) {
        more = next_floats(&bits, x);
        k->activate(y, x, SWEEP, PARE_ACT_TANH);
        for (int i = 0; i < SWEEP; i++)
            measure(&t, x[i], y[i], tanh((double)x[i]));
        k->activate(y, x, SWEEP, PARE_ACT_GELU);
        for (int i = 0; i < SWEEP; i++)
            if (x[i] >= -0.5f)
                measure(&g, x[i], y[i], (double)x[i] * normal((double)x[i]));
        for (int i = 0; i < SWEEP; i++) {
            float row[2] = {0, x[i]};
            if (!(x[i] <= 0 && x[i] > -87))
                continue;
            k->softmax(row, 1, 2);
            measure(&e, x[i], (float)((double)row[1] / (double)row[0]), exp((double)x[i]));
        }
    }
    report(&e, 4 + 1.5);
    report(&g, 4);
    report(&t, 4);
}

static void test_functions_keep_four_ulp(void **state)
{
    (void)state;
    each(check_ulps);
}

/* Zeros keep their sign, and what is no number stays so. */
static void check_special_values(void)
{
    const float x[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-45f, FLT_MAX, -FLT_MAX};
    float y[9];
    k->activate(y, x, 9, PARE_ACT_TANH);
    const float tanhs[] = {0.0f, -0.0f, 1, -1, NAN, 1e-45f, -1e-45f, 1, -1};
    for (int i = 0; i < 9; i++)
        assert_true(isnan(tanhs[i]) ? isnan(y[i])
                                    : y[i] == tanhs[i] && signbit(y[i]) == signbit(tanhs[i]));
    k->activate(y, x, 9, PARE_ACT_GELU);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == INFINITY && isnan(y[4]) && y[7] == FLT_MAX);
    k->activate(y, x, 9, PARE_ACT_RELU);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == INFINITY && y[3] == 0 && isnan(y[4]) &&
                y[6] == 0);
}

static void test_special_values(void **state)
{
    (void)state;
    each(check_special_values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_functions_keep_four_ulp),
        cmocka_unit_test(test_functions_keep_four_ulp),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 0;
}

#endif
