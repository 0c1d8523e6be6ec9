/* vocabulary_trainer.c: byte-pair merges over the counted words of the texts.
 *
 * Each different word is kept once, as a row of tokens, with its count. Every pair of neighbouring
 * tokens knows how often it occurs and in which words, so a merge touches only those; a heap finds
 * the most frequent pair. The heap is lazy: entries keep the count they were pushed with, and one
 * that is out of date when it surfaces is pushed again. */
#include "tasks/vocabulary_trainer.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"
#include "models/vocabulary.h"
#include "tasks/unicode.h"
#include "tasks/wordpiece.h"

/* ---- Tables of byte strings, numbered from 0 in the order they were added ---- */

typedef struct entry {
    const char *bytes;
    size_t length;
    uint64_t hash;
    int64_t count;  /* words and pairs: occurrences in the texts */
    int32_t places; /* pairs: the first of the places; -1: none */
    int32_t stamp;  /* pairs: the last merge that touched it */
} entry;

typedef struct table {
    entry *entries; /* [n] */
    size_t n, capacity;
    int32_t *slots; /* [mask + 1]: entry or -1 */
    size_t mask;
} table;

/* A word that holds a pair; a list for each pair. */
typedef struct place {
    int32_t word, next;
} place;

typedef struct candidate {
    int64_t count;
    int32_t pair;
} candidate;

typedef struct trainer {
    pare_arena *arena; /* everything below lives in it */
    pare_word_rules rules;
    table words, letters, tokens, pairs; /* a pair's bytes are its two tokens */
    char *pool;                          /* where the next strings go */
    size_t pool_left;
    int32_t **rows; /* [words.n]: each word's tokens */
    int32_t *row_lengths;
    place *places;
    size_t n_places, places_capacity;
    candidate *heap; /* the best first */
    size_t n_heap, heap_capacity;
    int32_t *touched; /* pairs that this merge made more frequent */
    size_t n_touched, touched_capacity;
} trainer;

/* Room for one more item behind n: the array itself or a copy of twice the size. */
static void *grow(pare_arena *arena, void *items, size_t n, size_t *capacity, size_t item_size)
{
    if (n < *capacity)
        return items;
    size_t larger = *capacity ? 2 * *capacity : 64;
    void *copy = larger > INT32_MAX ? NULL : pare_arena_alloc(arena, larger * item_size);
    if (larger > INT32_MAX)
        pare_fail(PARE_MEMORY, "the texts are too many to learn a vocabulary from");
    if (copy && n > 0)
        memcpy(copy, items, n * item_size);
    if (copy)
        *capacity = larger;
    return copy;
}

#define GROW(t, items, n, capacity) \
    ((items) = grow((t)->arena, (items), (n), &(capacity), sizeof *(items)))

