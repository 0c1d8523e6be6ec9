#include "core/gemm.h"

#include <assert.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/blis.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "core/cpu/gemm_kernels.h"
#include "core/memory.h"
#include "core/threads.h"

/* How a product runs (after Goto and van de Geijn 2008, and BLIS). Of A and B, the one with fewer
 * rows (of C) or columns is the shared side, the other the own side.
 *   1. The shared side is packed whole, by all threads.
 *   2. C is cut into tasks, which the threads take in turn. A task goes through k in blocks; of
 *      each it packs its own side's part, which stays in its core's L2 cache, and lets every
 *      shared panel meet every own panel. (Few shared columns meet rows of A where they lie.)
 * Only the depth of a block of k can be seen in the bits, and it follows from k alone. So tasks may
 * be cut as the number of threads suggests. */
enum {
    OWN_MAX = 128,        /* own rows or columns of a task: x 768 floats are 3/8 of a 1 MiB L2 */
    BLIS_MAX = 384,       /* the same where BLIS packs both sides in every task */
    PACK_GROUP = 48,      /* shared rows or columns at least, packed by one tile of phase 1 */
    DIRECT_MAX = 256,     /* shared columns, up to which packing A costs more than it saves */
    SERIAL_WORK = 1 << 22 /* multiplications: about 50 us, not worth waking a team for */
};

/* A's rows or B's columns. */
typedef struct side {
    const real *from;
    int64_t stride;
    bool along; /* k runs along memory */
    int64_t count;
    int64_t panel; /* rows or columns of a panel */
    int64_t task;  /* ... of a task, whole panels */
    pare_gemm_pack *pack;
} side;

typedef struct product {
    const pare_gemm_kernels *with; /* NULL: BLIS */
    real *c;
    const real *bias;
    int64_t ldc, k;
    bool accumulate;
    int64_t depth; /* of a block of k; the last may be less deep */
    side a, b;
    const side *shared, *own;
    bool direct; /* the own side is A, and is read where it lies */
    real *packed_shared; /* [blocks of k][panels][depth][panel] */
    real *packed_own;    /* one task's block, for each thread */
    int64_t packed_own_size;
    int64_t pack_tiles;        /* of phase 1 */
    _Atomic int64_t next_step; /* of both phases */
    _Atomic int64_t packed;    /* tiles of phase 1 that are done */
} product;

static int64_t ceiling(int64_t x, int64_t y)
{
    assert(y > 0);
    return (x + y - 1) / y;
}

static int64_t round_up(int64_t x, int64_t y)
{
    return ceiling(x, y) * y;
}

