/* json.h: JSON through jansson, behind names of our own (the only user of its header).
 *
 * Reading is strict: duplicate keys, invalid UTF-8, reals out of range and trailing text are errors
 * that name the line; integers past 64 bits become reals (Hugging Face writes 10^30 for "no
 * limit"). Members that are missing or of another type give the default.
 * A value got from another is borrowed; only roots (from _parse, _new) are freed. */
#ifndef PARE_CORE_JSON_H
#define PARE_CORE_JSON_H

#include <stdint.h>
#include <stdio.h>

#include "core/status.h"

typedef struct json_t pare_json;

/* `where` names the text in messages (a path). NULs inside strings are allowed. */
pare_status pare_json_parse(const char *text, size_t length, const char *where, pare_json **out);
pare_json *pare_json_new_object(void);
pare_json *pare_json_new_array(void);
void pare_json_free(pare_json *root); /* NULL is allowed */

/* Reading. Every function accepts NULL and values of another type. */
bool pare_json_is_object(const pare_json *value);
bool pare_json_is_array(const pare_json *value);
bool pare_json_is_string(const pare_json *value);
bool pare_json_is_number(const pare_json *value);
bool pare_json_is_bool(const pare_json *value);
bool pare_json_is_null(const pare_json *value);
pare_json *pare_json_get(const pare_json *object, const char *key); /* NULL if absent */
size_t pare_json_size(const pare_json *object_or_array);            /* 0 for others */
pare_json *pare_json_at(const pare_json *array, size_t index);
/* The members of an object in the file's order: for (void *i = pare_json_iter(o); i; ...next). */
void *pare_json_iter(const pare_json *object);
void *pare_json_iter_next(const pare_json *object, void *iter);
const char *pare_json_iter_key(void *iter);
pare_json *pare_json_iter_value(void *iter);
const char *pare_json_as_string(const pare_json *value, const char *otherwise);
size_t pare_json_string_length(const pare_json *value); /* bytes, NULs included */
int64_t pare_json_as_int(const pare_json *value, int64_t otherwise); /* of whole reals too */
double pare_json_as_double(const pare_json *value, double otherwise); /* of integers too */
bool pare_json_as_bool(const pare_json *value, bool otherwise);
/* The same of object[key]. */
const char *pare_json_get_string(const pare_json *object, const char *key, const char *otherwise);
int64_t pare_json_get_int(const pare_json *object, const char *key, int64_t otherwise);
double pare_json_get_double(const pare_json *object, const char *key, double otherwise);
bool pare_json_get_bool(const pare_json *object, const char *key, bool otherwise);

/* Writing: the value given is taken over. A failure to allocate is remembered by the root's
 * pare_json_dump, so that calls need no check each. Non-finite numbers are written as null, bytes
 * that are not UTF-8 as U+FFFD. */
void pare_json_set(pare_json *object, const char *key, pare_json *value);
void pare_json_set_string(pare_json *object, const char *key, const char *value); /* NULL: null */
void pare_json_set_int(pare_json *object, const char *key, int64_t value);
void pare_json_set_double(pare_json *object, const char *key, double value);
void pare_json_set_bool(pare_json *object, const char *key, bool value);
void pare_json_append(pare_json *array, pare_json *value);
void pare_json_append_string(pare_json *array, const char *value);
void pare_json_append_int(pare_json *array, int64_t value);
void pare_json_append_double(pare_json *array, double value);
pare_json *pare_json_copy(const pare_json *value); /* NULL: null */

/* The text, to be given to pare_free; NULL with PARE_MEMORY set. indent 0 = one line; digits is
 * the precision of reals: 9 for floats, 17 for metrics. Keys stay in the order they were set. */
char *pare_json_dump(const pare_json *value, int indent, int digits);
/* For values that no dump follows: PARE_MEMORY if one could not be made since the last of both. */
pare_status pare_json_status(void);

#endif
