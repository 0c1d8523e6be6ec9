/* zip.c: the directory of a zip archive, checked, and its entries, unpacked.
 *
 * Every number that is read here is checked against the archive's size before it is used as a place
 * or a length. */
#include "models/zip.h"

#include <stdlib.h>
#include <string.h>

#include "core/checksum.h"

enum {
    LOCAL_SIZE = 30,        /* fixed part of an entry's own header */
    CENTRAL_SIZE = 46,      /* fixed part of its directory record */
    END_SIZE = 22,          /* end of directory */
    END64_SIZE = 56,        /* the zip64 one */
    LOCATOR_SIZE = 20,      /* which says where that is */
    MAX_COMMENT = 65535,
    MAX_NAME = 1024,
    MAX_ENTRIES = 1 << 17
};

static const uint32_t LOCAL_MAGIC = 0x04034b50, CENTRAL_MAGIC = 0x02014b50, END_MAGIC = 0x06054b50,
                      END64_MAGIC = 0x06064b50, LOCATOR_MAGIC = 0x07064b50;

typedef struct reader {
    const unsigned char *bytes;
    uint64_t size;
    const char *where;
} reader;

typedef struct directory {
    uint64_t at, size, count;
} directory;

/* `width` bytes at `at`, which the caller has checked. */
static uint64_t number(const reader *r, uint64_t at, int width)
{
    uint64_t value = 0;
    memcpy(&value, r->bytes + at, (size_t)width);
    return value;
}

/* Written so that no sum can overflow. */
static bool inside(const reader *r, uint64_t at, uint64_t length)
{
    return at <= r->size && length <= r->size - at;
}

static pare_status refuse(const reader *r, const char *reason)
{
    return pare_fail(PARE_INPUT, "%s: damaged zip archive: %s", r->where, reason);
}

static pare_status refuse_entry(const char *where, const char *name, const char *reason)
{
    return pare_fail(PARE_INPUT, "%s: zip entry %.100s: %s", where, name, reason);
}

/* ---- The end of the directory ---- */

/* The zip64 end, for archives that are large or say so. */
static pare_status read_end64(const reader *r, uint64_t end, directory *out)
{
    uint64_t at = number(r, end - LOCATOR_SIZE + 8, 8);
    if (!inside(r, at, END64_SIZE) || number(r, at, 4) != END64_MAGIC)
        return refuse(r, "its zip64 end record is not where it should be");
    out->count = number(r, at + 32, 8);
    out->size = number(r, at + 40, 8);
    out->at = number(r, at + 48, 8);
    return PARE_OK;
}

/* The end record stands behind everything but a comment. */
static pare_status find_directory(const reader *r, directory *out)
{
    if (r->size < END_SIZE)
        return refuse(r, "it is too short");
    uint64_t least = r->size > END_SIZE + MAX_COMMENT ? r->size - END_SIZE - MAX_COMMENT : 0;
    uint64_t end = r->size - END_SIZE;
    while (number(r, end, 4) != END_MAGIC || number(r, end + 20, 2) != r->size - end - END_SIZE)
        if (end-- == least)
            return refuse(r, "it has no end record (cut short?)");
    out->count = number(r, end + 10, 2);
    out->size = number(r, end + 12, 4);
    out->at = number(r, end + 16, 4);
    if (end >= LOCATOR_SIZE && number(r, end - LOCATOR_SIZE, 4) == LOCATOR_MAGIC)
        PARE_TRY(read_end64(r, end, out));
    if (!inside(r, out->at, out->size))
        return refuse(r, "its directory leaves the file");
    if (out->count > out->size / CENTRAL_SIZE || out->count > MAX_ENTRIES)
        return refuse(r, "its directory announces too many entries");
    return PARE_OK;
}

/* ---- Entries ---- */

