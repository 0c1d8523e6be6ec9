/* vocabulary.c: tokens out of vocab.txt or tokenizer.json, and three switches. */
#include "models/vocabulary.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/note.h"
#include "core/status.h"
#include "core/utf8.h"
#include "models/bounded_json.h"
#include "models/tokenizer_check.h"

enum { MAX_TEXT = 64 << 20, MAX_GAPS = 4096 };

const char *const pare_special_tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

/* ---- vocab.txt ---- */

/* Refuses what is no text, by its line; *lines counts them. */
static pare_status check_text(const char *path, const char *text, size_t size, int64_t *lines)
{
    *lines = 0;
    for (size_t i = 0, n; i < size; i += n) {
        bool valid;
        n = pare_utf8_step(text + i, size - i, &valid);
        if (!valid || text[i] == 0)
            return pare_fail(PARE_INPUT, "%s:%lld: holds a byte 0x%02x that is no UTF-8 text",
                             path, (long long)*lines + 1, (unsigned)(unsigned char)text[i]);
        *lines += text[i] == '\n';
    }
    return PARE_OK;
}

/* A token without a row of the word embeddings could never be looked up; spare rows are common. */
static pare_status check_count(const char *path, int64_t n, int64_t vocab_size)
{
    if (n > vocab_size)
        return pare_fail(PARE_INPUT, "%s: holds %lld tokens; config.json's vocab_size is %lld",
                         path, (long long)n, (long long)vocab_size);
    if (n == 0)
        return pare_fail(PARE_INPUT, "%s: holds no tokens", path);
    if (n < vocab_size)
        pare_note("note: %s: %lld tokens for %lld rows of word embeddings", path, (long long)n,
                  (long long)vocab_size);
    return PARE_OK;
}

/* Empty lines at the end are nobody's tokens; every line gets its end. */
static pare_status take_text(const char *path, const char *text, size_t size, int64_t vocab_size,
                             pare_arena *arena, char **out)
{
    int64_t lines;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    PARE_TRY(check_text(path, text, size, &lines));
    PARE_TRY(check_count(path, size ? lines + 1 : 0, vocab_size));
    *out = pare_arena_alloc(arena, size + 2);
    if (!*out)
        return PARE_MEMORY;
    memcpy(*out, text, size);
    memcpy(*out + size, "\n", 2);
    return PARE_OK;
}

static pare_status read_text_file(const char *path, int64_t vocab_size, pare_arena *arena,
                                  char **out)
{
    char *text = NULL;
    size_t size = 0;
    PARE_TRY(pare_file_read(path, MAX_TEXT, &text, &size));
    pare_status status = take_text(path, text, size, vocab_size, arena, out);
    pare_free(text);
    return status;
}

/* ---- tokenizer.json ---- */

/* tokens[id] from {"token": id, ...}; *n is the highest id + 1. */
static pare_status order_tokens(const char *path, const pare_json *vocab, int64_t vocab_size,
                                const char **tokens, int64_t *n)
{
    for (void *i = pare_json_iter(vocab); i; i = pare_json_iter_next(vocab, i)) {
        int64_t id = pare_json_as_int(pare_json_iter_value(i), -1);
        if (id < 0 || id >= vocab_size)
            return pare_fail(PARE_INPUT, "%s: token \"%.64s\": its id is none of the %lld that "
                             "config.json's vocab_size allows", path, pare_json_iter_key(i),
                             (long long)vocab_size);
        if (tokens[id])
            return pare_fail(PARE_INPUT, "%s: tokens \"%.64s\" and \"%.64s\" both have the id %lld",
                             path, tokens[id], pare_json_iter_key(i), (long long)id);
        tokens[id] = pare_json_iter_key(i);
        if (id >= *n)
            *n = id + 1;
    }
    return PARE_OK;
}

