/* Gradients of every op of autograd/ops.def, element by element, against central differences.
 *
 * A check describes an op's inputs and how to run it. The driver takes f = sum(r * output) with
 * fixed random r, and compares d f / d input with Richardson's extrapolation of two central
 * differences: fresh gradients, gradients added to what is there, and frozen inputs in turn. In
 * double, for every instruction set of this CPU, the two agree to 1e-7 (values smaller than `least`
 * count as that); float checks the best one loosely, and that bf16 is near it. Masks of dropout are
 * functions of keys, so differences hold with dropout on. */
#include "autograd/ops.h"
#include "core/cpu.h"
#include "core/gemm.h"
#include "tests/batch.h"

#ifdef PARE_DOUBLE
static const double distance = 1e-3, tolerance = 1e-7, least = 1e-3;
#else
static const double distance = 4e-2, tolerance = 4e-3, least = 5e-2;
#endif

/* What an op is run with beside its tensors; each check sets what its op reads. */
typedef struct check {
    const char *name;
    pare_tensor *(*run)(pare_tape *t, pare_tensor **in, const struct check *c);
    int n;
    real *value[PARE_MAX_INPUTS]; /* the inputs' values, which ops may overwrite in copies */
    int64_t rows[PARE_MAX_INPUTS], cols[PARE_MAX_INPUTS];
    const pare_packed *batch;
    const pare_rows *which;
    pare_activation act;
    int64_t heads;
    bool first_only, no_bias;
    double probability;
    const int32_t *labels;
    const double *targets;
} check;

static pare_arena *arena, *step, *scratch;

static pare_dropout_site site(const check *c)
{
    return (pare_dropout_site){3 | 1 << 8, c->probability};
}

/* ---- the driver ---- */

/* Runs the op on copies of its inputs in a fresh step; in[] receives them. `frozen` is the index of
 * an input that needs no gradient, or -1. */
static pare_tensor *run(const check *c, pare_tape *t, pare_tensor **in, bool recording, int frozen)
{
    static const pare_mark empty;
    pare_arena_release(step, empty);
    pare_tape_begin(t, step, scratch,
                    &(pare_tape_mode){.recording = recording, .training = true, .seed = 5,
                                      .step = 9});
    for (int i = 0; i < c->n; i++) {
        in[i] = pare_tensor_new(step, c->rows[i], c->cols[i]);
        assert_non_null(in[i]);
        memcpy(in[i]->data, c->value[i], (size_t)pare_tensor_size(in[i]) * sizeof(real));
        in[i]->needs_grad = i != frozen;
    }
    pare_tensor *out = c->run(t, in, c);
    assert_non_null(out);
    assert_ok(pare_tape_status(t));
    return out;
}

/* The weight of the output's element i in f. The first is 1: that is what the tape begins with. */
static double output_weight(int64_t i)
{
    return i == 0 ? 1 : (double)test_random(1, i);
}

static double value_of(const check *c)
{
    pare_tape t;
    pare_tensor *in[PARE_MAX_INPUTS];
    const pare_tensor *out = run(c, &t, in, false, -1);
    long double f = 0;
    for (int64_t i = 0; i < pare_tensor_size(out); i++)
        f += (long double)(output_weight(i) * (double)out->data[i]);
    return (double)f;
}

/* What input i holds before a backward pass that must add to it. */
static real earlier(int i, int64_t e)
{
    return test_random(20 + (uint64_t)i, e);
}

/* Runs backward; with `add`, every input already has a gradient. */
static void differentiate(const check *c, pare_tensor **in, bool add, int frozen)
{
    pare_tape t;
    pare_tensor *out = run(c, &t, in, true, frozen);
    bool has;
    for (int i = 0; i < c->n; i++) {
        in[i]->grad = test_alloc(step, pare_tensor_size(in[i]), sizeof(real));
        for (int64_t e = 0; e < pare_tensor_size(in[i]); e++)
            in[i]->grad[e] = add ? earlier(i, e) : (real)NAN; /* overwritten, not read */
        in[i]->has_grad = add;
    }
    real *grad = pare_tape_gradient(&t, out, &has);
    assert_non_null(grad);
    for (int64_t e = 0; e < pare_tensor_size(out); e++)
        grad[e] = (real)output_weight(e);
    assert_ok(pare_tape_backward(&t, out));
}

