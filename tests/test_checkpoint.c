/* test_checkpoint.c: training states that are damaged, and those of older formats.
 *
 * Damage of any kind is found before HDF5 opens the file: this program's own H5Fopen stands before
 * the library's and counts. PARE_TORTURE=1 damages more; PARE_SEED=N draws other places. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "tests/run_tree.h"

#include <dlfcn.h>

#include "core/checksum.h"
#include "core/philox.h"
#include "core/threads.h"
#include "models/model.h"
#include "tasks/evaluate.h"
#include "tasks/trainer.h"

#define DATA "tests/data/format"
#define STATE DATA "/1/checkpoint-5.h5"

enum { DEV = 6, LABELS = 3, STEPS = 12 };

/* ---- how often HDF5 opened a file ---- */

static int hdf5_opened;

int64_t H5Fopen(const char *name, unsigned flags, int64_t access);

int64_t H5Fopen(const char *name, unsigned flags, int64_t access)
{
    int64_t (*theirs)(const char *, unsigned, int64_t);
    void *found = dlsym(RTLD_NEXT, "H5Fopen");
    memcpy(&theirs, &found, sizeof theirs);
    hdf5_opened++;
    return theirs(name, flags, access);
}

/* ---- files of every format there has been ---- */

/* What the file had to say when it was written. */
typedef struct kept_file {
    const char *path;
    uint32_t arrays; /* CRC-32 of all arrays' bytes, in the order of their names */
    double logits[DEV * LABELS]; /* of the dev set */
} kept_file;

static const kept_file kept[] = {
    {STATE, 0x06d8b609,
     {1.00014091, 3.49238205, -0.841993213, 1.00014091, 3.49238205, -0.841993213,
      1.00171566, 3.49118733, -0.842072129, 0.960817575, 3.52171707, -0.839657903,
      1.07899809, 3.42883945, -0.844323397, 0.990380287, 3.4997189, -0.841424584}},
    {DATA "/1/gated.h5", 0x56024e45,
     {0.308314681, 4.10004473, -0.986037731, 0.308314681, 4.10004473, -0.986037731,
      0.292539597, 4.1111083, -0.984699965, 0.221876621, 4.16047716, -0.978612065,
      0.20209074, 4.17435932, -0.976954222, 0.244135499, 4.14493227, -0.980529308}},
};

static uint32_t crc_of_arrays(const char *path)
{
    pare_store *store = NULL;
    uint32_t crc = 0;
    assert_ok(pare_store_open(path, &store));
    for (size_t i = 0; i < pare_store_count(store); i++) {
        const pare_array *a = pare_store_array(store, i);
        size_t bytes = pare_dtype_size(a->dtype);
        for (int k = 0; k < a->rank; k++)
            bytes *= (size_t)a->shape[k];
        void *data = malloc(bytes);
        assert_ok(pare_store_read(store, a->name, a->dtype, data));
        crc = pare_crc32(crc, data, bytes);
        free(data);
    }
    pare_store_close(store);
    return crc;
}

static void logits_of(const pare_model *model, real *logits)
{
    const pare_data_options data = {.task = "classify", .data = DATA, .split = "dev",
                                    .text_column = "text", .label_column = "label",
                                    .label_names = (const char *const *)model->label_names,
                                    .n_labels = (int)model->n_labels};
    pare_arena *arena = pare_arena_new("test");
    pare_tokenizer *tokenizer = NULL;
    pare_dataset *dataset = NULL;
    pare_encoded encoded;
    assert_ok(pare_dataset_read(&data, &dataset));
    assert_ok(pare_tokenizer_new(&model->vocabulary, &tokenizer));
    assert_ok(pare_encode(arena, tokenizer, dataset, 8, &encoded));
    assert_int_equal(encoded.n, DEV);
    assert_ok(pare_infer(model, &encoded, DEV, NULL, NULL, logits));
    pare_tokenizer_free(tokenizer);
    pare_dataset_free(dataset);
    pare_arena_free(arena);
}

