/* half.h: bf16, the upper half of a float: what products in bf16 read. */
#ifndef PARE_CORE_HALF_H
#define PARE_CORE_HALF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/real.h"

typedef uint16_t pare_half __attribute__((may_alias));

/* From a float's bits: rounded to nearest, ties to even; NaN stays NaN. */
static inline uint32_t pare_half_of(uint32_t bits)
{
    const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    return ((bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded) >> 16;
}

static inline pare_half pare_half_from(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (pare_half)pare_half_of(bits);
}

/* A matrix of reals, or of halves: what is between two products that round it to bf16 anyway takes
 * half the memory. */
typedef struct pare_numbers {
    const void *data;
    bool half;
} pare_numbers;

static inline pare_numbers pare_reals(const real *x)
{
    return (pare_numbers){x, false};
}

/* From element `at` on. */
static inline pare_numbers pare_numbers_at(pare_numbers x, int64_t at)
{
    const int64_t size = x.half ? sizeof(pare_half) : sizeof(real);
    return (pare_numbers){(const char *)x.data + at * size, x.half};
}

#endif
