/* tests/fuzz/fuzz_state.c: the counters and the recipe of a training state, in a file that is
 * whole otherwise. Counters that no run can have are refused. */
#include "tests/fuzz/fuzz_seal.h"

#include "tasks/checkpoint.h"
#include "tasks/recipe.h"

enum { MODEL = 1 << 15 };

static pare_model *tiny(void)
{
    static unsigned char bytes[MODEL];
    pare_model *model = NULL;
    const char *path = fuzz_sealed("model.h5", bytes, fuzz_tiny(bytes, sizeof bytes));
    fuzz_check(pare_model_open(path, &model) == PARE_OK);
    return model;
}

static void check_state(const pare_progress_state *s)
{
    fuzz_check(s->step >= 0 && s->examples >= 0 && s->tokens >= 0);
    fuzz_check(s->best_step >= 0 && s->best_step <= s->step);
    fuzz_check(s->evaluated_step >= 0 && s->evaluated_step <= s->step);
    fuzz_check(s->skipped >= 0 && s->skipped <= s->step);
    fuzz_check(s->bad_evaluations >= 0 && s->run_seconds >= 0 && s->train_seconds >= 0);
}

static void compare(const char *then)
{
    static const char now[] = "{\"seed\":1,\"task\":\"MRPC\",\"learning_rate\":2e-5}";
    pare_json *a = NULL, *b = NULL;
    fuzz_check(pare_json_parse(now, strlen(now), "now", &b) == PARE_OK);
    if (fuzz_read(pare_json_parse(then, strlen(then), "then", &a))) {
        pare_status status = pare_recipe_compare("last.h5", a, b, "begin anew");
        fuzz_check(status == PARE_OK || status == PARE_USAGE);
    }
    pare_json_free(a);
    pare_json_free(b);
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    static const pare_optimizer no_moments;
    static pare_model *model;
    char path[FUZZ_PATH + 16], recipe[256] = "";
    pare_progress_state state = {0};
    pare_arena *arena = pare_arena_new("state");
    pare_model *read = NULL;
    const size_t counters = size < sizeof state ? size : sizeof state;
    if (!model)
        model = tiny();
    fuzz_check(model && arena);
    memcpy(&state, bytes, counters);
    for (size_t i = counters; i < size && i - counters < sizeof recipe - 1; i++)
        recipe[i - counters] = (char)bytes[i];
    pare_checkpoint_text text = {recipe, "fp32", "", ""};
    snprintf(path, sizeof path, "%s/state.h5", fuzz_root());
    fuzz_check(pare_checkpoint_save(path, model, &no_moments, &state, &text) == PARE_OK);
    if (fuzz_read(pare_checkpoint_open(path, arena, &read, &state, &text))) {
        check_state(&state);
        fuzz_check(strcmp(text.recipe, recipe) == 0);
        compare(text.recipe);
    }
    unlink(path);
    pare_model_free(read);
    pare_arena_free(arena);
}
