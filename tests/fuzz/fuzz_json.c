/* tests/fuzz/fuzz_json.c: JSON; what is written from it reads back to the same. */
#include "tests/fuzz/fuzz.h"

#include "core/memory.h"
#include "models/bounded_json.h"

static void fuzz(const unsigned char *bytes, size_t size)
{
    pare_json *first = NULL, *second = NULL;
    if (fuzz_read(pare_bounded_json_parse((const char *)bytes, size, "text", &first))) {
        char *text = pare_json_dump(first, 0, 17);
        fuzz_check(text);
        fuzz_check(pare_json_parse(text, strlen(text), "text", &second) == PARE_OK);
        char *again = pare_json_dump(second, 0, 17);
        fuzz_check(again && strcmp(text, again) == 0);
        pare_free(again);
        pare_free(text);
    }
    pare_json_free(first);
    pare_json_free(second);
}
