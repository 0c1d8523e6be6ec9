/* tests/fuzz/fuzz_zip.c: a zip archive, and what its entries unpack to. */
#include "tests/fuzz/fuzz.h"

#include "core/checksum.h"
#include "models/zip.h"

static void fuzz(const unsigned char *bytes, size_t size)
{
    pare_zip zip;
    pare_arena *arena = pare_arena_new("fuzz");
    fuzz_check(arena);
    if (fuzz_read(pare_zip_open(bytes, size, "archive", arena, &zip)))
        for (size_t i = 0; i < zip.n; i++) {
            const unsigned char *data;
            fuzz_check(pare_zip_find(&zip, zip.entries[i].name) == &zip.entries[i]);
            if (fuzz_read(pare_zip_unpack(&zip, &zip.entries[i], &data)))
                fuzz_check(pare_crc32(0, data, zip.entries[i].size) == zip.entries[i].crc);
        }
    pare_arena_free(arena);
}
