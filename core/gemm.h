/* gemm.h: matrix products, on every thread of the team.
 *
 *   void *workspace = pare_arena_alloc(scratch, pare_gemm_workspace(tokens, out, in));
 *   // y[tokens, out] = x[tokens, in] w[out, in]^T + bias
 *   pare_gemm(y, out, x, in, false, w, in, true, tokens, out, in, false, bias, workspace);
 *   // dw[out, in] += dy[tokens, out]^T x[tokens, in]
 *   pare_gemm(dw, in, dy, out, true, x, in, false, out, in, tokens, true, NULL, workspace);
 *
 * The bits of one element of C depend on its row of op(A), its column of op(B) and k: not on m, n,
 * where it stands, or the threads. So a sentence gets the same logits alone and in any batch.
 * They differ in the last digits between kernel paths (core/cpu.h): k is cut into blocks, a
 * block's products are added up in order, then the blocks in order. */
#ifndef PARE_CORE_GEMM_H
#define PARE_CORE_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "core/half.h"
#include "core/real.h"
#include "core/status.h"

/* C[m,n] = op(A)[m,k] op(B)[k,n] + bias, or += that if `accumulate`. All matrices are row-major
 * with rows lda, ldb, ldc elements apart; op(A) is A[m,k], or the transpose of A[k,m] if
 * a_transposed; op(B) is B[k,n], or the transpose of B[n,k]. bias[n], added to every row, may be
 * NULL. C overlaps nothing else. The workspace belongs to the call until it returns. */
void pare_gemm(real *c, int64_t ldc, const real *a, int64_t lda, bool a_transposed, const real *b,
               int64_t ldb, bool b_transposed, int64_t m, int64_t n, int64_t k, bool accumulate,
               const real *bias, void *workspace);

/* Products with one operand in common, which is packed once for all: the same bits as one by one.
 * With own_a, C_i[m,n] = op(A_i) op(B), A_i = parts[i].own and B = common; else
 * C_i[m,n] = op(A) op(B_i), A = common. The rest as pare_gemm's, the same for all. Products in bf16
 * take halves as well, with the bits of the reals that round to them. */
typedef struct pare_gemm_part {
    real *c;
    pare_numbers own;
    const real *bias;
    bool accumulate;
    bool far; /* C will not be read soon */
} pare_gemm_part;
void pare_gemm_parts(const pare_gemm_part *parts, int64_t n_parts, bool own_a, int64_t ldc,
                     pare_numbers common, int64_t lda, bool a_transposed, int64_t ldb,
                     bool b_transposed, int64_t m, int64_t n, int64_t k, void *workspace);
size_t pare_gemm_parts_workspace(bool own_a, int64_t m, int64_t n, int64_t k);

/* B[n,k], transposed, packed once for many products: k reals of each of its rows, ldb apart. The
 * same bits as pare_gemm's. `packed` has room for pare_gemm_packed_size bytes, begins a cache line,
 * and is good for the kernels and the precision of this moment; 0 bytes: BLIS packs for itself. */
size_t pare_gemm_packed_size(int64_t n, int64_t k);
void pare_gemm_pack_b(real *packed, const real *b, int64_t ldb, int64_t n, int64_t k);
/* C[m,n] = A[m,k] B[n,k]^T + bias. Workspace as pare_gemm's. */
void pare_gemm_packed(real *c, int64_t ldc, pare_numbers a, int64_t lda, const real *packed,
                      int64_t m, int64_t n, int64_t k, const real *bias, void *workspace);

/* Of products' operands from now on, in the whole process: call it before the first product. With
 * bf16 both are rounded to bf16 (8 bits of mantissa, to nearest) on their way into a product, or
 * are halves already; sums stay float. One product's error is at most 2^-8 of the sum of its terms'
 * sizes, beside that of adding floats. PARE_USAGE where real is double. */
typedef enum pare_precision { PARE_PRECISION_FP32, PARE_PRECISION_BF16 } pare_precision;
pare_status pare_gemm_precision_set(pare_precision precision);
pare_precision pare_gemm_precision(void);

/* Whether products take halves: in bf16. */
bool pare_gemm_takes_halves(void);

/* The bytes such a call needs, whatever is transposed, at the threads and kernels of this moment:
 * ask again after changing either. */
size_t pare_gemm_workspace(int64_t m, int64_t n, int64_t k);

/* The kernel path, for logs, checkpoints and `pare doctor`: all that is chosen by the CPU and shows
 * in the bits. "fp32-amx", "fp32-avx512", "bf16-amx"; where BLIS multiplies, with its
 * architecture and the instruction set of all the rest: "fp32-blis-skx-avx512". */
const char *pare_gemm_path(void);

/* GFLOP/s of the team's registers, no memory touched: one run of about a millisecond. In fp32 that
 * of AVX-512 or less, also where products are AMX's. */
double pare_gemm_peak(void);

/* The fastest of some runs of C[m,n] = A[m,k] B[n,k]^T, in GFLOP/s, and the highest pare_gemm_peak
 * seen meanwhile. */
pare_status pare_gemm_measure(int64_t m, int64_t n, int64_t k, double *gflops, double *peak);

#endif
