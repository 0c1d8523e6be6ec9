/* gemm.c: see gemm.h. */
#include "core/gemm.h"

#include <assert.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>

#include "core/blis.h"
#include "core/gemm_path.h"
#include "core/threads.h"

/* How a product runs (after Goto and van de Geijn 2008, and BLIS). Of A and B, the one with fewer
 * rows (of C) or columns is the shared side, the other the own side.
 *   1. The shared side is packed whole, by all threads.
 *   2. C is cut into tasks, which the threads take in turn. A task goes through k in blocks; of
 *      each it packs its own side's part, which stays in its core's L2 cache, and lets every
 *      shared panel meet every own panel. (Where that is faster they meet rows of A as these lie.)
 * Where the L1 cache is what tiles wait for, a block's depth comes in chunks: one of a shared panel
 * stays there while all own panels meet it, and the tiles' sums wait beside C.
 * A B that the caller has packed before is the shared side, and there is no phase 1: so all threads
 * stream it from memory, each panel fetched ahead while few rows of A meet the one before.
 * Only the depth of a block of k can be seen in the bits, and it follows from k alone. So tasks may
 * be cut as the number of threads suggests. */
enum {
    BLIS_MAX = 384,       /* own rows or columns of a task where BLIS packs both sides in each */
    PACK_GROUP = 48,      /* shared rows or columns at least, packed by one tile of phase 1 */
    DIRECT_MAX = 256,     /* shared columns, up to which packing A costs more than it saves */
    DIRECT_PANELS = 2,    /* the same of a sentence's rows that meet packed weights */
    CHUNK_SHARES = 4,     /* tiles at least that meet a chunk of a shared panel */
    SERIAL_WORK = 1 << 20 /* multiplications: some 15 us, not worth a team */
};

/* A's rows or B's columns. */
typedef struct side {
    int64_t stride;
    bool along; /* k runs along memory */
    int64_t count;
    int64_t panel; /* rows or columns of a panel */
    int64_t task;  /* ... of a task, whole panels */
    pare_gemm_pack *pack;
    const real *packed; /* whole, by the caller; NULL: not yet */
} side;

