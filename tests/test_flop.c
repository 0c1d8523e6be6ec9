/* test_flop.c: learnt ranks: how gates begin and are held, which ranks stay, the compacted model
 * against the masked one, and whole runs. (Those that are killed are in test_kills.c.) */
#include "tests/tiny_model.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/philox.h"
#include "core/threads.h"
#include "tasks/flop_run.h"

enum { TRAIN = 96, DEV = 32 };

static char home[TEST_PATH], model_path[TEST_PATH], headed_path[TEST_PATH], other_data[TEST_PATH];
static const bool every[PARE_MATRICES] = {true, true, true, true, true, true};

/* ---- gates ---- */

typedef struct fixture {
    pare_arena *arena;
    pare_model *dense, *model;
    pare_flop_list list;
} fixture;

static fixture open_fixture(void)
{
    fixture f = {.arena = pare_arena_new("test")};
    assert_ok(pare_model_open(headed_path, &f.dense));
    assert_ok(pare_flop_factorize(f.dense, every, true, &f.model));
    assert_ok(pare_flop_list_new(f.arena, f.model, &f.list));
    assert_int_equal(f.list.n, 12);
    return f;
}

static void close_fixture(fixture *f)
{
    pare_model_free(f->model);
    pare_model_free(f->dense);
    pare_arena_free(f->arena);
}

static real *gates_of(const fixture *f, int64_t k)
{
    return f->list.at[k].weight->log_alpha->tensor.data;
}

/* Within a matrix larger singular values begin higher; over a matrix or the whole model the mean
 * and the deviation are what was asked for. */
static void test_gates_begin_by_singular_values(void **state)
{
    (void)state;
    fixture f = open_fixture();
    for (int start = PARE_FLOP_START_MATRIX; start <= PARE_FLOP_START_GLOBAL; start++) {
        double n = 0, sum = 0, squares = 0;
        pare_flop_begin(&f.list, (pare_flop_start)start, 3, 0.5, 1);
        for (int64_t k = 0; k < f.list.n; k++) {
            double own = 0;
            for (int64_t i = 0; i < f.list.at[k].rank; i++) {
                assert_true(i == 0 || gates_of(&f, k)[i] <= gates_of(&f, k)[i - 1]);
                own += gates_of(&f, k)[i];
                squares += ((double)gates_of(&f, k)[i] - 3) * ((double)gates_of(&f, k)[i] - 3);
            }
            if (start == PARE_FLOP_START_MATRIX)
                assert_true(fabs(own / (double)f.list.at[k].rank - 3) < 1e-5);
            sum += own;
            n += (double)f.list.at[k].rank;
        }
        assert_true(fabs(sum / n - 3) < 1e-5 && fabs(squares / n - 0.25) < 1e-5);
    }
    close_fixture(&f);
}

static void test_equal_gates_differ_by_noise(void **state)
{
    (void)state;
    fixture f = open_fixture();
    pare_flop_begin(&f.list, PARE_FLOP_START_EQUAL, 2, 0, 1);
    const real first = gates_of(&f, 0)[0];
    assert_true(gates_of(&f, 0)[1] != first && gates_of(&f, 1)[0] != first);
    for (int64_t k = 0; k < f.list.n; k++)
        for (int64_t i = 0; i < f.list.at[k].rank; i++)
            assert_true(fabs((double)gates_of(&f, k)[i] - 2) < 0.06);
    pare_flop_begin(&f.list, PARE_FLOP_START_EQUAL, 2, 0, 2);
    assert_true(gates_of(&f, 0)[0] != first); /* another seed */
    close_fixture(&f);
}

static void test_shift_reaches_any_target(void **state)
{
    (void)state;
    fixture f = open_fixture();
    for (double target = 0.05; target < 1; target += 0.15) {
        pare_flop_begin(&f.list, PARE_FLOP_START_MATRIX, 2.94, 2, 1);
        const double gap = (double)gates_of(&f, 3)[0] - gates_of(&f, 5)[4];
        const double shift = pare_flop_shift(&f.list, 0.7, target);
        assert_true(fabs(pare_flop_sparsity(&f.list, 0.7) - target) < 1e-5);
        assert_true(fabs((double)gates_of(&f, 3)[0] - gates_of(&f, 5)[4] - gap) < 1e-4);
        pare_flop_begin(&f.list, PARE_FLOP_START_MATRIX, 2.94 + shift, 2, 1);
    }
    close_fixture(&f);
}

