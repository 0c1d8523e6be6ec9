/* test_resume.c: a run that is stopped and resumed ends in the same bits as one that is not, at any
 * number of threads; what is not finite ends it. (Kills are in test_kills.c, damage is in
 * test_checkpoint.c.)
 *
 * Every run is a child process (fork). The parent keeps to one thread: OpenMP's threads do not
 * survive a fork. */
#include "tests/run_tree.h"
#include "tests/tiny_model.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/signals.h"
#include "core/store.h"
#include "core/threads.h"
#include "tasks/training.h"

enum { TRAIN = 160, DEV = 40 };

static char home[TEST_PATH], model_path[TEST_PATH], reference[TEST_PATH];

static pare_train_options options(const char *run)
{
    return (pare_train_options){.model = model_path, .task = "SST-2", .data = home, .output = run,
                                .epochs = 3, .batch_size = 8, .eval_batch_size = 16,
                                .grad_accumulation = 1, .learning_rate = 1e-3, .warmup_ratio = 0.1,
                                .weight_decay = 0.01, .max_grad_norm = 1, .optimizer = "adamw",
                                .dropout = -1, .attention_dropout = -1, .shuffle = true,
                                .seed = 3, .freeze = "",
                                .eval_steps = 7, .save_steps = 5, .keep = 2, .precision = "fp32",
                                .threads = 1};
}

static pare_status run_quietly(const void *options)
{
    pare_json *result = NULL;
    pare_signals_install();
    const pare_status status = pare_finetune(options, &result);
    pare_json_free(result);
    return status;
}

static pid_t start(const pare_train_options *o)
{
    return test_start(run_quietly, o);
}

static void assert_run(const pare_train_options *o, int want)
{
    assert_int_equal(test_wait(start(o)), want);
}

static void assert_same_run(const char *run)
{
    run_tree_compare(reference, run);
}

/* ---- the tests ---- */

static int setup(void **state)
{
    (void)state;
    pare_threads_set(1);
    test_dir_make(home);
    test_path(model_path, home, "model.h5");
    test_path(reference, home, "reference");
    make_tiny_corpus(home, TRAIN, DEV);
    make_tiny_model(home, model_path, 2, 0, 300);
    const pare_train_options o = options(reference);
    assert_run(&o, PARE_OK);
    return 0;
}

static void test_learns_something(void **state)
{
    (void)state;
    char path[TEST_PATH];
    test_path(path, reference, "metrics.jsonl");
    char *log = run_tree_log(path);
    assert_non_null(strstr(log, "\"step\":60,\"loss\""));
    assert_non_null(strstr(log, "\"eval\""));
    free(log);
}

static void test_threads(void **state)
{
    (void)state;
    for (int64_t threads = 2; threads <= 4; threads++) {
        char run[TEST_PATH], name[32];
        snprintf(name, sizeof name, "threads-%lld", (long long)threads);
        test_path(run, home, name);
        pare_train_options o = options(run);
        o.threads = threads;
        assert_run(&o, PARE_OK);
        assert_same_run(run);
    }
}

/* Stopped by the clock before every next step: resumed at each of the run's steps. */
static void test_resume_at_every_step(void **state)
{
    (void)state;
    char run[TEST_PATH];
    test_path(run, home, "stepwise");
    pare_train_options o = options(run);
    o.resume = true;
    o.max_seconds = 1e-9;
    int sessions = 1, status;
    while ((status = test_wait(start(&o))) == PARE_STOPPED) {
        o.threads = 1 + sessions % 2;
        sessions++;
    }
    assert_int_equal(status, PARE_OK);
    assert_int_equal(sessions, 60);
    assert_same_run(run);
}

/* ---- two requests to stop ---- */

static char marker[TEST_PATH]; /* the child makes it, and waits for its end */

/* A step that lasts until the marker is removed. */
static pare_status last_long(pare_training *t)
{
    if (t->state.step == 12) {
        test_text_write(marker, "");
        while (pare_path_exists(marker))
            usleep(1000);
    }
    return PARE_OK;
}

static const pare_method long_step = {.updated = last_long};

static pid_t start_long(pare_train_options *o)
{
    o->method = &long_step;
    o->resume = true;
    const pid_t child = start(o);
    while (!pare_path_exists(marker))
        usleep(1000);
    return child;
}

