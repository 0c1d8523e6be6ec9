/* tape.h: reverse-mode differentiation, recorded as it runs.
 *
 *   const pare_tape_mode mode = {.recording = true, .training = true, .seed = 1, .step = k};
 *   pare_tape_begin(&t, step, scratch, &mode);
 *   pare_tensor *loss = pare_cross_entropy(&t, pare_linear(&t, x, PARE_ACT_NONE, w, b), labels, 1);
 *   PARE_TRY(pare_tape_backward(&t, loss));          // parameters' gradients are ready
 *
 * Ops (autograd/ops.h) compute at once and, when recording, note what their gradient needs. A
 * failure gives NULL; NULL in gives NULL out; pare_tape_status tells the first failure. So model
 * code reads like the formula and checks once. Without recording nothing is noted or kept.
 *
 * Everything an op makes lives in the step arena until the caller releases it. */
#ifndef PARE_AUTOGRAD_TAPE_H
#define PARE_AUTOGRAD_TAPE_H

#include "core/status.h"
#include "core/tensor.h"

typedef enum pare_op {
#define OP(name) PARE_OP_##name,
#include "autograd/ops.def"
#undef OP
    PARE_OP_COUNT
} pare_op;

enum { PARE_MAX_INPUTS = 8 };

/* One op that ran: its output, its inputs and whatever else its gradient needs. */
typedef struct pare_node {
    struct pare_node *previous;
    pare_op op;
    pare_tensor *out;
    pare_tensor *in[PARE_MAX_INPUTS];
    const void *saved; /* the op's own struct, in the step arena */
} pare_node;

typedef struct pare_tape_mode {
    bool recording;      /* gradients will be asked for */
    bool training;       /* dropout is on */
    uint64_t seed, step; /* key of the dropout masks */
} pare_tape_mode;

typedef struct pare_free_buffer pare_free_buffer;

typedef struct pare_tape {
    pare_arena *step;    /* outputs and what is saved for the gradients; borrowed */
    pare_arena *scratch; /* an op's workspace, given back before it returns; borrowed */
    pare_tape_mode mode;
    pare_status status;
    pare_node *last;
    pare_free_buffer *free_buffers; /* gradients whose use is over */
} pare_tape;

void pare_tape_begin(pare_tape *tape, pare_arena *step, pare_arena *scratch,
                     const pare_tape_mode *mode);

/* The first failure since pare_tape_begin; its message is pare_error_message's. */
pare_status pare_tape_status(const pare_tape *tape);

/* Gives every parameter below `loss` (one number) its gradient d loss / d parameter, added to the
 * one it has (has_grad), and returns the tape's status. */
pare_status pare_tape_backward(pare_tape *tape, pare_tensor *loss);

const char *pare_op_name(pare_op op);

/* ---- for ops ---- */

/* Remembers the failure just reported and returns NULL, for an op to return. */
pare_tensor *pare_tape_fail(pare_tape *tape, pare_status status);

/* The output of an op: rows x cols in the step arena. It needs a gradient if the tape records and
 * `needs_grad`. NULL on failure, noted. */
pare_tensor *pare_tape_output(pare_tape *tape, int64_t rows, int64_t cols, bool needs_grad);

/* The same of what only products will read: halves, if they take them. */
pare_tensor *pare_tape_operand(pare_tape *tape, int64_t rows, int64_t cols, bool needs_grad);

/* Notes an op; a copy of `saved` (of `size` bytes) is kept. Returns out; NULL on failure. Does
 * nothing where out needs no gradient. */
pare_tensor *pare_tape_record(pare_tape *tape, pare_op op, pare_tensor *out,
                              pare_tensor *const *in, int n_in, const void *saved, size_t size);

/* Workspace from the scratch arena; NULL on failure, noted. The op releases by its own mark. */
void *pare_tape_scratch(pare_tape *tape, size_t bytes);

/* Where x's gradient goes: NULL if x wants none (or on failure, noted). *add tells whether to add
 * to what is there or to overwrite it; afterwards x counts as having a gradient. */
real *pare_tape_gradient(pare_tape *tape, pare_tensor *x, bool *add);

/* A matrix to write: reals, added to if `add`, or halves; neither: nobody wants it. */
typedef struct pare_output {
    real *data;
    pare_half *half;
    bool add;
} pare_output;

/* Where x's gradient goes from an op that can make halves, where only products will read them. */
pare_output pare_tape_any_gradient(pare_tape *tape, pare_tensor *x);

/* The gradient of an op's output has been used, and its buffer can be another's. The tape calls it
 * for the output that was recorded; an op of several calls it for the others. */
void pare_tape_release(pare_tape *tape, pare_tensor *out);

#endif
