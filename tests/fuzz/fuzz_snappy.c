/* tests/fuzz/fuzz_snappy.c: a block that snappy has compressed. */
#include "tests/fuzz/fuzz.h"

#include "models/snappy.h"

enum { MOST = 8 << 20 }; /* what a table's block may become */

static void fuzz(const unsigned char *bytes, size_t size)
{
    pare_wire in = {bytes, bytes + size, false};
    uint64_t unpacked;
    if (!pare_snappy_size(&in, &unpacked) || unpacked > MOST)
        return;
    unsigned char *out = malloc(unpacked);
    fuzz_check(out || unpacked == 0);
    (void)pare_snappy_unpack(out, unpacked, in);
    free(out);
}
