/* AdamW over parameters, the schedule, and what they stand on: random numbers and threads. */
#include "core/philox.h"
#include "core/threads.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "tests/batch.h"

/* ---- Philox ---- */

/* The known answers of Random123's kat_vectors, philox4x32-10. */
static void test_philox_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], word[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const pare_random_block got = pare_philox(known[i].key, known[i].counter);
        assert_memory_equal(got.word, known[i].word, sizeof got.word);
    }
}

static void test_random_numbers(void **state)
{
    (void)state;
    enum { N = 100000 };
    double mean = 0, square = 0, normal_mean = 0, normal_square = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double u = pare_random_uniform(1, PARE_RANDOM_DATA, 2, i);
        const double z = pare_random_normal(1, PARE_RANDOM_DATA, 3, i);
        assert_true(u >= 0 && u < 1);
        mean += u / N;
        square += u * u / N;
        normal_mean += z / N;
        normal_square += z * z / N;
    }
    assert_true(fabs(mean - 0.5) < 0.005 && fabs(square - 1.0 / 3) < 0.005);
    assert_true(fabs(normal_mean) < 0.02 && fabs(normal_square - 1) < 0.03);
    /* Seeds, purposes, steps and indices past 32 bits have streams of their own. */
    const double u = pare_random_uniform(1, PARE_RANDOM_DATA, 2, 3);
    assert_true(u != pare_random_uniform(2, PARE_RANDOM_DATA, 2, 3));
    assert_true(u != pare_random_uniform((uint64_t)1 << 32 | 1, PARE_RANDOM_DATA, 2, 3));
    assert_true(u != pare_random_uniform(1, PARE_RANDOM_GATE, 2, 3));
    assert_true(u != pare_random_uniform(1, PARE_RANDOM_DATA, 3, 3));
    assert_true(u != pare_random_uniform(1, PARE_RANDOM_DATA, 2, (uint64_t)1 << 32 | 3));
}

static void test_shuffle(void **state)
{
    (void)state;
    enum { N = 1000 };
    int64_t order[N], again[N];
    bool seen[N] = {false};
    pare_random_shuffle(order, N, 7, 0);
    int fixed = 0;
    for (int i = 0; i < N; i++) {
        assert_in_range(order[i], 0, N - 1);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
    }
    assert_true(fixed < 10); /* one is expected */
    pare_random_shuffle(again, N, 7, 0);
    assert_memory_equal(order, again, sizeof order);
    pare_random_shuffle(again, N, 7, 1);
    assert_memory_not_equal(order, again, sizeof order);
    pare_random_shuffle(again, N, 8, 0);
    assert_memory_not_equal(order, again, sizeof order);
    /* Every element is as likely everywhere: where 0 goes, over many epochs. */
    int first = 0;
    for (uint64_t epoch = 0; epoch < 4000; epoch++) {
        pare_random_shuffle(again, 4, 7, epoch);
        first += again[0] == 0;
    }
    assert_true(abs(first - 1000) < 5 * 27);
    pare_random_shuffle(again, 0, 7, 0); /* nothing to do */
}

/* ---- threads ---- */

enum { TILES = 1000 };

typedef struct visits {
    int count[TILES], thread[TILES];
    int nested[TILES][3];
} visits;

typedef struct inner {
    visits *v;
    int64_t outer;
} inner;

static void visit_inner(void *context, int64_t tile)
{
    const inner *in = context;
    in->v->nested[in->outer][tile]++;
}

static void visit(void *context, int64_t tile)
{
    visits *v = context;
    v->count[tile]++;
    v->thread[tile] = pare_thread_index();
    pare_parallel(3, visit_inner, &(inner){v, tile});
}

static void test_every_tile_runs_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        visits *v = calloc(1, sizeof *v);
        assert_non_null(v);
        pare_threads_set(threads);
        assert_int_equal(pare_threads(), threads);
        pare_parallel(0, visit, v);
        pare_parallel(TILES, visit, v);
        for (int i = 0; i < TILES; i++) {
            assert_int_equal(v->count[i], 1);
            assert_in_range(v->thread[i], 0, threads - 1);
            for (int j = 0; j < 3; j++)
                assert_int_equal(v->nested[i][j], 1);
        }
        free(v);
    }
    pare_threads_set(0);
    assert_true(pare_threads() >= 1);
}

/* ---- the schedule ---- */

