/* tests/fuzz/fuzz_store.c: a model file, from byte 512 on. The seal in front, and the checksums of
 * HDF5's superblock and object headers, are made right: what is behind them sees any bytes. */
#include "tests/fuzz/fuzz.h"

#include "core/checksum.h"
#include "core/seal.h"
#include "core/store.h"
#include "models/model.h"

enum { SUPERBLOCK = 44, CRC_AT = 43, ELEMENTS = 1 << 13 };

/* Bob Jenkins's lookup3, which HDF5 takes for checksums of its metadata. */
static uint32_t turn(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static uint32_t lookup3(const unsigned char *at, size_t n)
{
    static const int mix[6] = {4, 6, 8, 16, 19, 4}, last[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t s[3];
    s[0] = s[1] = s[2] = 0xdeadbeef + (uint32_t)n;
    for (;; at += 12, n -= 12) {
        for (size_t i = 0; i < 12 && i < n; i++)
            s[i / 4] += (uint32_t)at[i] << 8 * (i % 4);
        if (n <= 12)
            break;
        for (int i = 0; i < 6; i++) { /* a -= c; a ^= turn(c); c += b; and round */
            uint32_t *a = &s[i % 3], *b = &s[(i + 1) % 3], *c = &s[(i + 2) % 3];
            *a = (*a - *c) ^ turn(*c, mix[i]);
            *c += *b;
        }
    }
    for (int i = 0; n > 0 && i < 7; i++) { /* c ^= b; c -= turn(b); and round */
        uint32_t *x = &s[(i + 2) % 3], y = s[(i + 1) % 3];
        *x = (*x ^ y) - turn(y, last[i]);
    }
    return s[2];
}

static void mend(unsigned char *at, size_t n)
{
    uint32_t sum = lookup3(at, n);
    memcpy(at + n, &sum, sizeof sum);
}

/* An object header of version 2 at `at`, of which `left` bytes are there. */
static void mend_header(unsigned char *at, size_t left)
{
    unsigned flags = at[5];
    size_t digits = (size_t)1 << (flags & 3), start = 6 + (flags & 32 ? 16 : 0), size = 0;
    start += flags & 16 ? 4 : 0;
    if (left < start + digits)
        return;
    for (size_t i = 0; i < digits && i < 4; i++)
        size |= (size_t)at[start + i] << 8 * i;
    start += digits;
    if (size <= left - start && left - start - size >= 4)
        mend(at, start + size);
}

static void mend_hdf5(unsigned char *bytes, size_t size)
{
    if (size >= SUPERBLOCK + 4)
        mend(bytes, SUPERBLOCK);
    for (size_t i = 0; i + 8 <= size; i++)
        if (memcmp(bytes + i, "OHDR\2", 5) == 0)
            mend_header(bytes + i, size - i);
}

static void seal(unsigned char *file, size_t size)
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
    memcpy(file + CRC_AT, crc, 8);
}

static void read_arrays(pare_store *store)
{
    static double out[ELEMENTS];
    for (size_t i = 0; i < pare_store_count(store); i++) {
        const pare_array *a = pare_store_array(store, i);
        uint64_t bytes = pare_dtype_size(a->dtype);
        for (int d = 0; d < a->rank && bytes <= sizeof out; d++)
            bytes = (uint64_t)a->shape[d] > sizeof out ? sizeof out + 1
                                                       : bytes * (uint64_t)a->shape[d];
        if (bytes <= sizeof out)
            (void)fuzz_read(pare_store_read(store, a->name, a->dtype, out));
    }
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    unsigned char *file = malloc(PARE_SEAL_SIZE + size);
    pare_store *store = NULL;
    pare_model *model = NULL;
    fuzz_check(file);
    memcpy(file + PARE_SEAL_SIZE, bytes, size);
    mend_hdf5(file + PARE_SEAL_SIZE, size);
    seal(file, PARE_SEAL_SIZE + size);
    const char *path = fuzz_file("model.h5", file, PARE_SEAL_SIZE + size);
    free(file);
    fuzz_check(pare_store_verify(path) == PARE_OK);
    if (fuzz_read(pare_store_open(path, &store)))
        read_arrays(store);
    pare_store_close(store);
    if (fuzz_read(pare_model_open(path, &model)))
        fuzz_check(model);
    pare_model_free(model);
}
