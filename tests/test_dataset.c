/* Data sets: GLUE's files counted and looked into, users' own files, bad rows, submissions. */
#include "tasks/dataset.h"
#include "tasks/submission.h"
#include "tests/harness.h"

#include <math.h>
#include <sys/stat.h>

static pare_dataset *read_set(const char *task, const char *data, const char *split)
{
    pare_dataset *set = NULL;
    pare_data_options options = {.task = task, .data = data, .split = split};
    assert_ok(pare_dataset_read(&options, &set));
    return set;
}

static void refuse(pare_data_options options, pare_status status, const char *message)
{
    pare_dataset *set = NULL;
    assert_status(pare_dataset_read(&options, &set), status);
    assert_null(set);
    assert_message_has(message);
}

/* ---- GLUE ---- */

typedef struct known {
    const char *task, *split;
    int64_t n;
    double sum; /* of the label ids, or of the targets */
} known;

/* Counts are GLUE's (QNLI, QQP and MNLI: of the subsets at hand); sums were counted
 * over the label columns with a few lines of Python, a missing one as -1. */
static const known sets[] = {
    {"CoLA", "train", 8551, 6023},
    {"cola", "dev", 1043, 721},
    {"CoLA", "test", 1063, -1063},
    {"SST-2", "train", 67349, 37569},
    {"sst2", "dev", 872, 444},
    {"SST-2", "test", 1821, -1821},
    {"MRPC", "train", 3668, 2474},
    {"mrpc", "dev", 408, 279},
    {"MRPC", "test", 1725, -1725},
    {"STS-B", "train", 5749, 15528.043396825336},
    {"stsb", "dev", 1500, 3545.8613333333324},
    {"STS-B", "test", 1379, -1379},
    {"RTE", "train", 2490, 1241},
    {"RTE", "dev", 277, 131},
    {"RTE", "test", 3000, -3000},
    {"WNLI", "train", 635, 312},
    {"WNLI", "dev", 71, 31},
    {"WNLI", "test", 146, -146},
    {"QNLI", "train", 8999, 4476},
    {"QNLI", "dev", 1000, 496},
    {"QQP", "train", 8999, 3252},
    {"QQP", "dev", 1000, 377},
    {"MNLI", "train", 8999, 9021},
    {"MNLI", "dev", 1000, 1013},
    {"MNLI", "dev_matched", 1000, 1013},
    {"MNLI", "dev_mismatched", 1000, 984},
};

static void test_counts(void **state)
{
    (void)state;
    char glue[TEST_PATH];
    TEST_NEED_SHARED(glue, "data/glue");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        pare_dataset *set = read_set(sets[i].task, glue, sets[i].split);
        double sum = 0;
        for (int64_t k = 0; k < set->n; k++) {
            const pare_example *one = &set->examples[k];
            sum += isnan(one->target) ? -1 : set->task->regression ? one->target : one->label;
            assert_int_equal(one->row, k);
            assert_true((one->pair != NULL) == (set->task->test.pair >= 0));
        }
        if (set->n != sets[i].n || set->skipped != 0)
            fail_msg("%s %s: %lld examples", sets[i].task, sets[i].split, (long long)set->n);
        test_close(sum, sets[i].sum, 1e-12, 1, sets[i].task);
        pare_dataset_free(set);
    }
}

static void test_first_rows(void **state)
{
    (void)state;
    char glue[TEST_PATH], own[TEST_PATH];
    TEST_NEED_SHARED(glue, "data/glue");
    pare_dataset *set = read_set("CoLA", glue, "dev");
    assert_string_equal(set->examples[0].text, "The sailors rode the breeze clear of the rocks.");
    assert_int_equal(set->examples[0].line, 1); /* no header */
    pare_dataset_free(set);
    set = read_set("MRPC", glue, "dev");
    assert_string_equal(set->examples[0].pair, "\"The foodservice pie business does not fit our "
                                               "long-term growth strategy.");
    assert_int_equal(set->examples[0].line, 2);
    pare_dataset_free(set);
    test_path(own, glue, "MNLI"); /* the task's own folder */
    set = read_set("MNLI", own, "dev_mismatched");
    assert_string_equal(set->examples[0].pair, "You are not able to bring it with you .");
    assert_string_equal(set->label_names[set->examples[0].label], "entailment");
    assert_int_equal(set->n_labels, 3);
    pare_dataset_free(set);
}

