/* test_sweep_grid.c: what a sweep refuses before anything is run or written, how it names its
 * cells, and what it makes of scores. */
#include "tests/sweep_arguments.h"

#include "cli/sweep_summary.h"
#include "core/file.h"
#include "core/threads.h"

static int setup(void **state)
{
    (void)state;
    pare_threads_set(1);
    make_tiny_home();
    return 0;
}

/* ---- what is refused ---- */

static void assert_refused(const arguments *a, pare_status want, const char *message,
                           const char *folder)
{
    const pare_status status = refused(a);
    if (status != want)
        fail_msg("status %d, not %d, where it should say: %s", status, want, message);
    assert_message_has(message);
    assert_false(pare_path_exists(folder));
}

static void test_bad_grids(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"lerning-rate=1e-5", "no option \"lerning-rate\""},
        {"learning-rate", "no key=value"},
        {"=1", "no key=value"},
        {"patience=", "one of its values is empty"},
        {"warmup-ratio=0.1,,0.2", "one of its values is empty"},
        {"warmup-ratio=0.1,0.1", "0.1 is listed twice"},
        {"warmup-ratio=0.1,2", "2 is not from 0 to 1"},
        {"warmup-ratio=0.1,x", "\"x\" is not a number"},
        {"optimizer=adamw,sgd", "\"sgd\" is not one of"},
        {"seed=1,2", "seeds are no part"},
        {"output=a,b", "output cannot differ"},
        {"resume=true,false", "resume cannot differ"},
        {"threads=1,2", "threads cannot differ"},
        {"max-seconds=1,200", "max_seconds cannot differ"},
        {"batch-size=8,16", "batch_size is given by itself and in the grid"},
        {"drop-layers=none,top:2", "none would be left"},
        {"drop-layers=contribution:2", "none would be left"},
        {"drop-layers=list:0+7", "layer 7"},
        {"drop-layers=tip:1", "unknown layer-drop strategy"},
        {"metric-for-best=accuracy,f2", "no such metric"},
        {"freeze=0,embeddings+7", "'7' is no part of this model"},
        {"warmup-ratio=0.1\nwarmup_ratio=0.2", "warmup_ratio is given twice"},
    };
    char folder[TEST_PATH];
    test_path(folder, home, "never");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const arguments a = SWEEP("--grid", bad[i][0], "--output", folder, "--dry-run");
        assert_refused(&a, PARE_USAGE, bad[i][1], folder);
    }
    const arguments near = SWEEP("--grid", bad[0][0], "--output", folder);
    assert_refused(&near, PARE_USAGE, "", folder);
    assert_non_null(strstr(pare_error_hint(), "did you mean learning-rate"));
}

