/* philox.h: counter-based random numbers, so that any number can be made at any time.
 *
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a block of
 * four 32-bit words is a pure function of a 64-bit key and a 128-bit counter. There is no state:
 * resuming a run needs no generator to be saved, and the order of the work cannot matter.
 *
 * key = seed; counter = (a, b, c, step ^ purpose << 28): see pare_random. */
#ifndef PARE_CORE_PHILOX_H
#define PARE_CORE_PHILOX_H

#include <stdint.h>

/* What a number is for: two purposes never share a stream. */
typedef enum pare_purpose {
    PARE_RANDOM_SHUFFLE = 1,
    PARE_RANDOM_INIT,
    PARE_RANDOM_DROPOUT,
    PARE_RANDOM_GATE,
    PARE_RANDOM_DATA
} pare_purpose;

typedef struct pare_random_block {
    uint32_t word[4];
} pare_random_block;

/* The raw function, as published (its known-answer vectors are in the tests). */
pare_random_block pare_philox(const uint32_t key[2], const uint32_t counter[4]);

/* One block of the stream (seed, purpose, step), at (a, b, c). step < 2^28. */
pare_random_block pare_random(uint64_t seed, pare_purpose purpose, uint64_t step, uint32_t a,
                              uint32_t b, uint32_t c);

/* Uniform in [0, 1) with 32 bits, and standard normal (Box-Muller), of element `index`. */
double pare_random_uniform(uint64_t seed, pare_purpose purpose, uint64_t step, uint64_t index);
double pare_random_normal(uint64_t seed, pare_purpose purpose, uint64_t step, uint64_t index);

/* order[0..n) becomes a permutation of 0..n-1: Fisher-Yates, a function of (seed, epoch) alone. */
void pare_random_shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t epoch);

#endif