/* One waits for the step to end, a second one a moment later does not. Two at the same moment are
 * one. */
static void test_second_interrupt(void **state)
{
    (void)state;
    char run[TEST_PATH], path[TEST_PATH];
    test_path(run, home, "interrupted");
    test_path(marker, home, "marker");
    pare_train_options o = options(run);
    pid_t child = start_long(&o);
    assert_int_equal(kill(child, SIGINT), 0);
    usleep(150000);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(test_wait(child), PARE_FORCED);
    assert_int_equal(unlink(marker), 0);
    test_path(path, run, "checkpoint-12.h5");
    assert_false(pare_path_exists(path));
    child = start_long(&o);
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(unlink(marker), 0);
    assert_int_equal(test_wait(child), PARE_STOPPED);
    assert_ok(pare_store_verify(path));
    o.method = NULL;
    assert_run(&o, PARE_OK);
    assert_same_run(run);
}

static void test_refusals(void **state)
{
    (void)state;
    char run[TEST_PATH];
    test_path(run, home, "refused");
    pare_train_options o = options(run);
    assert_run(&o, PARE_OK);
    assert_run(&o, PARE_USAGE); /* not empty */
    o.resume = true;
    assert_run(&o, PARE_OK); /* nothing to do */
    assert_same_run(run);
    o.dry_run = true;
    assert_run(&o, PARE_OK);
    assert_same_run(run);
    o.dry_run = false;
    o.learning_rate = 2e-3;
    assert_run(&o, PARE_USAGE); /* another recipe */
    o.learning_rate = 1e-3;
    o.metric_for_best = "loss";
    assert_run(&o, PARE_USAGE);
    test_path(run, home, "refused-2"); /* what one has and the other has not, both ways */
    o = options(run);
    o.metric_for_best = "loss";
    o.max_steps = 5;
    assert_run(&o, PARE_OK);
    o.resume = true;
    o.metric_for_best = NULL;
    assert_run(&o, PARE_USAGE);
    test_path(run, home, "refused");
    o = options(run);
    o.overwrite = true;
    assert_run(&o, PARE_OK);
    assert_same_run(run);
    o.learning_rate = 1e30;
    assert_run(&o, PARE_DIVERGED);
}

static void copy_file_to(const char *from, const char *to)
{
    size_t n;
    char *bytes = test_file_read(from, &n);
    test_file_write(to, bytes, n);
    free(bytes);
}

/* Models are known by their bytes, wherever they lie; so are the examples that are learnt and
 * scored. */
static void test_files_that_changed(void **state)
{
    (void)state;
    char run[TEST_PATH], from[TEST_PATH], teacher[TEST_PATH], moved[TEST_PATH], data[TEST_PATH],
        corpus[TEST_PATH], model[TEST_PATH];
    test_path(run, home, "changed");
    test_path(model, home, "start.h5");
    test_path(from, reference, "best.h5");
    test_path(teacher, home, "teacher.h5");
    test_path(moved, home, "moved.h5");
    test_path(data, home, "other");
    test_path(corpus, data, "SST-2");
    copy_file_to(from, teacher);
    copy_file_to(model_path, model);
    assert_int_equal(mkdir(data, 0777), 0);
    assert_ok(pare_demo_corpus_write(corpus, TRAIN, DEV, 5));
    pare_train_options o = options(run);
    o.max_steps = 5;
    o.teacher = teacher;
    o.distill_weight = 0.5;
    o.data = data;
    o.model = model;
    assert_run(&o, PARE_OK);
    o.resume = true;
    copy_file_to(from, model);
    assert_run(&o, PARE_USAGE);
    assert_int_equal(unlink(model), 0); /* nobody can tell, and nobody needs it */
    assert_run(&o, PARE_OK);
    o.model = model_path; /* the same weights under another name */
    assert_int_equal(rename(teacher, moved), 0);
    assert_run(&o, PARE_IO); /* not there: a recipe without it would be another */
    o.teacher = moved;
    assert_run(&o, PARE_OK);
    test_path(from, reference, "last.h5");
    copy_file_to(from, moved);
    assert_run(&o, PARE_USAGE);
    test_path(from, reference, "best.h5");
    copy_file_to(from, moved);
    assert_run(&o, PARE_OK);
    test_path(from, corpus, "dev.tsv");
    char *text = test_file_read(from, NULL), longer[200];
    FILE *file = fopen(from, "a");
    snprintf(longer, sizeof longer, "%s", strchr(text, '\n') + 1);
    *(strchr(longer, '\n') + 1) = '\0'; /* its first row once more */
    assert_true(file && fputs(longer, file) >= 0 && fclose(file) == 0);
    free(text);
    assert_run(&o, PARE_USAGE);
}

