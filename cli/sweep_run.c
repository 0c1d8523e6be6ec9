/* sweep_run.c: see sweep_run.h. */
#define _GNU_SOURCE
#include "cli/sweep_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/config_file.h"
#include "cli/console.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/file_calls.h"
#include "core/signals.h"
#include "models/model.h"

enum { POLL_NANOSECONDS = 20 * 1000 * 1000, LARGEST_RESULT = 1 << 20, LONGEST_LINE = 512 };

typedef enum cell_state {
    CELL_WAITS,
    CELL_RUNS,
    CELL_DONE, /* finished, now or before */
    CELL_LEFT, /* stopped or failed: for another time */
} cell_state;

typedef struct job {
    cell_state state;
    bool waits_for_lock; /* that was said already */
    pid_t child;
    time_t began;
} job;

typedef struct sweep {
    const pare_sweep_plan *plan;
    job *jobs; /* [n_cells] */
    pare_json **results;
    int n_runs, n_done, n_running, n_stopped, n_failed; /* cells that share one count once */
    pare_status failure;      /* of the first that failed */
    char message[LONGEST_LINE], hint[LONGEST_LINE];
    bool passed_on;           /* the children know that a stop was asked for */
} sweep;

/* ---- files ---- */

char *pare_sweep_path(const pare_sweep_plan *plan, const pare_sweep_cell *cell, const char *ending)
{
    size_t room = strlen(plan->folder) + strlen(cell->name) + strlen(ending) + 2;
    char *path = pare_malloc(room);

    if (path)
        snprintf(path, room, "%s/%s%s", plan->folder, cell->name, ending);
    return path;
}

/* A JSON file of a cell; *out stays NULL where there is none. */
static pare_status read_json(const pare_sweep_plan *plan, const pare_sweep_cell *cell,
                             const char *ending, pare_json **out)
{
    char *path = pare_sweep_path(plan, cell, ending), *text = NULL;
    size_t size = 0;
    pare_status status = path ? PARE_OK : PARE_MEMORY;

    *out = NULL;
    if (path && pare_path_exists(path)) {
        status = pare_file_read(path, LARGEST_RESULT, &text, &size);
        if (status == PARE_OK)
            status = pare_json_parse(text, size, path, out);
    }
    pare_free(text);
    pare_free(path);
    return status;
}

/* The options as what is run reads them. */
static pare_status write_config(const pare_sweep_plan *plan, const pare_sweep_cell *cell)
{
    pare_options options = cell->options;
    pare_text text = {0};
    char *path = pare_sweep_path(plan, cell, ".ini"), *run = pare_sweep_path(plan, cell, "");

    options.output = run;
    options.threads = plan->threads;
    options.max_seconds = 0; /* the clock is the sweep's */
    pare_options_write(&options, &text);
    pare_status status = path && run ? pare_text_status(&text) : PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_file_replace(path, text.bytes, text.n);
    pare_text_free(&text);
    pare_free(run);
    pare_free(path);
    return status;
}

/* ---- a finished run ---- */

static bool is_spare(const char *name)
{
    return strncmp(name, "checkpoint-", 11) == 0 || strcmp(name, "last.h5") == 0 ||
           strncmp(name, "compact-", 8) == 0 || strcmp(name, "factorised.h5") == 0;
}

/* In a run's folder, and in those of its phases. */
static pare_status remove_spare(void *context, const char *name)
{
    char *path = pare_path_join(context, name);
    pare_status status = path ? PARE_OK : PARE_MEMORY;
    if (path && pare_path_is_directory(path))
        status = pare_directory_list(path, remove_spare, path);
    else if (path && is_spare(name))
        status = pare_file_remove(path);
    pare_free(path);
    return status;
}

/* Removes what only going on with the run would need. */
static pare_status slim_down(const pare_sweep_plan *plan, const pare_sweep_cell *cell)
{
    char *run = plan->slim ? pare_sweep_path(plan, cell, "") : NULL;
    pare_status status = PARE_OK;

    if (plan->slim && !run)
        return PARE_MEMORY;
    if (run && pare_path_is_directory(run))
        status = pare_directory_list(run, remove_spare, run);
    pare_free(run);
    return status;
}

static pare_status add_sizes(const pare_sweep_plan *plan, const pare_sweep_cell *cell,
                             pare_json *object)
{
    char *path = pare_sweep_path(plan, cell, "/best.h5");
    pare_model *model = NULL;
    pare_status status = path ? pare_model_open(path, &model) : PARE_MEMORY;

    if (status == PARE_OK) {
        pare_json_set_int(object, "parameters", pare_model_parameters(model));
        pare_json_set_int(object, "layers", model->config.num_hidden_layers);
        pare_model_free(model);
    }
    pare_free(path);
    return status;
}