static void test_schedule(void **state)
{
    (void)state;
    assert_true(pare_linear_schedule(2e-5, 0, 10, 100) == 0);
    test_close(pare_linear_schedule(2e-5, 5, 10, 100), 1e-5, 1e-15, 0, "half of the warm-up");
    test_close(pare_linear_schedule(2e-5, 10, 10, 100), 2e-5, 1e-15, 0, "the peak");
    test_close(pare_linear_schedule(2e-5, 55, 10, 100), 1e-5, 1e-15, 0, "half of the way down");
    test_close(pare_linear_schedule(2e-5, 99, 10, 100), 2e-5 / 90, 1e-15, 0, "the last update");
    assert_true(pare_linear_schedule(2e-5, 100, 10, 100) == 0);
    assert_true(pare_linear_schedule(2e-5, 0, 0, 4) == 2e-5); /* no warm-up */
    assert_true(pare_linear_schedule(2e-5, 0, 1, 1) == 0);    /* nothing but warm-up */
    assert_true(pare_linear_schedule(2e-5, 1, 1, 1) == 0);
}

/* 0.5 / sqrt(16) times s / 8 while s = k + 1 rises to 4, and 1 / sqrt(s) from there on. */
static void test_noam_schedule(void **state)
{
    (void)state;
    test_close(pare_noam_schedule(0.5, 0, 4, 16), 0.125 / 8, 1e-15, 0, "the first update");
    test_close(pare_noam_schedule(0.5, 2, 4, 16), 0.125 * 3 / 8, 1e-15, 0, "the rise");
    test_close(pare_noam_schedule(0.5, 3, 4, 16), 0.125 / 2, 1e-15, 0, "the peak");
    test_close(pare_noam_schedule(0.5, 8, 4, 16), 0.125 / 3, 1e-15, 0, "the fall");
}

/* ---- AdamW ---- */

/* A matrix of more than one chunk, a vector, one that gets no gradient, and a frozen one. */
enum { N_PARAMS = 4, ROWS = 300, COLUMNS = 251 };

typedef struct model {
    pare_arena *arena;
    pare_param param[N_PARAMS];
    pare_param *list[N_PARAMS];
} model;

static model *model_new(void)
{
    static const int64_t shape[N_PARAMS][2] = {{ROWS, COLUMNS}, {1, 77}, {5, 3}, {4, 4}};
    pare_arena *arena = pare_arena_new("test");
    model *m = test_alloc(arena, 1, sizeof *m);
    m->arena = arena;
    for (int i = 0; i < N_PARAMS; i++) {
        pare_param *p = &m->param[i];
        snprintf(p->name, sizeof p->name, "tensor %d", i);
        p->tensor = *pare_tensor_new(arena, shape[i][0], shape[i][1]);
        p->decay = i != 1;
        p->frozen = i == 3;
        m->list[i] = p;
        for (int64_t e = 0; e < pare_tensor_size(&p->tensor); e++)
            p->tensor.data[e] = test_random((uint64_t)i, e);
    }
    return m;
}

/* The gradients of update k: of the third tensor only in the first one. */
static void set_gradients(model *m, int k)
{
    for (int i = 0; i < 3; i++) {
        pare_tensor *x = &m->param[i].tensor;
        if (i == 2 && k > 0) {
            memset(x->grad, 0xff, (size_t)pare_tensor_size(x) * sizeof(real)); /* not to be read */
            continue;
        }
        for (int64_t e = 0; e < pare_tensor_size(x); e++)
            x->grad[e] = test_random(100 + (uint64_t)(10 * k + i), e);
        x->has_grad = true;
    }
}

static double gradient(int i, int k, int64_t e)
{
    return i == 2 && k > 0 ? 0 : (double)test_random(100 + (uint64_t)(10 * k + i), e);
}

static double rate(int k)
{
    return 1e-2 / (1 + k);
}

/* Element e of tensor i after n updates clipped by 0.5, straight from the paper. */
static double adamw(int i, int64_t e, int n, bool bert, bool decay)
{
    double w = (double)test_random((uint64_t)i, e), m = 0, v = 0;
    for (int k = 0; k < n; k++) {
        const double g = 0.5 * gradient(i, k, e);
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        const double mm = bert ? m : m / (1 - pow(0.9, k + 1));
        const double vv = bert ? v : v / (1 - pow(0.999, k + 1));
        w = w * (1 - rate(k) * (decay ? 0.1 : 0));
        w -= rate(k) * mm / (sqrt(vv) + (bert ? 1e-6 : 1e-8));
    }
    return w;
}