/* (4 D(h/2) - D(h)) / 3, D the central difference: the error is O(h^4). */
static double numeric(check *c, int i, int64_t e)
{
    const real x = c->value[i][e];
    double difference[2];
    for (int k = 0; k < 2; k++) {
        const double h = distance / (k + 1);
        const real high = (real)((double)x + h), low = (real)((double)x - h);
        c->value[i][e] = high;
        difference[k] = value_of(c);
        c->value[i][e] = low;
        difference[k] = (difference[k] - value_of(c)) / ((double)high - (double)low);
    }
    c->value[i][e] = x;
    return (4 * difference[1] - difference[0]) / 3;
}

static void check_numeric(check *c, real *const *ours)
{
    for (int i = 0; i < c->n; i++)
        for (int64_t e = 0; e < c->rows[i] * c->cols[i]; e++) {
            const double want = numeric(c, i, e);
            if (!test_is_close(ours[i][e], want, tolerance, least))
                fail_msg("%s (%s), input %d[%lld]: gradient %.12g, differences give %.12g",
                         c->name, pare_isa_name(pare_cpu_isa()), i, (long long)e,
                         (double)ours[i][e], want);
        }
}

/* Gradients that come on top of others, and those beside a frozen input. */
static void check_paths(const check *c, real *const *ours)
{
    pare_tensor *in[PARE_MAX_INPUTS];
    differentiate(c, in, true, -1);
    for (int i = 0; i < c->n; i++)
        for (int64_t e = 0; e < pare_tensor_size(in[i]); e++)
            test_close(in[i]->grad[e], (double)earlier(i, e) + (double)ours[i][e],
                       sizeof(real) == 8 ? 1e-13 : 1e-5, 1, c->name);
    for (int frozen = 0; frozen < c->n; frozen++) {
        if (c->n == 1)
            break;
        differentiate(c, in, false, frozen);
        assert_false(in[frozen]->has_grad);
        for (int64_t e = 0; e < pare_tensor_size(in[frozen]); e++)
            assert_true(isnan(in[frozen]->grad[e]));
        for (int i = 0; i < c->n; i++)
            if (i != frozen)
                assert_memory_equal(in[i]->grad, ours[i],
                                    (size_t)pare_tensor_size(in[i]) * sizeof(real));
    }
}

/* In bf16 products round their operands, and what only they read is kept as halves: 8 bits. */
static void check_in_bf16(const check *c, real *const *ours)
{
    pare_tensor *in[PARE_MAX_INPUTS];
    assert_ok(pare_gemm_precision_set(PARE_PRECISION_BF16));
    differentiate(c, in, false, -1);
    assert_ok(pare_gemm_precision_set(PARE_PRECISION_FP32));
    for (int i = 0; i < c->n; i++) {
        double size = 0.1, difference = 0; /* keys' biases have a gradient of 0 */
        for (int64_t e = 0; e < pare_tensor_size(in[i]); e++) {
            const double want = (double)ours[i][e], got = (double)in[i]->grad[e];
            size += want * want;
            difference += (got - want) * (got - want);
        }
        if (!(difference <= 0.02 * 0.02 * size))
            fail_msg("%s, input %d: the gradient of bf16 is %.2g off", c->name, i,
                     sqrt(difference / size));
    }
}

static void check_op(check *c)
{
    for (int isa = PARE_ISA_COUNT - 1; isa >= 0; isa--) {
        if (!pare_cpu_supports((pare_isa)isa))
            continue;
        assert_ok(pare_kernels_set(pare_isa_name((pare_isa)isa)));
        const pare_mark mark = pare_arena_mark(arena);
        pare_tensor *in[PARE_MAX_INPUTS];
        real *ours[PARE_MAX_INPUTS];
        differentiate(c, in, false, -1);
        for (int i = 0; i < c->n; i++) {
            assert_true(in[i]->has_grad);
            ours[i] = test_alloc(arena, pare_tensor_size(in[i]), sizeof(real));
            memcpy(ours[i], in[i]->grad, (size_t)pare_tensor_size(in[i]) * sizeof(real));
        }
        check_numeric(c, ours);
        check_paths(c, ours);
        if (sizeof(real) == 4)
            check_in_bf16(c, ours);
        pare_arena_release(arena, mark);
        if (sizeof(real) == 4)
            break; /* the double build checks the others */
    }
}

/* One more input of random values around `middle`. None is close to 0 or to another's kink. */
static void add_input(check *c, int64_t rows, int64_t cols, double middle)
{
    real *x = test_alloc(arena, rows * cols, sizeof *x);
    for (int64_t i = 0; i < rows * cols; i++) {
        const double r = (double)test_random(40 + (uint64_t)c->n, i);
        x[i] = (real)(middle + r + (r < 0 ? -0.1 : 0.1));
    }
    c->value[c->n] = x;
    c->rows[c->n] = rows;
    c->cols[c->n++] = cols;
}