static void test_files_of_every_format_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        pare_model *model = NULL;
        real logits[DEV * LABELS];
        const uint32_t crc = crc_of_arrays(kept[i].path);
        if (crc != kept[i].arrays)
            fail_msg("%s: its arrays have crc32 %08x", kept[i].path, crc);
        assert_ok(pare_model_open(kept[i].path, &model));
        logits_of(model, logits);
        test_close_array(logits, kept[i].logits, DEV * LABELS, 1e-4, 1.0, kept[i].path);
        pare_model_free(model);
    }
}

/* ---- runs ---- */

static char home[TEST_PATH], notes[4096]; /* what a run said */
static uint64_t seed;

static void keep_note(void *context, const char *text)
{
    (void)context;
    snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", text);
}

static const pare_progress watcher = {.message = keep_note};

/* As make_format.sh has them. */
static pare_train_options options(const char *run)
{
    return (pare_train_options){
        .model = STATE, .task = "classify", .data = DATA, .text_column = "text",
        .label_column = "label", .output = run, .epochs = 4, .batch_size = 4,
        .eval_batch_size = 64, .grad_accumulation = 1, .learning_rate = 0.02, .warmup_ratio = 0.1,
        .weight_decay = 0.01, .max_grad_norm = 1, .optimizer = "adamw", .dropout = -1,
        .attention_dropout = -1, .shuffle = true, .seed = 1, .freeze = "", .save_steps = 1000,
        .keep = 2, .precision = "fp32", .threads = 1, .distill_weight = 0.5, .on_nan = "stop",
        .progress = &watcher};
}

static pare_status run_to(const pare_train_options *o, pare_status want)
{
    pare_json *result = NULL;
    notes[0] = '\0';
    const pare_status status = pare_finetune(o, &result);
    pare_json_free(result);
    assert_status(status, want);
    return status;
}

static void assert_noted(const char *text)
{
    if (!strstr(notes, text))
        fail_msg("the run said \"%s\", not \"%s\"", notes, text);
}

static void copy_to(const char *from, const char *folder, const char *name)
{
    char path[TEST_PATH];
    size_t n;
    char *bytes = test_file_read(from, &n);
    test_path(path, folder, name);
    test_file_write(path, bytes, n);
    free(bytes);
}

/* A run that an older pare began is ended by this one. */
static void test_a_run_of_an_older_format_goes_on(void **state)
{
    (void)state;
    char run[TEST_PATH], path[TEST_PATH];
    pare_json *result = NULL;
    test_path(run, home, "older");
    assert_ok(pare_make_directories(run));
    copy_to(STATE, run, "checkpoint-5.h5");
    pare_train_options o = options(run);
    o.resume = true;
    assert_ok(pare_finetune(&o, &result));
    assert_int_equal(pare_json_get_int(result, "steps", 0), STEPS);
    assert_int_equal(pare_json_get_int(result, "best_step", 0), 3);
    test_close(pare_json_get_double(result, "loss", NAN), 2.33528, 1e-3, 1, "loss");
    pare_json_free(result);
    test_path(path, run, "last.h5");
    assert_ok(pare_store_verify(path));
}

/* ---- damage ---- */

static uint64_t draw(uint64_t kind, uint64_t i, uint64_t below)
{
    return (uint64_t)(pare_random_uniform(seed, PARE_RANDOM_DATA, kind, i) * (double)below);
}

static void assert_damage_found(const char *path, const char *what, size_t where)
{
    pare_store *store = NULL;
    const int before = hdf5_opened;
    const pare_status verified = pare_store_verify(path), opened = pare_store_open(path, &store);
    if (verified != PARE_INPUT || opened != PARE_INPUT || hdf5_opened != before)
        fail_msg("%s at %zu: verify %d, open %d, HDF5 %d times (PARE_SEED=%llu)", what, where,
                 (int)verified, (int)opened, hdf5_opened - before, (unsigned long long)seed);
}