/* Added tokens fill ids that the vocabulary leaves free. */
static void add_tokens(const pare_json *added, int64_t vocab_size, const char **tokens, int64_t *n)
{
    for (size_t i = 0; i < pare_json_size(added); i++) {
        const pare_json *token = pare_json_at(added, i);
        int64_t id = pare_json_get_int(token, "id", -1);
        const char *content = pare_json_get_string(token, "content", NULL);
        if (id < 0 || id >= vocab_size || tokens[id] || !content)
            continue;
        tokens[id] = content;
        if (id >= *n)
            *n = id + 1;
    }
}

/* A line of vocab.txt can hold it, and reading that gives it back. */
static bool fits_line(const char *token)
{
    size_t length = strlen(token);
    return length > 0 && !strpbrk(token, "\r\n") && !strchr(" \t\v\f", token[length - 1]);
}

/* One line a token. A placeholder holds a blank: no text ever gives it. */
static char *join_tokens(const char *const *tokens, int64_t n, pare_arena *arena)
{
    char placeholder[32];
    size_t size = 1;
    for (int64_t i = 0; i < n; i++)
        size += (tokens[i] ? strlen(tokens[i]) : 0) + sizeof placeholder;
    char *text = pare_arena_alloc(arena, size), *at = text;
    for (int64_t i = 0; text && i < n; i++) {
        snprintf(placeholder, sizeof placeholder, "[no token %lld]", (long long)i);
        bool fits = tokens[i] && fits_line(tokens[i]);
        size_t length = strlen(fits ? tokens[i] : placeholder);
        memcpy(at, fits ? tokens[i] : placeholder, length);
        at += length;
        *at++ = '\n';
    }
    if (text)
        *at = '\0';
    return text;
}

static pare_status check_model(const char *path, const pare_json *json)
{
    const pare_json *model = pare_json_get(json, "model");
    const char *type = pare_json_get_string(model, "type", "WordPiece");
    const char *prefix = pare_json_get_string(model, "continuing_subword_prefix", "##");
    if (strcmp(type, "WordPiece") != 0 || strcmp(prefix, "##") != 0)
        return pare_fail(PARE_INPUT, "%s: its model is \"%.32s\" with the prefix \"%.32s\"; only "
                         "WordPiece with ## is supported", path, type, prefix);
    return PARE_OK;
}

/* Allocates vocab_size pointers: the weights have shown before that there are as many rows. */
static pare_status read_tokenizer_json(const char *path, const pare_json *json, int64_t vocab_size,
                                       pare_arena *arena, char **out)
{
    const pare_json *vocab = pare_json_get(pare_json_get(json, "model"), "vocab");
    if (!pare_json_is_object(vocab))
        return pare_fail(PARE_INPUT, "%s: has no model.vocab", path);
    if ((int64_t)pare_json_size(vocab) > vocab_size)
        return check_count(path, (int64_t)pare_json_size(vocab), vocab_size);
    const char **tokens = pare_calloc((size_t)vocab_size, sizeof *tokens);
    if (!tokens)
        return PARE_MEMORY;
    int64_t n = 0;
    pare_status status = order_tokens(path, vocab, vocab_size, tokens, &n);
    if (status == PARE_OK) {
        add_tokens(pare_json_get(json, "added_tokens"), vocab_size, tokens, &n);
        status = check_count(path, n, vocab_size);
    }
    if (status == PARE_OK && n - (int64_t)pare_json_size(vocab) > MAX_GAPS)
        status = pare_fail(PARE_INPUT, "%s: its ids up to %lld leave more than %d unused", path,
                           (long long)n - 1, MAX_GAPS);
    if (status == PARE_OK && !(*out = join_tokens(tokens, n, arena)))
        status = PARE_MEMORY;
    pare_free(tokens);
    return status;
}

/* ---- Switches ---- */

