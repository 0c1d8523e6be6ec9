/* wire.h: numbers and fields as protocol buffers put them into bytes.
 *
 *   pare_wire in = {bytes, bytes + size, false};
 *   pare_wire_field f;
 *   while (pare_wire_next(&in, &f))
 *       if (f.tag == PARE_WIRE_TAG(1, PARE_WIRE_VARINT))
 *           dtype = f.value;
 *   if (in.broken) ...
 *
 * Nothing is read past `end`, and nothing is allocated. What does not fit sets `broken`, which
 * stays: everything after it is 0, NULL or false, so that one check at the end is enough.
 * Source: https://protobuf.dev/programming-guides/encoding */
#ifndef PARE_MODELS_WIRE_H
#define PARE_MODELS_WIRE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pare_wire {
    const unsigned char *at, *end; /* what is left */
    bool broken;
} pare_wire;

enum { PARE_WIRE_VARINT = 0, PARE_WIRE_64 = 1, PARE_WIRE_BYTES = 2, PARE_WIRE_32 = 5 };
#define PARE_WIRE_TAG(number, type) ((uint64_t)(number) << 3 | (type))

typedef struct pare_wire_field {
    uint64_t tag;    /* PARE_WIRE_TAG of its number and type: another type is another field */
    uint64_t value;  /* of a number; a negative int64 is 2^64 more */
    pare_wire bytes; /* of PARE_WIRE_BYTES: a string, or a message to be read in turn */
} pare_wire_field;

/* The next field of a message; false at its end, and where it is broken. */
bool pare_wire_next(pare_wire *in, pare_wire_field *field);

/* 7 bits a byte, the lowest first; more than 64 of them are broken. */
uint64_t pare_wire_varint(pare_wire *in);
/* The next n bytes, or NULL. */
const unsigned char *pare_wire_take(pare_wire *in, uint64_t n);

#endif