static void test_undecided_gates_are_counted(void **state)
{
    (void)state;
    fixture f = open_fixture();
    int64_t n = 0;
    for (int64_t k = 0; k < f.list.n; k++) {
        for (int64_t i = 0; i < f.list.at[k].rank; i++)
            gates_of(&f, k)[i] = k == 0 ? -2.3979 : i % 2 ? -8 : 8; /* one half; surely 0 or 1 */
        n += f.list.at[k].rank;
    }
    assert_true(fabs(pare_flop_undecided(&f.list, 1) - (double)f.list.at[0].rank / (double)n) <
                1e-12);
    close_fixture(&f);
}

/* ---- projection ---- */

static bool **new_flags(const fixture *f)
{
    bool **keep = pare_arena_alloc(f->arena, (size_t)f->list.n * sizeof *keep);
    for (int64_t k = 0; k < f->list.n; k++)
        keep[k] = pare_arena_zalloc(f->arena, (size_t)f->list.at[k].rank * sizeof *keep[k]);
    return keep;
}

/* Ranks stay by their gates, in whole blocks, and what they cost is the budget but for half a
 * block. */
static void test_projection_keeps_the_best_blocks(void **state)
{
    (void)state;
    fixture f = open_fixture();
    bool **keep = new_flags(&f);
    double cost;
    pare_flop_begin(&f.list, PARE_FLOP_START_GLOBAL, 2.94, 2, 1);
    for (int64_t block = 1; block <= 4; block *= 2)
        for (double share = 0.35; share < 1; share += 0.2) {
            const double budget = share * f.list.dense;
            double sum = 0;
            assert_ok(pare_flop_project(&f.list, budget, block, keep, &cost));
            for (int64_t k = 0; k < f.list.n; k++) {
                const pare_flop_matrix *m = &f.list.at[k];
                int64_t kept = 0;
                while (kept < m->rank && keep[k][kept])
                    kept++; /* gates fall with the rank: the best come first */
                for (int64_t i = kept; i < m->rank; i++)
                    assert_false(keep[k][i]);
                assert_true(kept % block == 0 || kept == m->rank);
                assert_true(kept > 0);
                sum += pare_flop_cost(m, kept);
            }
            assert_true(sum == cost); /* a block more or less is no nearer; 24 + 50: its widest */
            assert_true(fabs(budget - cost) <= (double)block * 74 / 2 + 1);
        }
    assert_status(pare_flop_project(&f.list, 10, 1, keep, &cost), PARE_USAGE);
    close_fixture(&f);
}

/* ---- compaction ---- */

static void logits_of(const pare_model *m, const pare_encoded *encoded, real *out)
{
    assert_ok(pare_infer(m, encoded, 8, NULL, NULL, out));
}

static void encode_dev(const fixture *f, pare_encoded *encoded)
{
    pare_dataset *dataset = NULL;
    pare_tokenizer *tokenizer = NULL;
    const pare_data_options data = {.task = "SST-2", .data = home, .split = "dev"};
    assert_ok(pare_dataset_read(&data, &dataset));
    assert_ok(pare_tokenizer_new(&f->model->vocabulary, &tokenizer));
    assert_ok(pare_encode(f->arena, tokenizer, dataset, TINY_POSITIONS, encoded));
    pare_tokenizer_free(tokenizer);
    pare_dataset_free(dataset);
}

static double largest_difference(const real *a, const real *b, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)a[i] - b[i]));
    return largest;
}

