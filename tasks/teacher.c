/* teacher.c: see teacher.h. */
#include "tasks/teacher.h"

#include <math.h>
#include <string.h>

#include "core/elementary.h"
#include "core/file.h"
#include "core/gemm.h"
#include "models/model_file.h"
#include "tasks/head.h"

static const char array_name[] = "teacher/logits";

/* Its answers in the order of the run's labels. */
static pare_status fit_head(const pare_training *t, pare_model *teacher)
{
    if (pare_head_is_for(teacher, t->dataset))
        return pare_head_order(teacher, t->dataset, NULL);
    return pare_hint(pare_fail(PARE_INPUT, "--teacher %s does not answer %s as this model does: it "
                               "was trained on %s", t->options->teacher, t->task->name,
                               teacher->task ? teacher->task : "no task"),
                     "fine-tune the teacher on %s first", t->task->name);
}

/* Logits as probabilities; a regression's score stays what it is. */
static void soften(const pare_training *t, const real *logits, double *answers)
{
    const int64_t k = t->n_labels;
    for (int64_t i = 0; i < t->encoded.n * k; i++)
        answers[i] = logits[i];
    for (int64_t r = 0; r < t->encoded.n && !t->task->regression; r++) {
        double *row = answers + r * k, largest = row[0], sum = 0;
        for (int64_t c = 1; c < k; c++)
            largest = fmax(largest, row[c]);
        for (int64_t c = 0; c < k; c++)
            sum += row[c] = pare_exp(row[c] - largest);
        for (int64_t c = 0; c < k; c++)
            row[c] /= sum;
    }
}

/* ---- the file ---- */

/* What the answers depend on: the teacher's weights, the examples, the kernels. */
static pare_status keep(const pare_training *t, uint32_t teacher, const real *logits)
{
    const pare_attribute attributes[] = {
        {.name = "teacher.crc32", .type = PARE_ATTR_INT, .integer = teacher},
        {.name = "teacher.kernels", .type = PARE_ATTR_STRING, .string = pare_gemm_path()},
        {.name = "teacher.examples", .type = PARE_ATTR_INT,
         .integer = pare_encoded_crc(&t->encoded)}};
    const pare_array array = {array_name, PARE_REAL_DTYPE, 2, {t->encoded.n, t->n_labels}, logits};
    return pare_store_write(t->options->answers, &array, 1, attributes, 3);
}

/* *found: the file has the answers of this teacher to these examples. */
static pare_status read_kept(const pare_training *t, uint32_t teacher, real *logits, bool *found)
{
    const char *path = t->options->answers;
    pare_store *store = NULL;
    *found = false;
    if (!path || !pare_path_exists(path) || pare_store_open(path, &store) != PARE_OK)
        return PARE_OK; /* a damaged file is made anew */
    const pare_array *a = pare_store_find(store, array_name);
    *found = a && a->rank == 2 && a->shape[0] == t->encoded.n && a->shape[1] == t->n_labels &&
             pare_store_int(store, "teacher.crc32", -1) == teacher &&
             strcmp(pare_store_string(store, "teacher.kernels", ""), pare_gemm_path()) == 0 &&
             pare_store_int(store, "teacher.examples", -1) == pare_encoded_crc(&t->encoded);
    const pare_status status =
        *found ? pare_store_read(store, array_name, PARE_REAL_DTYPE, logits) : PARE_OK;
    pare_store_close(store);
    return status;
}

/* ---- asking the teacher ---- */

/* It reads the texts with its own vocabulary. */
static pare_status answer(const pare_training *t, pare_model *teacher, pare_arena *arena,
                          real *logits)
{
    pare_tokenizer *tokenizer = NULL;
    pare_encoded encoded;
    PARE_TRY(fit_head(t, teacher));
    PARE_TRY(pare_tokenizer_new(&teacher->vocabulary, &tokenizer));
    pare_status status = pare_encode(arena, tokenizer, t->dataset,
                                     pare_sequence_length(teacher, t->max_length), &encoded);
    if (status == PARE_OK)
        status = pare_encoded_fits(&encoded, &teacher->config, t->options->teacher);
    if (status == PARE_OK)
        status = pare_infer(teacher, &encoded, t->options->eval_batch_size, NULL,
                            t->options->progress, logits);
    pare_tokenizer_free(tokenizer);
    return status;
}

/* The kept answers, or new ones. (A head's rows may be put into another order on the way.) */
static pare_status ask(const pare_training *t, real *logits)
{
    pare_model *teacher = NULL;
    bool found = false;
    PARE_TRY(pare_model_open(t->options->teacher, &teacher));
    const uint32_t crc = pare_model_crc(teacher);
    pare_status status = read_kept(t, crc, logits, &found);
    pare_arena *arena = pare_arena_new("teacher");
    if (status == PARE_OK && !found)
        status = arena ? answer(t, teacher, arena, logits) : PARE_MEMORY;
    pare_model_free(teacher);
    pare_arena_free(arena);
    if (status != PARE_OK || found || !t->options->answers || t->options->dry_run)
        return status;
    return keep(t, crc, logits);
}

pare_status pare_teacher_answers(pare_training *t)
{
    const size_t n = (size_t)(t->encoded.n * t->n_labels);
    real *logits = pare_malloc(n * sizeof *logits);
    double *answers = pare_arena_alloc(t->arena, n * sizeof *answers);
    pare_status status = logits && answers ? ask(t, logits) : PARE_MEMORY;
    if (status == PARE_OK)
        soften(t, logits, answers);
    pare_free(logits);
    t->answers = answers;
    return status;
}
