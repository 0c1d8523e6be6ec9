/* kernels.h: the passes over rows and vectors that BERT needs beside its products.
 *
 * A kernel is pure: pointers and sizes in, numbers out; no allocation, no globals, no threads. One
 * source (core/cpu/kernels_body.h) is compiled for each instruction set; pare_kernels_get picks the
 * table of the one in use. Rows may have any length: tails are computed as if padded with zeros.
 * The ops (autograd/) cut the work into tiles and call these. */
#ifndef PARE_CORE_KERNELS_H
#define PARE_CORE_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/half.h"
#include "core/real.h"

/* The functions that stand between linear maps; names as in config.json's hidden_act. */
typedef enum pare_activation {
    PARE_ACT_NONE,
    PARE_ACT_GELU,     /* x/2 (1 + erf(x/sqrt 2)), Hendrycks and Gimpel 2016 */
    PARE_ACT_GELU_NEW, /* its tanh approximation; also "gelu_pytorch_tanh" */
    PARE_ACT_RELU,
    PARE_ACT_TANH
} pare_activation;

/* Where a dropout mask's numbers come from: see pare_random. site is layer | op << 8. */
typedef struct pare_dropout_key {
    uint64_t seed, step;
    uint32_t site;
    uint32_t example;
    double probability; /* 0: every factor is 1 */
} pare_dropout_key;

/* What AdamW needs for one tensor at one step (optim/adamw.h says what each is). */
typedef struct pare_adamw_step {
    double learning_rate, beta1, beta2, epsilon, decay;
    double clip;        /* factor on the gradient */
    double correction1; /* 1 / (1 - beta1^t), or 1 */
    double correction2; /* 1 / (1 - beta2^t), or 1 */
} pare_adamw_step;

typedef struct pare_kernels {
    /* y[n] = act(x[n]); x and y may be the same. */
    void (*activate)(real *y, const real *x, int64_t n, pare_activation act);
    /* dx[n] = or += dy[n] * act'(x[n]); dx and dy may be the same. */
    void (*activate_grad)(real *dx, const real *dy, const real *x, int64_t n, pare_activation act,
                          bool add);

    /* One row of LayerNorm (Ba et al. 2016) over the sum of a residual and a dropped-out input:
     *   sum = residual + factor * a;  y = gamma (sum - mean) / sqrt(variance + eps) + beta
     * residual and factor may be NULL (0 and 1). sum may be a. stats receives mean and
     * 1 / sqrt(variance + eps). */
    void (*norm)(real *y, real *sum, real stats[2], const real *a, const real *factor,
                 const real *residual, const real *gamma, const real *beta, double eps, int64_t n);
    /* dsum[n] from dy[n]; dgamma[n], dbeta[n] += this row's part. dsum may be dy. */
    void (*norm_grad)(real *dsum, real *dgamma, real *dbeta, const real *dy, const real *sum,
                      const real stats[2], const real *gamma, int64_t n);

    /* row[n] = softmax(row * scale). n >= 1. */
    void (*softmax)(real *row, double scale, int64_t n);
    /* dp[n] becomes the gradient of softmax's input: scale p (dp - sum(p dp)). */
    void (*softmax_grad)(real *dp, const real *p, double scale, int64_t n);

    /* to[columns, rows] = from[rows, columns] transposed, with row strides ldt and ldf. */
    void (*transpose)(real *to, int64_t ldt, const real *from, int64_t ldf, int64_t rows,
                      int64_t columns);

    /* c[m, n] = a·b for small matrices: a(i, j) = a[i * a_row + j * a_column], b[k, n] and c with
     * row strides ldb, ldc. Whole vectors are read and written: columns up to the next multiple of
     * PARE_VECTOR_LANES must exist in b and c. */
    void (*small_product)(real *c, int64_t ldc, const real *a, int64_t a_row, int64_t a_column,
                          const real *b, int64_t ldb, int64_t m, int64_t n, int64_t k);

    /* factor[n] = 0 with the probability, else 1 / (1 - probability), of channels 0..n-1 of
     * `row` (a token's number, or a head's). Probability is taken to 1/65536. */
    void (*dropout)(real *factor, const pare_dropout_key *key, uint32_t row, int64_t n);

    /* to[rows, columns] = from, rounded to halves as pare_half_of does, and back; rows ldt and ldf
     * apart. */
    void (*narrow)(pare_half *to, int64_t ldt, const real *from, int64_t ldf, int64_t rows,
                   int64_t columns);
    void (*widen)(real *to, int64_t ldt, const pare_half *from, int64_t ldf, int64_t rows,
                  int64_t columns);

    void (*add)(real *y, const real *x, int64_t n);            /* y += x */
    void (*scale)(real *y, real factor, int64_t n);            /* y *= factor */
    /* y = a b; any may be equal */
    void (*multiply)(real *y, const real *a, const real *b, int64_t n);
    double (*sum_squares)(const real *x, int64_t n);           /* in blocks of 4,096, in order */

    /* One pass of AdamW (Loshchilov and Hutter 2019) over w, m and v with gradient g. */
    void (*adamw)(real *w, real *m, real *v, const real *g, int64_t n, const pare_adamw_step *step);
} pare_kernels;

/* Rows of small_product's operands are padded to a multiple of this: the widest vector's lanes. */
enum { PARE_VECTOR_LANES = 16 };

/* The table of the instruction set in use (core/cpu.h). */
const pare_kernels *pare_kernels_get(void);

#endif
