/* recipe.c: see recipe.h. */
#include "tasks/recipe.h"

#include <string.h>

#include "core/memory.h"

static pare_status differ(const char *path, const char *key, const char *then, const char *now,
                          const char *advice)
{
    return pare_hint(pare_fail(PARE_USAGE, "%s was made with %s %s, now it is %s", path, key,
                               then ? then : "unknown", now ? now : "unknown"),
                     "%s", advice);
}

pare_status pare_recipe_compare(const char *path, const pare_json *then, const pare_json *now,
                                const char *advice)
{
    pare_status status = PARE_OK;
    for (void *i = pare_json_iter(now); i && status == PARE_OK; i = pare_json_iter_next(now, i)) {
        const char *key = pare_json_iter_key(i);
        const pare_json *old = pare_json_get(then, key);
        char *a = old ? pare_json_dump(old, 0, 17) : NULL;
        char *b = pare_json_dump(pare_json_iter_value(i), 0, 17);
        if (!b || (old && !a))
            status = PARE_MEMORY;
        else if (!a || strcmp(a, b) != 0)
            status = differ(path, key, a, b, advice);
        pare_free(a);
        pare_free(b);
    }
    return status;
}