static void test_damage_is_found_before_hdf5_opens_the_file(void **state)
{
    (void)state;
    const bool torture = getenv("PARE_TORTURE") != NULL;
    const int cuts = torture ? 1000 : 200, flips = torture ? 10000 : 200;
    char path[TEST_PATH];
    pare_store *store = NULL;
    size_t n;
    char *bytes = test_file_read(STATE, &n);
    test_path(path, home, "damaged.h5");
    for (int i = 0; i < cuts; i++) {
        const size_t size = draw(0, (uint64_t)i, n);
        test_file_write(path, bytes, size);
        assert_damage_found(path, "cut", size);
    }
    for (int i = 0; i < flips; i++) {
        const size_t bit = draw(1, (uint64_t)i, 8 * n);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        test_file_write(path, bytes, n);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_damage_found(path, "flip of bit", bit);
    }
    test_file_write(path, bytes, n);
    assert_int_equal(hdf5_opened, 0);
    assert_ok(pare_store_open(path, &store));
    assert_int_equal(hdf5_opened, 1); /* so it is counted */
    pare_store_close(store);
    free(bytes);
    if (torture)
        print_message("torture checkpoint: %d truncations found\n"
                      "torture checkpoint: %d bit flips found\n", cuts, flips);
}

static void flip_a_bit(const char *path, uint64_t kind)
{
    size_t n;
    char *bytes = test_file_read(path, &n);
    const size_t bit = draw(2, kind, 8 * n);
    bytes[bit / 8] ^= (char)(1 << bit % 8);
    assert_int_equal(unlink(path), 0); /* last.h5 may be the same file */
    test_file_write(path, bytes, n);
    free(bytes);
}

static bool is_whole(const char *run, int64_t step)
{
    char name[64], path[TEST_PATH];
    snprintf(name, sizeof name, "checkpoint-%lld.h5", (long long)step);
    test_path(path, run, name);
    return pare_store_verify(path) == PARE_OK;
}

static void damage_checkpoint(const char *run, int64_t step)
{
    char name[64], path[TEST_PATH];
    snprintf(name, sizeof name, "checkpoint-%lld.h5", (long long)step);
    test_path(path, run, name);
    flip_a_bit(path, (uint64_t)step);
    assert_false(is_whole(run, step));
}

/* The newest checkpoint is damaged: the run says so, goes on from the one before, and keeps a whole
 * one at every moment, though it was told to keep but one. */
static void test_a_damaged_checkpoint_is_passed_over(void **state)
{
    (void)state;
    char run[TEST_PATH], reference[TEST_PATH];
    test_path(run, home, "passed-over");
    test_path(reference, home, "undamaged");
    pare_train_options o = options(reference);
    run_to(&o, PARE_OK);
    o.output = run;
    run_to(&o, PARE_OK);
    assert_true(is_whole(run, 9) && is_whole(run, STEPS));
    damage_checkpoint(run, STEPS);
    o.resume = true;
    o.keep = 1;
    o.max_seconds = 1e-9;
    for (int64_t step = 10; step < STEPS; step++) {
        run_to(&o, PARE_STOPPED);
        assert_noted("passed over: ");
        assert_noted("checkpoint-12.h5: ");
        assert_true(is_whole(run, step));
        assert_false(is_whole(run, step - 1));
    }
    run_to(&o, PARE_OK);
    assert_true(is_whole(run, STEPS));
    run_tree_compare(reference, run);
}

/* With none that is whole a run neither starts over by itself nor removes what may be of use. */
static void test_nothing_but_damaged_checkpoints_is_an_error(void **state)
{
    (void)state;
    char run[TEST_PATH], path[TEST_PATH];
    pare_json *result = NULL;
    test_path(run, home, "hopeless");
    pare_train_options o = options(run);
    run_to(&o, PARE_OK);
    damage_checkpoint(run, 9);
    damage_checkpoint(run, STEPS);
    o.resume = true;
    assert_status(pare_finetune(&o, &result), PARE_INPUT);
    assert_message_has("no checkpoint in ");
    assert_noted("checkpoint-9.h5: ");
    test_path(path, run, "checkpoint-9.h5");
    assert_true(pare_path_exists(path));
    test_path(path, run, "last.h5");
    assert_ok(pare_store_verify(path));
}

static int set_up(void **state)
{
    (void)state;
    const char *asked = getenv("PARE_SEED");
    seed = asked ? strtoull(asked, NULL, 10) : 5;
    pare_threads_set(1);
    test_dir_make(home);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_is_found_before_hdf5_opens_the_file),
        cmocka_unit_test(test_files_of_every_format_are_read),
        cmocka_unit_test(test_a_run_of_an_older_format_goes_on),
        cmocka_unit_test(test_a_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(test_nothing_but_damaged_checkpoints_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
