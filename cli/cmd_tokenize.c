/* cmd_tokenize.c: pare tokenize: lines of standard input to token ids, on every thread. */
#include <string.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "core/file.h"
#include "core/text.h"
#include "core/threads.h"
#include "tasks/tokenizer.h"

enum { TILE_LINES = 64, TILES = 128 };

/* One tile's output; failed is the first of its lines that could not be encoded, or -1. */
typedef struct tile_output {
    pare_text text;
    int64_t failed;
} tile_output;

/* A batch of lines on its way. */
typedef struct tokenize_job {
    const pare_options *options;
    const pare_tokenizer *tokenizer;
    const pare_line *lines;
    int64_t n_lines;
    int64_t first; /* lines before this batch */
    tile_output tiles[TILES];
} tokenize_job;

/* ---- One line ---- */

static void write_encoding(const pare_encoding *e, pare_text *out)
{
    pare_text_puts(out, "{\"ids\":[");
    for (int64_t i = 0; i < e->n; i++) {
        if (i > 0)
            pare_text_add(out, ",", 1);
        pare_text_int(out, e->ids[i]);
    }
    pare_text_puts(out, "],\"type_ids\":[");
    for (int64_t i = 0; i < e->n; i++)
        pare_text_puts(out, &(e->types[i] ? ",1" : ",0")[i == 0]);
    pare_text_puts(out, "]}\n");
}

static pare_status encode(const tokenize_job *job, const pare_line *text, const pare_line *pair,
                          pare_text *out)
{
    pare_encoding encoding = {0};

    PARE_TRY(pare_tokenizer_encode(job->tokenizer, text->text, text->n, pair ? pair->text : NULL,
                                   pair ? pair->n : 0, job->options->max_seq_length, &encoding));
    write_encoding(&encoding, out);
    pare_encoding_free(&encoding);
    return pare_text_status(out);
}

static pare_line line_of_json(const pare_json *string)
{
    return (pare_line){pare_json_as_string(string, ""), pare_json_string_length(string)};
}

/* A line that holds a JSON string, [text] or [text, pair] (a null pair is none). */
static pare_status encode_json(const tokenize_job *job, const pare_line *line, int64_t number,
                               pare_text *out)
{
    pare_json *json = NULL;
    char where[48];

    snprintf(where, sizeof where, "standard input:%lld", (long long)number);
    PARE_TRY(pare_json_parse(line->text, line->n, where, &json));
    bool list = pare_json_is_array(json);
    const pare_json *first = list ? pare_json_at(json, 0) : json;
    const pare_json *second = list ? pare_json_at(json, 1) : NULL;
    if (pare_json_is_null(second))
        second = NULL;
    pare_status status;
    if (!pare_json_is_string(first) || (second && !pare_json_is_string(second)) ||
        (list && pare_json_size(json) > 2)) {
        status = pare_fail(PARE_INPUT, "%s: neither a JSON string nor [text, pair]", where);
    } else {
        pare_line text = line_of_json(first), pair = line_of_json(second);
        status = encode(job, &text, second ? &pair : NULL, out);
    }
    pare_json_free(json);
    return status;
}

static pare_status encode_line(const tokenize_job *job, int64_t index, pare_text *out)
{
    const pare_line *line = &job->lines[index];
    pare_line text, pair;

    if (job->options->json_input)
        return encode_json(job, line, job->first + index + 1, out);
    if (!job->options->pair)
        return encode(job, line, NULL, out);
    pare_line_split(line, &text, &pair);
    return encode(job, &text, &pair, out);
}

/* ---- A batch of lines ---- */

static void encode_tile(void *context, int64_t tile)
{
    tokenize_job *job = context;
    tile_output *out = &job->tiles[tile];
    int64_t end = (tile + 1) * TILE_LINES;

    pare_text_clear(&out->text);
    out->failed = -1;
    for (int64_t i = tile * TILE_LINES; i < end && i < job->n_lines; i++)
        if (encode_line(job, i, &out->text) != PARE_OK) {
            out->failed = i;
            return;
        }
}