typedef struct product {
    const pare_gemm_kernels *with; /* unless BLIS multiplies */
    const pare_gemm_part *parts;   /* the shared side meets the own side of each */
    int64_t n_parts;
    pare_numbers common; /* the shared side's operand */
    int64_t ldc, k;
    int64_t depth; /* of a block of k; the last may be less deep */
    side a, b;
    side *shared, *own;
    bool direct; /* the own side is A, and is read where it lies */
    real *packed_shared; /* [blocks of k][panels][depth][panel], unless the caller has it */
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

/* k is cut into equal blocks: 1536 into two of 768. */
static int64_t block_depth(const pare_gemm_kernels *with, int64_t k)
{
    const int64_t multiple = with->pair * with->step > 4 ? with->pair * with->step : 4;
    int64_t blocks = ceiling(k, PARE_GEMM_DEPTH_MAX);
    return blocks ? smaller(k, round_up(ceiling(k, blocks), multiple)) : 0;
}

/* Room for a row or a column of tiles, where the depth comes in chunks. */
static int64_t sums_size(const pare_gemm_kernels *with, int64_t count)
{
    const int64_t panels = ceiling(smaller(count, with->task), smaller(with->rows, with->columns));
    return with->chunk ? panels * with->rows * with->columns : 0;
}

/* ---- Cutting C into tasks ---- */

/* What a task takes, in the time of one multiplication an element of C: its tile, packing its own
 * side, and fetching the shared one (the last two measured, about). */
static double task_cost(int64_t own, int64_t shared)
{
    return (double)(own * shared + 12 * own + 8 * shared);
}

/* The sizes that end first, if `threads` take tasks of all parts in turn. */
static void cut_tasks(side *own, side *shared, int64_t own_max, int64_t n_parts, int threads)
{
    double best = INFINITY;
    const int64_t most = smaller(round_up(own_max - own->panel + 1, own->panel),
                                 round_up(own->count, own->panel));
    const int64_t cuts = smaller(2 * threads, ceiling(shared->count, shared->panel));
    for (int64_t down = 1; down <= cuts; down++) {
        const int64_t shared_task = round_up(ceiling(shared->count, down), shared->panel);
        const int64_t rows = n_parts * ceiling(shared->count, shared_task);
        for (int64_t own_task = most; own_task > 0; own_task -= own->panel) {
            const int64_t rounds = ceiling(rows * ceiling(own->count, own_task), threads);
            const double cost = (double)rounds * task_cost(own_task, shared_task);
            if (cost >= best)
                continue;
            best = cost;
            own->task = own_task;
            shared->task = shared_task;
        }
    }
}

/* Neighbouring tasks share the shared side's part. */
typedef struct task {
    const pare_gemm_part *part;
    int64_t i0, rows, j0, columns; /* of the part's C */
} task;

static int64_t count_tasks(const product *p)
{
    return p->n_parts * ceiling(p->a.count, p->a.task) * ceiling(p->b.count, p->b.task);
}

static task task_at(const product *p, int64_t number)
{
    int64_t across = ceiling(p->own->count, p->own->task);
    int64_t own = number % across * p->own->task, row = number / across;
    int64_t shared = row / p->n_parts * p->shared->task;
    int64_t i0 = p->own == &p->a ? own : shared, j0 = p->own == &p->a ? shared : own;
    return (task){p->parts + row % p->n_parts, i0, smaller(p->a.task, p->a.count - i0), j0,
                  smaller(p->b.task, p->b.count - j0)};
}

/* ---- Phase 1: packing the shared side ---- */

static void pack(const side *s, pare_numbers whole, real *to, int64_t start, int64_t count,
                 int64_t k0, int64_t depth)
{
    const int64_t at = s->along ? start * s->stride + k0 : k0 * s->stride + start;
    s->pack(to, pare_numbers_at(whole, at), s->stride, s->along, count, depth);
}

static int64_t pack_group(const side *s)
{
    return round_up(PACK_GROUP, s->panel);
}

/* Where, in the packed shared side, a block of k begins at a panel's first row or column. */
static int64_t place_of(const product *p, int64_t start, int64_t k0)
{
    return pare_gemm_packed_depth(p->with, k0) * round_up(p->shared->count, p->shared->panel) +
           start * pare_gemm_packed_depth(p->with, smaller(p->depth, p->k - k0));
}

static int64_t count_pack_tiles(const product *p)
{
    return ceiling(p->shared->count, pack_group(p->shared)) * ceiling(p->k, p->depth);
}

static void pack_shared_tile(void *context, int64_t tile)
{
    const product *p = context;
    const side *s = p->shared;
    int64_t group = pack_group(s), groups = ceiling(s->count, group);
    int64_t k0 = tile / groups * p->depth, start = tile % groups * group;
    pack(s, p->common, p->packed_shared + place_of(p, start, k0), start,
         smaller(group, s->count - start), k0, smaller(p->depth, p->k - k0));
}

/* ---- Phase 2: the tasks ---- */

/* A task's part of C and one block of k. */
typedef struct block {
    const product *p;
    task t;
    const real *a, *b; /* packed panels of the task's rows and columns */
    int64_t depth; /* packed */
    bool first;
    real *sums; /* of the tiles that meet one shared panel, while it is met chunk by chunk */
} block;

/* Some of a block's packed steps. */
typedef struct chunk {
    int64_t start, depth;
} chunk;

/* The tile at row i and column j of the task. Each of the `shares` tiles that meet one shared panel
 * has its share of the next one fetched meanwhile. */
static void run_tile(const block *k, int64_t i, int64_t j, int64_t share, int64_t shares, chunk c)
{
    const product *p = k->p;
    const task *t = &k->t;
    pare_gemm_tile tile = {
        .c = t->part->c + (t->i0 + i) * p->ldc + t->j0 + j,
        .ldc = p->ldc,
        .a = k->a + i * (p->direct ? p->a.stride : k->depth) + c.start * p->a.panel,
        .lda = p->direct ? p->a.stride : 0,
        .b = k->b + j * k->depth + c.start * p->b.panel,
        .depth = c.depth,
        .rows = smaller(p->a.panel, t->rows - i),
        .columns = smaller(p->b.panel, t->columns - j),
        .bias = k->first && t->part->bias ? t->part->bias + t->j0 + j : NULL,
        .add = t->part->accumulate || !k->first,
        .far = t->part->far,
        .sums = c.depth < k->depth ? k->sums + share * p->a.panel * p->b.panel : NULL,
        .resumed = c.start > 0,
        .more = c.start + c.depth < k->depth,
    };
    tile.next_c = tile.c + (p->own == &p->a ? p->a.panel * p->ldc : p->b.panel);
    const int64_t bytes = p->shared->panel * (int64_t)sizeof(real); /* a step of depth */
    tile.ahead_step = bytes / shares;
    tile.ahead = (const char *)(p->own == &p->a ? tile.b : tile.a) + bytes * k->depth +
                 share * tile.ahead_step * c.depth;
    p->with->run(&tile);
}

/* A chunk of a shared panel stays in the L1 cache while all own panels meet it. */
static int64_t chunk_depth(const block *k, int64_t shares)
{
    const pare_gemm_kernels *with = k->p->with;
    if (!with->chunk || shares < CHUNK_SHARES || k->depth <= 2 * with->chunk)
        return k->depth;
    return round_up(ceiling(k->depth, ceiling(k->depth, with->chunk)), with->step);
}

static void run_block(const block *k)
{
    const product *p = k->p;
    const bool own_a = p->own == &p->a;
    const int64_t shares = ceiling(own_a ? k->t.rows : k->t.columns, p->own->panel);
    const int64_t shared_count = own_a ? k->t.columns : k->t.rows;
    const int64_t step = chunk_depth(k, shares);
    for (int64_t shared = 0; shared < shared_count; shared += p->shared->panel)
        for (int64_t start = 0; start < k->depth; start += step)
            for (int64_t share = 0; share < shares; share++) {
                const int64_t own = share * p->own->panel;
                run_tile(k, own_a ? own : shared, own_a ? shared : own, share, shares,
                         (chunk){start, smaller(step, k->depth - start)});
            }
}

/* The shared side is packed by then, or about to be by another thread. */
static void await_shared(product *p)
{
    for (int spins = 0; atomic_load_explicit(&p->packed, memory_order_acquire) < p->pack_tiles;)
        if (++spins > 2000)
            sched_yield();
}

/* The task's piece of the own side, of one block of k. */
static const real *own_piece(const product *p, const task *t, int64_t k0)
{
    const bool own_a = p->own == &p->a;
    const int64_t start = own_a ? t->i0 : t->j0, count = own_a ? t->rows : t->columns;
    if (p->direct)
        return (const real *)t->part->own.data + start * p->own->stride + k0;
    real *own = p->packed_own + pare_thread_index() * p->packed_own_size;
    pack(p->own, t->part->own, own, start, count, k0, smaller(p->depth, p->k - k0));
    return own;
}

static void run_task(product *p, int64_t number)
{
    block k = {.p = p, .t = task_at(p, number)};
    k.sums = p->packed_own + (pare_thread_index() + 1) * p->packed_own_size -
             sums_size(p->with, p->own->count);
    const real *packed_shared = p->shared->packed ? p->shared->packed : p->packed_shared;
    bool own_a = p->own == &p->a;
    if (p->with->begin)
        p->with->begin();
    for (int64_t k0 = 0; k0 < p->k; k0 += p->depth) {
        k.depth = pare_gemm_packed_depth(p->with, smaller(p->depth, p->k - k0));
        k.first = k0 == 0;
        const real *shared =
            packed_shared + place_of(p, own_a ? k.t.j0 : k.t.i0, k0);
        const real *own = own_piece(p, &k.t, k0);
        k.a = own_a ? own : shared;
        k.b = own_a ? shared : own;
        if (k.first)
            await_shared(p);
        run_block(&k);
    }
    if (p->with->end)
        p->with->end();
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
    const pare_gemm_part *part = t->part;
    for (int64_t i = t->i0; i < t->i0 + t->rows; i++)
        for (int64_t j = t->j0; j < t->j0 + t->columns; j++) {
            real x = part->bias ? part->bias[j] : 0, *c = part->c + i * p->ldc + j;
            *c = add ? *c + x : x;
        }
}

static void run_blis_task(void *context, int64_t number)
{
    const product *p = context;
    task t = task_at(p, number);
    const real *a = p->own == &p->a ? t.part->own.data : p->common.data;
    const real *b = p->own == &p->b ? t.part->own.data : p->common.data;
    pare_blis_gemm(t.part->c + t.i0 * p->ldc + t.j0, p->ldc,
                   a + t.i0 * (p->a.along ? p->a.stride : 1), p->a.stride, !p->a.along,
                   b + t.j0 * (p->b.along ? p->b.stride : 1), p->b.stride, p->b.along, t.rows,
                   t.columns, p->k, t.part->accumulate);
    if (t.part->bias)
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
    return round_up(round_up(count, panel) * pare_gemm_packed_depth(with, k), 16);
}

static int64_t own_size(const pare_gemm_kernels *with, int64_t count, int64_t panel, int64_t k)
{
    return round_up(round_up(smaller(count, with->task), panel) *
                        pare_gemm_packed_depth(with, block_depth(with, k)), 16) +
           sums_size(with, count);
}

size_t pare_gemm_parts_workspace(bool own_a, int64_t m, int64_t n, int64_t k)
{
    const pare_gemm_kernels *with = pare_gemm_kernels_get();
    const int64_t elements =
        own_a ? shared_size(with, n, with->columns, k) +
                    pare_threads() * own_size(with, m, with->rows, k)
              : shared_size(with, m, with->rows, k) +
                    pare_threads() * own_size(with, n, with->columns, k);
    return 64 + (pare_gemm_by_blis() ? 0 : (size_t)elements * sizeof(real));
}

/* For pare_gemm_packed too, whose shared side is there already. */
size_t pare_gemm_workspace(int64_t m, int64_t n, int64_t k)
{
    const pare_gemm_kernels *with = pare_gemm_kernels_get();
    const size_t unpacked = pare_gemm_parts_workspace(m > n, m, n, k);
    const size_t packed =
        64 + (size_t)(pare_threads() * own_size(with, m, with->rows, k)) * sizeof(real);
    return packed > unpacked && !pare_gemm_by_blis() ? packed : unpacked;
}

static void run_packed(product *p, void *workspace, bool serial)
{
    const side *shared = p->shared;
    p->packed_shared = (real *)(((uintptr_t)workspace + 63) & ~(uintptr_t)63);
    p->packed_own = p->packed_shared;
    if (!shared->packed)
        p->packed_own += shared_size(p->with, shared->count, shared->panel, p->k);
    p->packed_own_size = own_size(p->with, p->own->count, p->own->panel, p->k);
    p->pack_tiles = shared->packed ? 0 : count_pack_tiles(p);
    run_tiles(serial, p->pack_tiles + count_tasks(p), run_step, p);
}

/* What a call and the kernels say; the rest follows. */
static product product_of(const pare_gemm_part *parts, int64_t n_parts, int64_t ldc, int64_t m,
                          int64_t n, int64_t k)
{
    const pare_gemm_kernels *with = pare_gemm_kernels_get();
    return (product){.with = with, .parts = parts, .n_parts = n_parts, .ldc = ldc, .k = k,
                     .depth = block_depth(with, k),
                     .a = {.count = m, .panel = with->rows, .pack = with->pack_a},
                     .b = {.count = n, .panel = with->columns, .pack = with->pack_b}};
}

/* A product over nothing. */
static void fill_with_bias(product *p, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < p->n_parts; i++)
        add_bias(p, &(task){p->parts + i, 0, m, 0, n}, p->parts[i].accumulate);
}

