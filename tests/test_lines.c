/* test_lines.c: lines from a pipe, growing text, the progress line, signals. */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "cli/lines.h"
#include "cli/progress_line.h"
#include "core/signals.h"

/* ---- Lines ---- */

/* Reads all of a file, at most `most` lines at a time, and compares with what was written. */
static void expect_lines(const char *bytes, size_t size, const char *const *want,
                         const size_t *lengths, int64_t n_want, int64_t most)
{
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "in");
    test_file_write(path, bytes, size);
    pare_lines lines = {.name = "in", .fd = open(path, O_RDONLY)};
    const pare_line *batch;
    int64_t n, total = 0;
    do {
        assert_ok(pare_lines_next(&lines, most, &batch, &n));
        assert_true(n <= most);
        for (int64_t i = 0; i < n; i++, total++) {
            assert_true(total < n_want);
            assert_int_equal(batch[i].n, lengths[total]);
            if (batch[i].n > 0)
                assert_memory_equal(batch[i].text, want[total], batch[i].n);
        }
    } while (n > 0);
    assert_int_equal(total, n_want);
    close(lines.fd);
    pare_lines_free(&lines);
}

static void test_lines_of_any_bytes(void **state)
{
    (void)state;
    static const char *const want[] = {"a", "", "b\0c", "\xff\t", "last"};
    static const size_t lengths[] = {1, 0, 3, 2, 4};
    static const char text[] = "a\n\nb\0c\n\xff\t\nlast";
    for (int64_t most = 1; most < 6; most++) {
        expect_lines(text, sizeof text - 1, want, lengths, 5, most);
        expect_lines("\n", 1, want + 1, lengths + 1, 1, most);
        expect_lines("", 0, want, lengths, 0, most);
    }
}

static void test_a_line_longer_than_the_buffer(void **state)
{
    (void)state;
    size_t size = 5 << 20;
    char *text = malloc(size + 4);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text + size, "\nyz\n", 4);
    const char *const want[] = {text, "yz"};
    const size_t lengths[] = {size, 2};
    expect_lines(text, size + 4, want, lengths, 2, 100);
    free(text);
}

/* What has arrived is handed out before more is waited for. */
static void test_lines_of_a_pipe_come_at_once(void **state)
{
    (void)state;
    int ends[2];
    const pare_line *batch;
    int64_t n;
    assert_int_equal(pipe(ends), 0);
    pare_lines lines = {.name = "pipe", .fd = ends[0]};
    assert_int_equal(write(ends[1], "one\ntwo\nthr", 11), 11);
    assert_ok(pare_lines_next(&lines, 100, &batch, &n));
    assert_int_equal(n, 2);
    assert_int_equal(write(ends[1], "ee\n", 3), 3);
    assert_ok(pare_lines_next(&lines, 100, &batch, &n));
    assert_int_equal(n, 1);
    assert_memory_equal(batch[0].text, "three", 5);
    close(ends[1]);
    assert_ok(pare_lines_next(&lines, 100, &batch, &n));
    assert_int_equal(n, 0);
    assert_ok(pare_lines_next(&lines, 100, &batch, &n)); /* and stays at the end */
    assert_int_equal(n, 0);
    close(ends[0]);
    pare_lines_free(&lines);
    lines = (pare_lines){.name = "nothing", .fd = -1};
    assert_status(pare_lines_next(&lines, 100, &batch, &n), PARE_IO);
    assert_message_has("nothing: ");
    pare_lines_free(&lines);
}

static void test_split_at_the_first_tab(void **state)
{
    (void)state;
    pare_line text, pair, line = {"a\tb\tc", 5};
    pare_line_split(&line, &text, &pair);
    assert_int_equal(text.n, 1);
    assert_int_equal(pair.n, 3);
    assert_memory_equal(pair.text, "b\tc", 3);
    line = (pare_line){"a\t", 2};
    pare_line_split(&line, &text, &pair);
    assert_int_equal(text.n, 1);
    assert_int_equal(pair.n, 0);
    line = (pare_line){"", 0};
    pare_line_split(&line, &text, &pair);
    assert_int_equal(text.n + pair.n, 0);
    assert_non_null(pair.text);
}

