/* Metrics against scikit-learn's and scipy's values, and where those end: offsets, tiny and huge
 * values, undefined cases. */
#include "core/json.h"
#include "tasks/metrics.h"
#include "tests/harness.h"

static double compute(const char *name, const pare_outcomes *outcomes)
{
    const pare_metric *metric = pare_metric_find(name);
    double value = 0;
    assert_non_null(metric);
    assert_ok(pare_metric_compute(metric, outcomes, &value));
    return value;
}

static double of_classes(const char *name, const int32_t *label, const int32_t *prediction,
                         int64_t n)
{
    return compute(name, &(pare_outcomes){.n = n, .label = label, .prediction = prediction});
}

static double of_numbers(const char *name, const double *target, const double *score, int64_t n)
{
    return compute(name, &(pare_outcomes){.n = n, .target = target, .score = score});
}

/* ---- Goldens ---- */

static pare_json *golden_read(const char *path)
{
    size_t size;
    char *text = test_file_read(path, &size);
    pare_json *root = NULL;
    assert_ok(pare_json_parse(text, size, path, &root));
    free(text);
    return root;
}

static double *numbers(const pare_json *array)
{
    double *values = calloc(pare_json_size(array) + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < pare_json_size(array); i++)
        values[i] = pare_json_as_double(pare_json_at(array, i), NAN);
    return values;
}

static int32_t *integers(const pare_json *array)
{
    int32_t *values = calloc(pare_json_size(array) + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < pare_json_size(array); i++)
        values[i] = (int32_t)pare_json_as_int(pare_json_at(array, i), -1);
    return values;
}

/* null is NaN. Returns the number of metrics compared. */
static int compare(const pare_json *one, const pare_outcomes *o, bool regression)
{
    int compared = 0;
    for (size_t i = 0; i < pare_metric_count(); i++) {
        const pare_metric *metric = pare_metric_at(i);
        if (metric->regression != regression)
            continue;
        pare_json *want = pare_json_get(one, metric->name);
        if (strcmp(metric->name, "precision") == 0 || strcmp(metric->name, "recall") == 0)
            continue; /* not among the goldens: test_precision_and_recall */
        assert_non_null(want);
        double got = compute(metric->name, o);
        if (pare_json_is_null(want))
            assert_true(isnan(got));
        else
            test_close(got, pare_json_as_double(want, NAN), 1e-12, 1.0, metric->name);
        compared++;
    }
    return compared;
}

static void test_goldens_match(void **state)
{
    (void)state;
    char path[TEST_PATH];
    int compared = 0;
    TEST_NEED_SHARED(path, "golden/metrics.json");
    pare_json *root = golden_read(path);
    for (int regression = 0; regression < 2; regression++) {
        pare_json *list = pare_json_get(root, regression ? "regression" : "classification");
        assert_true(pare_json_size(list) >= 10);
        for (size_t i = 0; i < pare_json_size(list); i++) {
            const pare_json *one = pare_json_at(list, i);
            pare_json *y = pare_json_get(one, "labels"), *p = pare_json_get(one, "predictions");
            int32_t *label = integers(y), *prediction = integers(p);
            double *target = numbers(y), *score = numbers(p);
            pare_outcomes o = {(int64_t)pare_json_size(y), label, prediction, target, score};
            compared += compare(one, &o, regression);
            free(label);
            free(prediction);
            free(target);
            free(score);
        }
    }
    assert_true(compared >= 60);
    pare_json_free(root);
}

/* ---- Classification ---- */

static void test_small_cases(void **state)
{
    (void)state;
    const int32_t y[] = {1, 1, 0, 0, 1, 0, 0}, p[] = {1, 0, 0, 1, 1, 0, 0};
    test_close(of_classes("accuracy", y, p, 7), 5.0 / 7, 1e-15, 0, "accuracy");
    test_close(of_classes("f1", y, p, 7), 2.0 / 3, 1e-15, 0, "f1");
    test_close(of_classes("matthews", y, p, 7), 5.0 / 12, 1e-15, 0, "matthews");
    assert_true(of_classes("matthews", y, y, 7) == 1.0);
    assert_null(pare_metric_find("auc"));
}

