/* test_plot.c: charts as files, their numbers, ticks, colours, and data that is hardly there. */
#include "tests/harness.h"

#include "core/checksum.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/philox.h"
#include "plot/chart.h"
#include "plot/color.h"
#include "plot/draw.h"
#include "plot/scale.h"

static const double xs[] = {0, 10, 20, 30};
static const double ys[] = {90.25, 88.5, 0.1 + 0.2, -7e-12};
static const double errors[] = {0.5, NAN, 0.25, 1};
static const char *const labels[] = {"1.1", "1.2", "2.1", "2.2"};
static const pare_chart_series four[] = {{"first", 4, xs, ys, errors, labels},
                                         {"second", 4, xs, xs, NULL, labels}};

/* A chart of this kind with everything that any kind asks for. */
static pare_chart chart_of(pare_chart_kind kind)
{
    return (pare_chart){
        .kind = kind,
        .title = "A title & <more>",
        .x_label = "share of heads (%)",
        .y_label = "accuracy (%)",
        .note = "Pearson 0.42, n 4",
        .series = four,
        .n_series = kind == PARE_CHART_SORTED ? 1 : 2,
        .baseline = 92.5,
        .baseline_label = "unpruned",
        .line = PARE_LINE_FIT,
        .matrix = {2, 2, ys, labels, labels + 2, "accuracy (%)", 0, 0, 0},
        .png_scale = 1, /* a quarter of the default's work */
    };
}

/* The text of stem + ending, for free(). */
static char *read_part(const char *dir, const char *name, size_t *n)
{
    char path[TEST_PATH];
    test_path(path, dir, name);
    return test_file_read(path, n);
}

/* Writes a chart, and expects it to be drawn; *svg, if asked for, is for free(). */
static void write_chart(const pare_chart *chart, char **svg, char **tsv)
{
    char dir[TEST_PATH], stem[TEST_PATH];
    test_dir_make(dir);
    test_path(stem, dir, "chart");
    assert_ok(pare_chart_write(chart, stem));
    if (svg)
        *svg = read_part(dir, "chart.svg", NULL);
    if (tsv)
        *tsv = read_part(dir, "chart.tsv", NULL);
    test_dir_remove(dir);
    test_n_dirs--;
}

