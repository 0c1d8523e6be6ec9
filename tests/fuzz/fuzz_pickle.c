/* tests/fuzz/fuzz_pickle.c: a pickle inside a pytorch_model.bin whose archive is made around it, so
 * that the archive's checksums do not stand in the way. Storages "0" to "3" are there. */
#include "tests/fuzz/fuzz_foreign.h"

#include "core/checksum.h"
#include "models/torch_file.h"

enum { MAX_PICKLE = 1 << 16, ENTRIES = 5 };

static unsigned char archive[MAX_PICKLE + 4096];
static size_t end;

static void put(const void *bytes, size_t size)
{
    memcpy(archive + end, bytes, size);
    end += size;
}

static void put_number(uint32_t value, size_t size)
{
    unsigned char bytes[4] = {value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24};
    put(bytes, size);
}

/* What a local header and the directory have in common. */
static void put_entry(const char *name, const void *data, size_t size)
{
    put_number(20, 2); /* version */
    put_number(0, 4);  /* flags, stored */
    put_number(0, 4);  /* time */
    put_number(pare_crc32(0, data, size), 4);
    put_number((uint32_t)size, 4);
    put_number((uint32_t)size, 4);
    put_number((uint32_t)strlen(name), 2);
    put_number(0, 2);  /* extra */
}

static void make_archive(const unsigned char *pickle, size_t size)
{
    static const unsigned char storage[64] = {0, 0, 128, 63, 0, 0, 0, 64};
    const struct {
        const char *name;
        const void *data;
        size_t size;
    } entries[ENTRIES] = {{"a/data.pkl", pickle, size}, {"a/data/0", storage, 16},
                          {"a/data/1", storage, 64}, {"a/data/2", storage, 8},
                          {"a/data/3", storage, 32}};
    uint32_t at[ENTRIES];
    end = 0;
    for (int i = 0; i < ENTRIES; i++) {
        at[i] = (uint32_t)end;
        put("PK\3\4", 4);
        put_entry(entries[i].name, entries[i].data, entries[i].size);
        put(entries[i].name, strlen(entries[i].name));
        put(entries[i].data, entries[i].size);
    }
    uint32_t directory = (uint32_t)end;
    for (int i = 0; i < ENTRIES; i++) {
        put("PK\1\2", 4);
        put_number(20, 2);
        put_entry(entries[i].name, entries[i].data, entries[i].size);
        put_number(0, 4); /* comment, disk */
        put_number(0, 2);
        put_number(0, 4);
        put_number(at[i], 4);
        put(entries[i].name, strlen(entries[i].name));
    }
    uint32_t length = (uint32_t)end - directory;
    put("PK\5\6\0\0\0\0", 8);
    put_number(ENTRIES, 2);
    put_number(ENTRIES, 2);
    put_number(length, 4);
    put_number(directory, 4);
    put_number(0, 2);
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size > MAX_PICKLE)
        return;
    make_archive(bytes, size);
    fuzz_weights(pare_torch_read, fuzz_file("pytorch_model.bin", archive, end));
}
