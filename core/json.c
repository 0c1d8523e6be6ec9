/* json.c: jansson's values with pare's errors, defaults and memory. */
#include "core/json.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"

/* ---- Memory ---- */

/* Set when an allocation failed on this thread, so that setters need no check each: the next
 * pare_json_dump of the thread fails instead of writing an incomplete text. */
static _Thread_local bool allocation_failed;

/* Stands before each of jansson's blocks, and links those of the text that is being parsed. */
typedef struct link {
    struct link *previous, *next;
} link;

/* A text that this thread is parsing. Where the buffer for a string cannot grow, jansson 2.14 goes
 * on with less of the string, and may then write past the end of its memory. So a failed allocation
 * leaves it at once, and what it held until then is freed. */
static _Thread_local struct {
    bool active;
    jmp_buf leave;
    link *newest; /* of the blocks that it holds */
} parsing;

static void *allocate(size_t bytes)
{
    link *block = bytes < SIZE_MAX - sizeof *block ? pare_malloc(sizeof *block + bytes) : NULL;
    if (!block) {
        allocation_failed = true;
        if (parsing.active)
            longjmp(parsing.leave, 1);
        return NULL;
    }
    if (parsing.active) {
        block->previous = parsing.newest;
        block->next = NULL;
        if (parsing.newest)
            parsing.newest->next = block;
        parsing.newest = block;
    }
    return block + 1;
}

static void give_back(void *memory)
{
    link *block = memory ? (link *)memory - 1 : NULL;
    if (block && parsing.active) {
        if (block->previous)
            block->previous->next = block->next;
        if (block->next)
            block->next->previous = block->previous;
        else
            parsing.newest = block->previous;
    }
    pare_free(block);
}

/* Before main, as jansson asks for it: before anything of its own is allocated. */
__attribute__((constructor)) static void set_memory(void)
{
    json_set_alloc_funcs(allocate, give_back);
}

/* ---- Parsing ---- */

/* NULL on failure, with the error or allocation_failed set. */
static pare_json *load(const char *text, size_t length, size_t flags, json_error_t *error)
{
    parsing.active = true;
    parsing.newest = NULL;
    if (setjmp(parsing.leave) != 0) {
        for (link *block = parsing.newest, *previous; block; block = previous) {
            previous = block->previous;
            pare_free(block);
        }
        parsing.active = false;
        return NULL;
    }
    pare_json *value = json_loadb(text, length, flags, error);
    parsing.active = false;
    return value;
}

pare_status pare_json_parse(const char *text, size_t length, const char *where, pare_json **out)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    const bool failed_before = allocation_failed;
    json_error_t error = {.line = -1}; /* jansson may leave it as it is */
    allocation_failed = false;
    *out = load(text, length, flags, &error);
    /* Hugging Face writes int(1e30) for "no limit": integers past 64 bits are read as reals, and
     * so is then every number of that text; pare_json_as_int takes whole reals. */
    if (!*out && !allocation_failed && json_error_code(&error) == json_error_numeric_overflow)
        *out = load(text, length, flags | JSON_DECODE_INT_AS_REAL, &error);
    const bool failed = allocation_failed;
    allocation_failed = failed_before;
    if (*out)
        return PARE_OK;
    if (failed)
        return pare_fail(PARE_MEMORY, "%s: out of memory for its JSON (%zu bytes)", where, length);
    return pare_fail(PARE_INPUT, "%s:%d: invalid JSON: %s", where, error.line, error.text);
}

void pare_json_free(pare_json *root)
{
    json_decref(root);
}

/* ---- Reading ---- */

bool pare_json_is_object(const pare_json *value)
{
    return json_is_object(value);
}

bool pare_json_is_array(const pare_json *value)
{
    return json_is_array(value);
}

bool pare_json_is_string(const pare_json *value)
{
    return json_is_string(value);
}

bool pare_json_is_number(const pare_json *value)
{
    return json_is_number(value);
}

bool pare_json_is_bool(const pare_json *value)
{
    return json_is_boolean(value);
}

bool pare_json_is_null(const pare_json *value)
{
    return json_is_null(value);
}

pare_json *pare_json_get(const pare_json *object, const char *key)
{
    return json_object_get(object, key);
}

size_t pare_json_size(const pare_json *object_or_array)
{
    if (json_is_object(object_or_array))
        return json_object_size(object_or_array);
    return json_array_size(object_or_array); /* 0 for all other types */
}

pare_json *pare_json_at(const pare_json *array, size_t index)
{
    return json_array_get(array, index);
}

void *pare_json_iter(const pare_json *object)
{
    return json_object_iter((json_t *)object);
}

void *pare_json_iter_next(const pare_json *object, void *iter)
{
    return json_object_iter_next((json_t *)object, iter);
}

const char *pare_json_iter_key(void *iter)
{
    return json_object_iter_key(iter);
}

pare_json *pare_json_iter_value(void *iter)
{
    return json_object_iter_value(iter);
}

