#include "core/gemm.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "core/blis.h"
#include "core/cpu.h"
#include "core/cpu/gemm_kernels.h"
#include "core/memory.h"
#include "core/threads.h"

/* How a product runs (after Goto and van de Geijn 2008, and BLIS):
 *   1. A is packed whole, by all threads.
 *   2. C is cut into tasks of task_rows x task_columns. A task goes through k in blocks; of each it
 *      packs its own columns of B, which stay in its core's L2 cache, then lets every panel of A
 *      (in L1) meet every panel of B.
 * Only the depth of a block of k can be seen in the bits, and it follows from k alone. So tasks may
 * be cut as the number of threads suggests. */
enum {
    DEPTH_MAX = 448,      /* of a block: one panel of A (12 x 448 floats) stays in L1 */
    TASK_PANELS = 8,      /* of B at most: 256 columns x 448 floats are half of a 1 MiB L2 */
    TASK_ROWS = 768,      /* at most, so that the rows that tasks share stay in L3 */
    PACK_PANELS = 4,      /* of A, packed by one tile of phase 1 */
    SERIAL_WORK = 1 << 19 /* multiplications that are done before a team has woken up */
};

typedef struct product {
    const pare_gemm_kernels *with; /* NULL: BLIS */
    real *c;
    const real *a, *b, *bias;
    int64_t ldc, lda, ldb;
    bool a_transposed, b_transposed, accumulate;
    int64_t m, n, k;
    int64_t depth;                   /* of a block of k; the last may be less deep */
    int64_t task_rows, task_columns; /* of C */
    int64_t tasks_across;
    int64_t padded_rows; /* m, rounded up to whole panels */
    real *packed_a;      /* [blocks of k][panels][depth][rows of a tile] */
    real *packed_b;      /* one block's columns of a task, for each thread */
    int64_t packed_b_size;
} product;

static int64_t ceiling(int64_t x, int64_t y)
{
    return (x + y - 1) / y;
}

