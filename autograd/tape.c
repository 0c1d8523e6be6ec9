/* tape.c: see tape.h. */
#include "autograd/tape.h"

#include <string.h>

#include "core/gemm.h"
#include "core/kernels.h"

/* A gradient buffer of the step arena that is free again. The struct lies in the arena too. */
struct pare_free_buffer {
    pare_free_buffer *next;
    void *data;
    size_t bytes;
};

/* The gradient of each op, dispatched by ops.def's rows. */
typedef void gradient_function(pare_tape *tape, const pare_node *node);
#define OP(name) gradient_function pare_##name##_grad;
#include "autograd/ops.def"
#undef OP

static const struct {
    const char *name;
    gradient_function *gradient;
} ops[PARE_OP_COUNT] = {
#define OP(name) [PARE_OP_##name] = {#name, pare_##name##_grad},
#include "autograd/ops.def"
#undef OP
};

const char *pare_op_name(pare_op op)
{
    return ops[op].name;
}

void pare_tape_begin(pare_tape *tape, pare_arena *step, pare_arena *scratch,
                     const pare_tape_mode *mode)
{
    *tape = (pare_tape){.step = step, .scratch = scratch, .mode = *mode};
}

pare_status pare_tape_status(const pare_tape *tape)
{
    return tape->status;
}

pare_tensor *pare_tape_fail(pare_tape *tape, pare_status status)
{
    if (tape->status == PARE_OK)
        tape->status = status;
    return NULL;
}

pare_tensor *pare_tape_output(pare_tape *tape, int64_t rows, int64_t cols, bool needs_grad)
{
    pare_tensor *out = pare_tensor_new(tape->step, rows, cols);
    if (!out)
        return pare_tape_fail(tape, PARE_MEMORY);
    out->needs_grad = needs_grad && tape->mode.recording;
    return out;
}

pare_tensor *pare_tape_operand(pare_tape *tape, int64_t rows, int64_t cols, bool needs_grad)
{
    if (!pare_gemm_takes_halves())
        return pare_tape_output(tape, rows, cols, needs_grad);
    pare_tensor *out = pare_tape_output(tape, 0, cols, needs_grad);
    if (!out)
        return NULL;
    out->rows = rows;
    out->half = pare_arena_alloc(tape->step, (size_t)(rows * cols) * sizeof *out->half);
    return out->half ? out : pare_tape_fail(tape, PARE_MEMORY);
}

pare_tensor *pare_tape_record(pare_tape *tape, pare_op op, pare_tensor *out,
                              pare_tensor *const *in, int n_in, const void *saved, size_t size)
{
    if (!out || !out->needs_grad)
        return out;
    pare_node *node = pare_arena_alloc(tape->step, sizeof *node);
    void *copy = node ? pare_arena_alloc(tape->step, size) : NULL;
    if (!copy)
        return pare_tape_fail(tape, PARE_MEMORY);
    if (size > 0)
        memcpy(copy, saved, size);
    *node = (pare_node){.previous = tape->last, .op = op, .out = out, .saved = copy};
    for (int i = 0; i < n_in; i++)
        node->in[i] = in[i];
    tape->last = node;
    return out;
}

void *pare_tape_scratch(pare_tape *tape, size_t bytes)
{
    void *memory = pare_arena_alloc(tape->scratch, bytes);
    if (!memory)
        pare_tape_fail(tape, PARE_MEMORY);
    return memory;
}

/* A buffer of exactly this size from the free ones, or from the arena. */
static void *take_buffer(pare_tape *tape, size_t bytes)
{
    for (pare_free_buffer **at = &tape->free_buffers; *at; at = &(*at)->next)
        if ((*at)->bytes == bytes) {
            void *data = (*at)->data;
            *at = (*at)->next;
            return data;
        }
    void *data = pare_arena_alloc(tape->step, bytes);
    if (!data)
        pare_tape_fail(tape, PARE_MEMORY);
    return data;
}

static void give_back(pare_tape *tape, void *data, size_t bytes)
{
    pare_free_buffer *buffer = pare_arena_alloc(tape->step, sizeof *buffer);
    if (!buffer) {
        pare_tape_fail(tape, PARE_MEMORY);
        return;
    }
    *buffer = (pare_free_buffer){tape->free_buffers, data, bytes};
    tape->free_buffers = buffer;
}

/* The bytes of x's gradient. */
static size_t as_reals(const pare_tensor *x)
{
    return (size_t)pare_tensor_size(x) * sizeof(real);
}

static size_t as_halves(const pare_tensor *x)
{
    return (size_t)pare_tensor_size(x) * sizeof(pare_half);
}

/* Halves become reals, to be added to. */
static void widen_gradient(pare_tape *tape, pare_tensor *x)
{
    const int64_t n = pare_tensor_size(x);
    x->grad = take_buffer(tape, as_reals(x));
    if (x->grad)
        pare_kernels_get()->widen(x->grad, n, x->half_grad, n, 1, n);
    give_back(tape, x->half_grad, as_halves(x));
    x->half_grad = NULL;
}

real *pare_tape_gradient(pare_tape *tape, pare_tensor *x, bool *add)
{
    if (!x->needs_grad)
        return NULL;
    if (x->half_grad)
        widen_gradient(tape, x);
    else if (!x->grad)
        x->grad = take_buffer(tape, as_reals(x));
    *add = x->has_grad;
    x->has_grad = true;
    return x->grad;
}

pare_output pare_tape_any_gradient(pare_tape *tape, pare_tensor *x)
{
    pare_output out = {0};
    if (!x->needs_grad || !x->grad_is_operand || x->has_grad || !pare_gemm_takes_halves()) {
        out.data = pare_tape_gradient(tape, x, &out.add);
        return out;
    }
    out.half = x->half_grad = take_buffer(tape, as_halves(x));
    x->has_grad = true;
    return out;
}

/* All that used `out` ran after it, so its gradient is not read again. */
void pare_tape_release(pare_tape *tape, pare_tensor *out)
{
    if (out->half_grad)
        give_back(tape, out->half_grad, as_halves(out));
    else
        give_back(tape, out->grad, as_reals(out));
    out->grad = NULL;
    out->half_grad = NULL;
    out->has_grad = false;
}

pare_status pare_tape_backward(pare_tape *tape, pare_tensor *loss)
{
    if (tape->status != PARE_OK || !loss)
        return tape->status;
    bool add;
    real *grad = pare_tape_gradient(tape, loss, &add);
    if (grad)
        grad[0] = 1;
    for (pare_node *node = tape->last; node && tape->status == PARE_OK; node = node->previous) {
        pare_tensor *out = node->out;
        if (!out->has_grad) /* nothing of it reached the loss */
            continue;
        ops[node->op].gradient(tape, node);
        pare_tape_release(tape, out);
    }
    return tape->status;
}