static void check_variant(const char *variant, bool bert)
{
    model *m = model_new();
    pare_optimizer *o = NULL;
    assert_ok(pare_optimizer_new(m->arena, m->list, N_PARAMS, variant, 0.1, &o));
    assert_int_equal(o->n, 3);
    assert_false(m->param[3].tensor.needs_grad);
    assert_null(m->param[3].tensor.grad);
    for (int k = 0; k < 4; k++) {
        double norm, want = 0;
        set_gradients(m, k);
        for (int i = 0; i < 3; i++)
            for (int64_t e = 0; e < pare_tensor_size(&m->param[i].tensor); e++)
                want += gradient(i, k, e) * gradient(i, k, e);
        assert_ok(pare_optimizer_norm(o, &norm));
        test_close(norm, sqrt(want), TEST_REAL_TOL(1e-6), 0, "norm");
        pare_optimizer_step(o, (double[PARE_GROUPS]){rate(k)}, 0.5);
        for (int i = 0; i < 3; i++)
            assert_false(m->param[i].tensor.has_grad);
    }
    assert_int_equal(o->updates, 4);
    for (int i = 0; i < 4; i++)
        for (int64_t e = 0; e < pare_tensor_size(&m->param[i].tensor); e++)
            test_close(m->param[i].tensor.data[e], adamw(i, e, i == 3 ? 0 : 4, bert, i != 1),
                       TEST_REAL_TOL(2e-6), 1, m->param[i].name);
    pare_arena_free(m->arena);
}

static void test_adamw_follows_the_paper(void **state)
{
    (void)state;
    check_variant("adamw", false);
    check_variant("bert", true);
}

/* Gates and multipliers have rates of their own, are not clipped, and are no part of the norm.
 * `first` is how many times its rate a weight moves in the first update; they move once. */
static void check_groups(const char *variant, double first)
{
    static const double rates[PARE_GROUPS] = {1e-3, 2e-3, 3e-3}, clip[] = {0.5, 1, 1};
    model *m = model_new();
    pare_optimizer *o = NULL;
    double norm, want = 0;
    m->param[1].group = PARE_GROUP_GATES;
    m->param[2].group = PARE_GROUP_MULTIPLIERS;
    assert_ok(pare_optimizer_new(m->arena, m->list, N_PARAMS, variant, 0, &o));
    set_gradients(m, 0);
    for (int64_t e = 0; e < ROWS * COLUMNS; e++)
        want += gradient(0, 0, e) * gradient(0, 0, e);
    assert_ok(pare_optimizer_norm(o, &norm));
    test_close(norm, sqrt(want), TEST_REAL_TOL(1e-6), 0, "norm");
    pare_optimizer_step(o, rates, 0.5);
    for (int i = 0; i < 3; i++) {
        const double g = gradient(i, 0, 0), by = rates[i] * (i == 0 ? first : 1);
        const double moved = g < 0 ? by : -by;
        test_close(o->m[i][0], 0.1 * clip[i] * g, TEST_REAL_TOL(1e-5), 0, "first moment");
        test_close(m->param[i].tensor.data[0], (double)test_random((uint64_t)i, 0) + moved,
                   TEST_REAL_TOL(2e-6), 1, "weight");
    }
    pare_arena_free(m->arena);
}

static void test_groups(void **state)
{
    (void)state;
    check_groups("adamw", 1);
    check_groups("bert", 0.1 / sqrt(0.001));
}

static void test_adamw_threads(void **state)
{
    (void)state;
    model *first = NULL;
    double norms[4];
    for (int threads = 1; threads <= 4; threads++) {
        pare_threads_set(threads);
        model *m = model_new();
        pare_optimizer *o = NULL;
        assert_ok(pare_optimizer_new(m->arena, m->list, N_PARAMS, "adamw", 0.1, &o));
        set_gradients(m, 0);
        assert_ok(pare_optimizer_norm(o, &norms[threads - 1]));
        pare_optimizer_step(o, (double[PARE_GROUPS]){1e-3}, 1);
        if (threads == 1) {
            first = m;
            continue;
        }
        assert_memory_equal(&norms[threads - 1], &norms[0], sizeof(double));
        for (int i = 0; i < N_PARAMS; i++)
            assert_memory_equal(m->param[i].tensor.data, first->param[i].tensor.data,
                                (size_t)pare_tensor_size(&m->param[i].tensor) * sizeof(real));
        pare_arena_free(m->arena);
    }
    pare_arena_free(first->arena);
}

