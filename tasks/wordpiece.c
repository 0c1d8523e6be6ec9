/* wordpiece.c: a hash table over the lines of a vocab.txt, and the greedy search in it. */
#include "tasks/wordpiece.h"

#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"
#include "tasks/unicode.h"

/* One place of the table: a token's bytes and id; text is NULL in a free one. */
typedef struct slot {
    const char *text;
    uint32_t length;
    int32_t id;
} slot;

struct pare_wordpiece {
    char *text;  /* the tokens lie in it */
    slot *slots; /* [mask + 1], open addressing, at most half full */
    size_t mask;
    int32_t n_lines;
    size_t longest; /* bytes of the longest token */
};

/* FNV-1a (Fowler, Noll, Vo), 64 bits: taken byte by byte, so that the hashes of all beginnings of a
 * word cost one walk over it. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t hash_byte(uint64_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = hash_byte(hash, bytes[i]);
    return hash;
}

/* The place of the token that is prefix + bytes[0..n), or the free one where it would stand. */
static slot *place(const pare_wordpiece *w, uint64_t hash, const char *prefix, const char *bytes,
                   size_t n)
{
    size_t n_prefix = strlen(prefix);
    for (size_t i = (size_t)(hash ^ hash >> 32) & w->mask;; i = (i + 1) & w->mask) {
        slot *s = &w->slots[i];
        if (!s->text || (s->length == n_prefix + n && memcmp(s->text, prefix, n_prefix) == 0 &&
                         memcmp(s->text + n_prefix, bytes, n) == 0))
            return s;
    }
}

/* The length of a line without the white space at its end; SIZE_MAX if it is no UTF-8. */
static size_t trimmed_length(const char *line, size_t length)
{
    size_t end = 0;
    for (size_t i = 0; i < length;) {
        uint32_t point;
        size_t n = pare_utf8_decode(line + i, length - i, &point);
        if (!pare_utf8_valid(line + i, n, point))
            return SIZE_MAX;
        i += n;
        if (!(pare_char_flags(point) & PARE_CHAR_SPACE))
            end = i;
    }
    return end;
}

/* Enters every line into the table. An empty token keeps its id to itself: no word is empty. */
static pare_status enter_lines(pare_wordpiece *w)
{
    const char *line = w->text;
    for (int32_t id = 0; id < w->n_lines; id++) {
        const char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end - line) : strlen(line);
        size_t n = trimmed_length(line, length);
        if (n == SIZE_MAX)
            return pare_hint(pare_fail(PARE_INPUT, "vocabulary:%d: not valid UTF-8", id + 1),
                             "use the vocab.txt that belongs to the model");
        if (n > 0)
            *place(w, hash_bytes(HASH_START, line, n), "", line, n) =
                (slot){line, (uint32_t)n, id};
        if (n > w->longest)
            w->longest = n;
        line += length + 1;
    }
    return PARE_OK;
}

/* Lines as "\n" ends them; the last one may lack it. */
static size_t count_lines(const char *text, size_t length)
{
    size_t n = 0;
    for (const char *end = text; (end = memchr(end, '\n', length - (size_t)(end - text))); end++)
        n++;
    return n + (length > 0 && text[length - 1] != '\n');
}

/* Sizes the table for the lines and fills it. */
static pare_status build(pare_wordpiece *w, const char *text)
{
    size_t length = strlen(text), n_lines = count_lines(text, length), n_slots = 64;
    if (length > UINT32_MAX || n_lines > PARE_VOCABULARY_LIMIT)
        return pare_fail(PARE_INPUT, "the vocabulary has %zu lines, the most is %d", n_lines,
                         PARE_VOCABULARY_LIMIT);
    while (n_slots < 2 * n_lines)
        n_slots *= 2;
    w->n_lines = (int32_t)n_lines;
    w->mask = n_slots - 1;
    w->text = pare_strdup(text);
    w->slots = pare_calloc(n_slots, sizeof *w->slots);
    if (!w->text || !w->slots)
        return PARE_MEMORY;
    return enter_lines(w);
}

pare_status pare_wordpiece_new(const char *text, pare_wordpiece **out)
{
    pare_wordpiece *w = pare_calloc(1, sizeof *w);
    if (!w)
        return PARE_MEMORY;
    pare_status status = build(w, text);
    if (status == PARE_OK)
        *out = w;
    else
        pare_wordpiece_free(w);
    return status;
}

void pare_wordpiece_free(pare_wordpiece *w)
{
    if (!w)
        return;
    pare_free(w->slots);
    pare_free(w->text);
    pare_free(w);
}

int32_t pare_wordpiece_size(const pare_wordpiece *w)
{
    return w->n_lines;
}

int32_t pare_wordpiece_find(const pare_wordpiece *w, const char *token)
{
    size_t n = strlen(token);
    const slot *s = place(w, hash_bytes(HASH_START, token, n), "", token, n);
    return s->text ? s->id : -1;
}

/* The longest token prefix + word[0..k), k <= n: NULL if there is none, else *used = k. */
static const slot *longest_match(const pare_wordpiece *w, const char *prefix, const char *word,
                                 size_t n, size_t *used)
{
    uint64_t hash = hash_bytes(HASH_START, prefix, strlen(prefix));
    uint64_t hashes[PARE_WORD_LIMIT];
    size_t ends[PARE_WORD_LIMIT], n_ends = 0;
    for (size_t i = 0; i < n && i < w->longest && n_ends < PARE_WORD_LIMIT;) {
        hash = hash_byte(hash, word[i++]);
        if (i == n || ((unsigned char)word[i] & 0xC0) != 0x80) {
            hashes[n_ends] = hash;
            ends[n_ends++] = i;
        }
    }
    while (n_ends-- > 0) {
        const slot *s = place(w, hashes[n_ends], prefix, word, ends[n_ends]);
        *used = ends[n_ends];
        if (s->text)
            return s;
    }
    return NULL;
}

size_t pare_wordpiece_split(const pare_wordpiece *w, const char *word, size_t length, int32_t *ids)
{
    size_t n_ids = 0, used = 0;
    for (size_t at = 0; at < length; at += used) {
        const slot *s = longest_match(w, at == 0 ? "" : "##", word + at, length - at, &used);
        if (!s)
            return 0;
        ids[n_ids++] = s->id;
    }
    return n_ids;
}
