/* cmd_predict.c: pare predict: a JSON object for every line of standard input. */
#include <string.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "core/elementary.h"
#include "core/text.h"
#include "models/model_file.h"
#include "tasks/evaluate.h"
#include "tasks/head.h"

enum { MOST_LINES = 4096 };

/* How the lines of a task are cut into texts. */
typedef enum pairing {
    SINGLE,  /* a TAB is a blank */
    PAIRS,   /* before and behind the first TAB; without one the second text is empty */
    AS_TYPED /* a user's task: a pair where there is a TAB */
} pairing;

typedef struct predict_job {
    const pare_options *options;
    pare_model *model;
    pare_tokenizer *tokenizer;
    pairing pairing;
    char **labels; /* [n_labels] as JSON strings; NULL for regression */
    int64_t done;  /* lines answered so far */
    pare_arena *arena; /* of one batch */
    pare_text out;
} predict_job;

/* ---- The model and its task ---- */

static bool is_regression(const predict_job *job, const pare_task *task)
{
    return task ? task->regression : job->model->n_labels == 1 && !job->model->label_names;
}

static pare_status check_task(const predict_job *job, const pare_task *task)
{
    const pare_model *model = job->model;
    const char *path = job->options->model;

    if (!model->classifier.weight)
        return pare_hint(pare_fail(PARE_INPUT, "%s has no head for a task", path),
                         "fine-tune it first: pare finetune --model %s", path);
    if (!task)
        return PARE_OK;
    int64_t want = task->regression ? 1 : task->n_labels;
    if (want > 0 && want != model->n_labels)
        return pare_hint(pare_fail(PARE_INPUT, "%s answers with %lld labels, %s has %lld", path,
                                   (long long)model->n_labels, task->name, (long long)want),
                         "it was trained on %s", model->task ? model->task : "another task");
    return PARE_OK;
}

/* The label's name as a JSON string: the model's own, else the task's, else its number. */
static char *label_json(const pare_model *model, const pare_task *task, int64_t id)
{
    const char *name = model->label_names ? model->label_names[id] : NULL;
    const char *known = task && id < task->n_labels ? task->labels[id] : NULL;
    char number[24];

    if (known && !pare_head_label_named(model, id))
        name = known;
    if (!name) {
        snprintf(number, sizeof number, "%lld", (long long)id);
        name = number;
    }
    pare_json *list = pare_json_new_array();
    pare_json_append_string(list, name);
    char *text = pare_json_dump(pare_json_at(list, 0), 0, 9);
    pare_json_free(list);
    return text;
}

static pare_status make_labels(predict_job *job, const pare_task *task)
{
    if (is_regression(job, task))
        return PARE_OK;
    job->labels = pare_calloc((size_t)job->model->n_labels, sizeof *job->labels);
    if (!job->labels)
        return PARE_MEMORY;
    for (int64_t i = 0; i < job->model->n_labels; i++) {
        job->labels[i] = label_json(job->model, task, i);
        if (!job->labels[i])
            return PARE_MEMORY;
    }
    return PARE_OK;
}

static pare_status open_task(predict_job *job)
{
    const pare_options *o = job->options;
    const char *name = o->task ? o->task : job->model->task;
    const pare_task *task = name ? pare_task_find(name) : NULL;

    if (o->task && !task)
        return pare_hint(pare_fail(PARE_USAGE, "--task %s is not a task", o->task),
                         "one of CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI, classify, "
                         "regress; without it, the task that the model was trained on");
    PARE_TRY(check_task(job, task));
    if (!task || task->own_files)
        job->pairing = AS_TYPED;
    else
        job->pairing = task->train.pair >= 0 ? PAIRS : SINGLE;
    return make_labels(job, task);
}

static pare_status open_job(predict_job *job)
{
    PARE_TRY(pare_option_need(job->options, "model", job->options->model));
    job->arena = pare_arena_new("predictions");
    if (!job->arena)
        return PARE_MEMORY;
    PARE_TRY(pare_model_map(job->options->model, &job->model));
    PARE_TRY(open_task(job));
    return pare_context(pare_tokenizer_new(&job->model->vocabulary, &job->tokenizer), "%s",
                        job->options->model);
}

static void close_job(predict_job *job)
{
    for (int64_t i = 0; job->labels && i < job->model->n_labels; i++)
        pare_free(job->labels[i]);
    pare_free(job->labels);
    pare_tokenizer_free(job->tokenizer);
    pare_model_free(job->model);
    pare_arena_free(job->arena);
    pare_text_free(&job->out);
}

/* ---- A batch of lines ---- */

/* A copy that ends with a NUL. Those inside become another character that the tokenizer drops once
 * it has looked for special tokens. */