static void copy_members(pare_json *to, const pare_json *from, const char *const *names)
{
    for (; *names; names++)
        if (pare_json_get(from, *names))
            pare_json_set(to, *names, pare_json_copy(pare_json_get(from, *names)));
}

/* The metrics of a run, and its training time: a FLOP run has them before and after, and a phase
 * at a time. */
static void unify(pare_json *said)
{
    const pare_json *after = pare_json_get(pare_json_get(said, "metrics"), "after");
    pare_json *times = pare_json_get(said, "train_seconds");
    if (!after)
        return;
    double seconds = 0;
    for (void *i = pare_json_iter(times); i; i = pare_json_iter_next(times, i))
        seconds += pare_json_as_double(pare_json_iter_value(i), 0);
    pare_json_set(said, "metrics", pare_json_copy(after));
    pare_json_set_double(said, "train_seconds", seconds);
}

/* NAME.json out of what the run says of itself; times stand apart, as they are never the same. */
static pare_status take_result(const pare_sweep_plan *plan, const pare_sweep_cell *cell,
                               pare_json *object)
{
    static const char *const same[] = {"metrics", "best_metrics", "loss", "steps", "best_step",
                                       "target", "sparsity", "miss_before_projection", NULL};
    static const char *const times[] = {"train_seconds", "tokens_per_second",
                                        "examples_per_second", "kernels", "latency_ms", NULL};
    pare_json *said = NULL, *timing = NULL;

    PARE_TRY(read_json(plan, cell, "/eval_results.json", &said));
    if (!said)
        return pare_hint(pare_fail(PARE_INPUT, "%s: the run ended without a result", cell->name),
                         "%s.log in the sweep's folder tells why", cell->name);
    unify(said);
    copy_members(object, said, same);
    const pare_status status = add_sizes(plan, cell, object);
    timing = pare_json_new_object();
    copy_members(timing, said, times);
    pare_json_set_int(timing, "threads", plan->threads);
    pare_json_set(object, "timing", timing);
    pare_json_free(said);
    return status;
}

/* The cell is over: *out is its record, which is on the disk then. */
static pare_status record(const pare_sweep_plan *plan, const pare_sweep_cell *cell, bool diverged,
                          pare_json **out)
{
    pare_json *object = pare_json_new_object();
    char *path = pare_sweep_path(plan, cell, ".json");
    pare_status status = object && path ? PARE_OK : PARE_MEMORY;

    pare_json_set_string(object, "name", cell->name);
    pare_json_set(object, "options", pare_sweep_options(plan->grid, cell->point));
    pare_json_set_int(object, "seed", cell->options.seed);
    if (status == PARE_OK && diverged)
        pare_json_set_bool(object, "diverged", true);
    else if (status == PARE_OK)
        status = take_result(plan, cell, object);
    if (status == PARE_OK)
        status = pare_result_file(path, object);
    if (status == PARE_OK)
        status = slim_down(plan, cell);
    pare_free(path);
    if (status != PARE_OK)
        pare_json_free(object);
    *out = status == PARE_OK ? object : NULL;
    return status;
}

/* ---- child processes ---- */

/* In the child, where only what is safe between fork and exec may be called. Its own group: Ctrl-C
 * is the sweep's to pass on, once. A child whose sweep is killed is asked to stop by the system. */
static void become_run(pid_t parent, bool flop, const char *log, const char *config)
{
    const char *finetune[] = {"pare", "finetune", "--config", config, "--resume", "--json", NULL};
    const char *run[] = {"pare", "flop", "run", "--config", config, "--resume", "--json", NULL};
    const char **arguments = flop ? run : finetune;
    int in = pare_sys_open("/dev/null", O_RDONLY);
    int out = pare_sys_open(log, O_WRONLY | O_CREAT | O_APPEND);

    setpgid(0, 0);
    signal(SIGUSR1, SIG_IGN); /* until the run has a handler for it */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(out, 2) < 0)
        _exit(PARE_IO);
    execv("/proc/self/exe", (char *const *)(uintptr_t)arguments);
    _exit(PARE_INTERNAL);
}

static pare_status start_child(const pare_sweep_plan *plan, const pare_sweep_cell *cell, job *j)
{
    char *log = pare_sweep_path(plan, cell, ".log"), *config = pare_sweep_path(plan, cell, ".ini");
    const pid_t parent = getpid();
    pare_status status = log && config ? write_config(plan, cell) : PARE_MEMORY;

    if (status == PARE_OK)
        status = pare_file_append(log, "", 0); /* the child could not say why it cannot open it */
    if (status == PARE_OK) {
        fflush(NULL);
        j->child = fork();
        if (j->child == 0)
            become_run(parent, strcmp(cell->options.command->name, "flop") == 0, log, config);
        if (j->child < 0)
            status = pare_fail(PARE_IO, "no new process: %s", strerror(errno));
    }
    pare_free(config);
    pare_free(log);
    return status;
}