/* With all gates open: the dense model. With masks in force: the compacted one. */
static void test_compacted_model_answers_as_the_masked_one(void **state)
{
    (void)state;
    for (int rule = PARE_FLOP_TOPK; rule <= PARE_FLOP_STRETCH; rule++) {
        fixture f = open_fixture();
        pare_encoded encoded;
        encode_dev(&f, &encoded);
        real *dense = pare_arena_alloc(f.arena, 2 * DEV * sizeof *dense);
        real *masked = pare_arena_alloc(f.arena, 2 * DEV * sizeof *masked);
        real *compact = pare_arena_alloc(f.arena, 2 * DEV * sizeof *compact);
        logits_of(f.dense, &encoded, dense);
        logits_of(f.model, &encoded, masked);
        assert_true(largest_difference(dense, masked, 2 * DEV) < 1e-5);
        for (int64_t k = 0; k < f.list.n; k++) /* some matrices keep nearly all, others little */
            for (int64_t i = 0; i < f.list.at[k].rank; i++)
                gates_of(&f, k)[i] = (real)(6 * pare_random_normal(3, PARE_RANDOM_DATA, (uint64_t)k,
                                                                   (uint64_t)i) + (k % 3 - 1) * 4);
        pare_masks masks = {.options = {.temperature = 1, .encoder = f.list.dense,
                                        .fold = "size",
                                        .mask_rule = rule == PARE_FLOP_TOPK ? "topk" : "stretch"},
                            .list = f.list};
        pare_model *smaller = NULL;
        assert_ok(pare_masks_compact(&masks, f.model, 0.4, &encoded, &smaller));
        assert_ok(pare_flop_set_masks(f.model, &f.list, (pare_flop_rule)rule, 1));
        if (rule == PARE_FLOP_STRETCH) /* compaction shuts what is half open at most */
            for (int64_t k = 0; k < f.list.n; k++)
                for (int64_t i = 0; i < f.list.at[k].rank; i++) {
                    real *z = &f.model->masks[k]->data[i];
                    *z = *z > (real)0.5 ? *z : 0;
                }
        logits_of(f.model, &encoded, masked);
        logits_of(smaller, &encoded, compact);
        assert_true(largest_difference(masked, compact, 2 * DEV) < 1e-5);
        assert_true(largest_difference(dense, masked, 2 * DEV) > 1e-4); /* masks do something */
        assert_true(pare_model_encoder_parameters(smaller) <
                    pare_model_encoder_parameters(f.dense));
        assert_non_null(strstr(smaller->history, "\"undecided\""));
        pare_model_free(smaller);
        close_fixture(&f);
    }
}

/* ---- whole runs ---- */

static pare_flop_options options(const char *run)
{
    pare_flop_options o = {
        .train = {.model = model_path, .task = "SST-2", .data = home, .output = run, .epochs = 2,
                  .batch_size = 8, .eval_batch_size = 16, .grad_accumulation = 1,
                  .learning_rate = 1e-3, .warmup_ratio = 0.1, .weight_decay = 0.01,
                  .max_grad_norm = 1, .optimizer = "adamw", .dropout = -1,
                  .attention_dropout = -1, .shuffle = true, .seed = 3, .freeze = "",
                  .save_steps = 5, .keep = 2, .precision = "fp32",
                  .threads = 1, .distill_weight = 0.5},
        .masks = {.temperature = 1, .learning_rate = 1e-3, .gate_schedule = "constant",
                  .noam_warmup = 200, .noam_dimension = 768, .ramp = 0.5, .mask_rule = "topk",
                  .guard = "always", .fold = "size", .projection = true},
        .method = "flop", .target = -1, .targets = {0.2, 0.5}, .n_targets = 2, .mask_epochs = 3,
        .start = PARE_FLOP_START_MATRIX, .gate_mean = 2.94, .gate_spread = 2, .final_epochs = 1,
        .distill = true, .max_score_drop = -1};
    memcpy(o.which, every, sizeof every);
    return o;
}

static char reference[TEST_PATH];

static void test_a_run_reaches_its_targets(void **state)
{
    (void)state;
    pare_flop_options o = options(reference);
    pare_json *result = NULL;
    assert_ok(pare_flop_run(&o, &result));
    const pare_json *models = pare_json_get(result, "models");
    assert_int_equal(pare_json_size(models), 2);
    for (size_t i = 0; i < 2; i++) {
        const pare_json *dense =
            pare_json_get(pare_json_get(pare_json_at(models, i), "sparsity"), "dense");
        const pare_json *sizes = pare_json_get(pare_json_at(models, i), "parameters");
        const double gone = pare_json_get_double(dense, "realised", NAN);
        assert_true(fabs(gone - o.targets[i]) < 0.01);
        assert_true(fabs(pare_json_get_double(dense, "expected", NAN) - o.targets[i]) < 0.02);
        assert_true(fabs(1 - (double)pare_json_get_int(sizes, "encoder_after", 0) /
                                 (double)pare_json_get_int(sizes, "encoder_before", 1) - gone) <
                    1e-12);
    }
    assert_false(pare_json_get_bool(result, "missed", true));
    assert_true(pare_json_get_double(result, "target", 0) == 0.5);
    const pare_json *latency = pare_json_get(pare_json_get(result, "latency_ms"), "after");
    assert_true(pare_json_get_double(latency, "32", 0) > 0);
    pare_json_free(result);
}

