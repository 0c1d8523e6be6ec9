/* op_gate.c: attention heads turned down or off, and the gates of ranks. */
#include <math.h>
#include <string.h>

#include "autograd/ops.h"
#include "core/elementary.h"
#include "core/threads.h"

enum { TILE_ROWS = 16 };

typedef struct gate_args {
    const real *x, *gates, *dy;
    real *dgates;
    const real *from; /* of a pass over rows: to (+)= gate from */
    real *to;
    int64_t rows, heads, size;
    int64_t gate_step; /* from one row's gates to the next one's: heads, or 0 */
    bool add;
} gate_args;

static void gate_tile(void *context, int64_t tile)
{
    const gate_args *a = context;
    for (int64_t r = tile * TILE_ROWS; r < (tile + 1) * TILE_ROWS && r < a->rows; r++)
        for (int64_t h = 0; h < a->heads; h++) {
            const int64_t at = (r * a->heads + h) * a->size;
            const real gate = a->gates[r * a->gate_step + h];
            for (int64_t i = at; i < at + a->size; i++)
                a->to[i] = (a->add ? a->to[i] : 0) + gate * a->from[i];
        }
}

static void gate_rows(gate_args *a, real *to, const real *from, bool add)
{
    a->to = to;
    a->from = from;
    a->add = add;
    pare_parallel_work((a->rows + TILE_ROWS - 1) / TILE_ROWS,
                       (double)(a->rows * a->heads * a->size), gate_tile, a);
}

/* dgate = dy · x over the head's columns; gates that serve all rows sum over the rows, in order. */
static void gate_dgates(const gate_args *a)
{
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t h = 0; h < a->heads; h++) {
            const int64_t at = (r * a->heads + h) * a->size;
            real sum = 0, *dgate = a->dgates + r * a->gate_step + h;
            for (int64_t i = at; i < at + a->size; i++)
                sum += a->dy[i] * a->x[i];
            *dgate = (a->add || (r > 0 && a->gate_step == 0) ? *dgate : 0) + sum;
        }
}

static gate_args args_of(const pare_tensor *x, const pare_tensor *gates)
{
    return (gate_args){.x = x->data, .gates = gates->data, .rows = x->rows, .heads = gates->cols,
                       .size = gates->cols > 0 ? x->cols / gates->cols : 0,
                       .gate_step = gates->rows == 1 ? 0 : gates->cols};
}

pare_tensor *pare_gate_heads(pare_tape *t, pare_tensor *x, pare_tensor *gates)
{
    if (!x || !gates)
        return NULL;
    if ((gates->rows != 1 && gates->rows != x->rows) ||
        (gates->cols > 0 ? x->cols % gates->cols : x->cols) != 0)
        return pare_tape_fail(t, pare_fail(PARE_INTERNAL, "gate_heads: x[%lld,%lld] does not meet "
                                           "gates[%lld,%lld]", (long long)x->rows,
                                           (long long)x->cols, (long long)gates->rows,
                                           (long long)gates->cols));
    pare_tensor *y = pare_tape_output(t, x->rows, x->cols, x->needs_grad || gates->needs_grad);
    if (!y)
        return NULL;
    gate_args args = args_of(x, gates);
    gate_rows(&args, y->data, x->data, false);
    return pare_tape_record(t, PARE_OP_gate_heads, y, (pare_tensor *[]){x, gates}, 2, NULL, 0);
}

void pare_gate_heads_grad(pare_tape *t, const pare_node *node)
{
    gate_args args = args_of(node->in[0], node->in[1]);
    bool add;
    args.dy = node->out->grad;
    args.dgates = pare_tape_gradient(t, node->in[1], &args.add);
    if (args.dgates)
        gate_dgates(&args);
    real *dx = pare_tape_gradient(t, node->in[0], &add);
    if (dx)
        gate_rows(&args, dx, args.dy, add);
}

/* ---- hard concrete gates ---- */

static const double stretch_low = -0.1, stretch_high = 1.1;

typedef struct concrete_saved {
    const double *u;
    double beta;
} concrete_saved;

static double sigmoid_of(real log_alpha, double u, double beta)
{
    return 1 / (1 + pare_exp(-(pare_log(u) - pare_log(1 - u) + (double)log_alpha) / beta));
}

pare_tensor *pare_hard_concrete(pare_tape *t, pare_tensor *log_alpha, const double *u, double beta)
{
    if (!log_alpha)
        return NULL;
    const int64_t n = log_alpha->cols;
    pare_tensor *z = pare_tape_output(t, 1, n, log_alpha->needs_grad);
    if (!z)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        const double s = sigmoid_of(log_alpha->data[i], u[i], beta);
        z->data[i] = (real)fmin(fmax(s * (stretch_high - stretch_low) + stretch_low, 0), 1);
    }
    const concrete_saved saved = {u, beta};
    return pare_tape_record(t, PARE_OP_hard_concrete, z, (pare_tensor *[]){log_alpha}, 1, &saved,
                            sizeof saved);
}

/* A gate that is shut or wide open passes nothing on. */
void pare_hard_concrete_grad(pare_tape *t, const pare_node *node)
{
    const concrete_saved *saved = node->saved;
    const pare_tensor *z = node->out;
    pare_tensor *log_alpha = node->in[0];
    bool add;
    real *d = pare_tape_gradient(t, log_alpha, &add);
    for (int64_t i = 0; d && i < z->cols; i++) {
        const double s = sigmoid_of(log_alpha->data[i], saved->u[i], saved->beta);
        const double slope = (stretch_high - stretch_low) * s * (1 - s) / saved->beta;
        const bool open = z->data[i] > 0 && z->data[i] < 1;
        d[i] = (add ? d[i] : 0) + (open ? (real)(slope * (double)z->grad[i]) : 0);
    }
}