static int64_t smaller(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static const pare_gemm_kernels *kernels(void)
{
    static const pare_gemm_kernels *const table[PARE_ISA_COUNT] = {
        &pare_gemm_portable,
#if defined(__x86_64__)
        &pare_gemm_avx2, &pare_gemm_avx512
#endif
    };
    return table[pare_cpu_isa()];
}

/* k is cut into equal blocks, a multiple of 4 deep: 768 into two of 384. */
static int64_t block_depth(int64_t k)
{
    int64_t blocks = ceiling(k, DEPTH_MAX);
    return blocks ? smaller(k, ceiling(ceiling(k, blocks), 4) * 4) : 0;
}

/* ---- Cutting C into tasks ---- */

/* What a task takes, in the time of one multiplication an element of C: its tile, packing its
 * columns of B, and fetching its rows of A (the last two measured, about). */
static double task_cost(int64_t rows, int64_t columns)
{
    return (double)(rows * columns + 12 * columns + 8 * rows);
}

/* The sizes that end first, if `threads` take tasks in turn. */
static void cut_tasks(product *p, int64_t rows, int64_t columns, int threads)
{
    double best = INFINITY;
    int64_t least = ceiling(p->m, TASK_ROWS);
    for (int64_t panels = 1; panels <= TASK_PANELS; panels++) {
        int64_t across = ceiling(p->n, panels * columns);
        for (int64_t down = least; down < least + 2 * threads; down++) {
            int64_t task_rows = ceiling(ceiling(p->m, down), rows) * rows;
            int64_t tasks = ceiling(p->m, task_rows) * across;
            double cost = (double)ceiling(tasks, threads) *
                          task_cost(task_rows, smaller(panels * columns, p->n));
            if (cost >= best)
                continue;
            best = cost;
            p->task_rows = task_rows;
            p->task_columns = panels * columns;
        }
        if (across == 1)
            break;
    }
    p->tasks_across = ceiling(p->n, p->task_columns);
}

/* ---- Phase 1: packing A ---- */

static void pack_a_tile(void *context, int64_t tile)
{
    const product *p = context;
    int64_t rows = PACK_PANELS * p->with->rows, across = ceiling(p->m, rows);
    int64_t k0 = tile / across * p->depth, i0 = tile % across * rows;
    int64_t depth = smaller(p->depth, p->k - k0);
    const real *from = p->a_transposed ? p->a + k0 * p->lda + i0 : p->a + i0 * p->lda + k0;
    p->with->pack_a(p->packed_a + k0 * p->padded_rows + i0 * depth, from, p->lda,
                    !p->a_transposed, smaller(rows, p->m - i0), depth);
}

/* ---- Phase 2: the tasks ---- */

/* C[i0.., j0..] (+)= a block of A's rows times the packed block of B's columns. */
static void run_block(const product *p, const real *a, const real *b, int64_t i0, int64_t rows,
                      int64_t j0, int64_t columns, int64_t depth, bool first)
{
    pare_gemm_tile tile = {.ldc = p->ldc, .depth = depth, .add = p->accumulate || !first};
    for (int64_t i = 0; i < rows; i += p->with->rows)
        for (int64_t j = 0; j < columns; j += p->with->columns) {
            tile.c = p->c + (i0 + i) * p->ldc + j0 + j;
            tile.a = a + i * depth;
            tile.b = b + j * depth;
            tile.rows = smaller(p->with->rows, rows - i);
            tile.columns = smaller(p->with->columns, columns - j);
            tile.bias = first && p->bias ? p->bias + j0 + j : NULL;
            p->with->run(&tile);
        }
}

static void run_task(void *context, int64_t task)
{
    const product *p = context;
    int64_t i0 = task / p->tasks_across * p->task_rows;
    int64_t j0 = task % p->tasks_across * p->task_columns;
    int64_t rows = smaller(p->task_rows, p->m - i0), columns = smaller(p->task_columns, p->n - j0);
    real *packed_b = p->packed_b + pare_thread_index() * p->packed_b_size;
    for (int64_t k0 = 0; k0 < p->k; k0 += p->depth) {
        int64_t depth = smaller(p->depth, p->k - k0);
        const real *from = p->b_transposed ? p->b + j0 * p->ldb + k0 : p->b + k0 * p->ldb + j0;
        p->with->pack_b(packed_b, from, p->ldb, p->b_transposed, columns, depth);
        run_block(p, p->packed_a + k0 * p->padded_rows + i0 * depth, packed_b, i0, rows, j0,
                  columns, depth, k0 == 0);
    }
}

/* C = bias, or += bias: a product over nothing. */
static void add_bias(const product *p, int64_t i0, int64_t rows, int64_t j0, int64_t columns,
                     bool add)
{
    for (int64_t i = i0; i < i0 + rows; i++)
        for (int64_t j = j0; j < j0 + columns; j++) {
            real x = p->bias ? p->bias[j] : 0, *c = p->c + i * p->ldc + j;
            *c = add ? *c + x : x;
        }
}

static void run_blis_task(void *context, int64_t task)
{
    const product *p = context;
    int64_t i0 = task / p->tasks_across * p->task_rows;
    int64_t j0 = task % p->tasks_across * p->task_columns;
    int64_t rows = smaller(p->task_rows, p->m - i0), columns = smaller(p->task_columns, p->n - j0);
    pare_blis_gemm(p->c + i0 * p->ldc + j0, p->ldc, p->a + i0 * (p->a_transposed ? 1 : p->lda),
                   p->lda, p->a_transposed, p->b + j0 * (p->b_transposed ? p->ldb : 1), p->ldb,
                   p->b_transposed, rows, columns, p->k, p->accumulate);
    if (p->bias)
        add_bias(p, i0, rows, j0, columns, true);
}

/* ---- The whole ---- */

static void run_tiles(bool serial, int64_t tiles, pare_tile_function *function, product *p)
{
    if (!serial) {
        pare_parallel(tiles, function, p);
        return;
    }
    for (int64_t t = 0; t < tiles; t++)
        function(p, t);
}

/* Sizes of the packed panels in elements, whole cache lines each. */
static int64_t packed_a_size(const pare_gemm_kernels *with, int64_t m, int64_t k)
{
    return ceiling(ceiling(m, with->rows) * with->rows * k, 16) * 16;
}

static int64_t packed_b_size(const pare_gemm_kernels *with, int64_t n, int64_t k)
{
    int64_t columns = ceiling(n, with->columns);
    return ceiling(smaller(columns, TASK_PANELS) * with->columns * block_depth(k), 16) * 16;
}

size_t pare_gemm_workspace(int64_t m, int64_t n, int64_t k)
{
    if (pare_kernels_blis())
        return 64;
    const pare_gemm_kernels *with = kernels();
    int64_t elements = packed_a_size(with, m, k) + pare_threads() * packed_b_size(with, n, k);
    return 64 + (size_t)elements * sizeof(real);
}

void pare_gemm(real *c, int64_t ldc, const real *a, int64_t lda, bool a_transposed, const real *b,
               int64_t ldb, bool b_transposed, int64_t m, int64_t n, int64_t k, bool accumulate,
               const real *bias, void *workspace)
{
    product p = {.c = c, .a = a, .b = b, .bias = bias, .ldc = ldc, .lda = lda, .ldb = ldb,
                 .a_transposed = a_transposed, .b_transposed = b_transposed,
                 .accumulate = accumulate, .m = m, .n = n, .k = k, .depth = block_depth(k)};
    if (m <= 0 || n <= 0)
        return;
    if (k <= 0) {
        add_bias(&p, 0, m, 0, n, accumulate);
        return;
    }
    bool serial = (double)m * (double)n * (double)k < SERIAL_WORK;
    int threads = serial ? 1 : pare_threads();
    if (pare_kernels_blis()) {
        pare_blis_start();
        cut_tasks(&p, 32, 32, threads);
        run_tiles(serial, ceiling(m, p.task_rows) * p.tasks_across, run_blis_task, &p);
        return;
    }
    p.with = kernels();
    cut_tasks(&p, p.with->rows, p.with->columns, threads);
    p.padded_rows = ceiling(m, p.with->rows) * p.with->rows;
    p.packed_a = (real *)(((uintptr_t)workspace + 63) & ~(uintptr_t)63);
    p.packed_b = p.packed_a + packed_a_size(p.with, m, k);
    p.packed_b_size = packed_b_size(p.with, n, k);
    int64_t pack_tiles = ceiling(m, PACK_PANELS * p.with->rows) * ceiling(k, p.depth);
    run_tiles(serial || m * k < SERIAL_WORK / 16, pack_tiles, pack_a_tile, &p);
    run_tiles(serial, ceiling(m, p.task_rows) * p.tasks_across, run_task, &p);
}

/* ---- What it does ---- */

const char *pare_gemm_path(void)
{
    static char text[64];
    const char *precision = sizeof(real) == 8 ? "fp64" : "fp32";
    if (pare_kernels_blis())
        snprintf(text, sizeof text, "%s-blis-%s", precision, pare_blis_architecture());
    else
        snprintf(text, sizeof text, "%s-%s", precision, pare_isa_name(pare_cpu_isa()));
    return text;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum { PEAK_ROUNDS = 100000 };

static void peak_tile(void *context, int64_t tile)
{
    const pare_gemm_kernels *with = context;
    (void)tile;
    with->peak(PEAK_ROUNDS);
}

double pare_gemm_peak(void)
{
    const pare_gemm_kernels *with = kernels();
    int threads = pare_threads();
    double start = seconds();
    pare_parallel(threads, peak_tile, (void *)(uintptr_t)with);
    return 1e-9 * PEAK_ROUNDS * (double)with->peak_operations * threads / (seconds() - start);
}

/* a holds A[m,k], B[n,k] and C[m,n]. */
static void measure(real *a, int64_t m, int64_t n, int64_t k, void *workspace, double *gflops,
                    double *peak)
{
    real *b = a + m * k, *c = b + n * k;
    for (int64_t i = 0; i < (m + n) * k; i++)
        a[i] = (real)(i % 7 - 3);
    for (int run = 0; run < 30; run++) {
        double start = seconds();
        pare_gemm(c, n, a, k, false, b, k, true, m, n, k, false, NULL, workspace);
        double end = seconds();
        *gflops = fmax(*gflops, 2e-9 * (double)m * (double)n * (double)k / (end - start));
        *peak = fmax(*peak, pare_gemm_peak());
    }
}

pare_status pare_gemm_measure(int64_t m, int64_t n, int64_t k, double *gflops, double *peak)
{
    *gflops = *peak = 0;
    real *matrices = pare_malloc((size_t)(m * k + n * k + m * n) * sizeof(real));
    void *workspace = matrices ? pare_malloc(pare_gemm_workspace(m, n, k)) : NULL;
    pare_status status = workspace ? PARE_OK : PARE_MEMORY;
    if (workspace)
        measure(matrices, m, n, k, workspace, gflops, peak);
    pare_free(workspace);
    pare_free(matrices);
    return status;
}