/* ---- what is not finite ---- */

enum { POISONED = 12 };

/* A method that does nothing but put a NaN into a gradient, before one update. */
static pare_status poison_gradient(pare_training *t, double rates[PARE_GROUPS])
{
    (void)rates;
    if (t->state.step + 1 == POISONED)
        t->model->layers[1].output.weight->tensor.grad[5] = NAN;
    return PARE_OK;
}

/* ... or into a weight, before the forward pass of one step, or after its update. */
static pare_status poison_forward(pare_training *t, pare_bert_pass *pass)
{
    (void)pass;
    if (t->state.step + 1 == POISONED)
        t->model->layers[0].query.weight->tensor.data[3] = NAN;
    return PARE_OK;
}

static pare_status poison_weight(pare_training *t)
{
    if (t->state.step == 15) /* which is saved */
        t->model->layers[0].query.weight->tensor.data[3] = INFINITY;
    return PARE_OK;
}

static const pare_method gradient_poison = {.update = poison_gradient};
static const pare_method forward_poison = {.forward = poison_forward};
static const pare_method weight_poison = {.updated = poison_weight};

/* Runs here, not in a child, for its message. */
static void assert_diverges(const char *name, const pare_method *method, const char *message)
{
    char run[TEST_PATH], last[TEST_PATH];
    pare_json *result = NULL;
    test_path(run, home, name);
    pare_train_options o = options(run);
    o.method = method;
    o.on_nan = "stop";
    assert_status(pare_finetune(&o, &result), PARE_DIVERGED);
    assert_message_has(message);
    assert_null(result);
    test_path(last, run, "last.h5");
    assert_false(pare_path_exists(last));
    test_path(last, run, "checkpoint-15.h5");
    assert_false(pare_path_exists(last));
    test_path(last, run, "checkpoint-10.h5"); /* the step before it happened */
    pare_model *model = NULL;
    assert_ok(pare_model_open(last, &model));
    assert_null(pare_model_not_finite(model));
    pare_model_free(model);
}

static void test_what_is_not_finite_is_found_at_once(void **state)
{
    (void)state;
    assert_diverges("nan-gradient", &gradient_poison,
                    "step 12: the gradient of bert.encoder.layer.1.output.dense.weight");
    assert_diverges("nan-forward", &forward_poison,
                    "the loss is not finite, nor is the tensor "
                    "bert.encoder.layer.0.attention.self.query.weight");
    assert_diverges("inf-weight", &weight_poison,
                    "step 15: the tensor bert.encoder.layer.0.attention.self.query.weight");
}

/* ---- ... in every tensor ---- */

static int site; /* which parameter */

static pare_status poison_a_gradient(pare_training *t, double rates[PARE_GROUPS])
{
    (void)rates;
    pare_tensor *x = &t->optimizer->params[site]->tensor;
    if (t->state.step == 1)
        test_set_gradient(x, pare_tensor_size(x) - 1, INFINITY);
    return PARE_OK;
}

static pare_status poison_a_tensor(pare_training *t, pare_bert_pass *pass)
{
    (void)pass;
    pare_tensor *x = &t->optimizer->params[site]->tensor;
    for (int64_t i = 0; t->state.step == 1 && i < pare_tensor_size(x); i++)
        x->data[i] = NAN;
    return PARE_OK;
}

static pare_status poison_the_loss(pare_training *t, pare_bert_pass *pass)
{
    (void)pass;
    double *answers = pare_arena_alloc(t->arena, TRAIN * 2 * sizeof *answers);
    for (int i = 0; i < TRAIN * 2; i++)
        answers[i] = NAN;
    if (t->state.step == 1)
        t->answers = answers;
    return PARE_OK;
}