/* MSR's originals give the very rows of GLUE's train.tsv and dev.tsv. */
static void test_msr_originals(void **state)
{
    (void)state;
    static const char *const files[] = {"msr_paraphrase_train.txt", "dev_ids.tsv"};
    char mrpc[TEST_PATH], from[TEST_PATH], to[TEST_PATH], dir[TEST_PATH];
    TEST_NEED_SHARED(mrpc, "data/glue/MRPC");
    test_dir_make(dir);
    for (int i = 0; i < 2; i++) {
        char whole[PATH_MAX];
        test_path(from, mrpc, files[i]);
        test_path(to, dir, files[i]);
        assert_non_null(realpath(from, whole));
        assert_int_equal(symlink(whole, to), 0);
    }
    for (int dev = 0; dev < 2; dev++) {
        pare_dataset *a = read_set("MRPC", mrpc, dev ? "dev" : "train");
        pare_dataset *b = read_set("MRPC", dir, dev ? "dev" : "train");
        assert_int_equal(a->n, b->n);
        for (int64_t i = 0; i < a->n; i++) {
            assert_string_equal(a->examples[i].text, b->examples[i].text);
            assert_string_equal(a->examples[i].pair, b->examples[i].pair);
            assert_int_equal(a->examples[i].label, b->examples[i].label);
            assert_int_equal(b->examples[i].row, i);
        }
        pare_dataset_free(a);
        pare_dataset_free(b);
    }
    assert_int_equal(unlink(to), 0);
    refuse((pare_data_options){.task = "MRPC", .data = dir}, PARE_INPUT, "dev_ids.tsv is missing");
}

static void test_msr_test_file(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "msr_paraphrase_test.txt");
    test_text_write(path, "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
                          "1\t10\t11\tA b.\t\"C d.\r\n0\t12\t13\tE.\tF.\r\n");
    pare_dataset *set = read_set("MRPC", dir, "test");
    assert_int_equal(set->n, 2);
    assert_int_equal(set->examples[0].label, 1);
    assert_string_equal(set->examples[0].pair, "\"C d.");
    pare_dataset_free(set);
}