/* Sentences of 1 token, of fewer and of more than a vector holds. */
static const pare_packed *odd_batch(void)
{
    static const int64_t lengths[] = {3, 1, 17, 2};
    return test_pack(arena, test_sentences(arena, lengths, 4, 11, 2), 4);
}

/* ---- the ops ---- */

static pare_tensor *run_embed(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_embed(t, c->batch, in[0], -1, in[1], in[2], in[3], in[4], 1e-12, site(c));
}

static void check_embed(void **state)
{
    (void)state;
    for (int dropped = 0; dropped < 2; dropped++) {
        check c = {.name = "embed", .run = run_embed, .batch = odd_batch(),
                   .probability = 0.2 * dropped};
        add_input(&c, 11, 13, 0);
        add_input(&c, 19, 13, 0);
        add_input(&c, 2, 13, 0);
        add_input(&c, 1, 13, 1);
        add_input(&c, 1, 13, 0);
        check_op(&c);
    }
}

static pare_tensor *run_linear(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_linear(t, in[0], c->act, in[1], c->no_bias ? NULL : in[2]);
}

static void check_linear(void **state)
{
    (void)state;
    for (int act = PARE_ACT_NONE; act <= PARE_ACT_TANH; act++)
        for (int no_bias = 0; no_bias < 2; no_bias++) {
            check c = {.name = "linear", .run = run_linear, .act = (pare_activation)act,
                       .no_bias = no_bias};
            add_input(&c, 9, 19, 0);
            add_input(&c, 7, 19, 0);
            if (!no_bias)
                add_input(&c, 1, 7, 0);
            check_op(&c);
        }
    check tall = {.name = "linear of many rows", .run = run_linear};
    add_input(&tall, 131, 3, 0); /* more than one tile of column sums */
    add_input(&tall, 2, 3, 0);
    add_input(&tall, 1, 2, 0);
    check_op(&tall);
}

/* Three maps, their results joined by attention. */
static pare_tensor *run_linears(pare_tape *t, pare_tensor **in, const check *c)
{
    pare_linear_map maps[3];
    pare_tensor *y[3];
    for (int i = 0; i < 3; i++)
        maps[i] = (pare_linear_map){in[1 + i], c->no_bias ? NULL : in[4 + i]};
    pare_linears(t, in[0], maps, 3, y);
    return pare_attention(t, y[0], y[1], y[2], c->batch, c->heads, false, site(c), false);
}

static void check_linears(void **state)
{
    (void)state;
    for (int no_bias = 0; no_bias < 2; no_bias++) {
        check c = {.name = "linears", .run = run_linears, .batch = odd_batch(), .heads = 2,
                   .no_bias = no_bias};
        add_input(&c, c.batch->n_tokens, 5, 0);
        for (int i = 0; i < 3; i++)
            add_input(&c, 6, 5, 0);
        for (int i = 0; i < 3 && !no_bias; i++)
            add_input(&c, 1, 6, 0);
        check_op(&c);
    }
}

static pare_tensor *run_attention(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_attention(t, in[0], in[1], in[2], c->batch, c->heads, c->first_only, site(c),
                          false);
}

static void check_attention(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{3, 5}, {1, 1}, {1, 17}}; /* heads, size */
    for (int kind = 0; kind < 4; kind++)
        for (int s = 0; s < 3; s++) {
            check c = {.name = "attention", .run = run_attention, .batch = odd_batch(),
                       .heads = shapes[s][0], .first_only = kind & 1,
                       .probability = kind & 2 ? 0.3 : 0};
            const int64_t cols = shapes[s][0] * shapes[s][1];
            add_input(&c, c.first_only ? c.batch->n_sentences : c.batch->n_tokens, cols, 0);
            add_input(&c, c.batch->n_tokens, cols, 0);
            add_input(&c, c.batch->n_tokens, cols, 0);
            check_op(&c);
        }
}

static pare_tensor *run_gated_linear(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_gated_linear(t, in[0], c->act, in[1], c->n > 4 ? in[4] : NULL, in[2], in[3]);
}

static void check_gated_linear(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        check c = {.name = "gated_linear", .run = run_gated_linear,
                   .act = kind & 2 ? PARE_ACT_GELU : PARE_ACT_NONE};
        add_input(&c, 71, 13, 0);
        add_input(&c, 9, 13, 0);
        add_input(&c, 17, 9, 0);
        add_input(&c, 1, 17, 0);
        if (kind & 1)
            add_input(&c, 1, 9, 0);
        check_op(&c);
    }
}

