/* snappy.c: literals and copies; nothing is written past the announced size. */
#include "models/snappy.h"

#include <string.h>

enum { LITERAL = 0, COPY_1 = 1, COPY_2 = 2, COPY_4 = 3, MOST_OF_A_BYTE = 64 };

bool pare_snappy_size(pare_wire *in, uint64_t *size)
{
    *size = pare_wire_varint(in);
    return !in->broken && *size / MOST_OF_A_BYTE <= (uint64_t)(in->end - in->at);
}

/* A little-endian number of 1 to 4 bytes. */
static uint64_t number(pare_wire *in, uint64_t width)
{
    uint64_t value = 0;
    const unsigned char *bytes = pare_wire_take(in, width);
    for (uint64_t i = 0; bytes && i < width; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

/* The length of a literal is the tag's upper six bits, or so many bytes more from 60 on. */
static bool put_literal(unsigned char *out, uint64_t *at, uint64_t size, uint64_t length,
                        pare_wire *in)
{
    if (length >= 60)
        length = number(in, length - 59);
    length++;
    const unsigned char *bytes = pare_wire_take(in, length);
    if (!bytes || length > size - *at)
        return false;
    memcpy(out + *at, bytes, length);
    *at += length;
    return true;
}

/* Byte by byte: a copy may reach into what it makes. */
static bool put_copy(unsigned char *out, uint64_t *at, uint64_t size, uint64_t length,
                     uint64_t distance)
{
    if (distance == 0 || distance > *at || length > size - *at)
        return false;
    for (uint64_t i = 0; i < length; i++, ++*at)
        out[*at] = out[*at - distance];
    return true;
}

bool pare_snappy_unpack(unsigned char *out, uint64_t size, pare_wire in)
{
    uint64_t at = 0;
    bool good = true;
    while (good && in.at < in.end) {
        uint64_t tag = number(&in, 1), upper = tag >> 2, high = tag >> 5 << 8;
        switch (tag & 3) {
        case LITERAL: good = put_literal(out, &at, size, upper, &in); break;
        case COPY_1: good = put_copy(out, &at, size, 4 + (upper & 7), high | number(&in, 1)); break;
        case COPY_2: good = put_copy(out, &at, size, 1 + upper, number(&in, 2)); break;
        case COPY_4: good = put_copy(out, &at, size, 1 + upper, number(&in, 4)); break;
        }
        good = good && !in.broken;
    }
    return good && at == size;
}