/* Spelling of folders, MNLI's sets by other names, and what is refused. */
static void test_places(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    static const char *const folders[] = {"sst2", "diagnostic", "rte"};
    test_dir_make(dir);
    for (int i = 0; i < 3; i++) {
        test_path(path, dir, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    test_path(path, dir, "sst2/dev.tsv");
    test_text_write(path, "sentence\tlabel\ngood\t1\n");
    pare_dataset *set = read_set("SST-2", dir, NULL);
    assert_int_equal(set->n, 1);
    pare_dataset_free(set);
    set = read_set("SST-2", path, "dev"); /* the file itself */
    pare_dataset_free(set);
    test_path(path, dir, "diagnostic/diagnostic.tsv");
    test_text_write(path, "index\tsentence1\tsentence2\n0\tp\th\n");
    set = read_set("MNLI", dir, "ax");
    assert_string_equal(set->examples[0].pair, "h");
    assert_string_equal(pare_task_submission(set->task, "ax"), "AX.tsv");
    pare_dataset_free(set);
    refuse((pare_data_options){.task = "RTE", .data = dir}, PARE_IO, "RTE/dev.tsv");
    refuse((pare_data_options){.task = "RTE", .data = "/nowhere"}, PARE_IO, "/nowhere");
    refuse((pare_data_options){.task = "RTF", .data = dir}, PARE_USAGE, "RTF");
    refuse((pare_data_options){.task = "RTE", .data = dir, .split = "dev_matched"}, PARE_USAGE,
           "dev_matched");
    refuse((pare_data_options){.task = "RTE", .data = dir, .text_column = "a"}, PARE_USAGE,
           "columns");
}

/* ---- Rows that cannot be used ---- */

static void test_bad_rows(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "train.tsv");
    test_text_write(path, "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                          "0\t1\t2\ta\tb\t1\n1\t1\t2\ta\n2\t1\t2\tc\td\t2\n\n3\t1\t2\te\tf\t 0 \n");
    pare_dataset *set = read_set("QQP", dir, "train");
    assert_int_equal(set->n, 2);
    assert_int_equal(set->skipped, 2);
    assert_int_equal(set->examples[1].label, 0);
    assert_int_equal(set->examples[1].row, 3);
    assert_int_equal(set->examples[1].line, 6);
    pare_dataset_free(set);
    pare_data_options options = {.task = "QQP", .data = dir, .split = "train", .strict = true};
    refuse(options, PARE_INPUT, "train.tsv:3: too few columns (4, want 6 or more)");
    options.strict = false;
    options.limit = 1;
    assert_ok(pare_dataset_read(&options, &set));
    assert_int_equal(set->n, 1);
    assert_int_equal(set->skipped, 0);
    pare_dataset_free(set);
    test_text_write(path, "header\n1\n2\n3\n4\n5\n6\n7\n");
    refuse((pare_data_options){.task = "QQP", .data = dir, .split = "train"}, PARE_INPUT,
           "none of its 7 rows");
    test_text_write(path, "header\n");
    refuse((pare_data_options){.task = "QQP", .data = dir, .split = "train"}, PARE_INPUT,
           "holds no example");
    test_text_write(path, "");
    refuse((pare_data_options){.task = "QQP", .data = dir, .split = "train"}, PARE_INPUT, "empty");
}

static void test_targets(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH], test[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "own.csv");
    test_text_write(path, "s,t\nx,1.5\ny,nan\nz,-2e1\n");
    pare_dataset *set = NULL;
    pare_data_options options = {.task = "regress", .data = path, .text_column = "s",
                                 .label_column = "t"};
    assert_ok(pare_dataset_read(&options, &set));
    assert_int_equal(set->n, 2);
    assert_true(set->examples[1].target == -20);
    assert_int_equal(set->n_labels, 0);
    pare_dataset_free(set);
    test_path(test, dir, "test.csv");
    test_text_write(test, "s\nx\n");
    pare_data_options unlabelled = {.task = "regress", .data = dir, .text_column = "s",
                                    .split = "test"};
    assert_ok(pare_dataset_read(&unlabelled, &set));
    assert_true(isnan(set->examples[0].target));
    pare_dataset_free(set);
    options.text_column = "0";
    options.label_column = "1"; /* "t" is no number: a header */
    assert_ok(pare_dataset_read(&options, &set));
    assert_int_equal(set->n, 2);
    assert_int_equal(set->skipped, 1);
    assert_int_equal(set->examples[0].row, 0);
    pare_dataset_free(set);
}

/* ---- Users' files ---- */

/* Reads `text` as own.tsv, columns 0 and 1, and expects the names joined by blanks, and n. */
static void expect_labels(const char *text, const char *names, int64_t n)
{
    char dir[TEST_PATH], path[TEST_PATH], got[200] = "";
    test_dir_make(dir);
    test_path(path, dir, "own.tsv");
    test_text_write(path, text);
    pare_dataset *set = NULL;
    pare_data_options options = {.task = "classify", .data = path, .text_column = "0",
                                 .label_column = "1"};
    assert_ok(pare_dataset_read(&options, &set));
    for (int k = 0; k < set->n_labels; k++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", k ? " " : "",
                 set->label_names[k]);
    assert_string_equal(got, names);
    assert_int_equal(set->n, n);
    pare_dataset_free(set);
    test_dir_remove(dir);
}

static void test_label_numbering_and_headers(void **state)
{
    (void)state;
    expect_labels("a\t10\nb\t9\nc\t-1\nd\t10\n", "-1 9 10", 4);
    expect_labels("a\tx10\nb\tx9\nc\tB\n", "B x10 x9", 3);
    expect_labels("a\t10\nb\tx\nc\t9\n", "10 9 x", 3);
    expect_labels("text\tlabel\nb\t1\nc\t0\n", "0 1", 2);
    expect_labels("text\tlabel\nb\tp\nc\tq\nd\tp\ne\tq\n", "p q", 4);
    expect_labels("a\tpos\nb\tneg\n", "neg pos", 2); /* two rows, no header */
    expect_labels("a\tpos\nb\tneg\nc\tpos\nd\tneg\n", "neg pos", 4);
    expect_labels("a\t\nb\t u \nc\tu\n", "u", 2);
}

/* A model's names are met in any case, unless two of them differ by it alone. */
static void test_labels_in_another_case(void **state)
{
    (void)state;
    static const char *const names[] = {"neg", "Pos", "POS", "Other"};
    static const int want[] = {0, 1, 3, 0};
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "own.tsv");
    test_text_write(path, "a\tNEG\nb\tPos\nc\tpos\nd\tOTHER\ne\tneg\n");
    pare_dataset *set = NULL;
    pare_data_options options = {.task = "classify", .data = path, .text_column = "0",
                                 .label_column = "1", .label_names = names, .n_labels = 4};
    assert_ok(pare_dataset_read(&options, &set));
    assert_int_equal(set->n, 4);
    assert_int_equal(set->skipped, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(set->examples[i].label, want[i]);
    pare_dataset_free(set);
    test_dir_remove(dir);
}

static void test_folder_of_own_files(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "train.jsonl");
    test_text_write(path, "{\"t\":\"a\",\"p\":\"b\",\"l\":\"yes\"}\n"
                          "{\"t\":\"c\",\"p\":\"d\",\"l\":\"no\"}\n");
    test_path(path, dir, "validation.csv");
    test_text_write(path, "l,t,p\nyes,\"x, y\",z\nperhaps,x,z\n");
    test_path(path, dir, "test.tsv");
    test_text_write(path, "p\tt\nq\tw\n");
    pare_data_options options = {.task = "classify", .data = dir, .split = "dev",
                                 .text_column = "t", .pair_column = "p", .label_column = "l"};
    pare_dataset *set = NULL;
    assert_ok(pare_dataset_read(&options, &set)); /* labels are train's */
    assert_int_equal(set->n, 1);
    assert_int_equal(set->skipped, 1);
    assert_int_equal(set->examples[0].label, 1);
    assert_string_equal(set->examples[0].text, "x, y");
    pare_dataset_free(set);
    const char *const names[] = {"yes", "perhaps", "no"};
    options.label_names = names;
    options.n_labels = 3;
    assert_ok(pare_dataset_read(&options, &set));
    assert_int_equal(set->n, 2);
    assert_int_equal(set->examples[1].label, 1);
    pare_dataset_free(set);
    options.split = "test"; /* no labels there */
    assert_ok(pare_dataset_read(&options, &set));
    assert_int_equal(set->examples[0].label, -1);
    assert_string_equal(set->examples[0].text, "w");
    pare_dataset_free(set);
    options.split = "train";
    options.text_column = "text";
    refuse(options, PARE_INPUT, "no text or number under \"text\"");
    options.label_names = NULL;
    refuse(options, PARE_INPUT, "no row has a label; the first fault is in line 1: no text");
    options.text_column = NULL;
    refuse(options, PARE_USAGE, "--text-column");
}

