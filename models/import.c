/* import.c: a directory of Hugging Face's or of TensorFlow's becomes a model.
 *
 * Nothing is allocated on a config's word: the weights' file is opened first, every tensor that the
 * config asks for is looked up in it and its shape compared, and only then the model is made and
 * filled, straight from the mapped file. */
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/note.h"
#include "core/status.h"
#include "core/text.h"
#include "models/bounded_json.h"
#include "models/model.h"
#include "models/safetensors.h"
#include "models/tf_checkpoint.h"
#include "models/torch_file.h"
#include "models/vocabulary.h"

typedef struct import {
    const char *directory;
    const char *config_name;
    char *config_path;
    char *weights;      /* the file's name inside the directory */
    pare_json *json;    /* of config.json */
    pare_config config;
    pare_foreign *file;
    bool pooler;
    int64_t n_labels;   /* 0: no head */
} import;

/* ---- The weights' files ---- */

typedef pare_status reader_function(const char *path, pare_foreign *file);

/* In the order in which transformers looks for them. */
static const struct weights_row {
    const char *name;
    reader_function *read;
    bool index; /* JSON that names the files which hold the parts */
} weights_rows[] = {
    {"model.safetensors", pare_safetensors_read, false},
    {"model.safetensors.index.json", pare_safetensors_read, true},
    {"pytorch_model.bin", pare_torch_read, false},
    {"pytorch_model.bin.index.json", pare_torch_read, true},
};

enum { MAX_SHARDS = 256 };

/* A part's name comes from the index, so it must not lead out of the directory. */
static pare_status read_shard(import *in, reader_function *read, const char *name)
{
    if (*name == '\0' || *name == '.' || strchr(name, '/'))
        return pare_fail(PARE_INPUT, "%s/%s: names \"%.64s\", which is no file of its directory",
                         in->directory, in->weights, name);
    char *path = pare_arena_printf(in->file->arena, "%s/%s", in->directory, name);
    return path ? read(path, in->file) : PARE_MEMORY;
}

/* Every file that weight_map names, once. */
static pare_status read_shards(import *in, reader_function *read, const pare_json *map)
{
    const char *seen[MAX_SHARDS];
    int n = 0;
    if (!pare_json_is_object(map) || pare_json_size(map) == 0)
        return pare_fail(PARE_INPUT, "%s/%s: has no weight_map", in->directory, in->weights);
    for (void *i = pare_json_iter(map); i; i = pare_json_iter_next(map, i)) {
        const char *name = pare_json_as_string(pare_json_iter_value(i), "");
        int k = 0;
        while (k < n && strcmp(seen[k], name) != 0)
            k++;
        if (k < n)
            continue;
        if (n == MAX_SHARDS)
            return pare_fail(PARE_INPUT, "%s/%s: names more than %d files", in->directory,
                             in->weights, MAX_SHARDS);
        seen[n++] = name;
        PARE_TRY(read_shard(in, read, name));
    }
    return PARE_OK;
}

static pare_status read_weights(import *in, const struct weights_row *row, const char *path)
{
    pare_json *index = NULL;
    in->weights = pare_arena_strdup(in->file->arena, row->name);
    if (!in->weights)
        return PARE_MEMORY;
    if (!row->index)
        return row->read(path, in->file);
    PARE_TRY(pare_bounded_json_read(path, &index));
    pare_status status = read_shards(in, row->read, pare_json_get(index, "weight_map"));
    pare_json_free(index);
    return status;
}

/* TensorFlow's, where Hugging Face's are not: its name is no fixed one. */
static pare_status open_checkpoint(import *in)
{
    PARE_TRY(pare_tf_find(in->directory, in->file->arena, &in->weights));
    if (!in->weights) {
        pare_fail(PARE_INPUT, "%s: holds no model.safetensors, pytorch_model.bin or *.ckpt.index",
                  in->directory);
        return pare_hint(PARE_INPUT, "weights in other formats (.h5, .msgpack) are not read: save "
                         "them from transformers with save_pretrained");
    }
    char *path = pare_arena_printf(in->file->arena, "%s/%s", in->directory, in->weights);
    if (!path)
        return PARE_MEMORY;
    PARE_TRY(pare_tf_read(path, in->file));
    return pare_foreign_sort(in->file, path);
}