static void test_gradients_that_are_not_finite(void **state)
{
    (void)state;
    model *m = model_new();
    pare_optimizer *o = NULL;
    double norm;
    assert_ok(pare_optimizer_new(m->arena, m->list, N_PARAMS, "adamw", 0.1, &o));
    static const int64_t places[] = {0, ROWS * COLUMNS / 2, ROWS * COLUMNS - 1};
    for (int i = 0; i < 6; i++) {
        set_gradients(m, 0);
        m->param[0].tensor.grad[places[i / 2]] = i & 1 ? (real)NAN : (real)-INFINITY;
        assert_status(pare_optimizer_norm(o, &norm), PARE_DIVERGED);
        assert_message_has("tensor 0");
    }
    set_gradients(m, 0);
    m->param[1].tensor.grad[76] = (real)NAN;
    assert_status(pare_optimizer_norm(o, &norm), PARE_DIVERGED);
    assert_message_has("tensor 1");
    pare_arena_free(m->arena);
}

static void test_unknown_optimizer(void **state)
{
    (void)state;
    model *m = model_new();
    pare_optimizer *o = NULL;
    assert_status(pare_optimizer_new(m->arena, m->list, N_PARAMS, "sgd", 0.1, &o), PARE_USAGE);
    assert_message_has("'sgd'");
    assert_non_null(strstr(pare_error_hint(), "adamw"));
    pare_arena_free(m->arena);
}

/* ---- tables, most of whose rows have no gradient ---- */

enum { TABLE_ROWS = 301, TABLE_COLS = 37, TABLE_UPDATES = 6, LATE_UPDATES = 150 };

typedef struct table {
    pare_arena *arena;
    pare_param param, *list[1];
    pare_optimizer *o;
} table;

static table *table_new(bool with_states)
{
    table *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->arena = pare_arena_new("test");
    t->param = (pare_param){.rank = 2, .layer = with_states ? -1 : 0, .decay = true};
    t->param.tensor = *pare_tensor_new(t->arena, TABLE_ROWS, TABLE_COLS);
    t->list[0] = &t->param;
    for (int64_t e = 0; e < TABLE_ROWS * TABLE_COLS; e++)
        t->param.tensor.data[e] = e % 50 == 0 ? (real)-0.0 : test_random(1, e);
    assert_ok(pare_optimizer_new(t->arena, t->list, 1, "adamw", 0.1, &t->o));
    assert_int_equal(t->param.tensor.row_state != NULL, with_states);
    return t;
}

static void table_free(table *t)
{
    pare_arena_free(t->arena);
    free(t);
}

/* Update k touches every 7th row that k is in; the one of k = 3 none at all. */
static void table_update(table *t, int k)
{
    pare_tensor *x = &t->param.tensor;
    double norm, want = 0;
    memset(x->grad, x->row_state ? 0xff : 0, (size_t)(TABLE_ROWS * TABLE_COLS) * sizeof(real));
    for (int64_t r = 0; r < TABLE_ROWS && x->row_state; r++)
        if (x->row_state[r] == PARE_ROW_GRADIENT)
            x->row_state[r] = PARE_ROW_MOVING;
    for (int64_t r = k % 7; r < TABLE_ROWS && k != 3; r += 7) {
        for (int64_t e = r * TABLE_COLS; e < (r + 1) * TABLE_COLS; e++) {
            x->grad[e] = test_random(10 + (uint64_t)k, e);
            want += (double)x->grad[e] * x->grad[e];
        }
        if (x->row_state)
            x->row_state[r] = PARE_ROW_GRADIENT;
        x->has_grad = true;
    }
    assert_ok(pare_optimizer_norm(t->o, &norm));
    test_close(norm, sqrt(want), TEST_REAL_TOL(1e-6), 0, "norm");
    pare_optimizer_step(t->o, (double[PARE_GROUPS]){rate(k)}, 0.5);
}

