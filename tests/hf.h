/* tests/hf.h: Hugging Face directories to be imported, made from tests/data/hf, which
 * tests/make_hf_fixture.py has written with PyTorch and transformers. */
#ifndef PARE_TESTS_HF_H
#define PARE_TESTS_HF_H

#include "tests/harness.h"

#include <sys/stat.h>

#include "models/model.h"

#define DATA "tests/data/hf/"

TEST_UNUSED static void copy_file(const char *from, const char *directory, const char *name)
{
    size_t size;
    char path[TEST_PATH], *bytes = test_file_read(from, &size);
    test_path(path, directory, name);
    test_file_write(path, bytes, size);
    free(bytes);
}

TEST_UNUSED static void write_file(const char *directory, const char *name, const char *text)
{
    char path[TEST_PATH];
    test_path(path, directory, name);
    test_text_write(path, text);
}

TEST_UNUSED static void remove_file(const char *directory, const char *name)
{
    char path[TEST_PATH];
    test_path(path, directory, name);
    assert_int_equal(remove(path), 0);
}

/* dir[TEST_PATH] = an empty folder, in one that is removed when the program ends. */
TEST_UNUSED static void new_directory(char *dir)
{
    static char root[TEST_PATH];
    static int n;
    char name[32];
    if (n == 0)
        test_dir_make(root);
    snprintf(name, sizeof name, "%d", n++);
    test_path(dir, root, name);
    assert_int_equal(mkdir(dir, 0777), 0);
}

/* A copy of the tiny model without its weights and tokenizer.json. */
TEST_UNUSED static void make_directory(char *dir)
{
    new_directory(dir);
    copy_file(DATA "tiny/config.json", dir, "config.json");
    copy_file(DATA "tiny/vocab.txt", dir, "vocab.txt");
}

TEST_UNUSED static pare_model *import(const char *dir)
{
    pare_model *model = NULL;
    assert_ok(pare_import(dir, &model));
    return model;
}

TEST_UNUSED static void assert_refused(const char *dir, const char *says)
{
    pare_model *model = NULL;
    assert_status(pare_import(dir, &model), PARE_INPUT);
    assert_null(model);
    assert_message_has(says);
}

#endif