/* Whether someone works in the run folder: the children of a sweep that was killed, for as long as
 * they save. */
static bool is_locked(const pare_sweep_plan *plan, const pare_sweep_cell *cell)
{
    char *path = pare_sweep_path(plan, cell, "/run.lock");
    int handle = -1;
    bool locked =
        path && pare_path_exists(path) && pare_lock(path, &handle) == PARE_USAGE;

    pare_unlock(handle);
    pare_free(path);
    return locked;
}

/* ---- what ends ---- */

/* line[LONGEST_LINE] = the last "error: ..." of a log, without that word; "" if there is none. */
static void last_error(const char *log, char *line)
{
    char *text = NULL;
    size_t size;

    line[0] = '\0';
    if (pare_file_read(log, 0, &text, &size) != PARE_OK)
        return;
    for (char *s = strstr(text, "error: "); s; s = strstr(s + 1, "error: "))
        if (s == text || s[-1] == '\n')
            snprintf(line, LONGEST_LINE, "%.*s", (int)strcspn(s + 7, "\n"), s + 7);
    pare_free(text);
}

/* A run that failed: said at once, and kept for the end if it is the first. */
static pare_status note_failed(sweep *s, const pare_sweep_cell *cell, int status)
{
    char *log = pare_sweep_path(s->plan, cell, ".log"), why[LONGEST_LINE];

    if (!log)
        return PARE_MEMORY;
    last_error(log, why);
    if (!why[0] && WIFSIGNALED(status))
        snprintf(why, sizeof why, "killed by signal %d", WTERMSIG(status));
    pare_note("failed: %s: %s", cell->name, why[0] ? why : "it does not say why");
    if (s->n_failed++ == 0) {
        s->failure = WIFEXITED(status) ? (pare_status)WEXITSTATUS(status) : PARE_INTERNAL;
        snprintf(s->message, sizeof s->message, "%.150s: %.300s", cell->name,
                 why[0] ? why : "failed");
        snprintf(s->hint, sizeof s->hint, "%.400s tells more", log);
    }
    pare_free(log);
    return PARE_OK;
}

/* "accuracy 0.8431, 5 s" */
static void note_done(const sweep *s, const pare_sweep_cell *cell, const job *j,
                      const pare_json *result)
{
    void *first = pare_json_iter(pare_json_get(result, "metrics"));
    long long seconds = (long long)(time(NULL) - j->began);

    if (pare_json_get_bool(result, "diverged", false))
        pare_note("[%d/%d] diverged: %s, %lld s", s->n_done, s->n_runs, cell->name, seconds);
    else if (first && pare_json_is_number(pare_json_iter_value(first)))
        pare_note("[%d/%d] done: %s: %s %.4f, %lld s", s->n_done, s->n_runs, cell->name,
                  pare_json_iter_key(first), pare_json_as_double(pare_json_iter_value(first), 0),
                  seconds);
    else
        pare_note("[%d/%d] done: %s, %lld s", s->n_done, s->n_runs, cell->name, seconds);
}

/* A child has ended with `status`, as waitpid gives it. */
static pare_status end_job(sweep *s, int index, int status)
{
    const pare_sweep_cell *cell = &s->plan->grid->cells[index];
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    job *j = &s->jobs[index];

    s->n_running--;
    j->state = CELL_LEFT;
    if (code == PARE_OK || code == PARE_DIVERGED || code == PARE_MISSED) {
        PARE_TRY(record(s->plan, cell, code == PARE_DIVERGED, &s->results[index]));
        j->state = CELL_DONE;
        s->n_done++;
        note_done(s, cell, j, s->results[index]);
        return PARE_OK;
    }
    if (code == PARE_STOPPED || s->passed_on) { /* also if the signal came before it was ready */
        s->n_stopped++;
        pare_note("stopped: %s", cell->name);
        return PARE_OK;
    }
    return note_failed(s, cell, status);
}

static pare_status reap(sweep *s, bool *changed)
{
    for (int i = 0; i < s->plan->grid->n_cells; i++) {
        int status;
        if (s->jobs[i].state != CELL_RUNS || waitpid(s->jobs[i].child, &status, WNOHANG) <= 0)
            continue;
        *changed = true;
        PARE_TRY(end_job(s, i, status));
    }
    return PARE_OK;
}

/* ---- the loop ---- */

