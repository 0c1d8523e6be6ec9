/* tests/pair_kernels_main.h: the test program of the kernels EMULATED; where that is not defined,
 * one that skips. */
#include "tests/pair_kernels.h"

static void test_emulated(void **state)
{
    (void)state;
#ifdef EMULATED
    check_kernels(EMULATED);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_emulated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