static char *copy_text(pare_arena *arena, const pare_line *line)
{
    char *copy = pare_arena_alloc(arena, line->n + 1);

    for (size_t i = 0; copy && i < line->n; i++)
        copy[i] = line->text[i] != '\0' ? line->text[i] : '\1';
    if (copy)
        copy[line->n] = '\0';
    return copy;
}

/* The two texts of a line; *pair NULL for a single one. */
static pare_status cut_line(const predict_job *job, const pare_line *line, const char **text,
                            const char **pair)
{
    pare_line first = *line, second = {0};
    bool has_tab = line->n > 0 && memchr(line->text, '\t', line->n);
    bool two = job->pairing == PAIRS || (job->pairing == AS_TYPED && has_tab);

    if (two)
        pare_line_split(line, &first, &second);
    *text = copy_text(job->arena, &first);
    *pair = two ? copy_text(job->arena, &second) : NULL;
    return *text && (*pair || !two) ? PARE_OK : PARE_MEMORY;
}

static void write_logits(const real *row, int64_t n, pare_text *out)
{
    pare_text_puts(out, ",\"logits\":[");
    for (int64_t c = 0; c < n; c++)
        pare_text_printf(out, "%s%.9g", c > 0 ? "," : "", (double)row[c]);
    pare_text_puts(out, "]");
}

/* {"index":…,"label":…,"probability":…} or {"index":…,"score":…} of one row of logits. */
static void write_answer(predict_job *job, int64_t index, const real *row)
{
    int64_t n = job->model->n_labels, best = 0;
    double sum = 0;

    pare_text_printf(&job->out, "{\"index\":%lld", (long long)index);
    if (job->labels) {
        for (int64_t c = 1; c < n; c++)
            if (row[c] > row[best])
                best = c;
        for (int64_t c = 0; c < n; c++)
            sum += pare_exp((double)row[c] - (double)row[best]);
        pare_text_printf(&job->out, ",\"label\":%s,\"probability\":%.9g", job->labels[best],
                         1 / sum);
    } else {
        pare_text_printf(&job->out, ",\"score\":%.9g", (double)row[0]);
    }
    if (job->options->logits)
        write_logits(row, n, &job->out);
    pare_text_puts(&job->out, "}\n");
}

static pare_status answer(predict_job *job, const pare_line *lines, int64_t n)
{
    size_t count = (size_t)n, labels = (size_t)job->model->n_labels;
    const char **texts = pare_arena_alloc(job->arena, count * sizeof *texts);
    const char **pairs = pare_arena_alloc(job->arena, count * sizeof *pairs);
    real *logits = pare_arena_alloc(job->arena, count * labels * sizeof *logits);
    pare_encoded encoded;

    if (!texts || !pairs || !logits)
        return PARE_MEMORY;
    for (int64_t i = 0; i < n; i++)
        PARE_TRY(cut_line(job, &lines[i], &texts[i], &pairs[i]));
    PARE_TRY(pare_encode_texts(job->arena, job->tokenizer, texts, pairs, n,
                               pare_sequence_length(job->model, job->options->max_seq_length),
                               &encoded));
    PARE_TRY(pare_infer(job->model, &encoded, job->options->eval_batch_size, NULL, NULL,
                        logits));
    for (int64_t i = 0; i < n; i++)
        write_answer(job, job->done + i, logits + i * job->model->n_labels);
    return pare_text_status(&job->out);
}

static pare_status answer_batch(predict_job *job, const pare_line *lines, int64_t n)
{
    pare_mark mark = pare_arena_mark(job->arena);
    if (job->done > 0 && !job->model->packed) /* for one batch it does not pay */
        PARE_TRY(pare_model_pack(job->model));
    pare_status status = pare_context(answer(job, lines, n), "standard input, from line %lld on",
                                      (long long)job->done + 1);

    pare_arena_release(job->arena, mark);
    if (status == PARE_OK)
        status = pare_out_bytes(job->out.bytes, job->out.n);
    pare_text_clear(&job->out);
    job->done += n;
    return status == PARE_OK ? pare_out_flush() : status;
}

static pare_status answer_input(predict_job *job)
{
    pare_lines lines = {.name = "standard input", .fd = STDIN_FILENO};
    const pare_line *batch;
    pare_status status;
    int64_t n = 0;

    if (isatty(STDIN_FILENO))
        pare_note("reading lines from the terminal; Ctrl-D ends them");
    do {
        status = pare_lines_next(&lines, MOST_LINES, &batch, &n);
        if (status == PARE_OK && n > 0)
            status = answer_batch(job, batch, n);
    } while (status == PARE_OK && n > 0);
    pare_lines_free(&lines);
    return status;
}

pare_status pare_command_predict(const pare_options *options)
{
    predict_job job = {.options = options};
    pare_status status = open_job(&job);

    if (status == PARE_OK)
        status = answer_input(&job);
    close_job(&job);
    return status;
}