/* The failure of a line, once more on this thread: messages belong to the thread that failed. */
static pare_status fail_at(tokenize_job *job, int64_t index)
{
    pare_text unused = {0};
    pare_status status = encode_line(job, index, &unused);

    pare_text_free(&unused);
    if (status == PARE_OK) /* memory was short a moment ago */
        return pare_fail(PARE_MEMORY, "standard input:%lld: out of memory",
                         (long long)(job->first + index + 1));
    if (status == PARE_INPUT && job->options->json_input)
        return pare_hint(status, "with --json-input each line is \"text\" or [\"text\", \"pair\"]");
    return pare_context(status, "standard input:%lld", (long long)(job->first + index + 1));
}

static pare_status tokenize_batch(tokenize_job *job)
{
    int64_t n_tiles = (job->n_lines + TILE_LINES - 1) / TILE_LINES;

    pare_parallel(n_tiles, encode_tile, job);
    for (int64_t t = 0; t < n_tiles; t++) {
        const tile_output *tile = &job->tiles[t];
        if (tile->text.n > 0)
            PARE_TRY(pare_out_bytes(tile->text.bytes, tile->text.n));
        if (tile->failed >= 0)
            return fail_at(job, tile->failed);
    }
    return pare_out_flush();
}

/* ---- All of them ---- */

static pare_status tokenize_input(tokenize_job *job)
{
    pare_lines lines = {.name = "standard input", .fd = STDIN_FILENO};
    pare_status status;

    do {
        status = pare_lines_next(&lines, TILE_LINES * TILES, &job->lines, &job->n_lines);
        if (status == PARE_OK && job->n_lines > 0)
            status = tokenize_batch(job);
        job->first += job->n_lines;
    } while (status == PARE_OK && job->n_lines > 0);
    pare_lines_free(&lines);
    return status;
}

static pare_status tokenizer_of_model(const char *path, pare_tokenizer **out)
{
    pare_model *model = NULL;

    PARE_TRY(pare_model_open(path, &model));
    pare_status status =
        model->vocabulary.text
            ? pare_context(pare_tokenizer_new(&model->vocabulary, out), "%s", path)
            : pare_hint(pare_fail(PARE_INPUT, "%s: holds no vocabulary", path),
                        "give one with --vocab vocab.txt");
    pare_model_free(model);
    return status;
}

static pare_status tokenizer_of_file(const char *path, bool cased, pare_tokenizer **out)
{
    pare_vocabulary_spec spec = {
        .do_lower_case = !cased, .strip_accents = -1, .tokenize_chinese_chars = true};
    size_t size;

    PARE_TRY(pare_file_read(path, 0, &spec.text, &size));
    pare_status status = strlen(spec.text) == size
                             ? pare_context(pare_tokenizer_new(&spec, out), "%s", path)
                             : pare_fail(PARE_INPUT, "%s: a NUL byte at %zu: this is no vocab.txt",
                                         path, strlen(spec.text));
    pare_free(spec.text);
    return status;
}

static pare_status open_tokenizer(const pare_options *options, pare_tokenizer **out)
{
    if (!options->model && !options->vocab)
        return pare_hint(pare_fail(PARE_USAGE, "pare tokenize needs --model or --vocab"),
                         "--model M.h5 for a model's vocabulary, --vocab vocab.txt for a file");
    if (options->model && options->vocab)
        return pare_hint(pare_fail(PARE_USAGE, "both --model and --vocab are given"),
                         "give the one whose vocabulary is to be used");
    if (options->model && options->cased)
        return pare_hint(pare_fail(PARE_USAGE, "--cased goes with --vocab"),
                         "a model file says itself whether it is cased");
    if (options->model)
        return tokenizer_of_model(options->model, out);
    return tokenizer_of_file(options->vocab, options->cased, out);
}

pare_status pare_command_tokenize(const pare_options *options)
{
    pare_tokenizer *tokenizer = NULL;

    PARE_TRY(open_tokenizer(options, &tokenizer));
    tokenize_job *job = pare_calloc(1, sizeof *job);
    pare_status status = PARE_MEMORY;
    if (job) {
        job->options = options;
        job->tokenizer = tokenizer;
        status = tokenize_input(job);
        for (int t = 0; t < TILES; t++)
            pare_text_free(&job->tiles[t].text);
    }
    pare_free(job);
    pare_tokenizer_free(tokenizer);
    return status;
}
