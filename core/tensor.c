/* tensor.c: see tensor.h. */
#include "core/tensor.h"

#include "core/status.h"

pare_tensor *pare_tensor_new(pare_arena *arena, int64_t rows, int64_t cols)
{
    int64_t size, bytes;
    if (rows < 0 || cols < 0 || __builtin_mul_overflow(rows, cols, &size) ||
        __builtin_mul_overflow(size, (int64_t)sizeof(real), &bytes)) {
        pare_fail(PARE_MEMORY, "a tensor of %lld x %lld is too large", (long long)rows,
                  (long long)cols);
        return NULL;
    }
    pare_tensor *x = pare_arena_alloc(arena, sizeof *x);
    real *data = x ? pare_arena_alloc(arena, (size_t)bytes) : NULL;
    if (!data)
        return NULL;
    *x = (pare_tensor){.data = data, .rows = rows, .cols = cols};
    return x;
}