static void test_nothing_is_undefined(void **state)
{
    (void)state;
    const int32_t none[1] = {0};
    assert_true(isnan(of_classes("accuracy", none, none, 0)));
    assert_true(of_classes("f1", none, none, 0) == 0);
    assert_true(of_classes("macro_f1", none, none, 0) == 0);
    assert_true(of_classes("matthews", none, none, 0) == 0);
    const double x[1] = {2};
    assert_true(isnan(of_numbers("pearson", x, x, 0)));
    assert_true(isnan(of_numbers("spearman", x, x, 1)));
}

/* A class in neither list does not pull the mean down; one in either does. */
/* tp 2, fp 2, fn 1; and their harmonic mean is F1. */
static void test_precision_and_recall(void **state)
{
    (void)state;
    static const int32_t y[] = {1, 1, 0, 0, 1, 0}, p[] = {1, 1, 1, 1, 0, 0};
    static const int32_t zeros[] = {0, 0, 0, 0, 0, 0}, three[] = {0, 1, 2, 0, 1, 2};
    const double precision = of_classes("precision", y, p, 6);
    const double recall = of_classes("recall", y, p, 6);
    test_close(precision, 0.5, 1e-15, 0, "precision");
    test_close(recall, 2.0 / 3, 1e-15, 0, "recall");
    test_close(of_classes("f1", y, p, 6), 2 * precision * recall / (precision + recall), 1e-15, 0,
               "f1");
    assert_true(of_classes("precision", y, zeros, 6) == 0); /* nothing was found */
    assert_true(of_classes("recall", zeros, p, 6) == 0);    /* nothing to find */
    assert_true(isnan(of_classes("precision", three, p, 6)));
    assert_true(isnan(of_classes("recall", y, three, 6)));
}

static void test_macro_f1_takes_classes_that_occur(void **state)
{
    (void)state;
    const int32_t y[] = {0, 0, 5, 5}, p[] = {0, 0, 5, 5}, q[] = {0, 0, 5, 7};
    assert_true(of_classes("macro_f1", y, p, 4) == 1.0);
    test_close(of_classes("macro_f1", y, q, 4), (1.0 + 2.0 / 3 + 0) / 3, 1e-15, 0, "macro_f1");
    assert_true(isnan(of_classes("f1", y, p, 4))); /* not two labels */
}

static void test_ids_out_of_range(void **state)
{
    (void)state;
    const int32_t y[] = {0, -1}, p[] = {0, 1}, far[] = {0, PARE_METRIC_CLASSES};
    const char *const names[] = {"f1", "macro_f1", "matthews"};
    for (int i = 0; i < 3; i++) {
        assert_true(isnan(of_classes(names[i], y, p, 2)));
        assert_true(isnan(of_classes(names[i], p, far, 2)));
    }
    assert_true(of_classes("accuracy", y, p, 2) == 0.5);
}

/* n^2 and the class sums' products are far past 32 bits. */
static void test_matthews_of_many(void **state)
{
    (void)state;
    enum { N = 300001 };
    int32_t *y = calloc(N, sizeof *y), *p = calloc(N, sizeof *p);
    assert_true(y && p);
    y[0] = p[1] = 1; /* tp 0, fp 1, fn 1, tn N - 2: mcc = -1 / (N - 1) */
    test_close(of_classes("matthews", y, p, N), -1.0 / (N - 1), 1e-14, 0, "matthews");
    free(y);
    free(p);
}

/* ---- Regression ---- */

static const double base[] = {0.2, 3.1, 2.25, 4.75, 1, 3.125, 0.5, 5};
static const double other[] = {0.5, 2.75, 2.5, 5, 0.25, 3.5, 1, 4.125};
enum { N_BASE = 8 };

/* Correlations do not see where values lie or how large they are. Quarters and eighths added to
 * 2^27 round nothing, so the result must be as sharp there. */
