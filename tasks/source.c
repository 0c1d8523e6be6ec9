/* source.c: the places where a split's file may lie, tried in turn. */
#include "tasks/source.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"

/* A split's file names without their ending, for GLUE and for a user's folder. */
typedef struct split_row {
    const char *name;
    const char *stems[4];
    bool test;      /* has GLUE's test columns */
    bool mnli_only;
} split_row;

static const split_row splits[] = {
    {"train", {"train"}, false, false},
    {"dev", {"dev", "validation", "valid", "val"}, false, false},
    {"test", {"test"}, true, false},
    {"dev_matched", {"dev_matched"}, false, true},
    {"dev_mismatched", {"dev_mismatched"}, false, true},
    {"test_matched", {"test_matched"}, true, true},
    {"test_mismatched", {"test_mismatched"}, true, true},
    {"ax", {"diagnostic"}, true, true},
};

static const char *const endings[] = {".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".txt"};

static pare_status find_split(const pare_task *task, const char *name, const split_row **out)
{
    if (task->two_dev_sets && strcmp(name, "dev") == 0)
        name = "dev_matched";
    else if (task->two_dev_sets && strcmp(name, "test") == 0)
        name = "test_matched";
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        *out = &splits[i];
        if (strcmp(splits[i].name, name) == 0 && (!splits[i].mnli_only || task->two_dev_sets))
            return PARE_OK;
    }
    return pare_hint(pare_fail(PARE_USAGE, "%s has no split \"%s\"", task->name, name), "%s",
                     task->two_dev_sets ? "one of train, dev_matched, dev_mismatched, "
                                          "test_matched, test_mismatched, ax"
                                        : "one of train, dev, test");
}

/* ---- Folders ---- */

typedef struct folder_search {
    const char *wanted;
    char *found;
} folder_search;

static pare_status compare_entry(void *context, const char *name)
{
    folder_search *search = context;
    if (search->found || !pare_task_name_equal(name, search->wanted))
        return PARE_OK;
    search->found = pare_strdup(name);
    return search->found ? PARE_OK : PARE_MEMORY;
}

/* *out = the folder in `data` that is named so (in any spelling), or NULL. */
static pare_status find_folder(const char *data, const char *name, char **out)
{
    *out = pare_path_join(data, name);
    if (!*out)
        return PARE_MEMORY;
    if (pare_path_is_directory(*out))
        return PARE_OK;
    pare_free(*out);
    *out = NULL;
    folder_search search = {.wanted = name};
    pare_status status = pare_directory_list(data, compare_entry, &search);
    if (status == PARE_OK && search.found) {
        *out = pare_path_join(data, search.found);
        status = *out ? PARE_OK : PARE_MEMORY;
    }
    pare_free(search.found);
    if (*out && !pare_path_is_directory(*out)) {
        pare_free(*out);
        *out = NULL;
    }
    return status;
}

/* *out = folder/stem+ending if it is there, else NULL. */
static pare_status try_file(const char *folder, const char *stem, const char *ending, char **out)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", stem, ending);
    *out = pare_path_join(folder, name);
    if (!*out)
        return PARE_MEMORY;
    if (pare_path_exists(*out))
        return PARE_OK;
    pare_free(*out);
    *out = NULL;
    return PARE_OK;
}

/* ---- What a folder holds ---- */

/* MSR's originals: the test file has the training file's columns, and labels. */
static pare_status try_originals(const pare_task *task, const split_row *split, const char *folder,
                                 pare_source *out)
{
    const char *stem = split->test ? "msr_paraphrase_test" : "msr_paraphrase_train";
    PARE_TRY(try_file(folder, stem, ".txt", &out->path));
    if (!out->path)
        return PARE_OK;
    out->columns = task->train;
    if (split->test)
        return PARE_OK;
    out->dev = strcmp(split->name, "dev") == 0;
    PARE_TRY(try_file(folder, "dev_ids", ".tsv", &out->dev_ids));
    if (out->dev_ids)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: dev_ids.tsv is missing beside "
                               "msr_paraphrase_train.txt", folder),
                     "GLUE's dev_ids.tsv tells which of its pairs are the dev set");
}