/* Shut gates leave their ranks out; the last kind shuts all. */
static pare_tensor *run_shut_gates(pare_tape *t, pare_tensor **in, const check *c)
{
    static const real some[] = {0, (real)0.5, 0, 1, (real)0.25, 0, 0, 1, 0}, none[9] = {0};
    pare_tensor *z = pare_tensor_new(t->step, 1, 9);
    memcpy(z->data, c->first_only ? none : some, 9 * sizeof *some);
    z->needs_grad = true; /* nobody asks for it: only that there is room */
    return pare_gated_linear(t, in[0], c->act, in[1], z, in[2], in[3]);
}

static void check_shut_gates(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        check c = {.name = "gated_linear with shut gates", .run = run_shut_gates,
                   .act = kind ? PARE_ACT_GELU : PARE_ACT_NONE, .first_only = kind == 2};
        add_input(&c, 71, 13, 0);
        add_input(&c, 9, 13, 0);
        add_input(&c, 17, 9, 0);
        add_input(&c, 1, 17, 0);
        check_op(&c);
    }
}

/* Some gates are shut and some wide open, whose gradient is exactly 0. */
static pare_tensor *run_hard_concrete(pare_tape *t, pare_tensor **in, const check *c)
{
    static const double u[] = {0.5, 0.3, 0.9, 0.01, 0.999, 0.6, 0.2, 0.45, 0.7};
    (void)c;
    return pare_hard_concrete(t, in[0], u, 0.9);
}

static void check_hard_concrete(void **state)
{
    (void)state;
    check c = {.name = "hard_concrete", .run = run_hard_concrete};
    add_input(&c, 1, 9, 0);
    check_op(&c);
}

static pare_tensor *run_gate_heads(pare_tape *t, pare_tensor **in, const check *c)
{
    (void)c;
    return pare_gate_heads(t, in[0], in[1]);
}

static void check_gate_heads(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{3, 5}, {1, 1}, {4, 17}}; /* heads, size */
    for (int s = 0; s < 3; s++)
        for (int per_row = 0; per_row < 2; per_row++) {
            check c = {.name = "gate_heads", .run = run_gate_heads};
            add_input(&c, 37, shapes[s][0] * shapes[s][1], 0);
            add_input(&c, per_row ? 37 : 1, shapes[s][0], 0);
            check_op(&c);
        }
}

static pare_tensor *run_add_norm(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_add_norm(t, in[0], in[1], in[2], in[3], 1e-5, c->which, site(c));
}

static void check_add_norm(void **state)
{
    (void)state;
    static const int64_t widths[] = {13, 33};
    const pare_packed *batch = odd_batch();
    for (int kind = 0; kind < 8; kind++) {
        check c = {.name = "add_norm", .run = run_add_norm, .probability = kind & 1 ? 0.25 : 0,
                   .which = kind & 2 ? &batch->firsts : &batch->tokens};
        const int64_t width = widths[kind >> 2];
        add_input(&c, c.which->n, width, 0);
        add_input(&c, c.which->n, width, 2);
        add_input(&c, 1, width, 1);
        add_input(&c, 1, width, 0);
        check_op(&c);
    }
}

static pare_tensor *run_first_rows(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_first_rows(t, in[0], c->batch);
}

static void check_first_rows(void **state)
{
    (void)state;
    check c = {.name = "first_rows", .run = run_first_rows, .batch = odd_batch()};
    add_input(&c, c.batch->n_tokens, 5, 0);
    check_op(&c);
}

static pare_tensor *run_activate(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_activate(t, in[0], c->act);
}

static void check_activate(void **state)
{
    (void)state;
    for (int act = PARE_ACT_NONE; act <= PARE_ACT_TANH; act++) {
        check c = {.name = "activate", .run = run_activate, .act = (pare_activation)act};
        add_input(&c, 37, 7, 0); /* more than one tile */
        for (int64_t i = 0; i < 37 * 7; i += 3)
            c.value[0][i] *= 3;
        check_op(&c);
    }
}

static pare_tensor *run_dropout(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_dropout(t, in[0], c->which, site(c));
}

static void check_dropout(void **state)
{
    (void)state;
    const pare_packed *batch = odd_batch();
    for (int firsts = 0; firsts < 2; firsts++) {
        check c = {.name = "dropout", .run = run_dropout, .probability = 0.4,
                   .which = firsts ? &batch->firsts : &batch->tokens};
        add_input(&c, c.which->n, 150, 0); /* more than one group of random numbers */
        check_op(&c);
    }
}