/* The same bits as if every row had a gradient of zeros, also of moments that come from a file. */
static void test_rows_without_gradients(void **state)
{
    (void)state;
    const size_t bytes = (size_t)(TABLE_ROWS * TABLE_COLS) * sizeof(real);
    table *dense = table_new(false), *rows = table_new(true), *resumed = table_new(true);
    for (int k = 0; k < TABLE_UPDATES; k++) {
        table_update(dense, k % 5);
        table_update(rows, k % 5);
        pare_optimizer_settle(rows->o);
        assert_memory_equal(rows->param.tensor.data, dense->param.tensor.data, bytes);
        assert_memory_equal(rows->o->m[0], dense->o->m[0], bytes);
        assert_memory_equal(rows->o->v[0], dense->o->v[0], bytes);
        if (k == 2) {
            memcpy(resumed->param.tensor.data, rows->param.tensor.data, bytes);
            memcpy(resumed->o->m[0], rows->o->m[0], bytes);
            memcpy(resumed->o->v[0], rows->o->v[0], bytes);
            resumed->o->updates = rows->o->updates;
            pare_optimizer_moments_changed(resumed->o);
        } else if (k > 2) {
            table_update(resumed, k % 5);
        }
    }
    int still = 0;
    for (int64_t r = 0; r < TABLE_ROWS; r++)
        still += rows->param.tensor.row_state[r] == PARE_ROW_STILL;
    assert_int_equal(still, 3 * TABLE_ROWS / 7);
    pare_optimizer_settle(resumed->o);
    assert_memory_equal(resumed->param.tensor.data, dense->param.tensor.data, bytes);
    table_free(dense);
    table_free(rows);
    table_free(resumed);
}

/* Rows that wait have had all updates when they are read, more of them than are kept, and named
 * twice in one call; the others when the table is settled. */
static void test_late_rows(void **state)
{
    (void)state;
    enum { READ = 24 };
    const size_t row_bytes = TABLE_COLS * sizeof(real);
    table *dense = table_new(false), *late = table_new(true);
    pare_tensor *x = &late->param.tensor;
    for (int k = 0; k < LATE_UPDATES; k++) {
        int32_t rows[READ];
        for (int i = 0; i < READ; i++)
            rows[i] = (k * k + i / 2 * 19) % (TABLE_ROWS / 2);
        x->late->update(x->late, rows, READ);
        for (int i = 0; i < READ; i++)
            assert_memory_equal(x->data + rows[i] * TABLE_COLS,
                                dense->param.tensor.data + rows[i] * TABLE_COLS, row_bytes);
        table_update(dense, k % 5);
        table_update(late, k % 5);
    }
    assert_memory_not_equal(x->data, dense->param.tensor.data, TABLE_ROWS * row_bytes);
    pare_optimizer_settle(late->o);
    assert_memory_equal(x->data, dense->param.tensor.data, TABLE_ROWS * row_bytes);
    assert_memory_equal(late->o->m[0], dense->o->m[0], TABLE_ROWS * row_bytes);
    assert_memory_equal(late->o->v[0], dense->o->v[0], TABLE_ROWS * row_bytes);
    table_free(dense);
    table_free(late);
}

static void note_index(void *context, int64_t tile)
{
    ((int *)context)[tile] = pare_thread_index();
}

/* A program that links libpare may call it from every thread of a team of its own. */
static void test_inside_a_team_of_the_callers(void **state)
{
    (void)state;
    enum { CALLERS = 8, PARTS = 3 };
    int index[CALLERS][PARTS];
    pare_threads_set(2);
#pragma omp parallel for num_threads(CALLERS) schedule(static, 1)
    for (int i = 0; i < CALLERS; i++)
        pare_parallel(PARTS, note_index, index[i]);
    for (int i = 0; i < CALLERS; i++)
        for (int t = 0; t < PARTS; t++)
            assert_int_equal(index[i][t], 0);
    pare_parallel(PARTS, note_index, index[0]);
    for (int t = 0; t < PARTS; t++)
        assert_in_range(index[0][t], 0, 1);
    assert_int_equal(pare_thread_index(), 0);
}

static void test_clipping(void **state)
{
    (void)state;
    assert_true(pare_clip_factor(0.5, 1) == 1);
    assert_true(pare_clip_factor(4, 1) == 1 / (4 + 1e-6));
    assert_true(pare_clip_factor(4, 0) == 1); /* off */
    assert_true(pare_clip_factor(0, 1) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_shuffle),
        cmocka_unit_test(test_every_tile_runs_once),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_noam_schedule),
        cmocka_unit_test(test_adamw_follows_the_paper),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_adamw_threads),
        cmocka_unit_test(test_gradients_that_are_not_finite),
        cmocka_unit_test(test_unknown_optimizer),
        cmocka_unit_test(test_rows_without_gradients),
        cmocka_unit_test(test_late_rows),
        cmocka_unit_test(test_inside_a_team_of_the_callers),
        cmocka_unit_test(test_clipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
