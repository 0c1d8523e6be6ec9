/* tests/pair_kernels_main.h: the test program of the kernels EMULATED (a list), by tiles and under
 * all of core/gemm.c; where that is not defined, one that skips. */
#include "tests/pair_kernels.h"

#include "core/gemm.h"
#include "core/gemm_path.h"
#include "core/memory.h"
#include "core/threads.h"

#ifdef EMULATED
static const pare_gemm_kernels *const emulated[] = {EMULATED}, *in_use;
enum { N_EMULATED = sizeof emulated / sizeof *emulated };
#endif

static void test_emulated(void **state)
{
    (void)state;
#ifdef EMULATED
    for (int i = 0; i < N_EMULATED; i++)
        check_kernels(emulated[i]);
#else
    skip();
#endif
}

#ifdef EMULATED
/* Instead of core/gemm_path.c's: products of this program go through the emulated kernels. */
const pare_gemm_kernels *pare_gemm_kernels_get(void)
{
    return in_use;
}

bool pare_gemm_by_blis(void)
{
    return false;
}

enum { WHOLE_SIDE = 140, WHOLE_DEPTH = 1541 };

typedef struct whole {
    float a[WHOLE_SIDE * WHOLE_DEPTH], b[WHOLE_SIDE * WHOLE_DEPTH];
    float c[WHOLE_SIDE * WHOLE_SIDE], packed_c[WHOLE_SIDE * WHOLE_SIDE], bias[WHOLE_SIDE];
    float packed[2 * WHOLE_SIDE * WHOLE_DEPTH] __attribute__((aligned(64)));
} whole;

static double as_multiplied(float x)
{
    return in_use->terms > 1 ? (double)x : nearest_bf16(x);
}

static void expect_whole(const whole *w, int64_t m, int64_t n, int64_t k, bool ta, bool tb,
                         bool add)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = (double)w->bias[j] + (add ? 1 : 0), size = fabs(sum) + 1;
            for (int64_t p = 0; p < k; p++) {
                const double x = as_multiplied(w->a[ta ? p * m + i : i * k + p]) *
                                 as_multiplied(w->b[tb ? j * k + p : p * n + j]);
                sum += x;
                size += fabs(x);
            }
            expect_sum(w->c[i * n + j], sum, size, (int64_t[]){m, n, k}, ta, tb, i, j);
        }
}

static void check_whole(whole *w, int64_t m, int64_t n, int64_t k, int kind)
{
    const bool ta = kind & 1, tb = kind & 2, add = kind == 1;
    void *workspace = pare_malloc(pare_gemm_workspace(m, n, k));
    assert_non_null(workspace);
    for (int64_t i = 0; i < m * n; i++)
        w->c[i] = 1;
    pare_gemm(w->c, n, w->a, ta ? m : k, ta, w->b, tb ? k : n, tb, m, n, k, add, w->bias,
              workspace);
    expect_whole(w, m, n, k, ta, tb, add);
    if (kind == 2) {
        assert_true(pare_gemm_packed_size(n, k) <= sizeof w->packed);
        pare_gemm_pack_b(w->packed, w->b, k, n, k);
        pare_gemm_packed(w->packed_c, n, pare_reals(w->a), k, w->packed, m, n, k, w->bias,
                         workspace);
        assert_memory_equal(w->packed_c, w->c, (size_t)(m * n) * sizeof *w->c);
    }
    pare_free(workspace);
}

/* Several blocks of k, tasks and tiles at the edges; one thread, as the emulation has one state. */
static void test_whole_products(void **state)
{
    static const int64_t shapes[][3] = {{1, 1, 1},    {2, 3, 5},    {25, 96, 384},
                                        {37, 33, 70}, {140, 65, 800}, {65, 140, WHOLE_DEPTH},
                                        {33, 40, 769}};
    static whole w; /* aligned, as memory from calloc need not be */
    (void)state;
    pare_threads_set(1);
    for (int64_t i = 0; i < WHOLE_SIDE * WHOLE_DEPTH; i++) {
        w.a[i] = (float)((i * 7919 + 13) % 1009) / 512 - 1;
        w.b[i] = (float)((i * 6007 + 29) % 997) / 512 - 1;
    }
    for (int64_t i = 0; i < WHOLE_SIDE; i++)
        w.bias[i] = (float)(i % 9) / 4;
    for (int i = 0; i < N_EMULATED; i++) {
        in_use = emulated[i];
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (int kind = 0; kind < 4; kind++)
                check_whole(&w, shapes[s][0], shapes[s][1], shapes[s][2], kind);
    }
}
#else
static void test_whole_products(void **state)
{
    (void)state;
    skip();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_emulated),
        cmocka_unit_test(test_whole_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