static void run_product(product *p, bool own_a, void *workspace)
{
    const int64_t m = p->a.count, n = p->b.count;
    if (m <= 0 || n <= 0)
        return;
    if (p->k <= 0) {
        fill_with_bias(p, m, n);
        return;
    }
    bool serial = (double)(m * p->n_parts) * (double)n * (double)p->k < SERIAL_WORK;
    p->own = own_a ? &p->a : &p->b;
    p->shared = own_a ? &p->b : &p->a;
    cut_tasks(p->own, p->shared, pare_gemm_by_blis() ? BLIS_MAX : p->with->task, p->n_parts,
              serial ? 1 : pare_threads());
    p->direct = p->with->direct && own_a && p->a.along && !p->parts->own.half &&
                (n <= DIRECT_MAX || (p->b.packed && m <= DIRECT_PANELS * p->a.panel));
    if (pare_gemm_by_blis()) {
        pare_blis_start();
        run_tiles(serial, count_tasks(p), run_blis_task, p);
    } else {
        run_packed(p, workspace, serial);
    }
}

void pare_gemm_parts(const pare_gemm_part *parts, int64_t n_parts, bool own_a, int64_t ldc,
                     pare_numbers common, int64_t lda, bool a_transposed, int64_t ldb,
                     bool b_transposed, int64_t m, int64_t n, int64_t k, void *workspace)
{
    product p = product_of(parts, n_parts, ldc, m, n, k);
    p.common = common;
    p.a.stride = lda;
    p.a.along = !a_transposed;
    p.b.stride = ldb;
    p.b.along = b_transposed;
    run_product(&p, own_a, workspace);
}

