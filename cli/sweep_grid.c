/* sweep_grid.c: see sweep_grid.h. */
#include "cli/sweep_grid.h"

#include <string.h>

#include "cli/config_file.h"
#include "core/checksum.h"
#include "models/model.h"
#include "tasks/layer_study.h"
#include "tasks/source.h"

enum { LONGEST_VALUE = 40, LONGEST_NAME = 160 };

static bool is_named(const pare_option *row, const char *name)
{
    return strcmp(row->name, name) == 0;
}

/* ---- --grid KEY=V,V ---- */

/* What each cell is a run of: pare finetune or pare flop. */
static const pare_command *command_of(const pare_options *o)
{
    return pare_command_find(o->run);
}

static pare_status unknown_key(const pare_command *command, const char *key, size_t length)
{
    const pare_option *near = pare_option_nearest(key, length, command, true);
    char shown[PARE_OPTION_SHOWN];

    pare_fail(PARE_USAGE, "--grid: pare %s has no option \"%.*s\"", command->name, (int)length,
              key);
    if (near)
        return pare_hint(PARE_USAGE, "did you mean %s? pare %s --help lists them",
                         pare_option_shown(near, shown) + 2, command->name);
    return pare_hint(PARE_USAGE, "pare %s --help lists them", command->name);
}

/* The row of a key that a grid may have. */
static pare_status find_key(const pare_sweep_grid *g, const pare_options *o, const char *key,
                            size_t length, const pare_option **out)
{
    const pare_option *row = pare_option_find(key, length, command_of(o));

    if (!row)
        return unknown_key(command_of(o), key, length);
    if (is_named(row, "seed"))
        return pare_hint(pare_fail(PARE_USAGE, "--grid: seeds are no part of the grid"),
                         "write --seeds 1,2,3");
    if (row->line_only || is_named(row, "output") || is_named(row, "threads") ||
        is_named(row, "kernels") || is_named(row, "max_seconds"))
        return pare_hint(pare_fail(PARE_USAGE, "--grid: %s cannot differ from run to run",
                                   row->name),
                         "it is one for the whole sweep");
    for (int i = 0; i < g->n_axes; i++)
        if (g->axes[i].row == row)
            return pare_hint(pare_fail(PARE_USAGE, "--grid: %s is given twice", row->name),
                             "list all its values in one --grid");
    if (pare_option_given(o, row) == PARE_GIVEN_LINE)
        return pare_hint(pare_fail(PARE_USAGE, "%s is given by itself and in the grid", row->name),
                         "remove one of the two");
    *out = row;
    return PARE_OK;
}

static pare_status add_value(pare_sweep_axis *axis, const char *value)
{
    char shown[PARE_OPTION_SHOWN], where[PARE_OPTION_SHOWN + 16];

    snprintf(where, sizeof where, "--grid %s", pare_option_shown(axis->row, shown) + 2);
    if (!*value)
        return pare_hint(pare_fail(PARE_USAGE, "%s: one of its values is empty", where),
                         "write key=value,value, without blanks");
    for (int i = 0; i < axis->n; i++)
        if (strcmp(axis->values[i], value) == 0)
            return pare_hint(pare_fail(PARE_USAGE, "%s: %s is listed twice", where, value),
                             "remove one of the two");
    PARE_TRY(pare_option_set(NULL, axis->row, value, PARE_GIVEN_LINE, where));
    axis->values[axis->n++] = value;
    return PARE_OK;
}

/* "key=a,b", which is cut up in place. */
static pare_status add_axis(pare_sweep_grid *g, const pare_options *o, char *text)
{
    char *equals = strchr(text, '='), *value = equals ? equals + 1 : NULL;
    pare_sweep_axis *axis = &g->axes[g->n_axes];

    if (!equals || equals == text)
        return pare_hint(pare_fail(PARE_USAGE, "--grid: \"%s\" is no key=value,value", text),
                         "such as --grid learning-rate=2e-5,5e-5");
    if (g->n_axes == PARE_SWEEP_MOST_AXES)
        return pare_fail(PARE_USAGE, "--grid: more than %d options", PARE_SWEEP_MOST_AXES);
    PARE_TRY(find_key(g, o, text, (size_t)(equals - text), &axis->row));
    axis->values = pare_arena_alloc(g->arena, (strlen(value) + 1) * sizeof *axis->values);
    if (!axis->values)
        return PARE_MEMORY;
    while (value) {
        char *comma = strchr(value, ',');
        if (comma)
            *comma++ = '\0';
        PARE_TRY(add_value(axis, value));
        value = comma;
    }
    g->n_axes++;
    return PARE_OK;
}