static void test_too_many_labels(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "own.tsv");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 200; i++)
        fprintf(file, "text\tlabel %d\n", i);
    fclose(file);
    refuse((pare_data_options){.task = "classify", .data = path, .text_column = "0",
                               .label_column = "1"}, PARE_INPUT, "more than 64 labels");
}

static void test_task_metrics(void **state)
{
    (void)state;
    const char *names[PARE_MAX_TASK_METRICS + 1];
    assert_int_equal(pare_task_metrics(pare_task_find("classify"), 2, names), 2);
    assert_string_equal(names[1], "f1");
    assert_int_equal(pare_task_metrics(pare_task_find("classify"), 5, names), 2);
    assert_string_equal(names[1], "macro_f1");
    assert_int_equal(pare_task_metrics(pare_task_find("cola"), 2, names), 1);
    assert_string_equal(names[0], "matthews");
    for (size_t i = 0; i < pare_task_count(); i++) {
        const pare_task *task = pare_task_at(i);
        assert_ptr_equal(pare_task_find(task->name), task);
        for (int m = 0; task->metrics[m]; m++) {
            const pare_metric *metric = pare_metric_find(task->metrics[m]);
            assert_non_null(metric);
            assert_int_equal(metric->regression, task->regression);
        }
    }
    assert_null(pare_task_find("glue"));
    assert_null(pare_task_find(""));
    assert_null(pare_task_find(NULL));
}