/* The records of the masks' log, one a step; to be freed. */
static int64_t read_log(const char *run, pare_json **record, int64_t most)
{
    char path[TEST_PATH];
    int64_t n = 0;
    test_path(path, run, "masks/metrics.jsonl");
    char *text = test_file_read(path, NULL), *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        assert_true(n < most);
        assert_ok(pare_json_parse(line, strlen(line), path, &record[n]));
        if (pare_json_get(record[n], "target_sparsity"))
            n++;
        else
            pare_json_free(record[n]);
    }
    free(text);
    return n;
}

static double logged(const pare_json *record, const char *name)
{
    return pare_json_get_double(record, name, NAN);
}

/* The guard, at every step: gates that learn three times as fast as is good miss the target by more
 * than 0.005, and where a step left them farther away the next one finds them moved upon it. */
static void check_guard(pare_json **record, int64_t n)
{
    int64_t moved = 0;
    for (int64_t i = 0; i + 1 < n; i++) {
        const double miss =
            logged(record[i + 1], "expected_sparsity") - logged(record[i], "target_sparsity");
        const bool guarded = pare_json_get(record[i], "guard") != NULL;
        assert_true(!guarded || fabs(logged(record[i], "guard")) < 64);
        assert_true(fabs(miss) < (guarded ? 1e-5 : 0.005 + 1e-5));
        moved += guarded;
    }
    assert_true(moved > n / 4);
}

/* Two stairs: equal steps while the target rises, then the target. */
static void check_stairs(pare_json **record, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double target = logged(record[i], "target_sparsity");
        const int64_t place = i % (n / 2), ramp = n / 4;
        if (place >= 2 && place < ramp)
            test_close(target - logged(record[i - 1], "target_sparsity"),
                       logged(record[i - 1], "target_sparsity") -
                           logged(record[i - 2], "target_sparsity"), 1e-7, 1, "the ramp");
        else if (place >= ramp)
            test_close(target, logged(record[i / (n / 2) * (n / 2) + n / 2 - 1],
                                      "target_sparsity"), 1e-8, 0, "the stair");
        assert_true(i == 0 || target >= logged(record[i - 1], "target_sparsity"));
    }
    assert_true(logged(record[n - 1], "target_sparsity") >
                logged(record[n / 2 - 1], "target_sparsity") + 0.1);
}

static void test_masks_keep_to_their_method(void **state)
{
    (void)state;
    enum { STEPS = 36 };
    char run[TEST_PATH];
    pare_json *result = NULL, *record[2 * STEPS];
    test_path(run, home, "method");
    pare_flop_options o = options(run);
    o.masks.gate_schedule = "noam";
    o.masks.gate_learning_rate = 20;
    o.masks.noam_warmup = 6;
    o.masks.noam_dimension = 16;
    o.masks.regularization_scale = 10;
    assert_ok(pare_flop_run(&o, &result));
    const int64_t n = read_log(run, record, 2 * STEPS);
    assert_int_equal(n, STEPS);
    for (int64_t i = 0; i < n; i++)
        test_close(logged(record[i], "alpha_lr"),
                   5 * fmin(1 / sqrt((double)i + 1), ((double)i + 1) / pow(6, 1.5)), 1e-8, 0,
                   "noam");
    check_guard(record, n);
    check_stairs(record, n);
    assert_true(logged(record[n - 1], "l2_regularization_loss") <
                0.99 * logged(record[0], "l2_regularization_loss"));
    for (int64_t i = 0; i < n; i++)
        pare_json_free(record[i]);
    pare_json_free(result);
}

