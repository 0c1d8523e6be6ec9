/* cmd_sweep.c: pare sweep: a grid of fine-tuning runs, resumable, and what came of it. */
#include <string.h>

#include "cli/columns.h"
#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/sweep_report.h"
#include "cli/sweep_run.h"
#include "cli/sweep_time.h"
#include "core/clock.h"
#include "core/file.h"

/* ---- The folder ---- */

/* The options of a sweep that may be others when it goes on: no score depends on them. */
static bool may_change(const char *line)
{
    static const char *const names[] = {"jobs",       "threads", "latency", "tolerate",
                                        "save_steps", "keep",    "slim",    "max_seconds"};
    const size_t n = strcspn(line, " ");

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && strncmp(line, names[i], n) == 0)
            return true;
    return false;
}

/* Two configs of the same options, line by line. */
static pare_status compare(const char *path, const char *then, const char *now)
{
    while (*then && *now) {
        const size_t n = strcspn(then, "\n"), m = strcspn(now, "\n");
        if ((n != m || strncmp(then, now, n) != 0) && !may_change(now))
            return pare_hint(pare_fail(PARE_USAGE, "%s was made with \"%.*s\", now it is \"%.*s\"",
                                       path, (int)n, then, (int)m, now),
                             "repeat the sweep with the options of %s, or name another --output",
                             path);
        then += n + (then[n] != '\0');
        now += m + (now[m] != '\0');
    }
    return PARE_OK;
}

/* The options that the folder was begun with must be these. */
static pare_status compare_options(const pare_options *options, const char *path,
                                   const pare_text *now)
{
    pare_options old;
    pare_text then = {0};
    pare_status status = pare_options_init(&old, options->command);

    if (status == PARE_OK)
        status = pare_options_read(path, &old);
    if (status == PARE_OK) {
        pare_options_write(&old, &then);
        status = pare_text_status(&then);
    }
    if (status == PARE_OK)
        status = compare(path, then.bytes, now->bytes);
    pare_text_free(&then);
    pare_options_free(&old);
    return status;
}

/* The first time the options are kept, in sweep.ini; then they are compared. */
static pare_status keep_options(const pare_options *o, const char *path)
{
    pare_text now = {0};

    pare_options_write(o, &now);
    pare_status status = pare_text_status(&now);
    if (status == PARE_OK && pare_path_exists(path))
        status = compare_options(o, path, &now);
    if (status == PARE_OK)
        status = pare_file_replace(path, now.bytes, now.n);
    pare_text_free(&now);
    return status;
}

/* sweep.lock, and what a sweep left that was killed while it wrote sweep.ini, are nobody else's. */
static pare_status count_foreign(void *context, const char *name)
{
    if (strncmp(name, "sweep.", 6) != 0)
        ++*(int *)context;
    return PARE_OK;
}

/* Nothing is put among other people's files. */
static pare_status check_folder(const pare_options *o, const char *config)
{
    int entries = 0;

    PARE_TRY(pare_make_directories(o->output));
    if (!pare_path_exists(config))
        PARE_TRY(pare_directory_list(o->output, count_foreign, &entries));
    if (entries == 0)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "%s is not empty, and not of a sweep", o->output),
                     "name another folder with --output");
}

/* One sweep at a time; an unchanged one goes on. *lock is to be given to pare_unlock. */
static pare_status open_folder(const pare_options *o, int *lock)
{
    char *config = pare_path_join(o->output, "sweep.ini");
    char *path = pare_path_join(o->output, "sweep.lock");
    pare_status status = config && path ? check_folder(o, config) : PARE_MEMORY;

    if (status == PARE_OK)
        status = pare_lock(path, lock);
    if (status == PARE_OK)
        status = keep_options(o, config);
    pare_free(path);
    pare_free(config);
    return status;
}

/* ---- What came of it ---- */

static pare_status write_rows(const pare_sweep_findings *f, const char *folder)
{
    pare_text rows = {0};
    char *path = pare_path_join(folder, "summary.tsv");

    pare_sweep_rows(f, true, &rows);
    pare_status status = path ? pare_text_status(&rows) : PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_file_replace(path, rows.bytes, rows.n);
    pare_free(path);
    pare_text_free(&rows);
    return status;
}

static pare_status write_json(const pare_json *object, const char *folder)
{
    char *path = pare_path_join(folder, "summary.json");
    const pare_status status = path ? pare_result_file(path, object) : PARE_MEMORY;

    pare_free(path);
    return status;
}