static pare_status read_axes(pare_sweep_grid *g, const pare_options *o)
{
    char *text = o->grid ? pare_arena_strdup(g->arena, o->grid) : NULL;

    if (o->grid && !text)
        return PARE_MEMORY;
    while (text) {
        char *newline = strchr(text, '\n');
        if (newline)
            *newline++ = '\0';
        PARE_TRY(add_axis(g, o, text));
        text = newline;
    }
    return PARE_OK;
}

/* ---- --seeds 1,2,3 ---- */

static pare_status add_seed(pare_sweep_grid *g, const char *text)
{
    const pare_option *row = pare_option_find("seed", 4, pare_command_find("finetune"));
    pare_options seed = {0};

    if (!*text)
        return pare_hint(pare_fail(PARE_USAGE, "--seeds: one of them is empty"),
                         "write --seeds 1,2,3");
    PARE_TRY(pare_option_set(&seed, row, text, PARE_GIVEN_LINE, "--seeds"));
    for (int i = 0; i < g->n_seeds; i++)
        if (g->seeds[i] == seed.seed)
            return pare_hint(pare_fail(PARE_USAGE, "--seeds: %s is listed twice", text),
                             "remove one of the two");
    g->seeds[g->n_seeds++] = seed.seed;
    return PARE_OK;
}

static pare_status read_seeds(pare_sweep_grid *g, const pare_options *o)
{
    char *text = pare_arena_strdup(g->arena, o->seeds ? o->seeds : "");

    g->seeds = text ? pare_arena_alloc(g->arena, (strlen(text) + 1) * sizeof *g->seeds) : NULL;
    if (!g->seeds)
        return PARE_MEMORY;
    if (!o->seeds) {
        g->seeds[g->n_seeds++] = o->seed;
        return PARE_OK;
    }
    if (o->given.seed == PARE_GIVEN_LINE)
        return pare_hint(pare_fail(PARE_USAGE, "both --seed and --seeds are given"),
                         "list all in --seeds");
    while (text) {
        char *comma = strchr(text, ',');
        if (comma)
            *comma++ = '\0';
        PARE_TRY(add_seed(g, text));
        text = comma;
    }
    return PARE_OK;
}

/* ---- names ---- */

/* Adds a value as a part of a file's name: of a path its last part, and - for what is not safe. */
static void add_to_name(pare_text *name, const char *value)
{
    const char *slash = strrchr(value, '/'), *s = slash && slash[1] ? slash + 1 : value;

    for (int i = 0; i < LONGEST_VALUE && s[i]; i++) {
        const char c = s[i];
        bool safe = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c && strchr("._+-", c));
        pare_text_add(name, safe ? &c : "-", 1);
    }
}

static bool name_taken(const pare_sweep_grid *g, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(g->cells[i].name, name) == 0)
            return true;
    return false;
}

/* Names of different values may look the same: then a number is added. */
static pare_status name_cell(pare_sweep_grid *g, int index)
{
    pare_sweep_cell *cell = &g->cells[index];
    char shown[PARE_OPTION_SHOWN];
    pare_text name = {0};

    for (int a = 0; a < g->n_axes; a++) {
        pare_text_printf(&name, "%s=", pare_option_shown(g->axes[a].row, shown) + 2);
        add_to_name(&name, pare_sweep_value(g, cell->point, a));
        pare_text_puts(&name, ",");
    }
    if (name.n > LONGEST_NAME)
        name.bytes[name.n = LONGEST_NAME] = '\0';
    pare_text_printf(&name, "seed=%lld", (long long)cell->options.seed);
    pare_status status = pare_text_status(&name);
    if (status == PARE_OK)
        cell->name = pare_arena_strdup(g->arena, name.bytes);
    for (int k = 2; cell->name && name_taken(g, index, cell->name); k++)
        cell->name = pare_arena_printf(g->arena, "%s,%d", name.bytes, k);
    pare_text_free(&name);
    return status == PARE_OK && !cell->name ? PARE_MEMORY : status;
}

/* ---- cells ---- */