static int count_of(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

/* ---- Files ---- */

static uint32_t big_endian(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Every chunk has its checksum, the first says the size, the last ends the file. */
static void assert_png(const char *text, size_t size, uint32_t width, uint32_t height)
{
    const unsigned char *bytes = (const unsigned char *)text;
    assert_true(size > 8);
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    size_t at = 8;
    assert_memory_equal(bytes + at + 4, "IHDR", 4);
    assert_int_equal(big_endian(bytes + at + 8), width);
    assert_int_equal(big_endian(bytes + at + 12), height);
    for (;;) {
        assert_true(at + 12 <= size);
        size_t n = big_endian(bytes + at);
        assert_true(n <= size - at - 12);
        assert_int_equal(pare_crc32(0, bytes + at + 4, n + 4), big_endian(bytes + at + 8 + n));
        bool last = memcmp(bytes + at + 4, "IEND", 4) == 0;
        at += n + 12;
        if (last)
            break;
    }
    assert_int_equal(at, size);
}

/* Tags are closed in the order in which they were opened, as far as counting can tell. */
static void assert_svg(const char *text)
{
    const char *end = strstr(text, "</svg>");
    int depth = 0;
    assert_memory_equal(text, "<?xml", 5);
    assert_non_null(end);
    assert_string_equal(end, "</svg>\n");
    for (const char *at = strchr(text, '<'); at; at = strchr(at + 1, '<')) {
        const char *close = strchr(at, '>');
        assert_non_null(close);
        if (at[1] == '/')
            depth--;
        else if (at[1] != '?' && close[-1] != '/')
            depth++;
        assert_true(depth >= 0);
    }
    assert_int_equal(depth, 0);
}

static void test_files(void **state)
{
    (void)state;
    char dir[TEST_PATH], stem[TEST_PATH];
    test_dir_make(dir);
    test_path(stem, dir, "chart");
    for (pare_chart_kind kind = 0; kind < PARE_CHART_KINDS; kind++) {
        pare_chart chart = chart_of(kind);
        size_t n;
        chart.width = 640;
        chart.height = 480;
        double scale = kind == PARE_CHART_SORTED ? 2 : 1.5; /* 2 is the default */
        chart.png_scale = kind == PARE_CHART_SORTED ? 0 : scale;
        chart.matrix.rows = 1; /* a low page: 480 is more than one row of cells takes */
        assert_ok(pare_chart_write(&chart, stem));
        char *svg = read_part(dir, "chart.svg", NULL), *png = read_part(dir, "chart.png", &n);
        assert_svg(svg);
        assert_non_null(strstr(svg, "width=\"640px\""));
        uint32_t height = big_endian((unsigned char *)png + 20);
        if (kind == PARE_CHART_HEAT_MAP)
            assert_in_range(height, 150, 400);
        uint32_t want = kind == PARE_CHART_HEAT_MAP ? height : (uint32_t)(480 * scale);
        assert_png(png, n, (uint32_t)(640 * scale), want);
        free(svg);
        free(png);
    }
}

/* A second chart of one program, too: cairo counts what it makes. */
static void test_same_bytes(void **state)
{
    (void)state;
    static const char *const endings[] = {"svg", "png", "tsv"};
    char dir[TEST_PATH], one[TEST_PATH], two[TEST_PATH], name[16];
    test_dir_make(dir);
    test_path(one, dir, "one");
    test_path(two, dir, "two");
    for (pare_chart_kind kind = 0; kind < PARE_CHART_KINDS; kind++) {
        pare_chart chart = chart_of(kind);
        assert_ok(pare_chart_write(&chart, one));
        assert_ok(pare_chart_write(&chart, two));
        for (int i = 0; i < 3; i++) {
            size_t n, m;
            snprintf(name, sizeof name, "one.%s", endings[i]);
            char *a = read_part(dir, name, &n);
            snprintf(name, sizeof name, "two.%s", endings[i]);
            char *b = read_part(dir, name, &m);
            assert_int_equal(n, m);
            assert_memory_equal(a, b, n);
            free(a);
            free(b);
        }
    }
}

static void test_unwritable(void **state)
{
    (void)state;
    char dir[TEST_PATH], stem[TEST_PATH];
    pare_chart chart = chart_of(PARE_CHART_LINES);
    test_dir_make(dir);
    test_path(stem, dir, "missing/chart");
    assert_status(pare_chart_write(&chart, stem), PARE_IO);
    assert_message_has("missing/chart");
    assert_int_equal(test_count_names(dir), 0);
}

/* ---- Numbers ---- */

/* The number in row r, column c of a TSV without empty cells in its way. */
static double cell(const char *tsv, int row, int column)
{
    for (; row > 0; row--)
        tsv = strchr(tsv, '\n') + 1;
    for (; column > 0; column--)
        tsv = strchr(tsv, '\t') + 1;
    return strtod(tsv, NULL);
}

static void test_series_table(void **state)
{
    (void)state;
    char *tsv;
    pare_chart chart = chart_of(PARE_CHART_LINES);
    write_chart(&chart, NULL, &tsv);
    assert_ptr_equal(strstr(tsv, "series\tlabel\tx\ty\terror\nfirst\t1.1\t0\t90.25\t0.5\n"), tsv);
    for (int i = 0; i < 4; i++) {
        assert_true(cell(tsv, 1 + i, 2) == xs[i]);
        assert_true(cell(tsv, 1 + i, 3) == ys[i]); /* to the bit */
        assert_true(isnan(errors[i]) || cell(tsv, 1 + i, 4) == errors[i]);
        assert_true(cell(tsv, 5 + i, 3) == xs[i]);
    }
    assert_non_null(strstr(tsv, "first\t1.2\t10\t88.5\tnan\n"));
    assert_non_null(strstr(tsv, "second\t2.2\t30\t30\t\nunpruned\t\t\t92.5\t\n"));
    free(tsv);
}

static void test_sorted_table(void **state)
{
    (void)state;
    static const double values[] = {2, NAN, -1, 2};
    static const char *const names[] = {"a", "b", "c\td", "e"};
    const pare_chart_series series = {.n = 4, .y = values, .labels = names};
    char *tsv;
    pare_chart chart = chart_of(PARE_CHART_SORTED);
    chart.series = &series;
    chart.baseline_label = NULL;
    write_chart(&chart, NULL, &tsv);
    assert_string_equal(tsv, "label\ty\nc d\t-1\na\t2\ne\t2\nb\tnan\n");
    free(tsv);
}

static void test_matrix_table(void **state)
{
    (void)state;
    char *tsv;
    pare_chart chart = chart_of(PARE_CHART_HEAT_MAP);
    write_chart(&chart, NULL, &tsv);
    assert_ptr_equal(strstr(tsv, "row\t2.1\t2.2\n1.1\t"), tsv);
    for (int i = 0; i < 4; i++)
        assert_true(cell(tsv, 1 + i / 2, 1 + i % 2) == ys[i]);
    free(tsv);
}

static void assert_number(double value, int decimals, const char *want)
{
    char text[PARE_NUMBER_SIZE];
    pare_number_text(value, decimals, text);
    assert_string_equal(text, want);
}

static void test_number_text(void **state)
{
    (void)state;
    assert_number(0.25, 2, "0.25");
    assert_number(-0.25, 1, "\xe2\x88\x92" "0.2");
    assert_number(-0.001, 2, "0.00");
    assert_number(123456, -3, "123456");
    assert_number(1.5e7, -5, "1.5e7");
    assert_number(-2e-9, 9, "\xe2\x88\x92" "2e\xe2\x88\x92" "9");
    assert_number(0, -301, "0");
    assert_number(1e300, -299, "1e300");
}

/* ---- Ticks ---- */

static void check_ticks(double low, double high, int most)
{
    pare_range range = PARE_RANGE_EMPTY;
    pare_range_add(&range, low);
    pare_range_add(&range, NAN);
    pare_range_add(&range, INFINITY);
    pare_range_add(&range, high);
    pare_ticks ticks = pare_ticks_choose(range, most);
    assert_in_range(ticks.n, 2, most);
    assert_true(ticks.digit == 1 || ticks.digit == 2 || ticks.digit == 5);
    double step = pare_ticks_at(&ticks, 1) - pare_ticks_at(&ticks, 0), slack = 1e-6 * step;
    assert_true(step > 0);
    if (pare_ticks_low(&ticks) > low + slack || pare_ticks_high(&ticks) < high - slack)
        fail_msg("%g to %g is not covered by %g to %g", low, high, pare_ticks_low(&ticks),
                 pare_ticks_high(&ticks));
    /* Neither end lies further out than a range without extent is widened. */
    double wide = fmax(fabs(low), fabs(high)) * 0.1 + (low == high);
    assert_true(low - pare_ticks_low(&ticks) < step + wide);
    assert_true(pare_ticks_high(&ticks) - high < step + wide);
    char before[PARE_NUMBER_SIZE] = "", text[PARE_NUMBER_SIZE];
    for (int i = 0; i < ticks.n; i++) { /* no two ticks have the same text */
        pare_ticks_text(&ticks, i, text);
        assert_string_not_equal(text, before);
        memcpy(before, text, sizeof before);
    }
}

static void test_ticks(void **state)
{
    (void)state;
    static const double ends[][2] = {
        {0, 1},     {-1, 1},      {0.3, 0.3},     {0, 0},           {-5, -5},     {-1e300, 1e300},
        {0, 1e300}, {1e-300, 1},  {-7e-12, 1e-9}, {1e9, 1e9 + 100}, {99.9, 100},  {-0.1, 0.7},
        {0, 1e-200}, {1e6, 2e6}, {-1e-5, 1e5},   {5e-324, 5e-324}, {123456, 123457},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int most = 3; most <= 12; most++)
            check_ticks(ends[i][0], ends[i][1], most);
    for (uint64_t i = 0; i < 2000; i++) {
        double a = pare_random_normal(1, PARE_RANDOM_DATA, 0, 3 * i);
        double b = pare_random_normal(1, PARE_RANDOM_DATA, 0, 3 * i + 1);
        double size = pow(10, 8 * pare_random_normal(1, PARE_RANDOM_DATA, 0, 3 * i + 2));
        check_ticks(size * fmin(a, b), size * fmax(a, b), 3 + (int)(i % 10));
    }
}

static void test_known_ticks(void **state)
{
    (void)state;
    pare_ticks ticks = pare_ticks_choose((pare_range){0.21, 0.78}, 8);
    test_close(pare_ticks_low(&ticks), 0.2, 0, 1, "low");
    test_close(pare_ticks_high(&ticks), 0.8, 0, 1, "high");
    assert_int_equal(ticks.n, 7);
    test_close(pare_ticks_at(&ticks, 1), 0.3, 0, 1, "0.3, rounded once");
    ticks = pare_ticks_choose((pare_range)PARE_RANGE_EMPTY, 5);
    test_close(pare_ticks_low(&ticks), 0, 0, 1, "nothing");
    test_close(pare_ticks_high(&ticks), 1, 0, 1, "nothing");
}

/* ---- Colours ---- */

static void test_colors(void **state)
{
    (void)state;
    pare_color white = pare_diverging(0), left = pare_diverging(-1), right = pare_diverging(1);
    assert_true(white.r == 1 && white.g == 1 && white.b == 1);
    assert_true(left.b > left.r + 0.3 && right.r > right.b + 0.3); /* blue, and orange */
    for (int side = -1; side <= 1; side += 2) {
        pare_color before = white;
        for (int i = 1; i <= 100; i++) {
            pare_color c = pare_diverging(side * i / 100.0);
            assert_true(c.r <= before.r && c.g < before.g && c.b <= before.b);
            before = c;
        }
        pare_color beyond = pare_diverging(side * 7);
        assert_memory_equal(&beyond, &before, sizeof before);
    }
    assert_true(pare_contrasting(white).r == 0);
    assert_true(pare_contrasting(left).r == 1 && pare_contrasting(right).r == 1);
    for (int i = 0; i < PARE_PALETTE_COLORS; i++)
        for (int j = 0; j < i; j++) {
            pare_color a = pare_palette(i), b = pare_palette(j);
            assert_true(fabs(a.r - b.r) + fabs(a.g - b.g) + fabs(a.b - b.b) > 0.3);
        }
}

/* ---- What is computed for a drawing ---- */

/* numpy.quantile([1, 2, 3, 4, 10], [.25, .5, .75]) is 2, 3, 4: 10 is beyond 4 + 1.5 * 2. */
static void test_boxes(void **state)
{
    (void)state;
    static const double five[] = {1, 2, 3, 4, 10}, two[] = {1, 2};
    pare_box box = pare_box_of(five, 5);
    assert_true(box.q1 == 2 && box.median == 3 && box.q3 == 4);
    assert_true(box.low_whisker == 1 && box.high_whisker == 4);
    box = pare_box_of(two, 2);
    assert_true(box.q1 == 1.25 && box.median == 1.5 && box.q3 == 1.75);
    assert_true(box.low_whisker == 1 && box.high_whisker == 2);
    box = pare_box_of(five, 1);
    assert_true(box.low_whisker == 1 && box.median == 1 && box.high_whisker == 1);
}

/* numpy.polyfit([0, 1, 2, 5], [1, 3, 2, 9], 1) is 1.5714285714285714, 0.6071428571428568. */
static void test_fit(void **state)
{
    (void)state;
    static const double x[] = {0, 1, 77, 2, 5, 6};
    static const double y[] = {1, 3, NAN, 2, 9, INFINITY};
    const pare_chart_series series = {.n = 6, .x = x, .y = y};
    pare_chart chart = {.series = &series, .n_series = 1};
    double intercept, slope;
    assert_true(pare_fit(&chart, &intercept, &slope));
    test_close(slope, 11.0 / 7, 1e-14, 1, "slope");
    test_close(intercept, 17.0 / 28, 1e-14, 1, "intercept");
    const pare_chart_series one = {.n = 1, .x = x, .y = y};
    chart.series = &one;
    assert_false(pare_fit(&chart, &intercept, &slope));
}

/* ---- Data that is hardly there ---- */

/* How often the first palette colour fills something: its markers. */
static int markers(const pare_chart *chart)
{
    char *svg;
    write_chart(chart, &svg, NULL);
    int n = count_of(svg, "fill:rgb(0%,44.705882%,69.803922%)");
    free(svg);
    return n;
}

static void test_missing_values(void **state)
{
    (void)state;
    static const double holes[] = {1, NAN, INFINITY, 4};
    const pare_chart_series series = {.n = 4, .x = xs, .y = holes, .error = errors};
    static const pare_chart_kind kinds[] = {PARE_CHART_SORTED, PARE_CHART_SCATTER,
                                            PARE_CHART_LINES};
    for (int i = 0; i < 3; i++) {
        pare_chart chart = {.kind = kinds[i], .title = "t", .series = &series, .n_series = 1};
        assert_int_equal(markers(&chart), 2);
    }
    pare_chart chart = chart_of(PARE_CHART_HEAT_MAP);
    chart.matrix.values = holes;
    write_chart(&chart, NULL, NULL);
}

static void test_extremes(void **state)
{
    (void)state;
    static const double one[] = {3}, same[] = {2, 2, 2}, huge[] = {-1e308, 1e308, 5e-324};
    for (pare_chart_kind kind = 0; kind < PARE_CHART_KINDS; kind++) {
        pare_chart chart = chart_of(kind);
        const pare_chart_series series[] = {{.n = 1, .x = one, .y = one},
                                            {.n = 3, .x = same, .y = same},
                                            {.n = 3, .x = huge, .y = huge, .error = huge}};
        chart.n_series = 1;
        chart.matrix = (pare_chart_matrix){.rows = 1, .values = huge};
        for (int i = 0; i < 3; i++) {
            chart.series = &series[i];
            chart.matrix.columns = 1 + i;
            write_chart(&chart, NULL, NULL);
        }
        chart.title = chart.note = chart.x_label = chart.y_label = chart.baseline_label = "";
        write_chart(&chart, NULL, NULL);
    }
}

/* A page grows with its labels, and a text that is longer than any page is cut. */
static void test_many_and_long(void **state)
{
    (void)state;
    enum { N = 1000, LONG = 3000 };
    static double many[N];
    char *text = malloc(LONG + 1);
    for (int i = 0; i < LONG; i += 3)
        memcpy(text + i, "\xe2\x88\x92", 4);
    for (int i = 0; i < N; i++)
        many[i] = i % 7;
    const pare_chart_series series = {.name = text, .n = N, .x = many, .y = many};
    for (pare_chart_kind kind = 0; kind < PARE_CHART_KINDS; kind++) {
        pare_chart chart = chart_of(kind);
        chart.title = chart.note = chart.x_label = chart.y_label = chart.baseline_label = text;
        chart.series = &series;
        chart.n_series = 1;
        chart.matrix = (pare_chart_matrix){30, 33, many, NULL, NULL, text, 3, 0, 0};
        char *svg;
        write_chart(&chart, &svg, NULL);
        bool wide = kind == PARE_CHART_SORTED || kind == PARE_CHART_HEAT_MAP;
        assert_int_equal(strstr(svg, "width=\"800px\"") == NULL, wide);
        free(svg);
    }
    free(text);
}

static void expect_failure(pare_chart chart, pare_status status, const char *message)
{
    char dir[TEST_PATH], stem[TEST_PATH];
    test_dir_make(dir);
    test_path(stem, dir, "chart");
    assert_status(pare_chart_write(&chart, stem), status);
    assert_message_has(message);
    assert_int_equal(test_count_names(dir), 0);
    test_dir_remove(dir);
    test_n_dirs--;
}

static void test_nothing_to_draw(void **state)
{
    (void)state;
    static const double nothing[] = {NAN, NAN, NAN, NAN};
    const pare_chart_series empty = {.n = 4, .x = xs, .y = nothing}, no_y = {.n = 1, .x = xs};
    for (pare_chart_kind kind = 0; kind < PARE_CHART_KINDS; kind++) {
        pare_chart chart = chart_of(kind);
        chart.title = "Empty";
        chart.series = &empty;
        chart.n_series = 1;
        chart.matrix.values = nothing;
        expect_failure(chart, PARE_INPUT, "\"Empty\": there is no value");
        chart.series = &no_y;
        chart.matrix.values = NULL;
        expect_failure(chart, PARE_INTERNAL, "lacks its");
        chart.series = NULL;
        chart.n_series = 0;
        chart.matrix.rows = 0;
        expect_failure(chart, kind == PARE_CHART_SORTED ? PARE_INTERNAL : PARE_INPUT, "Empty");
    }
}

static void test_wrong_charts(void **state)
{
    (void)state;
    pare_chart chart = chart_of(PARE_CHART_SCATTER);
    chart.kind = PARE_CHART_KINDS;
    expect_failure(chart, PARE_INTERNAL, "kind");
    chart = chart_of(PARE_CHART_LINES);
    chart.title = NULL;
    expect_failure(chart, PARE_INTERNAL, "title");
    chart.title = "\xff";
    expect_failure(chart, PARE_INPUT, "UTF-8");
    chart = chart_of(PARE_CHART_HEAT_MAP);
    chart.matrix.rows = 201;
    expect_failure(chart, PARE_INPUT, "201 x 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_series_table),
        cmocka_unit_test(test_sorted_table),
        cmocka_unit_test(test_matrix_table),
        cmocka_unit_test(test_number_text),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_known_ticks),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_many_and_long),
        cmocka_unit_test(test_nothing_to_draw),
        cmocka_unit_test(test_wrong_charts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