static pare_status try_folder(const pare_task *task, const split_row *split, const char *folder,
                              pare_source *out)
{
    size_t n_stems = task->own_files ? sizeof split->stems / sizeof *split->stems : 1;
    size_t n_endings = task->own_files ? sizeof endings / sizeof *endings : 1;
    for (size_t s = 0; s < n_stems && split->stems[s]; s++)
        for (size_t e = 0; e < n_endings && !out->path; e++)
            PARE_TRY(try_file(folder, split->stems[s], endings[e], &out->path));
    if (!out->path && task->msr_originals)
        return try_originals(task, split, folder, out);
    return PARE_OK;
}

static pare_status not_found(const pare_task *task, const split_row *split, const char *data)
{
    if (!pare_path_exists(data))
        return pare_hint(pare_fail(PARE_IO, "%s: no such file or folder", data),
                         "--data names the folder with the task's files");
    if (task->own_files)
        return pare_hint(pare_fail(PARE_IO, "%s: no %s.tsv, .csv or .jsonl in it", data,
                                   split->stems[0]),
                         "--data names a file, or a folder with train, dev and test");
    return pare_hint(pare_fail(PARE_IO, "%s: neither %s/%s.tsv nor %s.tsv is in it", data,
                               task->name, split->stems[0], split->stems[0]),
                     "--data names the folder of GLUE's folders, or that of %s", task->name);
}

/* out->path stays NULL where there is no such file. */
static pare_status search(const pare_task *task, const split_row *split, const char *data,
                          pare_source *out)
{
    if (!pare_path_exists(data))
        return PARE_OK;
    if (!pare_path_is_directory(data)) {
        out->path = pare_strdup(data);
        return out->path ? PARE_OK : PARE_MEMORY;
    }
    const char *name = strcmp(split->name, "ax") == 0 ? split->stems[0] : task->name;
    if (!task->own_files) {
        char *folder = NULL;
        PARE_TRY(find_folder(data, name, &folder));
        pare_status status = folder ? try_folder(task, split, folder, out) : PARE_OK;
        pare_free(folder);
        PARE_TRY(status);
    }
    return out->path ? PARE_OK : try_folder(task, split, data, out);
}

pare_status pare_source_look(const pare_task *task, const char *data, const char *split,
                             pare_source *out)
{
    const split_row *row = NULL;
    *out = (pare_source){0};
    PARE_TRY(find_split(task, split, &row));
    out->columns = row->test ? task->test : task->train;
    if (strcmp(row->name, "ax") == 0) /* index, sentence1, sentence2 */
        out->columns = (pare_glue_columns){1, 2, task->test.label, true};
    pare_status status = search(task, row, data, out);
    if (status != PARE_OK)
        pare_source_free(out);
    return status;
}

pare_status pare_source_find(const pare_task *task, const char *data, const char *split,
                             pare_source *out)
{
    const split_row *row = NULL;
    PARE_TRY(pare_source_look(task, data, split, out));
    if (out->path)
        return PARE_OK;
    PARE_TRY(find_split(task, split, &row));
    return not_found(task, row, data);
}

void pare_source_free(pare_source *source)
{
    pare_free(source->path);
    pare_free(source->dev_ids);
    *source = (pare_source){0};
}

pare_status pare_source_has_dev(const pare_task *task, const char *data, bool *has)
{
    pare_source source;
    *has = false;
    if (task->own_files && !pare_path_is_directory(data))
        return PARE_OK;
    PARE_TRY(pare_source_look(task, data, task->two_dev_sets ? "dev_matched" : "dev", &source));
    *has = source.path != NULL;
    pare_source_free(&source);
    return PARE_OK;
}