/* The first format that is there. */
static pare_status open_weights(import *in)
{
    for (size_t i = 0; i < sizeof weights_rows / sizeof *weights_rows; i++) {
        const struct weights_row *row = &weights_rows[i];
        char *path = pare_arena_printf(in->file->arena, "%s/%s", in->directory, row->name);
        if (!path)
            return PARE_MEMORY;
        if (!pare_path_exists(path))
            continue;
        PARE_TRY(read_weights(in, row, path));
        return pare_foreign_sort(in->file, path);
    }
    return open_checkpoint(in);
}

/* ---- Tensors by name ---- */

/* The tensor for a name of ours: with or without "bert.", LayerNorm's weight and bias also under
 * their older names gamma and beta. NULL if it is missing. */
static pare_foreign_tensor *find_tensor(const import *in, const char *name)
{
    static const struct {
        const char *ours, *old;
    } endings[] = {{".LayerNorm.weight", ".LayerNorm.gamma"},
                   {".LayerNorm.bias", ".LayerNorm.beta"}};
    const char *bare = strncmp(name, "bert.", 5) == 0 ? name + 5 : name;
    pare_foreign_tensor *found = pare_foreign_find(in->file, name);
    if (!found)
        found = pare_foreign_find(in->file, bare);
    for (size_t i = 0; !found && i < sizeof endings / sizeof *endings; i++) {
        size_t length = strlen(name), ending = strlen(endings[i].ours);
        char old[PARE_NAME_SIZE];
        if (length < ending || strcmp(name + length - ending, endings[i].ours) != 0)
            continue;
        snprintf(old, sizeof old, "%.*s%s", (int)(length - ending), name, endings[i].old);
        found = pare_foreign_find(in->file, old);
        if (!found)
            found = pare_foreign_find(in->file, old + (bare - name));
    }
    return found;
}

/* The first name that is there often shows what kind of model it is. */
static pare_status refuse_missing(const import *in, const char *name)
{
    pare_fail(PARE_INPUT, "%s/%s: tensor %s is missing", in->directory, in->weights, name);
    if (in->file->n == 0)
        return pare_hint(PARE_INPUT, "the file holds no tensors");
    return pare_hint(PARE_INPUT, "the file holds %zu tensors, the first is %s; %s says "
                     "num_hidden_layers %lld", in->file->n, in->file->tensors[0].name,
                     in->config_name, (long long)in->config.num_hidden_layers);
}

/* There, and of the shape that config.json makes it. */
static pare_status check_tensor(const import *in, const pare_slot *slot)
{
    const int64_t shape[2] = {slot->rank == 2 ? slot->rows : slot->cols, slot->cols};
    char got[128], want[64];
    const pare_foreign_tensor *t = find_tensor(in, slot->name);
    if (!t)
        return refuse_missing(in, slot->name);
    if (t->rank != slot->rank ||
        memcmp(t->shape, shape, (size_t)slot->rank * sizeof *shape) != 0)
        return pare_fail(PARE_INPUT, "%s/%s: tensor %s has the shape %s; %s makes it %s",
                         in->directory, in->weights, t->name,
                         pare_shape_text(t->rank, t->shape, got, sizeof got), in->config_name,
                         pare_shape_text(slot->rank, shape, want, sizeof want));
    return PARE_OK;
}

/* Every tensor of the model is there with its shape, and together they are no larger than a file
 * of this size can say: views of one storage could pretend to be more. */
static pare_status check_tensors(const import *in)
{
    int64_t n = pare_slot_count(&in->config, in->pooler, in->n_labels), bytes = 0;
    /* each element took two bytes at least in the file */
    uint64_t most = sizeof(real) / 2 * in->file->bytes + ((uint64_t)64 << 20);
    for (int64_t i = 0; i < n; i++) {
        pare_slot slot;
        pare_slot_at(&in->config, in->pooler, in->n_labels, i, &slot);
        PARE_TRY(check_tensor(in, &slot));
        bytes += slot.rows * slot.cols * (int64_t)sizeof(real); /* a factor is at most 2^24 */
        if ((uint64_t)bytes > most)
            return pare_fail(PARE_INPUT, "%s/%s: its tensors would fill more than %llu bytes, but "
                             "it holds %llu", in->directory, in->weights,
                             (unsigned long long)most, (unsigned long long)in->file->bytes);
    }
    return PARE_OK;
}

