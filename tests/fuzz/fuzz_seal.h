/* tests/fuzz/fuzz_seal.h: stores whose seal is right, whatever stands behind it. */
#ifndef PARE_TESTS_FUZZ_SEAL_H
#define PARE_TESTS_FUZZ_SEAL_H

#include "tests/fuzz/fuzz.h"

#include "core/checksum.h"
#include "core/seal.h"
#include "core/store.h"

static void fuzz_seal(unsigned char *file, size_t size)
{
    char text[PARE_SEAL_SIZE + 1], crc[9];
    int n = snprintf(text, sizeof text,
                     "pare %05d\nsize %020zu\ncrc32 00000000\n"
                     "An HDF5 file follows at byte 512; HDF5 opens this file as it is.\n"
                     "crc32 is over the whole file with its own eight digits as 00000000.\n",
                     PARE_FORMAT_VERSION, size);
    memset(file, ' ', PARE_SEAL_SIZE);
    memcpy(file, text, (size_t)n);
    file[PARE_SEAL_SIZE - 1] = '\n';
    snprintf(crc, sizeof crc, "%08x", (unsigned)pare_crc32(0, file, size));
    memcpy(file + strlen("pare 00001\nsize 12345678901234567890\ncrc32 "), crc, 8);
}

/* A model of a few thousand weights, from byte 512 on; its size. */
FUZZ_UNUSED static size_t fuzz_tiny(unsigned char *bytes, size_t most)
{
    FILE *file = fopen("tests/fuzz/corpus/store/model-tiny", "rb");
    fuzz_check(file);
    size_t size = fread(bytes, 1, most, file);
    fclose(file);
    return size;
}

/* The path of a file that holds these bytes behind their seal. */
static const char *fuzz_sealed(const char *name, const unsigned char *bytes, size_t size)
{
    unsigned char *file = malloc(PARE_SEAL_SIZE + size);
    fuzz_check(file);
    memcpy(file + PARE_SEAL_SIZE, bytes, size);
    fuzz_seal(file, PARE_SEAL_SIZE + size);
    const char *path = fuzz_file(name, file, PARE_SEAL_SIZE + size);
    free(file);
    fuzz_check(pare_store_verify(path) == PARE_OK);
    return path;
}

#endif