void pare_gemm(real *c, int64_t ldc, const real *a, int64_t lda, bool a_transposed, const real *b,
               int64_t ldb, bool b_transposed, int64_t m, int64_t n, int64_t k, bool accumulate,
               const real *bias, void *workspace)
{
    const bool own_a = m > n;
    const pare_gemm_part one = {c, pare_reals(own_a ? a : b), bias, accumulate, false};
    pare_gemm_parts(&one, 1, own_a, ldc, pare_reals(own_a ? b : a), lda, a_transposed, ldb,
                    b_transposed, m, n, k, workspace);
}

/* ---- B packed before ---- */

size_t pare_gemm_packed_size(int64_t n, int64_t k)
{
    const pare_gemm_kernels *with = pare_gemm_kernels_get();
    return pare_gemm_by_blis() ? 0 : (size_t)shared_size(with, n, with->columns, k) * sizeof(real);
}

void pare_gemm_pack_b(real *packed, const real *b, int64_t ldb, int64_t n, int64_t k)
{
    product p = product_of(NULL, 0, 0, 0, n, k);
    p.common = pare_reals(b);
    p.b.stride = ldb;
    p.b.along = true;
    p.shared = &p.b;
    p.packed_shared = packed;
    pare_parallel(k > 0 ? count_pack_tiles(&p) : 0, pack_shared_tile, &p);
}

void pare_gemm_packed(real *c, int64_t ldc, pare_numbers a, int64_t lda, const real *packed,
                      int64_t m, int64_t n, int64_t k, const real *bias, void *workspace)
{
    const pare_gemm_part one = {c, a, bias, false, false};
    product p = product_of(&one, 1, ldc, m, n, k);
    p.a.stride = lda;
    p.a.along = true;
    p.b.packed = packed;
    run_product(&p, true, workspace);
}
