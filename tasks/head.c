/* head.c: labels' names matched. */
#include "tasks/head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int64_t rows_of(const pare_dataset *d)
{
    return d->task->regression ? 1 : d->n_labels;
}

/* The label of that name; -1: none. */
static int64_t find_label(const pare_dataset *d, const char *name)
{
    for (int id = 0; id < d->n_labels; id++) {
        const char *meaning = d->task->own_files ? NULL : d->task->meanings[id];
        if (strcasecmp(d->label_names[id], name) == 0)
            return id;
        if (meaning && strcasecmp(meaning, name) == 0)
            return id;
    }
    return -1;
}

bool pare_head_label_named(const pare_model *model, int64_t id)
{
    char generic[32];
    snprintf(generic, sizeof generic, "LABEL_%lld", (long long)id);
    return model->label_names && strcmp(model->label_names[id], generic) != 0;
}

bool pare_head_named(const pare_model *model)
{
    for (int64_t i = 0; i < model->n_labels; i++)
        if (pare_head_label_named(model, i))
            return true;
    return false;
}

bool pare_head_answers(const pare_model *model, const pare_dataset *d)
{
    if (!model->classifier.weight || model->n_labels != rows_of(d))
        return false;
    if (!d->task->own_files || !pare_head_named(model))
        return true;
    bool named[PARE_MAX_LABELS] = {false};
    int64_t n = 0;
    for (int64_t i = 0; i < d->n_labels; i++) {
        const int64_t id = find_label(d, model->label_names[i]);
        if (id >= 0 && !named[id]) {
            named[id] = true;
            n++;
        }
    }
    return n == d->n_labels;
}

bool pare_head_is_for(const pare_model *model, const pare_dataset *d)
{
    const pare_task *task = model->task ? pare_task_find(model->task) : NULL;
    return pare_head_answers(model, d) && (!task || task == d->task || task->own_files);
}

/* Row i goes to place to[i]. False: they all stay. */
static bool find_places(const pare_model *model, const pare_dataset *d, int64_t *to)
{
    bool taken[PARE_MAX_LABELS] = {false}, moves = false;
    for (int64_t i = 0; i < model->n_labels; i++) {
        to[i] = find_label(d, model->label_names[i]);
        if (to[i] >= 0 && taken[to[i]])
            to[i] = -1;
        if (to[i] >= 0)
            taken[to[i]] = true;
    }
    for (int64_t i = 0, free = 0; i < model->n_labels; i++) {
        while (free < model->n_labels && taken[free])
            free++;
        if (to[i] < 0)
            to[i] = free++;
        moves = moves || to[i] != i;
    }
    return moves;
}

/* The n rows of x, with room for all of them in `old`. */
static void move_rows(pare_tensor *x, int64_t n, const int64_t *to, real *old)
{
    const size_t row = (size_t)(pare_tensor_size(x) / n);
    memcpy(old, x->data, (size_t)n * row * sizeof *old);
    for (int64_t i = 0; i < n; i++)
        memcpy(x->data + (size_t)to[i] * row, old + (size_t)i * row, row * sizeof *old);
}

pare_status pare_head_order(pare_model *model, const pare_dataset *d, bool *moved)
{
    int64_t to[PARE_MAX_LABELS];
    char *names[PARE_MAX_LABELS];
    const bool moves = !d->task->regression && model->label_names && find_places(model, d, to);
    if (moved)
        *moved = moves;
    if (!moves)
        return PARE_OK;
    pare_tensor *weight = &model->classifier.weight->tensor;
    real *old = pare_malloc((size_t)pare_tensor_size(weight) * sizeof *old);
    if (!old)
        return PARE_MEMORY;
    move_rows(weight, model->n_labels, to, old);
    move_rows(&model->classifier.bias->tensor, model->n_labels, to, old);
    for (int64_t i = 0; i < model->n_labels; i++)
        names[to[i]] = model->label_names[i];
    memcpy(model->label_names, names, (size_t)model->n_labels * sizeof *names);
    pare_free(old);
    return PARE_OK;
}
