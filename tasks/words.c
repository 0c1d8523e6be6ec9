/* words.c: normalizing and splitting, in one walk over the text and one over what remains of it. */
#include "tasks/words.h"

#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"
#include "tasks/unicode.h"

/* The normalized text while it is built. Marks with a combining class are sorted by it, stably,
 * within each run between characters without one; until the run is closed their class stands in the
 * point's high bits. A dropped accent of class 0 closes a run as well. */
typedef struct normal_text {
    uint32_t *points; /* [capacity], and as many behind them to sort in */
    size_t n, capacity;
    size_t run;    /* where the open run begins */
    bool unsorted; /* the open run is out of order */
} normal_text;

enum { CLASS_SHIFT = 24, POINT_MASK = 0x1FFFFF };

/* Counting sort of the open run by class. */
static void sort_run(normal_text *text)
{
    uint32_t *run = text->points + text->run, *sorted = text->points + text->capacity;
    size_t n = text->n - text->run, starts[257] = {0};
    for (size_t i = 0; i < n; i++)
        starts[(run[i] >> CLASS_SHIFT) + 1]++;
    for (size_t c = 0; c < 256; c++)
        starts[c + 1] += starts[c];
    for (size_t i = 0; i < n; i++)
        sorted[starts[run[i] >> CLASS_SHIFT]++] = run[i];
    memcpy(run, sorted, n * sizeof *run);
    text->unsorted = false;
}

static void close_run(normal_text *text)
{
    if (text->unsorted)
        sort_run(text);
    for (; text->run < text->n; text->run++)
        text->points[text->run] &= POINT_MASK;
}

/* A character that stands on its own. The tables' generator checks that no character becomes more
 * code points than its bytes are many; losing the rest here would be the lesser evil. */
static void add_point(normal_text *text, uint32_t point)
{
    if (text->run < text->n)
        close_run(text);
    if (text->n < text->capacity)
        text->points[text->n++] = point;
    text->run = text->n;
}

/* A character that decomposes or combines; its accents are dropped. */
static void add_composed(normal_text *text, uint32_t point)
{
    uint32_t parts[4];
    size_t n_parts = pare_char_decompose(point, parts);
    for (size_t i = 0; i < n_parts; i++) {
        unsigned class = pare_char_class(parts[i]);
        bool accent = pare_char_flags(parts[i]) & PARE_CHAR_ACCENT;
        if (class == 0 && accent) {
            close_run(text);
        } else if (class == 0) {
            add_point(text, parts[i]);
        } else if (!accent && text->n < text->capacity) {
            if (text->n > text->run && text->points[text->n - 1] >> CLASS_SHIFT > class)
                text->unsorted = true;
            text->points[text->n++] = parts[i] | (uint32_t)class << CLASS_SHIFT;
        }
    }
}

/* Everything up to the accents: points without what is dropped, spaces as U+0020. */
static void normalize(const pare_word_rules *rules, const char *text, size_t length,
                      normal_text *out)
{
    for (size_t i = 0; i < length;) {
        uint32_t point;
        i += pare_utf8_decode(text + i, length - i, &point);
        unsigned flags = pare_char_flags(point);
        if (flags & PARE_CHAR_DROPPED)
            continue;
        bool chinese = rules->split_chinese && (flags & PARE_CHAR_CHINESE);
        if (chinese)
            add_point(out, ' ');
        if (flags & PARE_CHAR_SPACE)
            add_point(out, ' ');
        else if (!rules->strip_accents || !(flags & (PARE_CHAR_COMPOSED | PARE_CHAR_ACCENT)))
            add_point(out, point);
        else
            add_composed(out, point);
        if (chinese)
            add_point(out, ' ');
    }
    close_run(out);
}

pare_word_rules pare_word_rules_of(const pare_vocabulary_spec *spec)
{
    return (pare_word_rules){
        .lower_case = spec->do_lower_case,
        .strip_accents = spec->strip_accents < 0 ? spec->do_lower_case : spec->strip_accents != 0,
        .split_chinese = spec->tokenize_chinese_chars,
    };
}

/* The word being put together. */
typedef struct word {
    char bytes[PARE_WORD_BYTES];
    size_t length, n_points;
    pare_word_function *function;
    void *context;
} word;

/* Hands the word over, if there is one, and begins the next. */
static pare_status end_word(word *w)
{
    size_t n_points = w->n_points, length = w->length;
    w->n_points = w->length = 0;
    if (n_points == 0)
        return PARE_OK;
    return w->function(w->context, n_points > PARE_WORD_LIMIT ? NULL : w->bytes, length);
}

static void extend_word(word *w, uint32_t point)
{
    if (w->n_points++ < PARE_WORD_LIMIT)
        w->length += pare_utf8_encode(point, w->bytes + w->length);
}

/* Cuts normalized text into words. Lower case neither makes nor unmakes a boundary. */
static pare_status split(const pare_word_rules *rules, const normal_text *text, word *w)
{
    for (size_t i = 0; i < text->n; i++) {
        unsigned flags = pare_char_flags(text->points[i]);
        bool alone = flags & PARE_CHAR_PUNCTUATION;
        if (alone || (flags & PARE_CHAR_SPACE))
            PARE_TRY(end_word(w));
        if (flags & PARE_CHAR_SPACE)
            continue;
        uint32_t lower[2] = {text->points[i]};
        size_t n = rules->lower_case ? pare_char_lower(text->points[i], lower) : 1;
        for (size_t k = 0; k < n; k++)
            extend_word(w, lower[k]);
        if (alone)
            PARE_TRY(end_word(w));
    }
    return end_word(w);
}

pare_status pare_words_each(const pare_word_rules *rules, const char *text, size_t length,
                            pare_word_function *function, void *context)
{
    if (length == 0)
        return PARE_OK;
    normal_text normal = {.capacity = length};
    if (length > SIZE_MAX / (2 * sizeof *normal.points))
        return pare_fail(PARE_MEMORY, "a text of %zu bytes is too long", length);
    normal.points = pare_malloc(2 * length * sizeof *normal.points);
    if (!normal.points)
        return PARE_MEMORY;
    normalize(rules, text, length, &normal);
    word w = {.function = function, .context = context};
    pare_status status = split(rules, &normal, &w);
    pare_free(normal.points);
    return status;
}