/* A position that no sentence reaches, after the first evaluation's step. */
static pare_status poison_the_unseen(pare_training *t)
{
    pare_tensor *x = &pare_model_find(t->model, "bert.embeddings.position_embeddings.weight")
                          ->tensor;
    if (t->state.step == 7)
        x->data[pare_tensor_size(x) - 1] = NAN;
    return PARE_OK;
}

/* In step 2, naming the tensor; nothing was saved. */
static void assert_step_diverges(const pare_method *method, const char *says, const char *name)
{
    char run[TEST_PATH], path[TEST_PATH];
    pare_json *result = NULL;
    test_path(run, home, "one-site");
    pare_train_options o = options(run);
    o.method = method;
    o.distill_weight = 0.5;
    o.overwrite = true;
    assert_status(pare_finetune(&o, &result), PARE_DIVERGED);
    assert_message_has("step 2: ");
    assert_message_has(says);
    assert_message_has(name);
    for (int i = 0; i < 3; i++) {
        static const char *const files[] = {"best.h5", "last.h5", "checkpoint-2.h5"};
        test_path(path, run, files[i]);
        assert_false(pare_path_exists(path));
    }
}

static void test_each_tensor(void **state)
{
    (void)state;
    static const pare_method gradient = {.update = poison_a_gradient};
    static const pare_method tensor = {.forward = poison_a_tensor};
    static const pare_method loss = {.forward = poison_the_loss};
    char path[TEST_PATH];
    pare_model *model = NULL;
    test_path(path, reference, "last.h5");
    assert_ok(pare_model_open(path, &model));
    for (site = 0; site < model->n_params; site++) {
        const char *name = model->params[site]->name;
        assert_step_diverges(&gradient, "the gradient of", name);
        assert_step_diverges(&tensor, "the loss is not finite, nor is the tensor", name);
    }
    assert_step_diverges(&loss, "the loss is not finite", "");
    print_message("%d tensors\n", site);
    pare_model_free(model);
}

static void test_what_the_loss_does_not_see_is_not_saved(void **state)
{
    (void)state;
    static const pare_method unseen = {.updated = poison_the_unseen};
    char run[TEST_PATH], path[TEST_PATH];
    pare_json *result = NULL;
    test_path(run, home, "unseen");
    pare_train_options o = options(run);
    o.method = &unseen;
    assert_status(pare_finetune(&o, &result), PARE_DIVERGED);
    assert_message_has("step 7: the tensor bert.embeddings.position_embeddings.weight is not");
    test_path(path, run, "best.h5");
    assert_false(pare_path_exists(path));
}

/* A skipped step updates nothing, and a run that is stopped goes on as if it had not been. */
static void test_steps_that_are_not_finite_can_be_skipped(void **state)
{
    (void)state;
    char run[TEST_PATH], stopped[TEST_PATH], path[TEST_PATH], other[TEST_PATH];
    test_path(run, home, "skip");
    test_path(stopped, home, "skip-stopped");
    pare_train_options o = options(run);
    o.method = &gradient_poison;
    o.on_nan = "skip";
    assert_run(&o, PARE_OK);
    o.output = stopped;
    o.max_seconds = 1e-9; /* one step a session */
    for (int i = 0; i < 14; i++) {
        assert_run(&o, PARE_STOPPED);
        o.resume = true;
    }
    o.max_seconds = 0;
    assert_run(&o, PARE_OK);
    test_path(path, run, "best.h5");
    test_path(other, stopped, "best.h5");
    size_t n, m;
    char *a = test_file_read(path, &n), *b = test_file_read(other, &m);
    assert_true(n == m && memcmp(a, b, n) == 0);
    free(a);
    free(b);
    test_path(path, run, "metrics.jsonl");
    a = test_file_read(path, NULL);
    assert_non_null(strstr(a, "\"step\":12,\"loss\":null"));
    assert_non_null(strstr(a, "\"skipped\":\"the gradient of"));
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_something), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_resume_at_every_step),
        cmocka_unit_test(test_second_interrupt),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_files_that_changed),
        cmocka_unit_test(test_what_is_not_finite_is_found_at_once),
        cmocka_unit_test(test_each_tensor),
        cmocka_unit_test(test_what_the_loss_does_not_see_is_not_saved),
        cmocka_unit_test(test_steps_that_are_not_finite_can_be_skipped),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
