/* tests/sweep_arguments.h: command lines of pare sweep, for the tests of it.
 *
 *   make_tiny_home();                                          a model and its corpus
 *   const arguments a = SWEEP("--seeds", "1,2", "--output", folder);
 *   assert_int_equal(refused(&a), PARE_USAGE); */
#ifndef PARE_TESTS_SWEEP_ARGUMENTS_H
#define PARE_TESTS_SWEEP_ARGUMENTS_H

#include "tests/tiny_model.h"

#include "cli/commands.h"

enum { MOST_ARGUMENTS = 48 };

static char home[TEST_PATH], model_path[TEST_PATH];

TEST_UNUSED static void make_tiny_home(void)
{
    test_dir_make(home);
    test_path(model_path, home, "model.h5");
    make_tiny_corpus(home, 80, 40);
    make_tiny_model(home, model_path, 2, 0, 300);
}

typedef struct arguments {
    const char *at[MOST_ARGUMENTS + 1];
    int n;
} arguments;

TEST_UNUSED static void add_arguments(arguments *a, const char *const *more)
{
    for (; *more; more++) {
        assert_true(a->n < MOST_ARGUMENTS);
        a->at[a->n++] = *more;
    }
}

/* pare sweep with the model, the data and short runs, and `more` (NULL-ended). */
TEST_UNUSED static arguments sweep_of(const char *const *more)
{
    const char *const common[] = {"pare", "sweep", "--model", model_path, "--task", "SST-2",
                                  "--data", home, "--epochs", "1", "--batch-size", "8",
                                  "--learning-rate", "1e-3", "--save-steps", "3", "--threads", "1",
                                  "-q", NULL};
    arguments a = {{NULL}, 0};
    add_arguments(&a, common);
    add_arguments(&a, more);
    return a;
}
#define SWEEP(...) sweep_of((const char *const[]){__VA_ARGS__, NULL})

/* Runs it in this process, for what is refused: its message stays. */
TEST_UNUSED static pare_status refused(const arguments *a)
{
    char *argv[MOST_ARGUMENTS + 1];
    for (int i = 0; i < a->n; i++)
        argv[i] = (char *)(uintptr_t)a->at[i];
    return pare_program(a->n, argv);
}

#endif