static int64_t smaller(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

/* The kernels of bf16 in use; NULL: products are of floats. */
static const pare_gemm_kernels *bf16_kernels;

static const pare_gemm_kernels *kernels(void)
{
    static const pare_gemm_kernels *const table[PARE_ISA_COUNT] = {
        &pare_gemm_portable,
#if defined(__x86_64__)
        &pare_gemm_avx2, &pare_gemm_avx512
#endif
    };
    return bf16_kernels ? bf16_kernels : table[pare_cpu_isa()];
}

/* BLIS has no bf16. */
static bool use_blis(void)
{
    return pare_kernels_blis() && !bf16_kernels;
}

/* Elements of a packed panel's depth. */
static int64_t packed_depth(const pare_gemm_kernels *with, int64_t depth)
{
    return round_up(ceiling(depth, with->pair), with->step);
}

/* k is cut into equal blocks: 768 into two of 384. */
static int64_t block_depth(const pare_gemm_kernels *with, int64_t k)
{
    const int64_t multiple = with->pair * with->step > 4 ? with->pair * with->step : 4;
    int64_t blocks = ceiling(k, PARE_GEMM_DEPTH_MAX);
    return blocks ? smaller(k, round_up(ceiling(k, blocks), multiple)) : 0;
}

/* ---- Cutting C into tasks ---- */

/* What a task takes, in the time of one multiplication an element of C: its tile, packing its own
 * side, and fetching the shared one (the last two measured, about). */
static double task_cost(int64_t own, int64_t shared)
{
    return (double)(own * shared + 12 * own + 8 * shared);
}

/* The sizes that end first, if `threads` take tasks in turn. */
static void cut_tasks(side *own, side *shared, int64_t own_max, int threads)
{
    double best = INFINITY;
    int64_t least = ceiling(own->count, round_up(own_max - own->panel + 1, own->panel));
    for (int64_t across = least; across < least + 2 * threads; across++)
        for (int64_t down = 1; down <= 2 * threads; down++) {
            int64_t own_task = round_up(ceiling(own->count, across), own->panel);
            int64_t shared_task = round_up(ceiling(shared->count, down), shared->panel);
            int64_t tasks = ceiling(own->count, own_task) * ceiling(shared->count, shared_task);
            double cost = (double)ceiling(tasks, threads) * task_cost(own_task, shared_task);
            if (cost >= best)
                continue;
            best = cost;
            own->task = own_task;
            shared->task = shared_task;
        }
}

/* Neighbouring tasks share the shared side's part. */
typedef struct task {
    int64_t i0, rows, j0, columns; /* of C */
} task;

static int64_t count_tasks(const product *p)
{
    return ceiling(p->a.count, p->a.task) * ceiling(p->b.count, p->b.task);
}

static task task_at(const product *p, int64_t number)
{
    int64_t across = ceiling(p->own->count, p->own->task);
    int64_t own = number % across * p->own->task, shared = number / across * p->shared->task;
    int64_t i0 = p->own == &p->a ? own : shared, j0 = p->own == &p->a ? shared : own;
    return (task){i0, smaller(p->a.task, p->a.count - i0), j0,
                  smaller(p->b.task, p->b.count - j0)};
}

/* ---- Phase 1: packing the shared side ---- */

static void pack(const side *s, real *to, int64_t start, int64_t count, int64_t k0, int64_t depth)
{
    const real *from = s->from + (s->along ? start * s->stride + k0 : k0 * s->stride + start);
    s->pack(to, from, s->stride, s->along, count, depth);
}

static int64_t pack_group(const side *s)
{
    return round_up(PACK_GROUP, s->panel);
}

static void pack_shared_tile(const product *p, int64_t tile)
{
    const side *s = p->shared;
    int64_t group = pack_group(s), groups = ceiling(s->count, group);
    int64_t k0 = tile / groups * p->depth, start = tile % groups * group;
    int64_t depth = smaller(p->depth, p->k - k0);
    pack(s, p->packed_shared + packed_depth(p->with, k0) * round_up(s->count, s->panel) +
                start * packed_depth(p->with, depth),
         start, smaller(group, s->count - start), k0, depth);
}

/* ---- Phase 2: the tasks ---- */

/* A task's part of C and one block of k. */
typedef struct block {
    const product *p;
    task t;
    const real *a, *b; /* packed panels of the task's rows and columns */
    int64_t depth; /* packed */
    bool first;
} block;

/* The tile at row i and column j of the task. Each of the tiles that meet one shared panel has its
 * share of the next one fetched meanwhile. */
static void run_tile(const block *k, int64_t i, int64_t j)
{
    const product *p = k->p;
    const task *t = &k->t;
    pare_gemm_tile tile = {
        .c = p->c + (t->i0 + i) * p->ldc + t->j0 + j,
        .ldc = p->ldc,
        .a = k->a + i * (p->direct ? p->a.stride : k->depth),
        .lda = p->direct ? p->a.stride : 0,
        .b = k->b + j * k->depth,
        .depth = k->depth,
        .rows = smaller(p->a.panel, t->rows - i),
        .columns = smaller(p->b.panel, t->columns - j),
        .bias = k->first && p->bias ? p->bias + t->j0 + j : NULL,
        .add = p->accumulate || !k->first,
    };
    bool own_a = p->own == &p->a;
    int64_t share = own_a ? i / p->a.panel : j / p->b.panel;
    int64_t shares = own_a ? ceiling(t->rows, p->a.panel) : ceiling(t->columns, p->b.panel);
    int64_t bytes = p->shared->panel * (int64_t)sizeof(real); /* a step of depth */
    tile.ahead_step = bytes / shares;
    tile.ahead = (const char *)(own_a ? tile.b : tile.a) +
                 (bytes + share * tile.ahead_step) * k->depth;
    p->with->run(&tile);
}

static void run_block(const block *k)
{
    const product *p = k->p;
    if (p->own == &p->a) {
        for (int64_t j = 0; j < k->t.columns; j += p->b.panel)
            for (int64_t i = 0; i < k->t.rows; i += p->a.panel)
                run_tile(k, i, j);
    } else {
        for (int64_t i = 0; i < k->t.rows; i += p->a.panel)
            for (int64_t j = 0; j < k->t.columns; j += p->b.panel)
                run_tile(k, i, j);
    }
}

/* The shared side is packed by then, or about to be by another thread. */
static void await_shared(product *p)
{
    for (int spins = 0; atomic_load_explicit(&p->packed, memory_order_acquire) < p->pack_tiles;)
        if (++spins > 2000)
            sched_yield();
}

static void run_task(product *p, int64_t number)
{
    block k = {.p = p, .t = task_at(p, number)};
    bool own_a = p->own == &p->a;
    int64_t own_start = own_a ? k.t.i0 : k.t.j0, own_count = own_a ? k.t.rows : k.t.columns;
    int64_t shared_start = own_a ? k.t.j0 : k.t.i0;
    real *own = p->packed_own + pare_thread_index() * p->packed_own_size;
    for (int64_t k0 = 0; k0 < p->k; k0 += p->depth) {
        const int64_t depth = smaller(p->depth, p->k - k0);
        k.depth = packed_depth(p->with, depth);
        k.first = k0 == 0;
        const real *shared =
            p->packed_shared + shared_start * k.depth +
            packed_depth(p->with, k0) * round_up(p->shared->count, p->shared->panel);
        k.a = own_a ? own : shared;
        k.b = own_a ? shared : own;
        if (p->direct)
            k.a = p->a.from + own_start * p->a.stride + k0;
        else
            pack(p->own, own, own_start, own_count, k0, depth);
        if (k.first)
            await_shared(p);
        run_block(&k);
    }
}

/* Both phases are one walk of the team, so that no thread waits at a barrier between them. Steps
 * are numbered here, for pare_parallel's tiles may start in another order. */
static void run_step(void *context, int64_t tile)
{
    product *p = context;
    int64_t step = atomic_fetch_add(&p->next_step, 1);
    (void)tile;
    if (step >= p->pack_tiles) {
        run_task(p, step - p->pack_tiles);
        return;
    }
    pack_shared_tile(p, step);
    atomic_fetch_add_explicit(&p->packed, 1, memory_order_release);
}

/* C += bias, or = bias, in the task's part: a product over nothing. */
static void add_bias(const product *p, const task *t, bool add)
{
    for (int64_t i = t->i0; i < t->i0 + t->rows; i++)
        for (int64_t j = t->j0; j < t->j0 + t->columns; j++) {
            real x = p->bias ? p->bias[j] : 0, *c = p->c + i * p->ldc + j;
            *c = add ? *c + x : x;
        }
}

static void run_blis_task(void *context, int64_t number)
{
    const product *p = context;
    task t = task_at(p, number);
    pare_blis_gemm(p->c + t.i0 * p->ldc + t.j0, p->ldc,
                   p->a.from + t.i0 * (p->a.along ? p->a.stride : 1), p->a.stride, !p->a.along,
                   p->b.from + t.j0 * (p->b.along ? p->b.stride : 1), p->b.stride, p->b.along,
                   t.rows, t.columns, p->k, p->accumulate);
    if (p->bias)
        add_bias(p, &t, true);
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
static int64_t shared_size(const pare_gemm_kernels *with, int64_t count, int64_t panel, int64_t k)
{
    return round_up(round_up(count, panel) * packed_depth(with, k), 16);
}

static int64_t own_size(const pare_gemm_kernels *with, int64_t count, int64_t panel, int64_t k)
{
    return round_up(round_up(smaller(count, OWN_MAX), panel) *
                        packed_depth(with, block_depth(with, k)), 16);
}

size_t pare_gemm_workspace(int64_t m, int64_t n, int64_t k)
{
    const pare_gemm_kernels *with = kernels();
    int64_t elements = m > n ? shared_size(with, n, with->columns, k) +
                                   pare_threads() * own_size(with, m, with->rows, k)
                             : shared_size(with, m, with->rows, k) +
                                   pare_threads() * own_size(with, n, with->columns, k);
    return 64 + (use_blis() ? 0 : (size_t)elements * sizeof(real));
}

static void run_packed(product *p, void *workspace, bool serial)
{
    const side *shared = p->shared;
    p->packed_shared = (real *)(((uintptr_t)workspace + 63) & ~(uintptr_t)63);
    p->packed_own = p->packed_shared + shared_size(p->with, shared->count, shared->panel, p->k);
    p->packed_own_size = own_size(p->with, p->own->count, p->own->panel, p->k);
    p->pack_tiles = ceiling(shared->count, pack_group(shared)) * ceiling(p->k, p->depth);
    run_tiles(serial, p->pack_tiles + count_tasks(p), run_step, p);
}

void pare_gemm(real *c, int64_t ldc, const real *a, int64_t lda, bool a_transposed, const real *b,
               int64_t ldb, bool b_transposed, int64_t m, int64_t n, int64_t k, bool accumulate,
               const real *bias, void *workspace)
{
    const pare_gemm_kernels *with = kernels();
    product p = {.with = with, .c = c, .bias = bias, .ldc = ldc, .k = k, .accumulate = accumulate,
                 .depth = block_depth(with, k),
                 .a = {a, lda, !a_transposed, m, with->rows, 0, with->pack_a},
                 .b = {b, ldb, b_transposed, n, with->columns, 0, with->pack_b}};
    if (m <= 0 || n <= 0)
        return;
    if (k <= 0) {
        add_bias(&p, &(task){0, m, 0, n}, accumulate);
        return;
    }
    bool serial = (double)m * (double)n * (double)k < SERIAL_WORK;
    side *own = m > n ? &p.a : &p.b, *shared = m > n ? &p.b : &p.a;
    cut_tasks(own, shared, use_blis() ? BLIS_MAX : OWN_MAX, serial ? 1 : pare_threads());
    p.own = own;
    p.shared = shared;
    p.direct = with->direct && own == &p.a && p.a.along && n <= DIRECT_MAX;
    if (use_blis()) {
        pare_blis_start();
        run_tiles(serial, count_tasks(&p), run_blis_task, &p);
    } else {
        run_packed(&p, workspace, serial);
    }
}

/* ---- Precision ---- */

pare_precision pare_gemm_precision(void)
{
    return bf16_kernels ? PARE_PRECISION_BF16 : PARE_PRECISION_FP32;
}

#ifdef PARE_DOUBLE
pare_status pare_gemm_precision_set(pare_precision precision)
{
    return precision == PARE_PRECISION_FP32 ? PARE_OK
                                  : pare_fail(PARE_USAGE, "products of doubles have no bf16");
}
#else
enum { TRY_M = 35, TRY_N = 41, TRY_K = 71 };

/* A product of small whole numbers, which bf16 and sums in float hold exactly. */
static pare_status multiplies_right(const pare_gemm_kernels *with, bool *right)
{
    static real a[TRY_M * TRY_K], b[TRY_K * TRY_N], c[TRY_M * TRY_N];
    bf16_kernels = with;
    void *workspace = pare_malloc(pare_gemm_workspace(TRY_M, TRY_N, TRY_K));
    if (!workspace)
        return PARE_MEMORY;
    for (int i = 0; i < TRY_M * TRY_K; i++)
        a[i] = (real)(i % 11 - 5);
    for (int i = 0; i < TRY_K * TRY_N; i++)
        b[i] = (real)(i % 7 - 3);
    pare_gemm(c, TRY_N, a, TRY_K, false, b, TRY_N, false, TRY_M, TRY_N, TRY_K, false, NULL,
              workspace);
    pare_free(workspace);
    *right = true;
    for (int i = 0; i < TRY_M; i++)
        for (int j = 0; j < TRY_N; j++) {
            int sum = 0;
            for (int q = 0; q < TRY_K; q++)
                sum += ((i * TRY_K + q) % 11 - 5) * ((q * TRY_N + j) % 7 - 3);
            *right = *right && c[i * TRY_N + j] == (real)sum;
        }
    return PARE_OK;
}

/* The best for the kernel path that computes what it should: this is the only test that AMX gets
 * on a machine that nobody has tried. */
pare_status pare_gemm_precision_set(pare_precision precision)
{
    static const pare_gemm_kernels *const rounding[PARE_ISA_COUNT] = {
        &pare_gemm_portable_bf16,
#if defined(__x86_64__)
        &pare_gemm_avx2_bf16, &pare_gemm_avx512_bf16
#endif
    };
    static const pare_gemm_kernels *const pairs[PARE_BF16_COUNT] = {
        NULL,
#if defined(__x86_64__)
        &pare_gemm_avx512bf16, &pare_gemm_amx
#endif
    };
    bool right = false;
    bf16_kernels = NULL;
    if (precision == PARE_PRECISION_FP32)
        return PARE_OK;
    const pare_gemm_kernels *best = pairs[pare_cpu_bf16()];
    if (best)
        PARE_TRY(multiplies_right(best, &right));
    bf16_kernels = right ? best : rounding[pare_cpu_isa()];
    return PARE_OK;
}
#endif

/* ---- What it does ---- */

/* "bf16-amx"; what rounds to bf16 and multiplies floats, "bf16-avx512". */
static const char *path_of_bf16(void)
{
    return bf16_kernels->pair > 1 ? pare_bf16_name(pare_cpu_bf16()) : pare_isa_name(pare_cpu_isa());
}

const char *pare_gemm_path(void)
{
    static _Thread_local char text[64];
    const char *precision = sizeof(real) == 8 ? "fp64" : "fp32";
    const char *blis = use_blis() ? pare_blis_architecture() : NULL;
    if (bf16_kernels)
        snprintf(text, sizeof text, "bf16-%s", path_of_bf16());
    else
        snprintf(text, sizeof text, "%s%s%s-%s", precision, blis ? "-blis-" : "", blis ? blis : "",
                 pare_isa_name(pare_cpu_isa()));
    return text;
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
    double start = pare_seconds();
    pare_parallel(threads, peak_tile, (void *)(uintptr_t)with);
    return 1e-9 * PEAK_ROUNDS * (double)with->peak_operations * threads / (pare_seconds() - start);
}

/* a holds A[m,k], B[n,k] and C[m,n]. */
static void measure(real *a, int64_t m, int64_t n, int64_t k, void *workspace, double *gflops,
                    double *peak)
{
    real *b = a + m * k, *c = b + n * k;
    for (int64_t i = 0; i < (m + n) * k; i++)
        a[i] = (real)(i % 7 - 3);
    for (int run = 0; run < 30; run++) {
        double start = pare_seconds();
        pare_gemm(c, n, a, k, false, b, k, true, m, n, k, false, NULL, workspace);
        double end = pare_seconds();
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