static uint64_t hash_of(const char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

/* The slot of the string, or the free one where it would stand. */
static int32_t *slot_of(const table *in, uint64_t hash, const char *bytes, size_t length)
{
    for (size_t i = hash & in->mask;; i = (i + 1) & in->mask) {
        const entry *e = in->slots[i] < 0 ? NULL : &in->entries[in->slots[i]];
        if (!e || (e->hash == hash && e->length == length && !memcmp(e->bytes, bytes, length)))
            return &in->slots[i];
    }
}

/* Keeps at least half of the slots free. */
static bool widen(trainer *t, table *in)
{
    if (in->slots && 2 * (in->n + 1) <= in->mask)
        return true;
    size_t n_slots = in->slots ? 2 * (in->mask + 1) : 256;
    in->slots = pare_arena_alloc(t->arena, n_slots * sizeof *in->slots);
    if (!in->slots)
        return false;
    memset(in->slots, -1, n_slots * sizeof *in->slots);
    in->mask = n_slots - 1;
    for (size_t i = 0; i < in->n; i++) {
        const entry *e = &in->entries[i];
        *slot_of(in, e->hash, e->bytes, e->length) = (int32_t)i;
    }
    return true;
}

static const char *keep_bytes(trainer *t, const char *bytes, size_t length)
{
    if (t->pool_left < length || !t->pool) {
        t->pool_left = length > 1 << 16 ? length : 1 << 16;
        t->pool = pare_arena_alloc(t->arena, t->pool_left);
        if (!t->pool)
            return NULL;
    }
    char *copy = t->pool;
    memcpy(copy, bytes, length);
    t->pool += length;
    t->pool_left -= length;
    return copy;
}

/* The number of the string, which is added if it is new; -1 on failure. */
static int32_t add(trainer *t, table *in, const char *bytes, size_t length)
{
    if (!widen(t, in))
        return -1;
    uint64_t hash = hash_of(bytes, length);
    int32_t *slot = slot_of(in, hash, bytes, length);
    if (*slot >= 0)
        return *slot;
    const char *copy = keep_bytes(t, bytes, length);
    if (!copy || !GROW(t, in->entries, in->n, in->capacity))
        return -1;
    in->entries[in->n] = (entry){copy, length, hash, 0, -1, -1};
    return *slot = (int32_t)in->n++;
}

static int compare_bytes(const entry *a, const entry *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->bytes, b->bytes, shorter);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* ---- The alphabet ---- */

/* Counts a word and collects its characters. Words that are never looked up teach nothing. */
static pare_status count_word(void *context, const char *bytes, size_t length)
{
    trainer *t = context;
    int32_t word = bytes ? add(t, &t->words, bytes, length) : 0;
    if (word < 0)
        return PARE_MEMORY;
    if (!bytes || t->words.entries[word].count++ > 0)
        return PARE_OK;
    for (size_t i = 0; i < length;) {
        uint32_t point;
        size_t n = pare_utf8_decode(bytes + i, length - i, &point);
        if (add(t, &t->letters, bytes + i, n) < 0)
            return PARE_MEMORY;
        i += n;
    }
    return PARE_OK;
}

static int compare_letters(const void *a, const void *b)
{
    return compare_bytes(a, b);
}

/* The token ## + text, or text, as a number; added if it is new. */
static int32_t add_token(trainer *t, bool continued, const char *text, size_t length)
{
    char bytes[2 + PARE_WORD_BYTES] = "##";
    char *end = continued ? bytes + 2 : bytes;
    memcpy(end, text, length);
    return add(t, &t->tokens, bytes, length + (size_t)(end - bytes));
}

/* Whether words can go on with this character: not with those that always stand alone. */
static bool continues(const trainer *t, const entry *letter)
{
    uint32_t point;
    pare_utf8_decode(letter->bytes, letter->length, &point);
    unsigned alone = PARE_CHAR_PUNCTUATION | (t->rules.split_chinese ? PARE_CHAR_CHINESE : 0);
    return !(pare_char_flags(point) & alone);
}

/* The special tokens, then the characters, by code point, plain and with ##. */
static pare_status add_alphabet(trainer *t, int64_t size)
{
    for (int i = 0; i < PARE_SPECIAL_TOKENS; i++)
        if (add(t, &t->tokens, pare_special_tokens[i], strlen(pare_special_tokens[i])) < 0)
            return PARE_MEMORY;
    entry *letters = t->letters.entries; /* from here on in order; the slots are not used again */
    if (t->letters.n > 0)
        qsort(letters, t->letters.n, sizeof *letters, compare_letters);
    for (int continued = 0; continued < 2; continued++)
        for (size_t i = 0; i < t->letters.n; i++)
            if ((!continued || continues(t, &letters[i])) &&
                add_token(t, continued, letters[i].bytes, letters[i].length) < 0)
                return PARE_MEMORY;
    if ((int64_t)t->tokens.n > size)
        return pare_hint(pare_fail(PARE_USAGE,
                                   "a vocabulary of %lld tokens cannot hold the texts' %zu "
                                   "characters",
                                   (long long)size, t->letters.n),
                         "give a size of at least %zu", t->tokens.n);
    return PARE_OK;
}

/* ---- Pairs ---- */

/* Counts the pairs of a word `sign` times its own count. Pairs with the token `made` are new in
 * the word: it is added to their places, and they to the touched ones. -1: all are new. */
static pare_status count_pairs(trainer *t, int32_t word, int sign, int32_t made, int32_t stamp)
{
    const int32_t *row = t->rows[word];
    for (int32_t i = 0; i + 1 < t->row_lengths[word]; i++) {
        int32_t p = add(t, &t->pairs, (const char *)&row[i], 2 * sizeof *row);
        if (p < 0 || !GROW(t, t->places, t->n_places, t->places_capacity) ||
            !GROW(t, t->touched, t->n_touched, t->touched_capacity))
            return PARE_MEMORY;
        entry *pair = &t->pairs.entries[p];
        pair->count += sign * t->words.entries[word].count;
        if (sign < 0 || (made >= 0 && row[i] != made && row[i + 1] != made))
            continue;
        if (pair->places < 0 || t->places[pair->places].word != word) {
            t->places[t->n_places] = (place){word, pair->places};
            pair->places = (int32_t)t->n_places++;
        }
        if (pair->stamp != stamp)
            t->touched[t->n_touched++] = p;
        pair->stamp = stamp;
    }
    return PARE_OK;
}

/* Every word as a row of characters, and the pairs in all of them. */
static pare_status make_rows(trainer *t)
{
    size_t n = t->words.n;
    t->rows = pare_arena_alloc(t->arena, n * sizeof *t->rows);
    t->row_lengths = pare_arena_zalloc(t->arena, n * sizeof *t->row_lengths);
    if (!t->rows || !t->row_lengths)
        return PARE_MEMORY;
    for (size_t w = 0; w < n; w++) {
        const entry *word = &t->words.entries[w];
        t->rows[w] = pare_arena_alloc(t->arena, word->length * sizeof **t->rows);
        if (!t->rows[w])
            return PARE_MEMORY;
        for (size_t i = 0; i < word->length;) {
            uint32_t point;
            size_t length = pare_utf8_decode(word->bytes + i, word->length - i, &point);
            t->rows[w][t->row_lengths[w]++] = add_token(t, i > 0, word->bytes + i, length);
            i += length;
        }
        PARE_TRY(count_pairs(t, (int32_t)w, 1, -1, 0));
    }
    return PARE_OK;
}

/* ---- The heap ---- */

/* Whether a comes before b: more frequent, or first by its tokens' texts. */
static bool is_better(const trainer *t, candidate a, candidate b)
{
    if (a.count != b.count)
        return a.count > b.count;
    int32_t of_a[2], of_b[2];
    memcpy(of_a, t->pairs.entries[a.pair].bytes, sizeof of_a);
    memcpy(of_b, t->pairs.entries[b.pair].bytes, sizeof of_b);
    const entry *tokens = t->tokens.entries;
    int order = compare_bytes(&tokens[of_a[0]], &tokens[of_b[0]]);
    return (order ? order : compare_bytes(&tokens[of_a[1]], &tokens[of_b[1]])) < 0;
}

static pare_status heap_push(trainer *t, int32_t pair)
{
    candidate c = {t->pairs.entries[pair].count, pair};
    if (!GROW(t, t->heap, t->n_heap, t->heap_capacity))
        return PARE_MEMORY;
    size_t at = t->n_heap++;
    for (; at > 0 && is_better(t, c, t->heap[(at - 1) / 2]); at = (at - 1) / 2)
        t->heap[at] = t->heap[(at - 1) / 2];
    t->heap[at] = c;
    return PARE_OK;
}

/* Takes the best candidate off a heap that has one. */
static candidate heap_pop(trainer *t)
{
    candidate best = t->heap[0], last = t->heap[--t->n_heap];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < t->n_heap; at = child) {
        if (child + 1 < t->n_heap && is_better(t, t->heap[child + 1], t->heap[child]))
            child++;
        if (!is_better(t, t->heap[child], last))
            break;
        t->heap[at] = t->heap[child];
    }
    t->heap[at] = last;
    return best;
}

