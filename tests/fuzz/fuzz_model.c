/* tests/fuzz/fuzz_model.c: what models/model_file.c reads of a model file. The input is one of its
 * texts, picked by the first byte, in a file that is whole otherwise; blanks fill what is too
 * short. HDF5's checksum of the object header that holds the attributes is made right. */
#include "tests/fuzz/fuzz_seal.h"

#include "models/model.h"

enum { MOST = 1 << 15 };

static unsigned char whole[MOST], changed[MOST];
static size_t whole_size;

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

/* The text that begins like this, up to the first byte that is none; its length. */
static size_t find_text(const char *begin, unsigned char **text)
{
    size_t n = 0;
    *text = memmem(changed, whole_size, begin, strlen(begin));
    fuzz_check(*text);
    while ((*text)[n] == '\n' || ((*text)[n] >= ' ' && (*text)[n] < 127))
        n++;
    return n;
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    static const char *const texts[] = {"{\"model_type\"", "[PAD]\n", "[\"contra\"", "classify",
                                        "[{\"command\""};
    unsigned char *text;
    pare_model *model = NULL;
    if (whole_size == 0)
        whole_size = fuzz_tiny(whole, sizeof whole - 1);
    if (size < 1)
        return;
    memcpy(changed, whole, whole_size);
    size_t n = find_text(texts[bytes[0] % (sizeof texts / sizeof *texts)], &text);
    memset(text, ' ', n);
    memcpy(text, bytes + 1, size - 1 < n ? size - 1 : n);
    unsigned char *root = memmem(changed, whole_size, "OHDR\2", 5);
    fuzz_check(root);
    mend_header(root, whole_size - (size_t)(root - changed));
    const char *path = fuzz_sealed("model.h5", changed, whole_size);
    if (fuzz_read(pare_model_open(path, &model)))
        fuzz_check(model);
    pare_model_free(model);
}
