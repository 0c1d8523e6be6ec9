/* recipe.h: the options that a run was begun with, so that it goes on with the same. */
#ifndef PARE_TASKS_RECIPE_H
#define PARE_TASKS_RECIPE_H

#include "core/json.h"
#include "core/status.h"

/* PARE_USAGE naming the first member of `now` that `then` has not, or not so, and both values; the
 * hint is `advice`. `path` is the file that holds `then`. */
pare_status pare_recipe_compare(const char *path, const pare_json *then, const pare_json *now,
                                const char *advice);

#endif