static pare_status push_touched(trainer *t)
{
    for (size_t i = 0; i < t->n_touched; i++)
        PARE_TRY(heap_push(t, t->touched[i]));
    t->n_touched = 0;
    return PARE_OK;
}

/* ---- Merging ---- */

/* Replaces left, right by made in one word; the word may not hold the pair any more. */
static pare_status merge_in_word(trainer *t, int32_t word, const int32_t pair[2], int32_t made,
                                 int32_t stamp)
{
    int32_t *row = t->rows[word], n = t->row_lengths[word], kept = 0, i = 0;
    while (i + 1 < n && (row[i] != pair[0] || row[i + 1] != pair[1]))
        i++;
    if (i + 1 >= n)
        return PARE_OK;
    PARE_TRY(count_pairs(t, word, -1, made, stamp));
    for (i = 0; i < n; kept++) {
        bool merges = i + 1 < n && row[i] == pair[0] && row[i + 1] == pair[1];
        row[kept] = merges ? made : row[i];
        i += merges ? 2 : 1;
    }
    t->row_lengths[word] = kept;
    return count_pairs(t, word, 1, made, stamp);
}

/* The token that two neighbours make: the second one's ## falls away. */
static int32_t merged_token(trainer *t, const int32_t pair[2])
{
    const entry *left = &t->tokens.entries[pair[0]], *right = &t->tokens.entries[pair[1]];
    char bytes[2 + PARE_WORD_BYTES];
    memcpy(bytes, left->bytes, left->length);
    memcpy(bytes + left->length, right->bytes + 2, right->length - 2);
    return add(t, &t->tokens, bytes, left->length + right->length - 2);
}

