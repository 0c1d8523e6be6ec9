/* tokenizer_check.c: a list of classes, and tokenizer.json's members against BERT's. */
#include "models/tokenizer_check.h"

#include <stdio.h>
#include <string.h>

#include "core/note.h"
#include "core/status.h"

/* ---- The class ---- */

/* All of them also with "Fast" behind. */
static const char *const generic_classes[] = {"PreTrainedTokenizer", "TokenizersBackend", NULL};
static const char *const bert_classes[] = {
    "BertTokenizer", "ConvBertTokenizer", "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
    "LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer", "RealmTokenizer",
    "RetriBertTokenizer", "SqueezeBertTokenizer", NULL};

static bool is_listed(const char *const *list, const char *name)
{
    for (; *list; list++) {
        size_t length = strlen(*list);
        if (strncmp(*list, name, length) == 0 &&
            (name[length] == '\0' || strcmp(name + length, "Fast") == 0))
            return true;
    }
    return false;
}

bool pare_tokenizer_is_generic(const char *class_name)
{
    return is_listed(generic_classes, class_name);
}

pare_status pare_tokenizer_check_class(const char *path, const char *class_name)
{
    if (!*class_name || is_listed(generic_classes, class_name) ||
        is_listed(bert_classes, class_name))
        return PARE_OK;
    return pare_hint(pare_fail(PARE_INPUT, "%s: tokenizer_class is \"%.64s\"; only BERT's "
                               "tokenizer is supported", path, class_name),
                     "if its ids are those of BertTokenizer, write \"BertTokenizer\" there");
}

/* ---- tokenizer.json ---- */

typedef struct check {
    const char *path;
    bool generic;
} check;

/* `certain`: for most texts the ids are others, if the class goes by this file. */
static pare_status differs(const check *c, bool certain, const char *member, const char *value,
                           const char *want)
{
    if (!certain || !c->generic) {
        pare_note("note: %s: %s is %.96s; pare takes BERT's, %s", c->path, member, value, want);
        return PARE_OK;
    }
    return pare_hint(pare_fail(PARE_INPUT, "%s: %s is %.96s; only BERT's tokenizer is supported, "
                               "where it is %s", c->path, member, value, want),
                     "if the model was trained with BERT's ids, write \"tokenizer_class\": "
                     "\"BertTokenizer\" into tokenizer_config.json");
}

/* The step itself, where it stands alone in a sequence. */
static const pare_json *unwrap(const pare_json *step, const char *list_key)
{
    const pare_json *list = pare_json_get(step, list_key);
    return pare_json_size(list) == 1 ? pare_json_at(list, 0) : step;
}

/* A member that is there must be of this type. */
static pare_status check_type(const check *c, const pare_json *json, const char *member,
                              const char *list_key, const char *want)
{
    const pare_json *step = pare_json_get(json, member);
    const char *type = pare_json_is_null(step)
                           ? "null" : pare_json_get_string(unwrap(step, list_key), "type", "?");
    return !step || strcmp(type, want) == 0 ? PARE_OK : differs(c, true, member, type, want);
}

/* "[CLS]:0 $A:0 [SEP]:0", as the library of tokenizers writes it. */
static void write_template(const pare_json *pieces, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < pare_json_size(pieces) && n < size; i++) {
        const pare_json *sequence = pare_json_get(pare_json_at(pieces, i), "Sequence");
        const pare_json *special = pare_json_get(pare_json_at(pieces, i), "SpecialToken");
        const pare_json *piece = sequence ? sequence : special;
        n += (size_t)snprintf(text + n, size - n, "%s%s%.32s:%lld", i ? " " : "",
                              sequence ? "$" : "", pare_json_get_string(piece, "id", "?"),
                              (long long)pare_json_get_int(piece, "type_id", 0));
    }
}

/* A text alone decides: not every model is for pairs. */
static pare_status check_template(const check *c, const pare_json *post)
{
    static const char *const members[] = {"single", "pair"};
    static const char *const wants[] = {"[CLS]:0 $A:0 [SEP]:0",
                                        "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"};
    for (int i = 0; i < 2; i++) {
        char text[256], member[32];
        const pare_json *pieces = pare_json_get(post, members[i]);
        write_template(pieces, text, sizeof text);
        snprintf(member, sizeof member, "post_processor.%s", members[i]);
        if (pieces && strcmp(text, wants[i]) != 0)
            PARE_TRY(differs(c, i == 0, member, *text ? text : "empty", wants[i]));
    }
    return PARE_OK;
}

static pare_status check_post_processor(const check *c, const pare_json *json)
{
    const pare_json *post = unwrap(pare_json_get(json, "post_processor"), "processors");
    const char *type = pare_json_get_string(post, "type", "?");
    if (!post || strcmp(type, "BertProcessing") == 0)
        return PARE_OK;
    if (strcmp(type, "TemplateProcessing") == 0)
        return check_template(c, post);
    const bool none = pare_json_is_null(post);
    return differs(c, !none, "post_processor", none ? "null" : type, "TemplateProcessing");
}

static pare_status check_word_length(const check *c, const pare_json *json)
{
    char text[32];
    const pare_json *most = pare_json_get(pare_json_get(json, "model"),
                                          "max_input_chars_per_word");
    int64_t number = pare_json_as_int(most, -1);
    snprintf(text, sizeof text, "%lld", (long long)number);
    return !most || number == 100
               ? PARE_OK : differs(c, true, "model.max_input_chars_per_word", text, "100");
}

/* Control characters, which few texts hold, would stay in. */
static pare_status check_cleaning(const check *c, const pare_json *json)
{
    const pare_json *bert = unwrap(pare_json_get(json, "normalizer"), "normalizers");
    return pare_json_get_bool(bert, "clean_text", true)
               ? PARE_OK : differs(c, false, "normalizer.clean_text", "false", "true");
}

pare_status pare_tokenizer_check_json(const char *path, const pare_json *json, bool generic)
{
    const check c = {path, generic};
    PARE_TRY(check_type(&c, json, "normalizer", "normalizers", "BertNormalizer"));
    PARE_TRY(check_type(&c, json, "pre_tokenizer", "pretokenizers", "BertPreTokenizer"));
    PARE_TRY(check_word_length(&c, json));
    PARE_TRY(check_post_processor(&c, json));
    return check_cleaning(&c, json);
}