/* Starts cells while there is room for more. *waiting: one is left that can be run. */
static pare_status start_some(sweep *s, bool *waiting)
{
    const pare_sweep_plan *plan = s->plan;

    *waiting = false;
    for (int i = 0; i < plan->grid->n_cells; i++) {
        const pare_sweep_cell *cell = &plan->grid->cells[i];
        job *j = &s->jobs[i];
        if (j->state != CELL_WAITS)
            continue;
        *waiting = true;
        if (s->n_running >= plan->jobs)
            return PARE_OK;
        if (is_locked(plan, cell)) {
            if (!j->waits_for_lock)
                pare_note("waiting: %s is in use by another process", cell->name);
            j->waits_for_lock = true;
            continue;
        }
        PARE_TRY(start_child(plan, cell, j));
        j->state = CELL_RUNS;
        j->began = time(NULL);
        s->n_running++;
        pare_note("[%d/%d] started: %s", s->n_done, s->n_runs, cell->name);
    }
    return PARE_OK;
}

static void signal_children(const sweep *s, int number)
{
    for (int i = 0; i < s->plan->grid->n_cells; i++)
        if (s->jobs[i].state == CELL_RUNS)
            kill(s->jobs[i].child, number);
}

bool pare_sweep_must_stop(const pare_sweep_plan *plan)
{
    const double limit = plan->max_seconds;
    return pare_signal_stop_requested() || (limit > 0 && pare_seconds() - plan->began >= limit);
}

/* What was asked of the sweep is asked of its runs: to stop or to save. True if no other run is to
 * be started. */
static bool pass_on(sweep *s)
{
    const bool stop = pare_sweep_must_stop(s->plan);
    if (stop && !s->passed_on)
        signal_children(s, SIGTERM);
    if (pare_signal_save_requested())
        signal_children(s, SIGUSR1);
    s->passed_on = s->passed_on || stop;
    return s->passed_on;
}

static pare_status loop(sweep *s)
{
    const struct timespec pause = {0, POLL_NANOSECONDS};
    bool waiting = true;

    while (waiting || s->n_running > 0) {
        const bool stop = pass_on(s);
        bool changed = false;
        PARE_TRY(reap(s, &changed));
        waiting = false;
        if (!stop)
            PARE_TRY(start_some(s, &waiting));
        if (!changed)
            nanosleep(&pause, NULL);
    }
    return PARE_OK;
}

/* The sweep itself cannot go on: no child outlives it. */
static void abandon(sweep *s)
{
    signal_children(s, SIGTERM);
    for (int i = 0; i < s->plan->grid->n_cells; i++)
        if (s->jobs[i].state == CELL_RUNS)
            waitpid(s->jobs[i].child, NULL, 0);
}

/* ---- the beginning and the end ---- */

/* What earlier sessions finished, and what is left to be run. */
static pare_status take_stock(sweep *s)
{
    const pare_sweep_grid *grid = s->plan->grid;

    for (int i = 0; i < grid->n_cells; i++) {
        const pare_sweep_cell *cell = &grid->cells[i];
        s->jobs[i].state = CELL_DONE;
        if (cell->same_as != i)
            continue;
        s->n_runs++;
        PARE_TRY(read_json(s->plan, cell, ".json", &s->results[i]));
        if (s->results[i]) {
            s->n_done++;
            PARE_TRY(slim_down(s->plan, cell));
        } else {
            s->jobs[i].state = CELL_WAITS;
        }
    }
    if (s->n_done > 0)
        pare_note("[%d/%d] done before", s->n_done, s->n_runs);
    return PARE_OK;
}

static pare_status verdict(const sweep *s)
{
    if (s->n_done == s->n_runs)
        return PARE_OK;
    if (s->passed_on || (s->n_stopped > 0 && s->n_failed == 0))
        return pare_hint(pare_fail(PARE_STOPPED, "stopped: %d of %d runs are done, the others are "
                                   "saved in %s", s->n_done, s->n_runs, s->plan->folder),
                         "go on with the same command");
    pare_fail(s->failure, "%s", s->message);
    if (s->n_failed > 1)
        pare_context(s->failure, "%d runs failed, the first of them", s->n_failed);
    return pare_hint(s->failure, "%s; the same command runs again what is not done", s->hint);
}

pare_status pare_sweep_run(const pare_sweep_plan *plan, pare_json **results)
{
    sweep s = {.plan = plan, .results = results};

    s.jobs = pare_calloc((size_t)plan->grid->n_cells, sizeof *s.jobs);
    if (!s.jobs)
        return PARE_MEMORY;
    pare_signals_install();
    signal(SIGCHLD, SIG_DFL); /* where a parent left it ignored, no child can be waited for */
    pare_status status = take_stock(&s);
    if (status == PARE_OK) {
        status = loop(&s);
        if (status != PARE_OK)
            abandon(&s);
        else
            status = verdict(&s);
    }
    pare_free(s.jobs);
    return status;
}