const char *pare_sweep_value(const pare_sweep_grid *g, int point, int axis)
{
    for (int a = g->n_axes - 1; a > axis; a--)
        point /= g->axes[a].n;
    return g->axes[axis].values[point % g->axes[axis].n];
}

const pare_sweep_cell *pare_sweep_point(const pare_sweep_grid *g, int point)
{
    return &g->cells[point * g->n_seeds];
}

pare_json *pare_sweep_options(const pare_sweep_grid *g, int point)
{
    pare_json *options = pare_json_new_object();

    for (int a = 0; a < g->n_axes; a++)
        pare_json_set_string(options, g->axes[a].row->name, pare_sweep_value(g, point, a));
    return options;
}

bool pare_sweep_undropped(const pare_sweep_cell *cell)
{
    return pare_layers_none(cell->options.drop_layers);
}

/* The sweep's options with the point's values and the seed, as those of what is run. */
static pare_status fill_cell(pare_sweep_grid *g, const pare_options *o, int index)
{
    pare_sweep_cell *cell = &g->cells[index];
    char shown[PARE_OPTION_SHOWN];

    cell->point = index / g->n_seeds;
    cell->options = *o;
    cell->options.command = command_of(o);
    cell->options.output = NULL;
    cell->options.threads = 0;
    cell->options.seed = g->seeds[index % g->n_seeds];
    for (int a = 0; a < g->n_axes; a++)
        PARE_TRY(pare_option_set(&cell->options, g->axes[a].row,
                                 pare_sweep_value(g, cell->point, a), PARE_GIVEN_LINE,
                                 pare_option_shown(g->axes[a].row, shown)));
    return name_cell(g, index);
}

static pare_status make_cells(pare_sweep_grid *g, const pare_options *o)
{
    g->n_points = 1;
    for (int a = 0; a < g->n_axes; a++) {
        g->n_points *= g->axes[a].n;
        if ((int64_t)g->n_points * g->n_seeds > PARE_SWEEP_MOST_CELLS)
            return pare_hint(pare_fail(PARE_USAGE, "--grid: more than %d runs",
                                       PARE_SWEEP_MOST_CELLS),
                             "make it several sweeps");
    }
    g->n_cells = g->n_points * g->n_seeds;
    g->cells = pare_arena_zalloc(g->arena, (size_t)g->n_cells * sizeof *g->cells);
    if (!g->cells)
        return PARE_MEMORY;
    for (int i = 0; i < g->n_cells; i++)
        PARE_TRY(fill_cell(g, o, i));
    return PARE_OK;
}

/* ---- checks ---- */

/* The task by its own name, so that MRPC and mrpc are the same run. */
static pare_status check_task(pare_options *o)
{
    const pare_task *task;
    pare_source source;

    PARE_TRY(pare_task_named(o->task, &task));
    o->task = task->name;
    if (o->metric_for_best && !task->own_files) /* a user's depend on labels, not read yet */
        PARE_TRY(pare_task_check_metric(task, task->n_labels, o->metric_for_best));
    PARE_TRY(pare_source_find(task, o->data, "train", &source));
    pare_source_free(&source);
    return PARE_OK;
}

/* How many layers each model file has that the cells name: each is read once. */
typedef struct model_layers {
    const char *path;
    int64_t layers;
} model_layers;

static pare_status count_layers(model_layers *known, int *n, const char *path, int64_t *layers)
{
    pare_model *model = NULL;

    for (int i = 0; i < *n; i++)
        if (strcmp(known[i].path, path) == 0) {
            *layers = known[i].layers;
            return PARE_OK;
        }
    PARE_TRY(pare_model_open(path, &model));
    *layers = model->config.num_hidden_layers;
    known[(*n)++] = (model_layers){path, *layers};
    pare_model_free(model);
    return PARE_OK;
}

/* The layers that go, as text that is the same where the same ones go; NULL after a failure. What
 * contribution chooses is not known yet: its count alone is checked, and its words stay. */
static pare_status resolve_layers(const char *asked, int64_t layers, pare_text *out)
{
    const pare_model shape = {.config = {.num_hidden_layers = layers}};
    const bool by_data = pare_layers_need_data(asked);
    pare_layer_choice choice;
    char count[32];

    if (by_data)
        snprintf(count, sizeof count, "top%.20s", strchr(asked, ':'));
    PARE_TRY(pare_context(pare_layers_parse(by_data ? count : asked, &shape, NULL, 0, NULL,
                                            &choice), "drop-layers"));
    if (by_data)
        pare_text_puts(out, asked);
    else
        for (int64_t i = 0; i < choice.n_layers; i++)
            if (choice.drop[i])
                pare_text_printf(out, "%lld ", (long long)i);
    return pare_text_status(out);
}

