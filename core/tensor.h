/* tensor.h: a matrix of reals with room for its gradient. */
#ifndef PARE_CORE_TENSOR_H
#define PARE_CORE_TENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/half.h"
#include "core/memory.h"
#include "core/real.h"

/* Most steps touch few rows of a table of embeddings. Where states are kept, grad counts in rows of
 * PARE_ROW_GRADIENT only (and only if has_grad), and is 0 in the others. */
typedef enum pare_row_state {
    PARE_ROW_STILL,   /* never had a gradient: its moments are 0 */
    PARE_ROW_MOVING,  /* had one in an earlier step */
    PARE_ROW_GRADIENT /* has one */
} pare_row_state;

/* Rows of a table whose updates wait until they are read: whoever looks rows up calls update with
 * their numbers before. (Where none wait it writes nothing.) */
typedef struct pare_late_rows {
    void (*update)(struct pare_late_rows *late, const int32_t *rows, int64_t n);
} pare_late_rows;

/* data[rows, cols], row-major, no gaps. A vector is one row. The arena that made it owns data.
 * grad has the same shape or is NULL; its content counts only when has_grad is set: the first
 * contribution overwrites, later ones add, and nobody has to zero it.
 *
 * In bf16 products round their operands; so what only products read is kept as halves. */
typedef struct pare_tensor {
    real *data;
    real *grad;
    pare_half *half, *half_grad; /* instead of data, of grad; NULL: reals */
    uint8_t *row_state; /* [rows] pare_row_state of a table of embeddings in training; else NULL */
    pare_late_rows *late; /* of the same; else NULL */
    const real *packed; /* data as the second operand of products (core/gemm.h); NULL: no copy */
    int64_t rows, cols;
    bool needs_grad; /* a gradient is wanted for it or for something below it */
    bool has_grad;   /* grad holds one */
    bool grad_is_operand; /* only products will read the gradient (and sums of its rows) */
} pare_tensor;

static inline pare_numbers pare_tensor_numbers(const pare_tensor *x)
{
    return x->half ? (pare_numbers){x->half, true} : pare_reals(x->data);
}

static inline pare_numbers pare_tensor_gradient(const pare_tensor *x)
{
    return x->half_grad ? (pare_numbers){x->half_grad, true} : pare_reals(x->grad);
}

static inline int64_t pare_tensor_size(const pare_tensor *x)
{
    return x->rows * x->cols;
}

/* Uninitialised data, no gradient; NULL with PARE_MEMORY set. */
pare_tensor *pare_tensor_new(pare_arena *arena, int64_t rows, int64_t cols);

enum { PARE_NAME_SIZE = 128 };

/* What a parameter is to the optimiser: each group has a learning rate of its own, and only weights
 * count in the gradient's norm and are clipped. */
typedef enum pare_group {
    PARE_GROUP_WEIGHTS,
    PARE_GROUP_GATES,       /* log_alpha of pruning masks */
    PARE_GROUP_MULTIPLIERS, /* lambdas of the augmented Lagrangian */
    PARE_GROUPS
} pare_group;

/* A named tensor that is trained and saved: one entry of a model's list. */
typedef struct pare_param {
    char name[PARE_NAME_SIZE]; /* as in Hugging Face: "bert.pooler.dense.weight" */
    pare_tensor tensor;
    int rank;    /* 1 or 2: the rank it is stored with (a vector's tensor is [1, n]) */
    int layer;   /* -1 embeddings, 0 ... encoder layers, num_hidden_layers pooler and head */
    pare_group group;
    bool decay;  /* weight decay applies: matrices, not biases and LayerNorm */
    bool frozen; /* neither gradient nor optimiser state */
} pare_param;

/* A table of embeddings, whose rows are looked up; other matrices are multiplied. */
static inline bool pare_param_is_table(const pare_param *p)
{
    return p->rank == 2 && p->layer < 0;
}

#endif