static void test_offset_and_scale(void **state)
{
    (void)state;
    double x[N_BASE], y[N_BASE], shifted[N_BASE];
    for (int i = 0; i < N_BASE; i++) {
        x[i] = floor(base[i] * 8) / 8;
        y[i] = other[i];
        shifted[i] = x[i] + 134217728.0;
    }
    double r = of_numbers("pearson", x, y, N_BASE), s = of_numbers("spearman", x, y, N_BASE);
    test_close(of_numbers("pearson", shifted, y, N_BASE), r, 1e-15, 0, "offset");
    const double scales[] = {1e-30, 1e-160, 1e-300, 1e150, 1e300};
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        double scaled[N_BASE], back[N_BASE];
        for (int i = 0; i < N_BASE; i++) {
            scaled[i] = x[i] * scales[k];
            back[i] = -y[i] * scales[k];
        }
        test_close(of_numbers("pearson", scaled, back, N_BASE), -r, 1e-13, 0, "scale");
        test_close(of_numbers("spearman", scaled, back, N_BASE), -s, 1e-13, 0, "scale");
    }
}

static void test_correlation_of_itself(void **state)
{
    (void)state;
    double back[N_BASE];
    for (int i = 0; i < N_BASE; i++)
        back[i] = 7 - 3 * base[i];
    assert_true(of_numbers("pearson", base, base, N_BASE) == 1.0);
    assert_true(of_numbers("spearman", base, back, N_BASE) == -1.0);
    test_close(of_numbers("pearson", base, back, N_BASE), -1, 1e-15, 0, "pearson");
}

static void test_constants_and_non_finite(void **state)
{
    (void)state;
    double x[N_BASE], constant[N_BASE];
    for (int i = 0; i < N_BASE; i++)
        constant[i] = 0.1;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    const char *const names[] = {"pearson", "spearman"};
    for (int m = 0; m < 2; m++) {
        assert_true(isnan(of_numbers(names[m], base, constant, N_BASE)));
        assert_true(isnan(of_numbers(names[m], constant, base, N_BASE)));
        for (int k = 0; k < 3; k++) {
            memcpy(x, base, sizeof x);
            x[3] = bad[k];
            assert_true(isnan(of_numbers(names[m], base, x, N_BASE)));
            assert_true(isnan(of_numbers(names[m], x, base, N_BASE)));
        }
    }
}

/* Ties share the mean of their ranks: 1, 2.5, 2.5, 4 against 1, 2, 3, 4. */
static void test_ties(void **state)
{
    (void)state;
    const double x[] = {10, 20, 20, 30}, y[] = {1, 2, 3, 4};
    test_close(of_numbers("spearman", x, y, 4), 4.5 / sqrt(4.5 * 5.0), 1e-15, 0, "spearman");
}

/* Of a million values whose products are summed one by one, against long double: in plain double
 * some thirteen digits are left. */
static void test_long_sums(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    double *x = malloc(2 * N * sizeof *x), *y = x + N;
    long double mean_x = 0, mean_y = 0, xy = 0, xx = 0, yy = 0;
    assert_non_null(x);
    for (int64_t i = 0; i < N; i++) {
        x[i] = fmod((double)i * 0.6180339887498949, 1);
        y[i] = x[i] + fmod((double)i * 0.7548776662466927, 1);
        mean_x += x[i] / N;
        mean_y += y[i] / N;
    }
    for (int64_t i = 0; i < N; i++) {
        xy += (x[i] - mean_x) * (y[i] - mean_y);
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
    }
    test_close(of_numbers("pearson", x, y, N), (double)(xy / sqrtl(xx * yy)), 5e-16, 0, "pearson");
    free(x);
}

/* Rounding never takes a correlation past 1. */
static void test_lines_correlate_by_one(void **state)
{
    (void)state;
    enum { MOST = 200 };
    double x[MOST], y[MOST];
    for (int n = 2; n <= MOST; n++) {
        for (int i = 0; i < n; i++) {
            x[i] = i * 0.1;
            y[i] = 1 - 0.3 * i;
        }
        const double r = of_numbers("pearson", x, y, n);
        assert_true(r >= -1 && r < -1 + 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens_match),
        cmocka_unit_test(test_small_cases),
        cmocka_unit_test(test_nothing_is_undefined),
        cmocka_unit_test(test_precision_and_recall),
        cmocka_unit_test(test_macro_f1_takes_classes_that_occur),
        cmocka_unit_test(test_ids_out_of_range),
        cmocka_unit_test(test_matthews_of_many),
        cmocka_unit_test(test_offset_and_scale),
        cmocka_unit_test(test_correlation_of_itself),
        cmocka_unit_test(test_constants_and_non_finite),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_long_sums),
        cmocka_unit_test(test_lines_correlate_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