/* All that decides what a cell's run computes, as text. */
static pare_status describe(const pare_sweep_cell *cell, int64_t layers, pare_text *out)
{
    pare_options o = cell->options;
    const char *asked = pare_sweep_undropped(cell) ? "none" : o.drop_layers;

    o.drop_layers = NULL;
    PARE_TRY(resolve_layers(asked, layers, out));
    pare_text_puts(out, "\n");
    pare_options_write(&o, out);
    return pare_text_status(out);
}

/* Finds the first cell that trains the same; its description goes to texts[index]. */
static pare_status find_same(pare_sweep_grid *g, int index, int64_t layers, pare_text *texts,
                             uint32_t *crcs)
{
    pare_sweep_cell *cell = &g->cells[index];
    pare_text *text = &texts[index];

    PARE_TRY(describe(cell, layers, text));
    crcs[index] = pare_crc32(0, text->bytes, text->n);
    cell->same_as = 0;
    while (cell->same_as < index && (crcs[cell->same_as] != crcs[index] ||
                                     strcmp(texts[cell->same_as].bytes, text->bytes) != 0))
        cell->same_as++;
    return PARE_OK;
}

static pare_status check_cell(pare_sweep_grid *g, int index, model_layers *known, int *n_known,
                              pare_text *texts, uint32_t *crcs)
{
    pare_options *o = &g->cells[index].options;
    int64_t layers;

    PARE_TRY(check_task(o));
    if (o->teacher)
        PARE_TRY(count_layers(known, n_known, o->teacher, &layers));
    PARE_TRY(count_layers(known, n_known, o->model, &layers));
    if (pare_layers_none(o->drop_layers)) { /* else there will be fewer */
        pare_model shape = {.config = {.num_hidden_layers = layers}};
        PARE_TRY(pare_train_freeze(&shape, o->freeze));
    }
    return find_same(g, index, layers, texts, crcs);
}

static pare_status check_cells(pare_sweep_grid *g)
{
    const size_t n = (size_t)g->n_cells;
    model_layers *known = pare_arena_alloc(g->arena, 2 * n * sizeof *known); /* teachers too */
    pare_text *texts = pare_arena_zalloc(g->arena, n * sizeof *texts);
    uint32_t *crcs = pare_arena_zalloc(g->arena, n * sizeof *crcs);
    int n_known = 0;
    pare_status status = known && texts && crcs ? PARE_OK : PARE_MEMORY;

    for (int i = 0; i < g->n_cells && status == PARE_OK; i++)
        status = check_cell(g, i, known, &n_known, texts, crcs);
    for (int i = 0; i < g->n_cells && texts; i++)
        pare_text_free(&texts[i]);
    return status;
}

/* What every cell must have, from the grid or beside it. */
static pare_status check_needed(const pare_sweep_grid *g, const pare_options *o)
{
    pare_options first = g->cells[0].options;

    first.command = o->command;
    PARE_TRY(pare_option_need(&first, "model", first.model));
    PARE_TRY(pare_option_need(&first, "task", first.task));
    PARE_TRY(pare_option_need(&first, "data", first.data));
    return pare_option_need(o, "output", o->output);
}

pare_status pare_sweep_grid_open(const pare_options *o, pare_sweep_grid *g)
{
    *g = (pare_sweep_grid){.arena = pare_arena_new("sweep")};
    if (!g->arena)
        return PARE_MEMORY;
    if (!o->grid && !o->seeds)
        return pare_hint(pare_fail(PARE_USAGE, "pare sweep needs --grid KEY=V,V or --seeds N,N"),
                         "such as --grid drop-layers=none,top:2,top:4 --seeds 1,2,3");
    PARE_TRY(read_axes(g, o));
    PARE_TRY(read_seeds(g, o));
    PARE_TRY(make_cells(g, o));
    PARE_TRY(check_needed(g, o));
    return check_cells(g);
}

void pare_sweep_grid_close(pare_sweep_grid *g)
{
    pare_arena_free(g->arena);
    g->arena = NULL;
}
