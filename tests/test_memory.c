/* test_memory.c: arenas. */
#include "tests/harness.h"

enum { MEGABYTE = 1 << 20 };

/* A step that is larger than those before finds room where they were: nothing is cleared anew. */
static void test_an_emptied_arena_has_room(void **state)
{
    (void)state;
    pare_arena *arena = pare_arena_new("test");
    assert_non_null(arena);
    const pare_mark empty = pare_arena_mark(arena);
    assert_non_null(pare_arena_alloc(arena, MEGABYTE));
    assert_non_null(pare_arena_alloc(arena, MEGABYTE));
    pare_arena_release(arena, empty);
    const void *place = pare_arena_alloc(arena, MEGABYTE);
    assert_non_null(place);
    pare_arena_release(arena, empty);
    assert_ptr_equal(pare_arena_alloc(arena, 6 * MEGABYTE), place);
    pare_arena_release(arena, empty);
    assert_int_equal(pare_arena_used(arena), 0);
    assert_int_equal(pare_arena_peak(arena), 6 * MEGABYTE);
    pare_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_an_emptied_arena_has_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