/* Sizes and place of an entry: 32 bits each, or ~0 and 64 bits in the extra field 1. */
static bool widen(const reader *r, uint64_t extra, uint64_t length, uint64_t *values[3])
{
    const uint64_t end = extra + length;
    while (end - extra >= 4) {
        uint64_t id = number(r, extra, 2), size = number(r, extra + 2, 2);
        extra += 4;
        if (size > end - extra)
            return false;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*values[i] != 0xffffffff)
                continue;
            if (size < 8)
                return false;
            *values[i] = number(r, extra, 8);
            extra += 8;
            size -= 8;
        }
        extra += size;
    }
    return true;
}

/* The header in front of the data repeats the directory's; it must not contradict it. */
static pare_status read_local(const reader *r, uint64_t at, uint64_t directory_at, uint64_t method,
                              pare_zip_entry *entry)
{
    size_t length = strlen(entry->name);
    if (!inside(r, at, LOCAL_SIZE) || number(r, at, 4) != LOCAL_MAGIC)
        return refuse_entry(r->where, entry->name, "its header is not where it should be");
    uint64_t name = number(r, at + 26, 2), extra = number(r, at + 28, 2);
    uint64_t data = at + LOCAL_SIZE + name + extra;
    if (!inside(r, at + LOCAL_SIZE, name + extra) || data > directory_at ||
        entry->packed > directory_at - data)
        return refuse_entry(r->where, entry->name, "its data leaves the archive");
    if (name != length || memcmp(r->bytes + at + LOCAL_SIZE, entry->name, length) != 0 ||
        number(r, at + 8, 2) != method)
        return refuse_entry(r->where, entry->name, "its header and the directory differ");
    entry->data = r->bytes + data;
    return PARE_OK;
}

/* What can be unpacked: bit 0 of the flags is encryption, 0 and 8 are stored and deflate. */
static pare_status check_method(const reader *r, const pare_zip_entry *entry, uint64_t flags,
                                uint64_t method)
{
    if (flags & 1)
        return refuse_entry(r->where, entry->name, "it is encrypted");
    if (method != 0 && method != 8)
        return pare_fail(PARE_INPUT, "%s: zip entry %.100s: compression method %u is neither "
                         "stored nor deflate", r->where, entry->name, (unsigned)method);
    if (method == 0 && entry->packed != entry->size)
        return refuse_entry(r->where, entry->name, "it is stored, yet has two sizes");
    return PARE_OK;
}

/* The name, NUL-ended, in the arena. */
static pare_status copy_name(const reader *r, uint64_t at, uint64_t length, pare_arena *arena,
                             const char **out)
{
    if (length == 0 || length > MAX_NAME)
        return refuse(r, "an entry's name is empty or too long");
    for (uint64_t i = 0; i < length; i++)
        if (r->bytes[at + i] < 0x20 || r->bytes[at + i] == 0x7f)
            return refuse(r, "an entry's name holds a control character");
    char *name = pare_arena_alloc(arena, length + 1);
    if (!name)
        return PARE_MEMORY;
    memcpy(name, r->bytes + at, length);
    name[length] = '\0';
    *out = name;
    return PARE_OK;
}

/* The directory record at *at, which moves on to the next one. */
static pare_status read_record(const reader *r, const directory *d, pare_arena *arena,
                               uint64_t *at, pare_zip_entry *entry)
{
    uint64_t left = d->at + d->size - *at;
    if (left < CENTRAL_SIZE || number(r, *at, 4) != CENTRAL_MAGIC)
        return refuse(r, "its directory is broken");
    uint64_t flags = number(r, *at + 8, 2), method = number(r, *at + 10, 2);
    uint64_t name = number(r, *at + 28, 2), extra = number(r, *at + 30, 2);
    uint64_t comment = number(r, *at + 32, 2), local = number(r, *at + 42, 4);
    if (name + extra + comment > left - CENTRAL_SIZE)
        return refuse(r, "its directory is broken");
    entry->crc = (uint32_t)number(r, *at + 16, 4);
    entry->packed = number(r, *at + 20, 4);
    entry->size = number(r, *at + 24, 4);
    entry->deflated = method == 8;
    PARE_TRY(copy_name(r, *at + CENTRAL_SIZE, name, arena, &entry->name));
    uint64_t *wide[3] = {&entry->size, &entry->packed, &local};
    if (!widen(r, *at + CENTRAL_SIZE + name, extra, wide))
        return refuse_entry(r->where, entry->name, "its zip64 sizes are broken");
    PARE_TRY(check_method(r, entry, flags, method));
    *at += CENTRAL_SIZE + name + extra + comment;
    return read_local(r, local, d->at, method, entry);
}