/* A BertNormalizer, alone or in a sequence; NULL if there is none. */
static const pare_json *find_normalizer(const pare_json *tokenizer)
{
    const pare_json *one = pare_json_get(tokenizer, "normalizer");
    const pare_json *list = pare_json_get(one, "normalizers");
    for (size_t i = 0; i < pare_json_size(list); i++)
        if (strcmp(pare_json_get_string(pare_json_at(list, i), "type", ""), "BertNormalizer") == 0)
            return pare_json_at(list, i);
    bool bert = strcmp(pare_json_get_string(one, "type", ""), "BertNormalizer") == 0;
    return bert ? one : NULL;
}

/* true or false in the first object that has it; null (-1) counts where it is allowed. */
static int find_switch(const pare_json *first, const char *first_key, const pare_json *second,
                       const char *second_key, bool null_counts, int otherwise)
{
    const pare_json *values[2] = {pare_json_get(first, first_key),
                                  pare_json_get(second, second_key)};
    for (int i = 0; i < 2; i++) {
        if (pare_json_is_bool(values[i]))
            return pare_json_as_bool(values[i], false);
        if (null_counts && pare_json_is_null(values[i]))
            return -1;
    }
    return otherwise;
}

/* In the order of the header's list. */
static void read_switches(const pare_json *config, const pare_json *tokenizer, bool generic,
                          pare_vocabulary_spec *out)
{
    const pare_json *bert = find_normalizer(tokenizer);
    if (bert && generic)
        config = NULL;
    out->do_lower_case = find_switch(config, "do_lower_case", bert, "lowercase", false, 1) == 1;
    out->strip_accents = find_switch(config, "strip_accents", bert, "strip_accents", true, -1);
    out->tokenize_chinese_chars = find_switch(config, "tokenize_chinese_chars", bert,
                                              "handle_chinese_chars", false, 1) == 1;
}

/* ---- The files, and whether they are BERT's ---- */

/* The files of a directory. */
typedef struct files {
    char *text_path, *json_path;
    pare_json *config, *json, *special, *added;
    bool has_text, generic;
} files;

/* Whether tokenizer.json could say something that the other files do not. */
static bool needs_json(const files *f)
{
    return !f->has_text || f->generic || !pare_json_get(f->config, "do_lower_case") ||
           !pare_json_get(f->config, "strip_accents") ||
           !pare_json_get(f->config, "tokenize_chinese_chars");
}

/* *json stays NULL where there is no such file. */
static pare_status read_if_there(const char *directory, const char *name, pare_arena *arena,
                                 pare_json **json)
{
    const char *path = pare_arena_printf(arena, "%s/%s", directory, name);
    if (!path)
        return PARE_MEMORY;
    return pare_path_exists(path) ? pare_bounded_json_read(path, json) : PARE_OK;
}

/* tokenizer_config.json names the class, or else config.json. */
static pare_status check_class(files *f, const char *directory, const pare_json *model_config,
                               pare_arena *arena)
{
    const char *name = pare_json_get_string(f->config, "tokenizer_class", "");
    const char *words = pare_json_get_string(f->config, "word_tokenizer_type", "basic");
    const char *path = pare_arena_printf(arena, "%s/%sconfig.json", directory,
                                         *name ? "tokenizer_" : "");
    if (!path)
        return PARE_MEMORY;
    if (!*name)
        name = pare_json_get_string(model_config, "tokenizer_class", "");
    f->generic = pare_tokenizer_is_generic(name);
    PARE_TRY(pare_tokenizer_check_class(path, name));
    if (*name || strcmp(words, "basic") == 0)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s/tokenizer_config.json: word_tokenizer_type is "
                               "\"%.64s\"; only BERT's tokenizer is supported", directory, words),
                     "if its ids are those of BertTokenizer, add \"tokenizer_class\": "
                     "\"BertTokenizer\"");
}

static pare_status check_json(const files *f)
{
    if (!f->json)
        return PARE_OK;
    if (f->generic || !f->has_text)
        PARE_TRY(check_model(f->json_path, f->json));
    return pare_tokenizer_check_json(f->json_path, f->json, f->generic);
}

/* ---- Added tokens ---- */

