/* philox.c: see philox.h. */
#include "core/philox.h"

#include <math.h>

#include "core/elementary.h"

/* Multipliers and key increments as published (Salmon et al. 2011, section 3.3). */
pare_random_block pare_philox(const uint32_t key[2], const uint32_t counter[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t old1 = c1, old3 = c3;
        c0 = (uint32_t)(p1 >> 32) ^ old1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ old3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (pare_random_block){{c0, c1, c2, c3}};
}

pare_random_block pare_random(uint64_t seed, pare_purpose purpose, uint64_t step, uint32_t a,
                              uint32_t b, uint32_t c)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {a, b, c, (uint32_t)step ^ (uint32_t)purpose << 28};
    return pare_philox(key, counter);
}

static pare_random_block at_index(uint64_t seed, pare_purpose purpose, uint64_t step,
                                  uint64_t index)
{
    return pare_random(seed, purpose, step, (uint32_t)index, (uint32_t)(index >> 32),
                       (uint32_t)(step >> 28));
}

double pare_random_uniform(uint64_t seed, pare_purpose purpose, uint64_t step, uint64_t index)
{
    return at_index(seed, purpose, step, index).word[0] * 0x1p-32;
}

double pare_random_normal(uint64_t seed, pare_purpose purpose, uint64_t step, uint64_t index)
{
    pare_random_block r = at_index(seed, purpose, step, index);
    double u = (r.word[0] + 0.5) * 0x1p-32; /* never 0, so the logarithm is finite */
    double v = r.word[1] * 0x1p-32;
    double cosine, sine;
    pare_circle(v, &cosine, &sine);
    return sqrt(-2.0 * pare_log(u)) * cosine;
}

void pare_random_shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t epoch)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        pare_random_block r = at_index(seed, PARE_RANDOM_SHUFFLE, epoch, (uint64_t)i);
        uint64_t wide = (uint64_t)r.word[0] << 32 | r.word[1]; /* bias below 2^-31: not seen */
        int64_t j = (int64_t)(wide % (uint64_t)(i + 1));
        int64_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}
