/* run_folder.c: see run_folder.h. */
#include "tasks/run_folder.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"

/* ---- names ---- */

/* The step of "checkpoint-N.h5", or -1. */
static int64_t checkpoint_step(const char *name)
{
    long long step;
    int end = 0;
    if (sscanf(name, "checkpoint-%lld.h5%n", &step, &end) != 1 || end == 0 || name[end] || step < 0)
        return -1;
    return step;
}

static bool is_ours(const char *name)
{
    static const char *const names[] = {"config.ini",        "metrics.jsonl", "eval_results.json",
                                        "eval_results.txt",  "best.h5",       "last.h5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return checkpoint_step(name) >= 0;
}

char *pare_run_file(const pare_run_folder *run, const char *name)
{
    return pare_path_join(run->path, name);
}

char *pare_run_checkpoint(const pare_run_folder *run, int64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%lld.h5", (long long)step);
    return pare_path_join(run->path, name);
}

static pare_status remove_file(const pare_run_folder *run, const char *name)
{
    char *path = pare_run_file(run, name);
    if (!path)
        return PARE_MEMORY;
    const pare_status status = pare_file_remove(path);
    pare_free(path);
    return status;
}

/* ---- opening ---- */

typedef struct content {
    const char *mark;
    bool any, marked;
} content;

/* The lock and an unfinished file are no content. */
static pare_status look_at(void *context, const char *name)
{
    content *c = context;
    c->any = c->any || (strcmp(name, "run.lock") != 0 && !pare_ends_with(name, ".tmp"));
    c->marked = c->marked || (c->mark && strcmp(name, c->mark) == 0);
    return PARE_OK;
}

static pare_status remove_ours(void *context, const char *name)
{
    return is_ours(name) ? remove_file(context, name) : PARE_OK;
}

/* Cuts an ending off; false if the name has another. */
static bool cut_ending(char *name, const char *ending)
{
    if (!pare_ends_with(name, ending))
        return false;
    name[strlen(name) - strlen(ending)] = '\0';
    return true;
}

/* The file of a save that a killed run did not finish, as "checkpoint-7.h5.tmp": its step may never
 * be saved again. (A link that was not renamed is a "last.h5.link.tmp".) */
static pare_status remove_unfinished(void *context, const char *name)
{
    char whole[64];
    if (snprintf(whole, sizeof whole, "%s", name) >= (int)sizeof whole ||
        !cut_ending(whole, ".tmp"))
        return PARE_OK;
    cut_ending(whole, ".link");
    return is_ours(whole) ? remove_file(context, name) : PARE_OK;
}

static pare_status take_lock(pare_run_folder *run)
{
    char *path = pare_run_file(run, "run.lock");
    if (!path)
        return PARE_MEMORY;
    const pare_status status = pare_lock(path, &run->lock);
    pare_free(path);
    return status;
}

static pare_status prepare(pare_run_folder *run, const char *mark, const char *otherwise)
{
    content holds = {.mark = mark};
    PARE_TRY(pare_make_directories(run->path));
    PARE_TRY(pare_directory_list(run->path, look_at, &holds));
    if (holds.any && !holds.marked && otherwise)
        return pare_hint(pare_fail(PARE_USAGE, "%s is not empty", run->path), "%s", otherwise);
    PARE_TRY(take_lock(run));
    return pare_directory_list(run->path, remove_unfinished, run);
}

pare_status pare_run_clear(pare_run_folder *run)
{
    return pare_directory_list(run->path, remove_ours, run);
}

pare_status pare_run_open(const char *path, const char *mark, const char *otherwise,
                          pare_run_folder *out)
{
    *out = (pare_run_folder){.path = pare_strdup(path), .lock = -1};
    if (!out->path)
        return PARE_MEMORY;
    const pare_status status = prepare(out, mark, otherwise);
    if (status != PARE_OK)
        pare_run_close(out);
    return status;
}

void pare_run_close(pare_run_folder *run)
{
    if (run->lock >= 0)
        pare_unlock(run->lock);
    pare_free(run->path);
    *run = (pare_run_folder){.lock = -1};
}

/* ---- checkpoints ---- */

typedef struct step_list {
    int64_t *steps;
    size_t n;
} step_list;

static pare_status add_step(void *context, const char *name)
{
    step_list *list = context;
    const int64_t step = checkpoint_step(name);
    if (step < 0)
        return PARE_OK;
    int64_t *grown = pare_realloc(list->steps, (list->n + 1) * sizeof *grown);
    if (!grown)
        return PARE_MEMORY;
    list->steps = grown;
    list->steps[list->n++] = step;
    return PARE_OK;
}

static int falling(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

pare_status pare_run_checkpoints(const pare_run_folder *run, int64_t **steps, size_t *n)
{
    step_list list = {NULL, 0};
    const pare_status status = pare_directory_list(run->path, add_step, &list);
    if (status != PARE_OK) {
        pare_free(list.steps);
        return status;
    }
    if (list.n > 0)
        qsort(list.steps, list.n, sizeof *list.steps, falling);
    *steps = list.steps;
    *n = list.n;
    return PARE_OK;
}

pare_status pare_run_prune(const pare_run_folder *run, int64_t step, int64_t keep)
{
    int64_t *steps = NULL;
    size_t n = 0, later = 0;
    pare_status status = pare_run_checkpoints(run, &steps, &n);
    while (later < n && steps[later] > step)
        later++;
    for (size_t i = later + (size_t)keep; i < n && status == PARE_OK; i++) {
        char *path = pare_run_checkpoint(run, steps[i]);
        status = path ? pare_file_remove(path) : PARE_MEMORY;
        pare_free(path);
    }
    pare_free(steps);
    return status;
}

/* ---- files ---- */

pare_status pare_run_log(const pare_run_folder *run, pare_json *record, int digits)
{
    char *line = pare_json_dump(record, 0, digits);
    char *path = pare_run_file(run, "metrics.jsonl");
    pare_json_free(record);
    pare_status status = PARE_MEMORY;
    if (line && path) {
        const size_t length = strlen(line);
        line[length] = '\n'; /* in the place of the NUL: a line is one write */
        status = pare_file_append(path, line, length + 1);
    }
    pare_free(line);
    pare_free(path);
    return status;
}

pare_status pare_run_sync_log(const pare_run_folder *run)
{
    char *path = pare_run_file(run, "metrics.jsonl");
    if (!path)
        return PARE_MEMORY;
    const pare_status status = pare_file_sync(path);
    pare_free(path);
    return status;
}

/* *stays: a line of the log belongs to the time up to `step`. A broken line does not. */
static pare_status look_at_line(const char *line, size_t length, int64_t step, bool *stays)
{
    pare_json *record = NULL;
    const pare_status status = pare_json_parse(line, length, "metrics.jsonl", &record);
    *stays = status == PARE_OK && pare_json_get_int(record, "step", 0) <= step;
    pare_json_free(record);
    return status == PARE_INPUT ? PARE_OK : status;
}

pare_status pare_run_rewind(const pare_run_folder *run, int64_t step)
{
    char *path = pare_run_file(run, "metrics.jsonl"), *text = NULL;
    size_t size = 0, kept = 0;
    if (!path)
        return PARE_MEMORY;
    pare_status status = PARE_OK;
    if (pare_path_exists(path)) {
        status = pare_file_read(path, 0, &text, &size);
        for (size_t at = 0; status == PARE_OK && at < size;) {
            const char *end = memchr(text + at, '\n', size - at);
            if (!end) /* a line that was cut off */
                break;
            const size_t length = (size_t)(end - text) + 1 - at;
            bool stays;
            status = look_at_line(text + at, length - 1, step, &stays);
            if (stays) {
                memmove(text + kept, text + at, length);
                kept += length;
            }
            at += length;
        }
        if (status == PARE_OK && kept != size)
            status = pare_file_replace(path, text, kept);
        pare_free(text);
    }
    pare_free(path);
    return status;
}

pare_status pare_run_write(const pare_run_folder *run, const char *name, const char *text)
{
    char *path = pare_run_file(run, name);
    if (!path)
        return PARE_MEMORY;
    const pare_status status = pare_file_replace(path, text, strlen(text));
    pare_free(path);
    return status;
}