static int compare_places(const void *a, const void *b)
{
    const pare_zip_entry *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const pare_zip_entry *)a)->name, ((const pare_zip_entry *)b)->name);
}

/* Overlapping entries are how a small archive unpacks to a huge one. */
static pare_status check_entries(pare_zip *zip)
{
    qsort(zip->entries, zip->n, sizeof *zip->entries, compare_places);
    for (size_t i = 1; i < zip->n; i++) {
        const pare_zip_entry *before = &zip->entries[i - 1], *e = &zip->entries[i];
        uint64_t header = LOCAL_SIZE + strlen(e->name);
        if ((uint64_t)(e->data - before->data) < before->packed + header)
            return refuse_entry(zip->where, e->name, "it overlaps another");
    }
    qsort(zip->entries, zip->n, sizeof *zip->entries, compare_names);
    for (size_t i = 1; i < zip->n; i++)
        if (strcmp(zip->entries[i - 1].name, zip->entries[i].name) == 0)
            return refuse_entry(zip->where, zip->entries[i].name, "it is there twice");
    return PARE_OK;
}

pare_status pare_zip_open(const unsigned char *bytes, size_t size, const char *where,
                          pare_arena *arena, pare_zip *out)
{
    reader r = {bytes, size, where};
    directory d = {0};
    *out = (pare_zip){.where = where, .arena = arena};
    out->inflate_limit = 4 * (uint64_t)size + ((uint64_t)24 << 20);
    PARE_TRY(find_directory(&r, &d));
    out->entries = pare_arena_zalloc(arena, (d.count + 1) * sizeof *out->entries);
    if (!out->entries)
        return PARE_MEMORY;
    uint64_t at = d.at;
    for (; out->n < d.count; out->n++)
        PARE_TRY(read_record(&r, &d, arena, &at, &out->entries[out->n]));
    return check_entries(out);
}

/* ---- Use ---- */

pare_zip_entry *pare_zip_find(const pare_zip *zip, const char *name)
{
    pare_zip_entry key = {.name = name};
    return bsearch(&key, zip->entries, zip->n, sizeof key, compare_names);
}

/* The limit counts what entries claim, before any of it is allocated. */
static pare_status inflate_entry(pare_zip *zip, pare_zip_entry *entry)
{
    if (entry->size > zip->inflate_limit - zip->inflated)
        return pare_fail(PARE_INPUT, "%s: zip entry %.100s would inflate to %llu bytes; all "
                         "together may take %llu", zip->where, entry->name,
                         (unsigned long long)entry->size,
                         (unsigned long long)zip->inflate_limit);
    unsigned char *bytes = pare_arena_alloc(zip->arena, entry->size);
    if (!bytes)
        return PARE_MEMORY;
    zip->inflated += entry->size;
    PARE_TRY(pare_context(pare_inflate_raw(bytes, entry->size, entry->data, entry->packed),
                          "%s: zip entry %.100s", zip->where, entry->name));
    entry->unpacked = bytes;
    return PARE_OK;
}

pare_status pare_zip_unpack(pare_zip *zip, pare_zip_entry *entry, const unsigned char **data)
{
    if (!entry->unpacked) {
        if (entry->deflated)
            PARE_TRY(inflate_entry(zip, entry));
        const unsigned char *bytes = entry->deflated ? entry->unpacked : entry->data;
        if (pare_crc32(0, bytes, entry->size) != entry->crc)
            return refuse_entry(zip->where, entry->name, "its CRC-32 differs: it is damaged");
        entry->unpacked = bytes;
    }
    *data = entry->unpacked;
    return PARE_OK;
}