/* From the map into the model, with no copy in between. */
static pare_status fill_model(const import *in, pare_model *model)
{
    pare_arena *arena = in->file->arena;
    pare_foreign_job *jobs = pare_arena_alloc(arena, (size_t)model->n_params * sizeof *jobs);
    char *where = pare_arena_printf(arena, "%s/%s", in->directory, in->weights);
    if (!jobs || !where)
        return PARE_MEMORY;
    for (int i = 0; i < model->n_params; i++) {
        const pare_tensor *to = &model->params[i]->tensor;
        pare_foreign_tensor *from = find_tensor(in, model->params[i]->name);
        from->used = true;
        jobs[i] = (pare_foreign_job){from, to->rows, to->cols, to->data, 0};
    }
    return pare_foreign_convert(jobs, (size_t)model->n_params, where);
}

/* ---- Pooler, head and labels ---- */

/* A classifier under this name that is no head for whole sentences. */
static bool is_other_head(const pare_json *json)
{
    const char *name = pare_json_as_string(pare_json_at(pare_json_get(json, "architectures"), 0),
                                           "");
    return strcmp(name, "BertForTokenClassification") == 0 ||
           strcmp(name, "BertForMultipleChoice") == 0;
}

/* The number of labels that config.json states, or -1 where it leaves it to the default. */
static int64_t stated_labels(const pare_json *json)
{
    const pare_json *names = pare_json_get(json, "id2label");
    if (pare_json_is_object(names))
        return (int64_t)pare_json_size(names);
    return pare_json_get_int(json, "num_labels", -1);
}

/* What of pooler and head the file has: either half of a pair calls for the other. */
static pare_status find_head(import *in)
{
    in->pooler = find_tensor(in, "bert.pooler.dense.weight") ||
                 find_tensor(in, "bert.pooler.dense.bias");
    const pare_foreign_tensor *weight = find_tensor(in, "classifier.weight");
    if (is_other_head(in->json))
        return PARE_OK;
    if (!weight && find_tensor(in, "classifier.bias"))
        return refuse_missing(in, "classifier.weight");
    if (!weight)
        return PARE_OK;
    int64_t stated = stated_labels(in->json);
    in->n_labels = weight->rank == 2 ? weight->shape[0] : 1;
    if (stated >= 0 && stated != in->n_labels)
        return pare_fail(PARE_INPUT, "%s: names %lld labels; classifier.weight has %lld rows",
                         in->config_path, (long long)stated, (long long)in->n_labels);
    return PARE_OK;
}

/* names[i] from id2label, or LABEL_i: strings of the JSON or of the arena. */
static pare_status read_names(const import *in, pare_arena *arena, const char **names)
{
    const pare_json *map = pare_json_get(in->json, "id2label");
    for (int64_t i = 0; i < in->n_labels; i++) {
        char key[32];
        snprintf(key, sizeof key, "%lld", (long long)i);
        names[i] = pare_json_get_string(map, key, NULL);
        if (!names[i] && !(names[i] = pare_arena_printf(arena, "LABEL_%s", key)))
            return PARE_MEMORY;
    }
    return PARE_OK;
}

/* The task that pare's own export has noted, or what the head's shape says. */
static const char *task_name(const import *in, bool regression)
{
    const char *task = pare_json_get_string(pare_json_get(in->json, "pare"), "task", "");
    size_t length = strlen(task);
    bool plain = length > 0 && length < 32;
    for (size_t i = 0; plain && i < length; i++)
        plain = task[i] > ' ' && task[i] < 0x7f;
    return plain ? task : regression ? "regress" : "classify";
}

/* One row is regression, as transformers takes it. */
static pare_status set_labels(const import *in, pare_model *model)
{
    if (in->n_labels == 0)
        return PARE_OK;
    const char *problem = pare_json_get_string(in->json, "problem_type", "");
    bool regression = in->n_labels == 1;
    if (!regression && (strcmp(problem, "regression") == 0 ||
                        strcmp(problem, "multi_label_classification") == 0))
        pare_note("note: %s: problem_type %s is read as a choice of one among %lld labels",
                  in->config_path, problem, (long long)in->n_labels);
    if (regression)
        return pare_model_set_labels(model, task_name(in, true), NULL, 1);
    const char **names = pare_arena_alloc(in->file->arena, (size_t)in->n_labels * sizeof *names);
    if (!names)
        return PARE_MEMORY;
    PARE_TRY(read_names(in, in->file->arena, names));
    return pare_model_set_labels(model, task_name(in, false), names, in->n_labels);
}

/* ---- All of it ---- */

enum { MAX_NOTED = 12 };

