/* tests/fuzz/fuzz_tf.c: a checkpoint of TensorFlow. The input is the length of its index (two
 * bytes, the lower first), the index, and the data file. The checksums of the index's blocks are
 * made right, so that the reader gets behind them. */
#include "tests/fuzz/fuzz_foreign.h"

#include "core/checksum.h"
#include "models/sstable.h"
#include "models/tf_checkpoint.h"

enum { FOOTER = 48, TRAILER = 5 };

/* The block of the handle at *in gets its CRC; its bytes, or nothing if it leaves the table. */
static pare_wire mend_block(unsigned char *table, size_t size, pare_wire *in)
{
    uint64_t at = pare_wire_varint(in), n = pare_wire_varint(in);
    if (in->broken || at > size || size - at < TRAILER || n > size - at - TRAILER)
        return (pare_wire){NULL, NULL, true};
    uint32_t crc = pare_sstable_mask(pare_crc32c(0, table + at, n + 1));
    memcpy(table + at + n + 1, &crc, sizeof crc);
    return (pare_wire){table + at, table + at + n, false};
}

/* The index block, and those that its entries name; compressed ones are left as they are. */
static void mend_table(unsigned char *table, size_t size)
{
    if (size < FOOTER)
        return;
    pare_wire footer = {table + size - FOOTER, table + size, false};
    (void)mend_block(table, size - FOOTER, &footer); /* of metadata */
    pare_wire index = mend_block(table, size - FOOTER, &footer);
    while (!index.broken && index.at < index.end) {
        (void)pare_wire_varint(&index);
        uint64_t key = pare_wire_varint(&index), value = pare_wire_varint(&index);
        if (!pare_wire_take(&index, key))
            return;
        const unsigned char *bytes = pare_wire_take(&index, value);
        if (!bytes)
            return;
        pare_wire handle = {bytes, bytes + value, false};
        (void)mend_block(table, size - FOOTER, &handle);
    }
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size < 2)
        return;
    size_t n = bytes[0] | (size_t)bytes[1] << 8;
    if (n > size - 2)
        n = size - 2;
    unsigned char *table = malloc(n + 1);
    fuzz_check(table);
    memcpy(table, bytes + 2, n);
    mend_table(table, n);
    (void)fuzz_file("a.ckpt.data-00000-of-00001", bytes + 2 + n, size - 2 - n);
    fuzz_weights(pare_tf_read, fuzz_file("a.ckpt.index", table, n));
    free(table);
}