static pare_tensor *run_cross_entropy(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_cross_entropy(t, in[0], c->labels, 0.3);
}

static void check_cross_entropy(void **state)
{
    (void)state;
    static const int32_t labels[] = {2, 0, 1, 2, 2};
    check c = {.name = "cross_entropy", .run = run_cross_entropy, .labels = labels};
    add_input(&c, 5, 3, 0);
    check_op(&c);
}

static pare_tensor *run_soft_cross_entropy(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_soft_cross_entropy(t, in[0], c->targets, 0.3);
}

static void check_soft_cross_entropy(void **state)
{
    (void)state;
    static const double targets[] = {0.2, 0.5, 0.3, 1, 0, 0, 0.4, 0.1, 0.1};
    check c = {.name = "soft_cross_entropy", .run = run_soft_cross_entropy, .targets = targets};
    add_input(&c, 3, 3, 0);
    check_op(&c);
}

static pare_tensor *run_squared_error(pare_tape *t, pare_tensor **in, const check *c)
{
    return pare_squared_error(t, in[0], c->targets, 0.2);
}

static void check_squared_error(void **state)
{
    (void)state;
    static const double targets[] = {0, 1.5, -2, 5};
    check c = {.name = "squared_error", .run = run_squared_error, .targets = targets};
    add_input(&c, 4, 1, 0);
    check_op(&c);
}

/* ---- the tape ---- */

/* y = linear(x, w, b) with one x used by three ops: the contributions add up, also where one op
 * hands its gradient's buffer on. */
static pare_tensor *run_fan_out(pare_tape *t, pare_tensor **in, const check *c)
{
    pare_tensor *h = pare_linear(t, in[0], PARE_ACT_GELU, in[1], in[2]);
    pare_tensor *a = pare_linear(t, h, PARE_ACT_GELU, in[3], NULL);
    pare_tensor *b = pare_add_norm(t, pare_activate(t, h, PARE_ACT_TANH), h, in[4], in[5], 1e-5,
                                   c->which, site(c));
    return pare_linear(t, pare_attention(t, a, b, h, c->batch, 1, false, site(c), true),
                       PARE_ACT_NONE, in[3], NULL);
}

static void check_fan_out(void **state)
{
    (void)state;
    check c = {.name = "fan-out", .run = run_fan_out, .batch = odd_batch(), .probability = 0.1};
    c.which = &c.batch->tokens;
    add_input(&c, c.batch->n_tokens, 3, 0);
    add_input(&c, 5, 3, 0);
    add_input(&c, 1, 5, 0);
    add_input(&c, 5, 5, 0);
    add_input(&c, 1, 5, 1);
    add_input(&c, 1, 5, 0);
    check_op(&c);
}

/* Shapes that do not meet are an error that names them; ops after it do nothing. */
static void test_failure_flows(void **state)
{
    (void)state;
    pare_tape t;
    pare_tape_begin(&t, step, scratch, &(pare_tape_mode){.recording = true});
    pare_tensor *x = pare_tensor_new(step, 3, 4), *w = pare_tensor_new(step, 2, 5);
    x->needs_grad = w->needs_grad = true;
    pare_tensor *y = pare_activate(&t, pare_linear(&t, x, PARE_ACT_NONE, w, NULL), PARE_ACT_TANH);
    assert_null(y);
    assert_null(pare_squared_error(&t, y, NULL, 1));
    assert_status(pare_tape_status(&t), PARE_INTERNAL);
    assert_message_has("x[3,4] does not meet w[2,5]");
    assert_status(pare_tape_backward(&t, y), PARE_INTERNAL);
    assert_string_equal(pare_op_name(PARE_OP_attention), "attention");
}

static int set_up(void **state)
{
    (void)state;
    arena = pare_arena_new("test");
    step = pare_arena_new("step");
    scratch = pare_arena_new("scratch");
    pare_threads_set(1); /* as many give the same bits: tests/test_bert.c */
    return !arena || !step || !scratch;
}

static int tear_down(void **state)
{
    (void)state;
    pare_arena_free(scratch);
    pare_arena_free(step);
    pare_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define OP(name) cmocka_unit_test(check_##name),
#include "autograd/ops.def"
#undef OP
        cmocka_unit_test(check_cross_entropy),
        cmocka_unit_test(check_shut_gates),
        cmocka_unit_test(check_fan_out),
        cmocka_unit_test(test_failure_flows),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