static void test_bad_options(void **state)
{
    (void)state;
    char folder[TEST_PATH], nowhere[TEST_PATH];
    test_path(folder, home, "never");
    test_path(nowhere, home, "nowhere");
    const struct {
        arguments a;
        pare_status status;
        const char *message;
    } bad[] = {
        {SWEEP("--seeds", "1,x", "--output", folder), PARE_USAGE, "\"x\" is not a whole number"},
        {SWEEP("--seeds", "1,,2", "--output", folder), PARE_USAGE, "one of them is empty"},
        {SWEEP("--seeds", "1,2,1", "--output", folder), PARE_USAGE, "1 is listed twice"},
        {SWEEP("--seeds", "-1", "--output", folder), PARE_USAGE, "-1 is not from 0"},
        {SWEEP("--seeds", "1", "--seed", "2", "--output", folder), PARE_USAGE, "both --seed and"},
        {SWEEP("--seeds", "1"), PARE_USAGE, "pare sweep needs --output"},
        {SWEEP("--output", folder), PARE_USAGE, "needs --grid"},
        {SWEEP("--seeds", "1", "--output", folder, "--task", "none"), PARE_USAGE, "unknown task"},
        {SWEEP("--seeds", "1", "--output", folder, "--data", nowhere), PARE_IO, "nowhere"},
        {SWEEP("--seeds", "1", "--output", folder, "--model", nowhere), PARE_IO, "nowhere"},
        {SWEEP("--seeds", "1", "--output", folder, "--resume"), PARE_USAGE, "--resume"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(&bad[i].a, bad[i].status, bad[i].message, folder);
}

/* ---- names, means, picks ---- */

/* A grid in this process. The options must outlive it. */
static void open_grid(const arguments *a, pare_options *options, pare_sweep_grid *grid)
{
    char *argv[MOST_ARGUMENTS];
    for (int i = 2; i < a->n; i++)
        argv[i - 2] = (char *)(uintptr_t)a->at[i];
    assert_ok(pare_options_init(options, pare_command_find("sweep")));
    assert_ok(pare_options_parse(options, a->n - 2, argv));
    assert_ok(pare_sweep_grid_open(options, grid));
}

static void test_names_are_files_names(void **state)
{
    (void)state;
    pare_options options;
    pare_sweep_grid grid;
    const arguments a = SWEEP("--grid", "text-column=some/path/0,other/1", "--output", "unused");
    open_grid(&a, &options, &grid);
    assert_string_equal(grid.cells[0].name, "text-column=0,seed=1");
    pare_sweep_grid_close(&grid);
    pare_options_free(&options);
    const arguments b = SWEEP("--grid", "text-column=a;b,a*b,a b", "--output", "unused");
    open_grid(&b, &options, &grid);
    assert_string_equal(grid.cells[0].name, "text-column=a-b,seed=1");
    assert_string_equal(grid.cells[1].name, "text-column=a-b,seed=1,2");
    assert_string_equal(grid.cells[2].name, "text-column=a-b,seed=1,3");
    pare_sweep_grid_close(&grid);
    pare_options_free(&options);
}

static pare_json *result_of(double accuracy, int64_t parameters)
{
    pare_json *result = pare_json_new_object(), *metrics = pare_json_new_object();
    pare_json_set_double(metrics, "accuracy", accuracy);
    pare_json_set(result, "metrics", metrics);
    pare_json_set_int(result, "parameters", parameters);
    return result;
}

static void test_means_and_picks(void **state)
{
    (void)state;
    pare_options options;
    pare_sweep_grid g;
    pare_sweep_score s[4];
    pare_sweep_pick picks[4];
    pare_json *results[8];
    const arguments a = SWEEP("--grid", "drop-layers=none,top:1", "--grid", "dropout=0.1,0.2",
                              "--seeds", "1,2", "--output", "unused");
    const double scores[8] = {0.80, 0.84, 0.70, 0.70, 0.79, 0.81, 0.83, 0.88};
    open_grid(&a, &options, &g);
    assert_int_equal(g.n_cells, 8);
    for (int i = 0; i < 8; i++)
        results[i] = result_of(scores[i], i < 4 ? 100 : 60);
    pare_sweep_scores(&g, results, s);
    assert_string_equal(s[0].metric, "accuracy");
    test_close(s[0].mean, 0.82, 1e-15, 0, "mean");
    test_close(s[0].sd, sqrt(2 * 0.02 * 0.02), 1e-12, 0, "sd");
    test_close(s[2].kept, 0.80 / 0.82, 1e-15, 0, "kept");
    test_close(s[3].kept, 0.855 / 0.70, 1e-15, 0, "kept, the same dropout");
    assert_int_equal(pare_sweep_picks(&g, s, 0.02, picks), 1);
    assert_int_equal(picks[0].best, 3);
    assert_int_equal(picks[0].reference, 0); /* the best of those with all layers */
    assert_int_equal(picks[0].smallest, 3);  /* of equal sizes the better */
    pare_json_free(results[6]);
    pare_json_free(results[7]);
    results[6] = result_of(0.5, 60);
    results[7] = pare_json_new_object();
    pare_json_set_bool(results[7], "diverged", true);
    pare_sweep_scores(&g, results, s);
    assert_true(s[3].n == 1 && s[3].n_diverged == 1 && s[3].mean == 0.5 && isnan(s[3].sd));
    assert_int_equal(pare_sweep_picks(&g, s, 0.02, picks), 1);
    assert_int_equal(picks[0].smallest, 2); /* exactly the tolerance below */
    assert_int_equal(pare_sweep_picks(&g, s, 0.01, picks), 1);
    assert_int_equal(picks[0].smallest, 0);
    for (int i = 0; i < 8; i++)
        pare_json_free(results[i]);
    pare_sweep_grid_close(&g);
    pare_options_free(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_grids),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_names_are_files_names),
        cmocka_unit_test(test_means_and_picks),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
