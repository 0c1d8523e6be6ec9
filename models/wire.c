/* wire.c: protocol buffers' numbers and fields, every length checked. */
#include "models/wire.h"

#include <stddef.h>
#include <string.h>

const unsigned char *pare_wire_take(pare_wire *in, uint64_t n)
{
    if (in->broken || n > (uint64_t)(in->end - in->at)) {
        in->broken = true;
        return NULL;
    }
    const unsigned char *bytes = in->at;
    in->at += n;
    return bytes;
}

uint64_t pare_wire_varint(pare_wire *in)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const unsigned char *byte = pare_wire_take(in, 1);
        if (!byte || (shift == 63 && *byte > 1))
            break;
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (*byte < 0x80)
            return value;
    }
    in->broken = true;
    return 0;
}

/* A little-endian number of `width` bytes. */
static uint64_t fixed(pare_wire *in, size_t width)
{
    uint64_t value = 0;
    const unsigned char *bytes = pare_wire_take(in, width);
    if (bytes)
        memcpy(&value, bytes, width);
    return value;
}

bool pare_wire_next(pare_wire *in, pare_wire_field *field)
{
    *field = (pare_wire_field){0};
    if (in->broken || in->at == in->end)
        return false;
    field->tag = pare_wire_varint(in);
    switch (field->tag & 7) {
    case PARE_WIRE_VARINT: field->value = pare_wire_varint(in); break;
    case PARE_WIRE_64: field->value = fixed(in, 8); break;
    case PARE_WIRE_32: field->value = fixed(in, 4); break;
    case PARE_WIRE_BYTES:
        field->value = pare_wire_varint(in);
        field->bytes.at = pare_wire_take(in, field->value);
        field->bytes.end = in->at;
        break;
    default: in->broken = true; /* groups, which nobody writes any more */
    }
    if (field->tag >> 3 == 0)
        in->broken = true; /* no field has the number 0 */
    return !in->broken;
}
