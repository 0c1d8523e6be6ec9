/* bench_gemm: how near products come to what the registers can do.
 *
 *   bench_gemm [bf16] [tokens [threads ...]]      PARE_KERNELS chooses the path
 *
 * Prints GFLOP/s of a linear map's three products, and each as a share of the register peak that
 * was measured beside it, run by run: other programs on the machine then slow both alike. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/gemm.h"
#include "core/clock.h"
#include "core/memory.h"
#include "core/threads.h"

enum { RUNS = 40 };

typedef struct layer {
    int64_t tokens, in, out;
    real *x, *w, *y; /* [tokens, in], [out, in], [tokens, out] */
    void *workspace;
    pare_arena *arena; /* of all: as in training, large pages where the system has them */
} layer;

/* kind 0: y = x w^T. 1: dx = dy w. 2: dw += dy^T x. */
static void product(const layer *l, int kind)
{
    int64_t t = l->tokens, in = l->in, out = l->out;
    if (kind == 0)
        pare_gemm(l->y, out, l->x, in, false, l->w, in, true, t, out, in, false, NULL,
                  l->workspace);
    else if (kind == 1)
        pare_gemm(l->x, in, l->y, out, false, l->w, in, false, t, in, out, false, NULL,
                  l->workspace);
    else
        pare_gemm(l->w, in, l->y, out, true, l->x, in, false, out, in, t, true, NULL,
                  l->workspace);
}

static size_t workspace_size(const layer *l)
{
    size_t a = pare_gemm_workspace(l->tokens, l->out, l->in);
    size_t b = pare_gemm_workspace(l->tokens, l->in, l->out);
    size_t c = pare_gemm_workspace(l->out, l->in, l->tokens);
    return a > b ? (a > c ? a : c) : (b > c ? b : c);
}

static void layer_open(layer *l)
{
    size_t x = (size_t)(l->tokens * l->in), w = (size_t)(l->in * l->out);
    size_t y = (size_t)(l->tokens * l->out);
    l->arena = pare_arena_new("bench");
    l->x = l->arena ? pare_arena_zalloc(l->arena, x * sizeof(real)) : NULL;
    l->w = l->arena ? pare_arena_zalloc(l->arena, w * sizeof(real)) : NULL;
    l->y = l->arena ? pare_arena_zalloc(l->arena, y * sizeof(real)) : NULL;
    l->workspace = l->arena ? pare_arena_alloc(l->arena, workspace_size(l)) : NULL;
    if (!l->x || !l->w || !l->y || !l->workspace) {
        fprintf(stderr, "error: %s\n", pare_error_message());
        exit(PARE_MEMORY);
    }
}

static void bench(int64_t tokens, int64_t in, int64_t out)
{
    static const char *const names[] = {"y = x w'", "dx = dy w", "dw += dy' x"};
    layer l = {.tokens = tokens, .in = in, .out = out};
    layer_open(&l);
    printf("%5lld %5lld %5lld", (long long)tokens, (long long)in, (long long)out);
    for (int kind = 0; kind < 3; kind++) {
        double best = INFINITY, peak = 0;
        for (int run = 0; run < RUNS; run++) {
            double start = pare_seconds();
            product(&l, kind);
            best = fmin(best, pare_seconds() - start);
            peak = fmax(peak, pare_gemm_peak());
        }
        double speed = 2e-9 * (double)tokens * (double)in * (double)out / best;
        printf("   %-11s %5.0f %3.0f%% %8.3f ms", names[kind], speed, 100 * speed / peak,
               1e3 * best);
        if (kind == 2)
            printf("   peak %.0f", peak);
    }
    printf("\n");
    pare_arena_free(l.arena);
}

int main(int argc, char **argv)
{
    static const int64_t shapes[][2] = {{384, 384},  {384, 1536}, {1536, 384},
                                        {768, 768},  {768, 3072}, {3072, 768}};
    const bool bf16 = argc > 1 && strcmp(argv[1], "bf16") == 0;
    argc -= bf16;
    argv += bf16;
    int64_t tokens = argc > 1 ? atoll(argv[1]) : 416;
    if (pare_kernels_set_from_environment() != PARE_OK ||
        pare_gemm_precision_set(bf16 ? PARE_PRECISION_BF16 : PARE_PRECISION_FP32) != PARE_OK) {
        fprintf(stderr, "error: %s\nhelp: %s\n", pare_error_message(), pare_error_hint());
        return PARE_USAGE;
    }
    for (int i = 2; i < argc || i == 2; i++) {
        pare_threads_set(i < argc ? atoi(argv[i]) : 0);
        printf("%s, %d threads; tokens, in, out\n", pare_gemm_path(), pare_threads());
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            bench(tokens, shapes[s][0], shapes[s][1]);
    }
    return PARE_OK;
}