static pare_status print_table(const pare_sweep_findings *f)
{
    pare_text rows = {0}, words = {0};

    pare_sweep_rows(f, false, &rows);
    pare_sweep_words(f, &words);
    pare_status status = pare_columns_print(&rows);
    if (status == PARE_OK)
        status = pare_text_status(&words);
    if (status == PARE_OK)
        status = pare_out_bytes(words.bytes, words.n);
    pare_text_free(&words);
    return status;
}

static pare_status report(const pare_options *o, const pare_sweep_findings *f)
{
    pare_json *object = pare_sweep_json(f);
    pare_status status = object ? write_json(object, o->output) : PARE_MEMORY;

    if (status == PARE_OK)
        status = write_rows(f, o->output);
    if (status == PARE_OK && o->json)
        return pare_out_json(object);
    pare_json_free(object);
    return status == PARE_OK ? print_table(f) : status;
}

/* All runs are done. */
static pare_status conclude(const pare_options *o, const pare_sweep_plan *plan,
                            pare_json *const *results)
{
    const pare_sweep_grid *g = plan->grid;
    pare_sweep_score *scores = pare_arena_alloc(g->arena, (size_t)g->n_points * sizeof *scores);
    pare_sweep_pick *picks = pare_arena_alloc(g->arena, (size_t)g->n_points * sizeof *picks);

    if (!scores || !picks)
        return PARE_MEMORY;
    pare_sweep_scores(g, results, scores);
    if (o->latency)
        PARE_TRY(pare_sweep_time(plan, scores));
    const pare_sweep_findings findings = {
        .grid = g, .results = results, .scores = scores, .picks = picks,
        .n_picks = pare_sweep_picks(g, scores, o->tolerate, picks), .tolerate = o->tolerate};
    return report(o, &findings);
}

/* ---- The command ---- */

/* --dry-run: the runs, and which cells share one. */
static pare_status list_cells(const pare_options *o, const pare_sweep_grid *g)
{
    pare_json *object = pare_json_new_object(), *cells = pare_json_new_array();
    int n_runs = 0;

    for (int i = 0; i < g->n_cells; i++) {
        const pare_sweep_cell *cell = &g->cells[i];
        const char *shared = cell->same_as == i ? NULL : g->cells[cell->same_as].name;
        pare_json *one = pare_json_new_object();
        pare_json_set_string(one, "name", cell->name);
        pare_json_set(one, "options", pare_sweep_options(g, cell->point));
        pare_json_set_int(one, "seed", cell->options.seed);
        if (shared)
            pare_json_set_string(one, "same_as", shared);
        pare_json_append(cells, one);
        n_runs += !shared;
        if (!o->json)
            pare_out("%s%s%s\n", cell->name, shared ? "  shares the run of " : "",
                     shared ? shared : "");
    }
    pare_json_set(object, "cells", cells);
    pare_json_set_int(object, "runs", n_runs);
    if (o->json)
        return pare_out_json(object);
    pare_json_free(object);
    pare_out("%d runs\n", n_runs);
    return PARE_OK;
}

static void note_shared(const pare_sweep_grid *g)
{
    for (int i = 0; i < g->n_cells; i++)
        if (g->cells[i].same_as != i)
            pare_note("shared: %s is the same run as %s", g->cells[i].name,
                      g->cells[g->cells[i].same_as].name);
}

static pare_status run(const pare_options *o, const pare_sweep_grid *g)
{
    const int share = pare_threads() / (int)o->jobs;
    const pare_sweep_plan plan = {.grid = g, .folder = o->output, .jobs = o->jobs,
                                  .threads = o->threads > 0 ? o->threads : share > 1 ? share : 1,
                                  .slim = o->slim, .began = pare_seconds(),
                                  .max_seconds = o->max_seconds};
    pare_json **results = pare_arena_zalloc(g->arena, (size_t)g->n_cells * sizeof(pare_json *));

    if (!results)
        return PARE_MEMORY;
    note_shared(g);
    pare_status status = pare_sweep_run(&plan, results);
    if (status == PARE_OK)
        status = conclude(o, &plan, results);
    for (int i = 0; i < g->n_cells; i++)
        pare_json_free(results[i]);
    return status;
}

pare_status pare_command_sweep(const pare_options *o)
{
    pare_sweep_grid grid;
    int lock = -1;
    pare_status status = pare_sweep_grid_open(o, &grid);

    if (status == PARE_OK && o->dry_run) {
        status = list_cells(o, &grid);
    } else if (status == PARE_OK) {
        status = open_folder(o, &lock);
        if (status == PARE_OK)
            status = run(o, &grid);
        pare_unlock(lock);
    }
    pare_sweep_grid_close(&grid);
    return status;
}