/* One line: what the file has that the model does not. */
static pare_status note_unused(const import *in)
{
    pare_text line = {0};
    size_t unused = 0, noted = 0;
    for (size_t i = 0; i < in->file->n; i++)
        unused += !in->file->tensors[i].used;
    if (unused == 0 && in->pooler)
        return PARE_OK;
    pare_text_puts(&line, in->pooler ? "" : " no pooler");
    if (unused)
        pare_text_puts(&line, in->pooler ? " not used:" : "; not used:");
    for (size_t i = 0; i < in->file->n && noted < MAX_NOTED; i++)
        if (!in->file->tensors[i].used)
            pare_text_printf(&line, "%s %s", noted++ ? "," : "", in->file->tensors[i].name);
    if (unused > noted)
        pare_text_printf(&line, ", and %zu more", unused - noted);
    pare_status status = pare_text_status(&line);
    if (status == PARE_OK)
        pare_note("note: %s/%s:%s", in->directory, in->weights, line.bytes);
    pare_text_free(&line);
    return status;
}

/* No paths and no dates: the same directory gives the same model file. */
static pare_status add_history(const import *in, pare_model *model)
{
    pare_json *event = pare_json_new_object();
    pare_json_set_string(event, "command", "import");
    pare_json_set_string(event, "weights", in->weights);
    return pare_model_add_history(model, event);
}

/* config.json, or as Google's own directories call it. */
static pare_status find_config(import *in)
{
    static const char *const names[] = {"config.json", "bert_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        in->config_name = names[i];
        in->config_path = pare_arena_printf(in->file->arena, "%s/%s", in->directory, names[i]);
        if (!in->config_path)
            return PARE_MEMORY;
        if (pare_path_exists(in->config_path))
            return PARE_OK;
    }
    return pare_hint(pare_fail(PARE_INPUT, "%s: holds neither config.json nor bert_config.json",
                               in->directory),
                     "name a directory that transformers' save_pretrained has written, or one "
                     "with a checkpoint of google-research/bert");
}

static pare_status read_config(import *in)
{
    PARE_TRY(find_config(in));
    PARE_TRY(pare_bounded_json_read(in->config_path, &in->json));
    return pare_config_read(in->json, in->config_path, &in->config);
}

/* Not of more layers than there are tensors: then one is missing, which is found later. */
static pare_status read_pruned_heads(import *in)
{
    if ((uint64_t)in->config.num_hidden_layers > in->file->n)
        return PARE_OK;
    return pare_config_read_pruned_heads(in->json, in->config_path, in->file->arena, &in->config);
}

/* Everything that a model has beside its shape. */
static pare_status build(const import *in, const pare_vocabulary_spec *vocabulary,
                         pare_model *model)
{
    int64_t length = pare_json_get_int(pare_json_get(in->json, "pare"), "trained_length", 0);
    if (length > 0 && length <= in->config.max_position_embeddings)
        model->trained_length = length;
    PARE_TRY(fill_model(in, model));
    PARE_TRY(pare_model_set_vocabulary(model, vocabulary));
    PARE_TRY(set_labels(in, model));
    return add_history(in, model);
}

/* The order matters: what is read later trusts what was checked before. */
static pare_status import_all(import *in, pare_model **out)
{
    pare_vocabulary_spec vocabulary;
    PARE_TRY(read_config(in));
    PARE_TRY(open_weights(in));
    PARE_TRY(read_pruned_heads(in));
    PARE_TRY(find_head(in));
    PARE_TRY(check_tensors(in));
    PARE_TRY(pare_vocabulary_read(in->directory, in->json, in->config.vocab_size, in->file->arena,
                                  &vocabulary));
    PARE_TRY(pare_model_new(&in->config, in->pooler, in->n_labels, out));
    PARE_TRY(build(in, &vocabulary, *out));
    return note_unused(in);
}

pare_status pare_import(const char *directory, pare_model **out)
{
    import in = {.directory = directory};
    *out = NULL;
    if (!pare_path_is_directory(directory))
        return pare_hint(pare_fail(PARE_INPUT, "%s: is no directory", directory),
                         "name a directory with config.json, vocab.txt and model.safetensors");
    PARE_TRY(pare_foreign_new(&in.file));
    pare_status status = import_all(&in, out);
    if (status != PARE_OK) {
        pare_model_free(*out);
        *out = NULL;
    }
    pare_json_free(in.json);
    pare_foreign_free(in.file);
    return status;
}
