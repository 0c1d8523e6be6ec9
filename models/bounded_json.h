/* bounded_json.h: JSON of strangers, refused before it can fill the memory.
 *
 * A parsed value takes up to some hundred bytes where its text takes two, so a small file could ask
 * for gigabytes. Values are counted before they are parsed: the result takes less than the text
 * plus 64 MiB. */
#ifndef PARE_MODELS_BOUNDED_JSON_H
#define PARE_MODELS_BOUNDED_JSON_H

#include "core/json.h"

/* As pare_json_parse; more than 480,000 commas, colons and brackets are PARE_INPUT. */
pare_status pare_bounded_json_parse(const char *text, size_t length, const char *where,
                                    pare_json **out);
/* The same of a file of at most 32 MiB. */
pare_status pare_bounded_json_read(const char *path, pare_json **out);

#endif