static pare_status merge(trainer *t, int32_t best, int32_t stamp)
{
    int32_t pair[2];
    memcpy(pair, t->pairs.entries[best].bytes, sizeof pair);
    int32_t made = merged_token(t, pair);
    if (made < 0)
        return PARE_MEMORY;
    for (int32_t p = t->pairs.entries[best].places; p >= 0; p = t->places[p].next)
        PARE_TRY(merge_in_word(t, t->places[p].word, pair, made, stamp));
    return push_touched(t);
}

/* Merges until the vocabulary is full or no pair occurs twice. */
static pare_status merge_all(trainer *t, int64_t size)
{
    PARE_TRY(push_touched(t));
    for (int32_t stamp = 1; (int64_t)t->tokens.n < size && t->n_heap > 0;) {
        candidate best = heap_pop(t);
        int64_t count = t->pairs.entries[best.pair].count;
        if (count < 2)
            continue;
        if (count != best.count)
            PARE_TRY(heap_push(t, best.pair));
        else
            PARE_TRY(merge(t, best.pair, stamp++));
    }
    return PARE_OK;
}

/* ---- The whole ---- */

/* One token a line. */
static pare_status write_tokens(const trainer *t, char **out)
{
    size_t total = 1;
    for (size_t i = 0; i < t->tokens.n; i++)
        total += t->tokens.entries[i].length + 1;
    char *end = *out = pare_malloc(total);
    if (!end)
        return PARE_MEMORY;
    for (size_t i = 0; i < t->tokens.n; i++) {
        memcpy(end, t->tokens.entries[i].bytes, t->tokens.entries[i].length);
        end += t->tokens.entries[i].length;
        *end++ = '\n';
    }
    *end = '\0';
    return PARE_OK;
}

static pare_status train(trainer *t, const char *const *texts, int64_t n_texts, int64_t size,
                         char **out)
{
    for (int64_t i = 0; i < n_texts; i++)
        PARE_TRY(pare_words_each(&t->rules, texts[i], strlen(texts[i]), count_word, t));
    PARE_TRY(add_alphabet(t, size));
    PARE_TRY(make_rows(t));
    PARE_TRY(merge_all(t, size));
    return write_tokens(t, out);
}

pare_status pare_vocabulary_train(const pare_vocabulary_spec *spec, const char *const *texts,
                                  int64_t n_texts, int64_t size, char **out)
{
    if (size > PARE_VOCABULARY_LIMIT)
        return pare_fail(PARE_USAGE, "a vocabulary has at most %d tokens, not %lld",
                         PARE_VOCABULARY_LIMIT, (long long)size);
    trainer t = {.arena = pare_arena_new("vocabulary")};
    if (!t.arena)
        return PARE_MEMORY;
    t.rules = pare_word_rules_of(spec);
    pare_status status = train(&t, texts, n_texts, size, out);
    pare_arena_free(t.arena);
    return status;
}
