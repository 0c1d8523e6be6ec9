/* glue.c: the table of tasks.
 *
 * Columns are counted as in the files of gluebenchmark.com, labels numbered as in GLUE's own
 * processors (Wang et al. 2019). Metrics are the benchmark's; of two, the first picks the best
 * model, and it is the one listed first in that paper's table of tasks: accuracy for MRPC and QQP
 * (F1 of an always-yes model is already 0.81 on MRPC), Pearson for STS-B. */
#include "tasks/glue.h"

#include <string.h>

#include "tasks/table.h"

enum { NONE = PARE_NO_COLUMN, LAST = PARE_LAST_COLUMN };

/* clang-format off */
static const pare_task tasks[] = {
    {.name = "CoLA", .n_labels = 2, .labels = {"0", "1"},
     .meanings = {"unacceptable", "acceptable"}, .metrics = {"matthews"},
     .submission = "CoLA.tsv",
     .train = {3, NONE, 1, false}, .test = {1, NONE, NONE, true}},
    {.name = "SST-2", .n_labels = 2, .labels = {"0", "1"},
     .meanings = {"negative", "positive"}, .metrics = {"accuracy"},
     .submission = "SST-2.tsv",
     .train = {0, NONE, 1, true}, .test = {1, NONE, NONE, true}},
    {.name = "MRPC", .n_labels = 2, .labels = {"0", "1"},
     .meanings = {"not_equivalent", "equivalent"}, .metrics = {"accuracy", "f1"},
     .submission = "MRPC.tsv", .msr_originals = true,
     .train = {3, 4, 0, true}, .test = {3, 4, NONE, true}},
    {.name = "STS-B", .regression = true, .metrics = {"pearson", "spearman"},
     .submission = "STS-B.tsv",
     .train = {7, 8, 9, true}, .test = {7, 8, NONE, true}},
    {.name = "QQP", .n_labels = 2, .labels = {"0", "1"},
     .meanings = {"not_duplicate", "duplicate"}, .metrics = {"accuracy", "f1"},
     .submission = "QQP.tsv",
     .train = {3, 4, 5, true}, .test = {1, 2, NONE, true}},
    {.name = "MNLI", .n_labels = 3, .labels = {"contradiction", "entailment", "neutral"},
     .metrics = {"accuracy"}, .submission = "MNLI-m.tsv", .two_dev_sets = true,
     .train = {8, 9, LAST, true}, .test = {8, 9, NONE, true}},
    {.name = "QNLI", .n_labels = 2, .labels = {"entailment", "not_entailment"},
     .metrics = {"accuracy"}, .submission = "QNLI.tsv",
     .train = {1, 2, 3, true}, .test = {1, 2, NONE, true}},
    {.name = "RTE", .n_labels = 2, .labels = {"entailment", "not_entailment"},
     .metrics = {"accuracy"}, .submission = "RTE.tsv",
     .train = {1, 2, 3, true}, .test = {1, 2, NONE, true}},
    {.name = "WNLI", .n_labels = 2, .labels = {"0", "1"},
     .meanings = {"not_entailment", "entailment"}, .metrics = {"accuracy"},
     .submission = "WNLI.tsv",
     .train = {1, 2, 3, true}, .test = {1, 2, NONE, true}},
    {.name = "classify", .metrics = {"accuracy", "f1", "macro_f1"}, .own_files = true},
    {.name = "regress", .regression = true, .metrics = {"pearson", "spearman"},
     .own_files = true},
};
/* clang-format on */

static const char *skip_separators(const char *s)
{
    return s + strspn(s, "-_ ");
}

/* ASCII only: the names are, and the program's locale is no business of theirs. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool pare_task_name_equal(const char *a, const char *b)
{
    for (;; a++, b++) {
        a = skip_separators(a);
        b = skip_separators(b);
        if (lower(*a) != lower(*b))
            return false;
        if (*a == '\0')
            return true;
    }
}

size_t pare_task_count(void)
{
    return sizeof tasks / sizeof *tasks;
}

const pare_task *pare_task_at(size_t index)
{
    return index < pare_task_count() ? &tasks[index] : NULL;
}

const pare_task *pare_task_find(const char *name)
{
    for (size_t i = 0; name && i < pare_task_count(); i++)
        if (pare_task_name_equal(tasks[i].name, name))
            return &tasks[i];
    return NULL;
}

pare_status pare_task_named(const char *name, const pare_task **out)
{
    *out = pare_task_find(name);
    if (*out)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "unknown task '%s'", name),
                     "one of CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI, or classify or "
                     "regress for files of your own");
}

int pare_task_metrics(const pare_task *task, int n_labels,
                      const char *names[PARE_MAX_TASK_METRICS + 1])
{
    const char *unfit = NULL; /* F1 is of two labels; its mean over labels of more */
    if (task->own_files && !task->regression)
        unfit = n_labels == 2 ? "macro_f1" : "f1";
    int n = 0;
    for (int i = 0; task->metrics[i]; i++)
        if (!unfit || strcmp(task->metrics[i], unfit) != 0)
            names[n++] = task->metrics[i];
    names[n] = NULL;
    return n;
}

pare_status pare_task_check_metric(const pare_task *task, int n_labels, const char *metric)
{
    const char *names[PARE_MAX_TASK_METRICS + 1];
    const int n = pare_task_metrics(task, n_labels, names);
    if (strcmp(metric, "loss") == 0)
        return PARE_OK;
    for (int i = 0; i < n; i++) {
        const size_t length = strlen(names[i]);
        if (strcmp(metric, names[i]) == 0 ||
            (task->two_dev_sets && strncmp(metric, names[i], length) == 0 &&
             strcmp(metric + length, "_mismatched") == 0))
            return PARE_OK;
    }
    return pare_hint(pare_fail(PARE_USAGE, "--metric-for-best %s: %s has no such metric", metric,
                               task->name),
                     "use %s%s%s or loss", names[0], n > 1 ? ", " : "", n > 1 ? names[1] : "");
}

const char *pare_task_submission(const pare_task *task, const char *split)
{
    if (task->two_dev_sets && split && strcmp(split, "ax") == 0)
        return "AX.tsv";
    if (task->two_dev_sets && split && strstr(split, "mismatched"))
        return "MNLI-mm.tsv";
    return task->submission;
}