/* ---- Submissions ---- */

static void refuse_submission(const char *path, const pare_dataset *set, const char *text,
                              const char *message)
{
    int32_t prediction[2];
    test_text_write(path, text);
    assert_status(pare_submission_read(path, set, prediction, NULL), PARE_INPUT);
    assert_message_has(message);
}

/* A data set of rows 0 and 2: row 1 is skipped. */
static pare_dataset *small_rte(char *dir)
{
    char path[TEST_PATH];
    test_dir_make(dir);
    test_path(path, dir, "dev.tsv");
    test_text_write(path, "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\ta\n"
                          "2\tc\td\tnot_entailment\n");
    return read_set("RTE", dir, "dev");
}

static void test_submission_of_classes(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    pare_dataset *set = small_rte(dir);
    int32_t prediction[2] = {1, 0}, got[2];
    test_path(path, dir, "RTE.tsv");
    assert_ok(pare_submission_write(path, set, prediction, NULL));
    char *text = test_file_read(path, NULL);
    assert_string_equal(text, "index\tprediction\n0\tnot_entailment\n2\tentailment\n");
    free(text);
    assert_ok(pare_submission_read(path, set, got, NULL));
    assert_memory_equal(got, prediction, sizeof got);
    test_text_write(path, "2\t0\r\n1\tentailment\r\n0\t1"); /* ids, any order, skipped rows too */
    assert_ok(pare_submission_read(path, set, got, NULL));
    assert_memory_equal(got, prediction, sizeof got);
    refuse_submission(path, set, "index\tprediction\n0\t1\n", "no prediction for index 2");
    refuse_submission(path, set, "0\t1\n0\t1\n2\t1\n", "index 0 for the second time");
    refuse_submission(path, set, "0\t1\n3\t1\n2\t1\n", ":2: index 3");
    refuse_submission(path, set, "0\t2\n2\t1\n", ":1: \"2\" is no prediction");
    refuse_submission(path, set, "0\t1\nx\t1\n", ":2: \"x\" is no index");
    refuse_submission(path, set, "0\t1\n2\n", ":2: too few columns");
    refuse_submission(path, set, "-1\t1\n", "index -1");
    refuse_submission(path, set, "", "empty");
    pare_dataset_free(set);
}

static void test_submission_of_numbers(void **state)
{
    (void)state;
    char glue[TEST_PATH], dir[TEST_PATH], path[TEST_PATH];
    TEST_NEED_SHARED(glue, "data/glue");
    test_dir_make(dir);
    test_path(path, dir, "STS-B.tsv");
    pare_dataset *set = read_set("STS-B", glue, "dev");
    double *score = calloc((size_t)set->n, 2 * sizeof *score);
    assert_non_null(score);
    for (int64_t i = 0; i < set->n; i++)
        score[i] = (double)(float)(set->examples[i].target / 3);
    assert_ok(pare_submission_write(path, set, NULL, score));
    assert_ok(pare_submission_read(path, set, NULL, score + set->n));
    test_close_array(score + set->n, score, set->n, 1e-8, 0, "score");
    score[7] = NAN;
    assert_status(pare_submission_write(path, set, NULL, score), PARE_DIVERGED);
    free(score);
    pare_dataset_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_first_rows),
        cmocka_unit_test(test_msr_originals),
        cmocka_unit_test(test_msr_test_file),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_label_numbering_and_headers),
        cmocka_unit_test(test_labels_in_another_case),
        cmocka_unit_test(test_folder_of_own_files),
        cmocka_unit_test(test_too_many_labels),
        cmocka_unit_test(test_task_metrics),
        cmocka_unit_test(test_submission_of_classes),
        cmocka_unit_test(test_submission_of_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