const char *pare_json_as_string(const pare_json *value, const char *otherwise)
{
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

size_t pare_json_string_length(const pare_json *value)
{
    return json_string_length(value);
}

int64_t pare_json_as_int(const pare_json *value, int64_t otherwise)
{
    if (json_is_integer(value))
        return json_integer_value(value);
    if (json_is_real(value)) { /* 128.0 is a whole number; past 2^53 a real no longer says which */
        double number = json_real_value(value);
        if (fabs(number) <= 9007199254740992.0 && number == floor(number))
            return (int64_t)number;
    }
    return otherwise;
}

double pare_json_as_double(const pare_json *value, double otherwise)
{
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool pare_json_as_bool(const pare_json *value, bool otherwise)
{
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

const char *pare_json_get_string(const pare_json *object, const char *key, const char *otherwise)
{
    return pare_json_as_string(pare_json_get(object, key), otherwise);
}

int64_t pare_json_get_int(const pare_json *object, const char *key, int64_t otherwise)
{
    return pare_json_as_int(pare_json_get(object, key), otherwise);
}

double pare_json_get_double(const pare_json *object, const char *key, double otherwise)
{
    return pare_json_as_double(pare_json_get(object, key), otherwise);
}

bool pare_json_get_bool(const pare_json *object, const char *key, bool otherwise)
{
    return pare_json_as_bool(pare_json_get(object, key), otherwise);
}

/* ---- Making ---- */

static bool utf8_valid(const char *text)
{
    bool valid = true;
    while (*text && valid)
        text += pare_utf8_step(text, 4, &valid);
    return valid;
}

/* A copy in which what is not UTF-8 is U+FFFD (a path in a message may hold any byte, JSON may
 * not); NULL if out of memory. */
static char *utf8_repaired(const char *text)
{
    char *copy = pare_calloc(strlen(text) + 1, 3);
    char *end = copy;
    const char *s = text;
    allocation_failed = allocation_failed || !copy;
    while (copy && *s) {
        bool valid;
        const size_t n = pare_utf8_step(s, 4, &valid);
        memcpy(end, valid ? s : PARE_CHAR_INVALID_BYTES, valid ? n : 3);
        end += valid ? n : 3;
        s += n;
    }
    return copy;
}

/* Our own check goes first, so that jansson's failure can only mean memory. */
static pare_json *new_string(const char *text)
{
    if (!text)
        return json_null();
    if (utf8_valid(text))
        return json_string_nocheck(text);
    char *repaired = utf8_repaired(text);
    pare_json *value = repaired ? json_string_nocheck(repaired) : NULL;
    pare_free(repaired);
    return value;
}

/* JSON has no NaN and no infinity. */
static pare_json *new_double(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

pare_json *pare_json_new_object(void)
{
    return json_object();
}

pare_json *pare_json_new_array(void)
{
    return json_array();
}

pare_json *pare_json_copy(const pare_json *value)
{
    return value ? json_deep_copy(value) : json_null();
}

/* jansson takes the value over even where it fails. */
void pare_json_set(pare_json *object, const char *key, pare_json *value)
{
    char *repaired = utf8_valid(key) ? NULL : utf8_repaired(key);
    if (json_object_set_new(object, repaired ? repaired : key, value) != 0)
        allocation_failed = true;
    pare_free(repaired);
}

void pare_json_set_string(pare_json *object, const char *key, const char *value)
{
    pare_json_set(object, key, new_string(value));
}

void pare_json_set_int(pare_json *object, const char *key, int64_t value)
{
    pare_json_set(object, key, json_integer(value));
}

void pare_json_set_double(pare_json *object, const char *key, double value)
{
    pare_json_set(object, key, new_double(value));
}

void pare_json_set_bool(pare_json *object, const char *key, bool value)
{
    pare_json_set(object, key, json_boolean(value));
}

void pare_json_append(pare_json *array, pare_json *value)
{
    if (json_array_append_new(array, value) != 0)
        allocation_failed = true;
}

void pare_json_append_string(pare_json *array, const char *value)
{
    pare_json_append(array, new_string(value));
}

void pare_json_append_int(pare_json *array, int64_t value)
{
    pare_json_append(array, json_integer(value));
}

void pare_json_append_double(pare_json *array, double value)
{
    pare_json_append(array, new_double(value));
}

/* ---- Writing ---- */

/* Text that grows as jansson hands over pieces. It goes on after a failure where the piece was an
 * object's key: so the failure is remembered, and the next piece fails too. */
typedef struct growing {
    char *text;
    size_t size, room;
    bool failed;
} growing;

static int growing_add(const char *piece, size_t size, void *context)
{
    growing *g = context;
    if (g->failed)
        return -1;
    if (size >= g->room - g->size) { /* one byte is kept for the NUL */
        size_t room = 2 * g->room + size;
        char *text = pare_realloc(g->text, room);
        g->failed = !text;
        if (!text)
            return -1;
        g->text = text;
        g->room = room;
    }
    memcpy(g->text + g->size, piece, size);
    g->size += size;
    return 0;
}

pare_status pare_json_status(void)
{
    const bool failed = allocation_failed;
    allocation_failed = false;
    return failed ? pare_fail(PARE_MEMORY, "out of memory for a JSON value") : PARE_OK;
}

char *pare_json_dump(const pare_json *value, int indent, int digits)
{
    const size_t layout = indent > 0 ? JSON_INDENT((size_t)indent) : JSON_COMPACT;
    const size_t flags = layout | JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)digits);
    growing g = {.text = pare_malloc(256), .room = 256};
    bool complete = value && !allocation_failed;
    allocation_failed = false;
    if (!g.text)
        return NULL;
    if (!complete || json_dump_callback(value, growing_add, &g, flags) != 0) {
        pare_free(g.text);
        pare_fail(PARE_MEMORY, "out of memory for a JSON text");
        return NULL;
    }
    g.text[g.size] = '\0';
    return g.text;
}
