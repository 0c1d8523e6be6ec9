/* flop_time.c: which is faster, a dense product or two thinner ones (flop.h). */
#include "core/clock.h"
#include "core/gemm.h"
#include "prune/flop.h"

enum { ROWS = 800, TURNS = 15 };

/* Matrices of zeros, of the sizes that are timed. */
typedef struct contest {
    int64_t in, out, rank;
    real *x, *w, *h, *y;
    void *workspace;
} contest;

static void multiply(const contest *c, const real *x, int64_t in, real *y, int64_t out)
{
    pare_gemm(y, out, x, in, false, c->w, in, true, ROWS, out, in, false, NULL, c->workspace);
}

/* How much longer the factors take in one turn. */
static double turn(const contest *c)
{
    const double start = pare_seconds();
    multiply(c, c->x, c->in, c->y, c->out);
    const double between = pare_seconds();
    multiply(c, c->x, c->in, c->h, c->rank);
    multiply(c, c->h, c->rank, c->y, c->out);
    return pare_seconds() - between - (between - start);
}

static bool dense_wins(const contest *c)
{
    double differences[TURNS];
    (void)turn(c); /* caches and threads wake up */
    for (int i = 0; i < TURNS; i++)
        differences[i] = turn(c);
    pare_sort_doubles(differences, TURNS);
    return pare_quantile(differences, TURNS, 0.5) > 0;
}

bool pare_flop_dense_is_faster(int64_t in, int64_t out, int64_t rank)
{
    size_t largest = pare_gemm_workspace(ROWS, out, in);
    const size_t first = pare_gemm_workspace(ROWS, rank, in);
    const size_t second = pare_gemm_workspace(ROWS, out, rank);
    largest = first > largest ? first : largest;
    largest = second > largest ? second : largest;
    contest c = {in, out, rank,
                 pare_calloc((size_t)(ROWS * in), sizeof(real)),
                 pare_calloc((size_t)(in * out), sizeof(real)),
                 pare_calloc((size_t)(ROWS * rank), sizeof(real)),
                 pare_calloc((size_t)(ROWS * out), sizeof(real)), pare_malloc(largest)};
    const bool faster = c.x && c.w && c.h && c.y && c.workspace && dense_wins(&c);
    pare_free(c.x);
    pare_free(c.w);
    pare_free(c.h);
    pare_free(c.y);
    pare_free(c.workspace);
    return faster;
}