/* A finished run has nothing to do, and another recipe is refused by name. */
static void test_a_run_is_repeated_with_its_own_options(void **state)
{
    (void)state;
    pare_flop_options o = options(reference);
    pare_json *result = NULL;
    o.targets[1] = 0.6;
    assert_status(pare_flop_run(&o, &result), PARE_USAGE);
    assert_message_has("targets");
    assert_null(result);
    o = options(reference);
    o.train.learning_rate *= 2; /* of a phase that is done, or has not begun */
    assert_status(pare_flop_run(&o, &result), PARE_USAGE);
    assert_message_has("learning_rate");
    o = options(reference);
    o.train.distill_weight = 0.25;
    assert_status(pare_flop_run(&o, &result), PARE_USAGE);
    assert_message_has("distill_weight");
    o = options(reference);
    o.train.data = other_data;
    assert_status(pare_flop_run(&o, &result), PARE_USAGE);
    assert_message_has("training data (crc32)");
}

static void test_truncated_runs_train_as_long(void **state)
{
    (void)state;
    char run[TEST_PATH], path[TEST_PATH];
    pare_json *result = NULL, *steps = NULL;
    test_path(run, home, "svd");
    pare_flop_options o = options(run);
    o.method = "svd";
    o.train.model = headed_path;
    assert_ok(pare_flop_run(&o, &result));
    for (int i = 0; i < 2; i++) { /* 36 steps of masks and 12 of fine-tuning */
        test_path(path, run, i ? "finetuned-0.5/eval_results.json"
                               : "finetuned-0.2/eval_results.json");
        char *text = test_file_read(path, NULL);
        assert_ok(pare_json_parse(text, strlen(text), path, &steps));
        assert_int_equal(pare_json_get_int(steps, "steps", 0), 12 + (i + 1) * 18);
        pare_json_free(steps);
        free(text);
    }
    test_path(path, run, "dense");
    assert_false(pare_path_exists(path)); /* it has a head already */
    pare_json_free(result);
}

/* ---- what is not finite, while masks are trained ---- */

static int site;               /* which parameter; -1: none */
static bool poison_last;       /* what the last update made, not a gradient */

static pare_status poisoned_update(pare_training *t, double rates[PARE_GROUPS])
{
    const pare_status status = pare_masks_method.update(t, rates);
    if (site >= 0 && t->state.step == 1)
        test_set_gradient(&t->optimizer->params[site]->tensor, 0, NAN);
    return status;
}

static const char unseen[] = "bert.embeddings.position_embeddings.weight"; /* its last row is */

static pare_status poisoned_weights(pare_training *t)
{
    pare_tensor *x = &pare_model_find(t->model, unseen)->tensor;
    if (poison_last && t->state.step == t->total_steps)
        x->data[pare_tensor_size(x) - 1] = INFINITY;
    return pare_masks_method.updated(t);
}

/* Three steps of masks; the smaller model would be `compact`. */
static pare_status train_poisoned(char *compact, const char *gated, double encoder)
{
    char run[TEST_PATH], *files[] = {compact};
    const double targets[] = {0.3};
    pare_json *result = NULL;
    pare_method method = pare_masks_method;
    pare_masks masks = {.options = options("").masks};
    masks.options.targets = targets;
    masks.options.files = files;
    masks.options.n_targets = 1;
    masks.options.encoder = encoder;
    method.update = poisoned_update;
    method.updated = poisoned_weights;
    test_path(run, home, "poisoned");
    pare_train_options o = options(run).train;
    o.model = gated;
    o.max_steps = 3;
    o.overwrite = true;
    o.method = &method;
    o.method_state = &masks;
    const pare_status status = pare_finetune(&o, &result);
    pare_json_free(result);
    return status;
}

static void test_masks_that_are_not_finite_are_found_at_once(void **state)
{
    (void)state;
    char gated[TEST_PATH], compact[TEST_PATH];
    fixture f = open_fixture();
    test_path(gated, home, "gated.h5");
    test_path(compact, home, "poisoned.h5");
    pare_flop_begin(&f.list, PARE_FLOP_START_MATRIX, 2.94, 2, 1);
    assert_ok(pare_model_save(f.model, gated));
    for (site = 0; site < f.model->n_params; site++) {
        assert_status(train_poisoned(compact, gated, f.list.dense), PARE_DIVERGED);
        assert_message_has("step 2: the gradient of ");
        assert_message_has(f.model->params[site]->name);
    }
    site = -1;
    poison_last = true;
    assert_status(train_poisoned(compact, gated, f.list.dense), PARE_DIVERGED);
    assert_message_has("step 3: the tensor ");
    assert_message_has(unseen);
    assert_false(pare_path_exists(compact));
    poison_last = false;
    assert_ok(train_poisoned(compact, gated, f.list.dense));
    assert_true(pare_path_exists(compact));
    close_fixture(&f);
}