/* ---- Text ---- */

static void test_text_grows_and_wraps(void **state)
{
    (void)state;
    pare_text text = {0};
    for (int i = 0; i < 1000; i++)
        pare_text_printf(&text, "%03d", i);
    assert_int_equal(text.n, 3000);
    assert_memory_equal(text.bytes + 2997, "999", 4);
    pare_text_clear(&text);
    pare_text_int(&text, INT64_MIN);
    pare_text_puts(&text, " ");
    pare_text_int(&text, 0);
    assert_string_equal(text.bytes, "-9223372036854775808 0");
    pare_text_clear(&text);
    pare_text_wrap(&text, "one two three four\nfive", "  ", 0, 9);
    assert_string_equal(text.bytes, "one two\n  three\n  four\n  five");
    pare_text_free(&text);
}

/* ---- Progress ---- */

static void test_progress_fits_the_width(void **state)
{
    (void)state;
    const pare_progress_info first = {.what = "train"};
    const pare_progress_info info = {"train", 1234, 3450, 0.5, 1.92e-5, 39488, 534321};
    for (int width = 20; width <= 200; width++) {
        pare_text line = {0};
        pare_progress_format(&line, &info, 0.5123, &first, 350, width, true);
        assert_true(line.n > 0 && line.n <= (size_t)width);
        if (width >= 50)
            assert_non_null(strstr(line.bytes, "["));
        if (width >= 79)
            assert_non_null(strstr(line.bytes, "1527 tok/s"));
        if (width >= 40)
            assert_non_null(strstr(line.bytes, "ETA 10:29"));
        pare_text_free(&line);
    }
    pare_text line = {0};
    pare_progress_format(&line, &info, 0.5123, &first, 350, 1000, false);
    assert_string_equal(line.bytes, "train 1234/3450 loss 0.5123 lr 1.9e-05 113 ex/s 1527 tok/s "
                                    "ETA 10:29");
    pare_text_free(&line);
}

/* A resumed run's rates and time left come from what this run did. */
static void test_progress_of_a_resumed_run(void **state)
{
    (void)state;
    const pare_progress_info first = {"train", 900, 1000, NAN, -1, 90000, 900000};
    const pare_progress_info info = {"train", 950, 1000, NAN, -1, 90500, 905000};
    const pare_progress_info end = {"train", 1000, 1000, NAN, -1, 91000, 910000};
    pare_text line = {0};
    pare_progress_format(&line, &info, NAN, &first, 10, 1000, false);
    assert_string_equal(line.bytes, "train 950/1000 50.0 ex/s 500 tok/s ETA 0:10");
    pare_text_clear(&line);
    pare_progress_format(&line, &end, NAN, &first, 3700, 1000, false);
    assert_string_equal(line.bytes, "train 1000/1000 0.3 ex/s 2.7 tok/s in 1:01:40");
    pare_text_free(&line);
}

/* ---- Signals ---- */

static void test_signals_set_flags(void **state)
{
    (void)state;
    pare_signals_install();
    assert_false(pare_signal_save_requested());
    raise(SIGUSR1);
    assert_true(pare_signal_save_requested());
    assert_false(pare_signal_save_requested()); /* reading cleared it */
    assert_false(pare_signal_stop_requested());
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) { /* the first asks, its twin counts for nothing, the next one leaves */
            raise(i == 0 ? SIGINT : SIGTERM);
            raise(i == 0 ? SIGINT : SIGTERM);
            if (!pare_signal_stop_requested())
                _exit(1);
            usleep(150000);
            raise(SIGTERM);
            _exit(2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), PARE_FORCED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_any_bytes),
        cmocka_unit_test(test_a_line_longer_than_the_buffer),
        cmocka_unit_test(test_lines_of_a_pipe_come_at_once),
        cmocka_unit_test(test_split_at_the_first_tab),
        cmocka_unit_test(test_text_grows_and_wraps),
        cmocka_unit_test(test_progress_fits_the_width),
        cmocka_unit_test(test_progress_of_a_resumed_run),
        cmocka_unit_test(test_signals_set_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
