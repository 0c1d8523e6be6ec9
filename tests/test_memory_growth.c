/* test_memory_growth.c: a run takes no more memory after its hundredth step than before it.
 * (The first hundred hold everything that the others do: evaluations and checkpoints too. Rows
 * are not shuffled, so that the largest batch is among them.) */
#include "tests/failing_malloc.h"
#include "tests/tiny_model.h"

#include "core/threads.h"
#include "tasks/trainer.h"

enum {
    STEPS = 10000,
    SETTLED = 100,
    EVERY = 50,
    SLACK = 256 << 10 /* of what is resident, which the system counts by threads and in batches */
};

/* Bytes, before step SETTLED and after it. */
typedef struct watch {
    size_t in_use[2];   /* the most that pare and its libraries held at the end of a step */
    size_t resident[2]; /* the most that was ever resident */
    int64_t steps;
} watch;

/* Linux's VmHWM of this process, in bytes. */
static size_t high_water_mark(void)
{
    char line[256];
    size_t kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && kilobytes == 0 && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %zu kB", &kilobytes) != 1)
            kilobytes = 0;
    if (status)
        fclose(status);
    return kilobytes << 10;
}

static void look(void *context, const pare_progress_info *info)
{
    watch *w = context;
    const int late = info->step > SETTLED;
    if (strcmp(info->what, "train") != 0 || info->step == 0)
        return;
    if (fail_bytes > w->in_use[late])
        w->in_use[late] = fail_bytes;
    if (info->step == SETTLED || info->step == info->steps)
        w->resident[late] = high_water_mark();
    w->steps = info->step;
}

static void test_no_growth(void **state)
{
    (void)state;
    char home[TEST_PATH], model[TEST_PATH], run[TEST_PATH];
    watch w = {.steps = 0};
    const pare_progress progress = {.update = look, .context = &w};
    FAIL_NEEDED();
    pare_threads_set(1);
    test_dir_make(home);
    test_path(model, home, "model.h5");
    test_path(run, home, "run");
    make_tiny_corpus(home, 160, 16);
    make_tiny_model(home, model, 1, 2, 200);
    const pare_train_options options = {
        .model = model, .task = "SST-2", .data = home, .output = run, .max_steps = STEPS,
        .epochs = 1, .batch_size = 8, .eval_batch_size = 16, .grad_accumulation = 1,
        .learning_rate = 1e-4, .warmup_ratio = 0.1, .max_grad_norm = 1, .optimizer = "adamw",
        .dropout = -1, .attention_dropout = -1, .seed = 3, .freeze = "",
        .save_steps = EVERY, .eval_steps = EVERY, .keep = 2, .precision = "fp32", .threads = 1,
        .progress = &progress};
    pare_json *result = NULL;
    fail_begin(FAIL_PARE, 0);
    assert_ok(pare_finetune(&options, &result));
    pare_json_free(result);
    fail_end();
    assert_int_equal(fail_live, 0);
    assert_int_equal(w.steps, STEPS);
    printf("%zu bytes held by step %d, %zu by step %d; %zu and %zu KiB resident\n", w.in_use[0],
           SETTLED, w.in_use[1], STEPS, w.resident[0] >> 10, w.resident[1] >> 10);
    if (getenv("PARE_TORTURE"))
        printf("torture memory-growth: %d steps\n", STEPS);
    assert_true(w.in_use[0] > 0 && w.resident[0] > 0);
    assert_true(w.in_use[1] <= w.in_use[0]);
    assert_true(w.resident[1] <= w.resident[0] + SLACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_growth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