static void expect_refused(pare_flop_options *o, pare_status want, const char *message)
{
    pare_json *result = NULL;
    assert_status(pare_flop_run(o, &result), want);
    assert_message_has(message);
    assert_null(result);
    assert_false(pare_path_exists(o->train.output));
}

static void test_bad_targets_are_refused_before_anything_is_written(void **state)
{
    (void)state;
    char run[TEST_PATH], compact[TEST_PATH];
    test_path(run, home, "refused");
    test_path(compact, reference, "compact-0.5.h5");
    pare_flop_options o = options(run);
    o.n_targets = 0;
    expect_refused(&o, PARE_USAGE, "--target");
    o.target = 0;
    expect_refused(&o, PARE_USAGE, "--target");
    o.target = 1;
    expect_refused(&o, PARE_USAGE, "--target");
    o.target = 0.999;
    expect_refused(&o, PARE_USAGE, "beyond reach");
    o.target = 0.2;
    o.of_factorised = true; /* its factors begin at more than 1 / 0.8 of the dense size */
    expect_refused(&o, PARE_USAGE, "no smaller");
    o = options(run);
    o.targets[0] = 0.5;
    expect_refused(&o, PARE_USAGE, "stands behind");
    o = options(run);
    o.train.model = compact;
    expect_refused(&o, PARE_INPUT, "factorised already");
    o = options(run);
    o.train.max_steps = 1;
    expect_refused(&o, PARE_USAGE, "1 steps of masks are too few for 2 targets");
    o = options(run);
    o.train.teacher = headed_path;
    expect_refused(&o, PARE_USAGE, "--teacher");
    o = options(run);
    o.targets[0] = NAN;
    expect_refused(&o, PARE_USAGE, "nan is no share");
    o = options(run);
    char alone[TEST_PATH], from[TEST_PATH], to[TEST_PATH];
    test_path(alone, home, "alone");
    assert_int_equal(mkdir(alone, 0777), 0);
    test_path(from, home, "SST-2/train.tsv");
    test_path(to, alone, "train.tsv");
    assert_int_equal(link(from, to), 0);
    o.train.data = alone;
    expect_refused(&o, PARE_INPUT, "no dev set of SST-2");
    o = options(run);
    o.train.task = "SST-3";
    expect_refused(&o, PARE_USAGE, "SST-3");
}

static int set_up(void **state)
{
    (void)state;
    pare_threads_set(1);
    test_dir_make(home);
    test_path(model_path, home, "model.h5");
    test_path(headed_path, home, "headed.h5");
    test_path(reference, home, "reference");
    make_tiny_corpus(home, TRAIN, DEV);
    test_path(other_data, home, "other");
    assert_int_equal(mkdir(other_data, 0777), 0);
    make_tiny_corpus(other_data, TRAIN - 1, DEV);
    make_tiny_model(home, model_path, 2, 0, 300);
    make_tiny_model(home, headed_path, 2, 2, 300);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gates_begin_by_singular_values),
        cmocka_unit_test(test_equal_gates_differ_by_noise),
        cmocka_unit_test(test_shift_reaches_any_target),
        cmocka_unit_test(test_undecided_gates_are_counted),
        cmocka_unit_test(test_projection_keeps_the_best_blocks),
        cmocka_unit_test(test_compacted_model_answers_as_the_masked_one),
        cmocka_unit_test(test_a_run_reaches_its_targets),
        cmocka_unit_test(test_masks_keep_to_their_method),
        cmocka_unit_test(test_a_run_is_repeated_with_its_own_options),
        cmocka_unit_test(test_truncated_runs_train_as_long),
        cmocka_unit_test(test_masks_that_are_not_finite_are_found_at_once),
        cmocka_unit_test(test_bad_targets_are_refused_before_anything_is_written),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
