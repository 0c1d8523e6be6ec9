/* recipe.h: the options that a run was begun with, so that it goes on with the same. */
#ifndef PARE_TASKS_RECIPE_H
#define PARE_TASKS_RECIPE_H

#include "core/json.h"
#include "core/status.h"
#include "tasks/trainer.h"

#define PARE_RECIPE_MODEL "model (crc32)"

/* The weights of the model that a run starts from, as pare_model_crc tells them, if the file is
 * there. Fails as pare_model_open does. */
pare_status pare_recipe_add_model(pare_json *recipe, const pare_train_options *options);

/* Adds to `recipe` what a training's bits depend on, of the options that say it themselves: its
 * steps, length and examples are worked out from the data. Fails as pare_model_open of the teacher
 * does, whose weights count. */
pare_status pare_recipe_add_training(pare_json *recipe, const pare_train_options *options);

/* The same for a run that has not looked at the data: with the options behind those three. */
pare_status pare_recipe_add_options(pare_json *recipe, const pare_train_options *options);

/* PARE_USAGE naming the first member that differs, or that one of them has not, and both values;
 * the hint is `advice`. `path` is the file that holds `then`. Nobody can tell where the file of the
 * model is gone. */
pare_status pare_recipe_compare(const char *path, const pare_json *then, const pare_json *now,
                                const char *advice);

#endif