/* BERT's own special tokens are found in a text, and no others. */
static void add_name(pare_json *names, const char *name)
{
    for (int k = 0; k < PARE_SPECIAL_TOKENS; k++)
        if (strcmp(name, pare_special_tokens[k]) == 0)
            return;
    pare_json_set_bool(names, name, true);
}

/* A token is a string, or an object that has it as its content. */
static void add_token_name(pare_json *names, const pare_json *token)
{
    const char *name = pare_json_as_string(token, pare_json_get_string(token, "content", ""));
    if (*name)
        add_name(names, name);
}

static void add_list(pare_json *names, const pare_json *list)
{
    for (size_t i = 0; i < pare_json_size(list); i++)
        add_token_name(names, pare_json_at(list, i));
}

/* Each once, from wherever any version of transformers has put them. */
static pare_json *find_added(const files *f)
{
    pare_json *names = pare_json_new_object();
    pare_json *decoder = pare_json_get(f->config, "added_tokens_decoder");
    add_list(names, pare_json_get(f->json, "added_tokens"));
    for (void *i = pare_json_iter(decoder); i; i = pare_json_iter_next(decoder, i))
        add_token_name(names, pare_json_iter_value(i));
    for (void *i = pare_json_iter(f->added); i; i = pare_json_iter_next(f->added, i))
        add_name(names, pare_json_iter_key(i));
    add_list(names, pare_json_get(f->config, "additional_special_tokens"));
    add_list(names, pare_json_get(f->special, "additional_special_tokens"));
    return names;
}

/* Tokens that were added to BERT's are named: their ids will be others than transformers'. */
static pare_status note_added(const files *f, const char *directory)
{
    pare_json *names = find_added(f);
    size_t n = pare_json_size(names);
    pare_status status = pare_json_status();
    if (status == PARE_OK && n > 0)
        pare_note("note: %s: %zu added token%s (the first is \"%.64s\") will be split like any "
                  "other text", directory, n, n == 1 ? "" : "s",
                  pare_json_iter_key(pare_json_iter(names)));
    pare_json_free(names);
    return status;
}

/* ---- All of it ---- */

static pare_status read_files(files *f, const char *directory, const pare_json *model_config,
                              int64_t vocab_size, pare_arena *arena, pare_vocabulary_spec *out)
{
    f->text_path = pare_arena_printf(arena, "%s/vocab.txt", directory);
    f->json_path = pare_arena_printf(arena, "%s/tokenizer.json", directory);
    if (!f->text_path || !f->json_path)
        return PARE_MEMORY;
    f->has_text = pare_path_exists(f->text_path);
    PARE_TRY(read_if_there(directory, "tokenizer_config.json", arena, &f->config));
    PARE_TRY(read_if_there(directory, "special_tokens_map.json", arena, &f->special));
    PARE_TRY(read_if_there(directory, "added_tokens.json", arena, &f->added));
    PARE_TRY(check_class(f, directory, model_config, arena));
    if (needs_json(f))
        PARE_TRY(read_if_there(directory, "tokenizer.json", arena, &f->json));
    PARE_TRY(check_json(f));
    read_switches(f->config, f->json, f->generic, out);
    PARE_TRY(note_added(f, directory));
    if (f->has_text)
        return read_text_file(f->text_path, vocab_size, arena, &out->text);
    if (f->json)
        return read_tokenizer_json(f->json_path, f->json, vocab_size, arena, &out->text);
    return pare_hint(pare_fail(PARE_INPUT, "%s: holds neither vocab.txt nor tokenizer.json",
                               directory),
                     "add the vocabulary that the model was trained with");
}

pare_status pare_vocabulary_read(const char *directory, const pare_json *model_config,
                                 int64_t vocab_size, pare_arena *arena, pare_vocabulary_spec *out)
{
    files f = {0};
    *out = (pare_vocabulary_spec){0};
    pare_status status = read_files(&f, directory, model_config, vocab_size, arena, out);
    pare_json_free(f.config);
    pare_json_free(f.json);
    pare_json_free(f.special);
    pare_json_free(f.added);
    return status;
}
