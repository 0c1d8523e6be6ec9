/* options.c: the option table, what a value may be, and the command line. */
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config_file.h"
#include "core/utf8.h"

/* ---- The table ---- */

/* The commands' bits under the short names that options.def uses. */
enum {
#define COMMAND(id, ...) id = 1 << PARE_COMMAND_##id,
#include "cli/commands.def"
    EVERY = (1 << PARE_COMMAND_COUNT) - 1,
    TEXTS = FINETUNE | EVALUATE | DROP_LAYERS | HEADS | LATENCY,
    LINE = 1 << 30,
    ONE_RUN = 1 << 29
};
_Static_assert(PARE_COMMAND_COUNT < 29, "a bit a command, LINE, and ONE_RUN");

/* What trains as a part of its work takes what finetune takes from config files, but for what each
 * run has its own of; a sweep, what flop takes too. */
#define SWEPT(commands)                                                                            \
    ((commands) & (LINE | ONE_RUN) ? (commands)                                                    \
     : (commands) & FINETUNE       ? (commands) | SWEEP | HEADS | FLOP                             \
     : (commands) & FLOP           ? (commands) | SWEEP                                            \
                                   : (commands))

#define OPTION(kind_, field, otherwise_, range_, commands_, value_, help_)                         \
    {.kind = PARE_OPTION_##kind_, .name = #field, .otherwise = otherwise_, .range = range_,        \
     .commands = (uint32_t)SWEPT(commands_) & EVERY,                                               \
     .line_only = ((commands_) & LINE) != 0,                                                       \
     .value = value_, .help = help_, .offset = offsetof(pare_options, field),                      \
     .given_offset = offsetof(pare_options, given.field)},
#define AGAIN OPTION
#define GROUP(heading) {.kind = PARE_OPTION_GROUP, .name = heading, .range = "", .help = ""},
const pare_option pare_option_table[] = {
#include "cli/options.def"
};
const size_t pare_option_count = sizeof pare_option_table / sizeof pare_option_table[0];

/* ---- Finding by name ---- */

static char folded(char c)
{
    return c == '-' ? '_' : c;
}

static bool same_name(const char *typed, size_t length, const char *name)
{
    size_t i = 0;
    while (i < length && name[i] && folded(typed[i]) == name[i])
        i++;
    return i == length && name[i] == '\0';
}

/* Whether `command` takes this row; NULL takes all. */
static bool takes(const pare_command *command, const pare_option *row)
{
    if (row->kind == PARE_OPTION_GROUP)
        return false;
    return !command || (row->commands & PARE_COMMAND_BIT(command)) != 0;
}

const pare_option *pare_option_find(const char *name, size_t length, const pare_command *command)
{
    for (size_t i = 0; i < pare_option_count; i++)
        if (takes(command, &pare_option_table[i]) &&
            same_name(name, length, pare_option_table[i].name))
            return &pare_option_table[i];
    return NULL;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment (Damerau-Levenshtein without repeated edits), three rows of the matrix
 * at a time: d[i][j] edits turn the first i letters of a into the first j of b. */
static int name_distance(const char *a, size_t a_length, const char *b)
{
    enum { LONGEST = 40 };
    int rows[3][LONGEST + 1];
    size_t b_length = strlen(b);

    if (a_length == 0 || a_length > LONGEST || b_length > LONGEST)
        return -1;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= a_length; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= b_length; j++) {
            bool equal = folded(a[i - 1]) == folded(b[j - 1]);
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + !equal);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    int distance = rows[a_length % 3][b_length];
    int limit = (int)(a_length < b_length ? b_length : a_length) / 3;
    return distance <= (limit > 1 ? limit : 1) ? distance : -1;
}

/* Whether `typed` is the first letters of a name's words: lr for learning_rate. */
static bool is_initials(const char *typed, size_t length, const char *name)
{
    size_t n = 0;
    for (const char *s = name; *s; s++)
        if ((s == name || s[-1] == '_') && (n == length || typed[n++] != *s))
            return false;
    return n == length && n >= 2;
}

/* Whether the shorter of two names, of four letters or more, begins or ends the longer one:
 * num_train_epochs and epochs. */
static bool is_part(const char *typed, size_t length, const char *name)
{
    size_t size = strlen(name), shorter = size < length ? size : length;
    const char *typed_end = typed + length - shorter, *name_end = name + size - shorter;

    if (shorter < 4)
        return false;
    bool begins = true, ends = true;
    for (size_t i = 0; i < shorter; i++) {
        begins = begins && folded(typed[i]) == folded(name[i]);
        ends = ends && folded(typed_end[i]) == folded(name_end[i]);
    }
    return begins || ends;
}

int pare_name_unlikeness(const char *typed, size_t length, const char *name)
{
    int edits = name_distance(typed, length, name);
    if (edits >= 0)
        return edits;
    if (is_initials(typed, length, name))
        return 10;
    return is_part(typed, length, name) ? 100 - (int)strlen(name) : -1;
}

const pare_option *pare_option_nearest(const char *name, size_t length,
                                       const pare_command *command, bool config_key)
{
    const pare_option *nearest = NULL;
    int best = 0;

    for (size_t i = 0; i < pare_option_count; i++) {
        const pare_option *row = &pare_option_table[i];
        if (!takes(command, row) || (config_key && row->line_only))
            continue;
        int cost = pare_name_unlikeness(name, length, row->name);
        if (cost >= 0 && (!nearest || cost < best)) {
            nearest = row;
            best = cost;
        }
    }
    return nearest;
}

const char *pare_option_shown(const pare_option *row, char shown[PARE_OPTION_SHOWN])
{
    size_t n = 2;

    shown[0] = shown[1] = '-';
    for (const char *s = row->name; *s && n + 1 < PARE_OPTION_SHOWN; s++)
        shown[n++] = *s == '_' ? '-' : *s;
    shown[n] = '\0';
    return shown;
}

/* ---- Values ---- */

typedef union option_value {
    const char *string;
    int64_t integer;
    double real;
    bool flag;
} option_value;

static pare_status read_int(const pare_option *row, const char *text, const char *shown,
                            option_value *out)
{
    char *end;
    const char *dots = strstr(row->range, "..");
    assert(dots);
    int64_t low = strtoll(row->range, NULL, 10), high = strtoll(dots + 2, NULL, 10);
    const char *digits = text[0] == '-' ? text + 1 : text;

    errno = 0;
    out->integer = strtoll(text, &end, 10);
    if (digits[0] < '0' || digits[0] > '9' || *end != '\0')
        return pare_hint(pare_fail(PARE_USAGE, "%s: \"%s\" is not a whole number", shown, text),
                         "give a whole number from %lld to %lld", (long long)low,
                         (long long)high);
    if (errno == ERANGE || out->integer < low || out->integer > high)
        return pare_hint(pare_fail(PARE_USAGE, "%s: %s is not from %lld to %lld", shown, text,
                                   (long long)low, (long long)high),
                         "give a whole number in that range");
    return PARE_OK;
}

static pare_status read_real(const pare_option *row, const char *text, const char *shown,
                             option_value *out)
{
    char *end;
    const char *dots = strstr(row->range, "..");
    assert(dots);
    double low = strtod(row->range, NULL), high = strtod(dots + 2, NULL);

    out->real = strtod(text, &end);
    /* strtod also takes spaces, "nan", "inf" and hexadecimal: none of them is meant here */
    if (text[0] == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0' || *end != '\0')
        return pare_hint(pare_fail(PARE_USAGE, "%s: \"%s\" is not a number", shown, text),
                         "give a number from %g to %g, such as %s", low, high,
                         row->otherwise ? row->otherwise : "0.1");
    if (out->real < low || out->real > high)
        return pare_hint(pare_fail(PARE_USAGE, "%s: %s is not from %g to %g", shown, text, low,
                                   high),
                         "give a number in that range");
    return PARE_OK;
}

static pare_status read_flag(const char *text, const char *shown, option_value *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) {
            out->flag = i % 2 == 1;
            return PARE_OK;
        }
    return pare_hint(pare_fail(PARE_USAGE, "%s: \"%s\" is neither true nor false", shown, text),
                     "write true or false");
}

/* One of the range's texts, as it was typed. */
static pare_status read_choice(const pare_option *row, const char *text, const char *shown,
                               option_value *out)
{
    size_t length = strlen(text);

    for (const char *s = row->range; length > 0 && *s; s += strcspn(s, "|"), s += *s == '|')
        if (strcspn(s, "|") == length && strncmp(s, text, length) == 0) {
            out->string = text;
            return PARE_OK;
        }
    return pare_hint(pare_fail(PARE_USAGE, "%s: \"%s\" is not one of %s", shown, text, row->range),
                     "choose one of these");
}

/* An empty text unsets an option that has no default. */
static pare_status read_value(const pare_option *row, const char *text, const char *shown,
                              option_value *out)
{
    bool unset = !text || (text[0] == '\0' && !row->otherwise);

    switch (row->kind) {
    case PARE_OPTION_STRING:
    case PARE_OPTION_LIST:
        out->string = unset ? NULL : text;
        return PARE_OK;
    case PARE_OPTION_CHOICE:
        out->string = NULL;
        return unset ? PARE_OK : read_choice(row, text, shown, out);
    case PARE_OPTION_INT:
        out->integer = 0;
        return unset ? PARE_OK : read_int(row, text, shown, out);
    case PARE_OPTION_REAL:
        out->real = -1;
        return unset ? PARE_OK : read_real(row, text, shown, out);
    case PARE_OPTION_FLAG:
        return read_flag(text ? text : "false", shown, out);
    case PARE_OPTION_GROUP:
        break;
    }
    return pare_fail(PARE_INTERNAL, "%s: no kind of option", shown);
}

/* A list takes another value behind those that the same source gave it. */
static pare_status grow_list(pare_options *options, const pare_option *row, unsigned char given,
                             option_value *value)
{
    const char *old;

    memcpy(&old, (char *)options + row->offset, sizeof old);
    if (!old || !value->string || pare_option_given(options, row) != given)
        return PARE_OK;
    value->string = pare_arena_printf(options->arena, "%s\n%s", old, value->string);
    return value->string ? PARE_OK : PARE_MEMORY;
}

pare_status pare_option_set(pare_options *options, const pare_option *row, const char *text,
                            unsigned char given, const char *shown)
{
    option_value value = {0};

    PARE_TRY(read_value(row, text, shown, &value));
    if (!options)
        return PARE_OK;
    if (row->kind == PARE_OPTION_LIST)
        PARE_TRY(grow_list(options, row, given, &value));
    char *field = (char *)options + row->offset;
    switch (row->kind) {
    case PARE_OPTION_STRING:
    case PARE_OPTION_LIST:
    case PARE_OPTION_CHOICE:
        memcpy(field, &value.string, sizeof value.string);
        break;
    case PARE_OPTION_INT:
        memcpy(field, &value.integer, sizeof value.integer);
        break;
    case PARE_OPTION_REAL:
        memcpy(field, &value.real, sizeof value.real);
        break;
    case PARE_OPTION_FLAG:
    case PARE_OPTION_GROUP:
        memcpy(field, &value.flag, sizeof value.flag);
        break;
    }
    ((unsigned char *)options)[row->given_offset] = given;
    return PARE_OK;
}

int pare_option_given(const pare_options *options, const pare_option *row)
{
    return ((const unsigned char *)options)[row->given_offset];
}

/* ---- All of them ---- */

pare_status pare_options_init(pare_options *options, const pare_command *command)
{
    memset(options, 0, sizeof *options);
    options->command = command;
    options->arena = pare_arena_new("options");
    if (!options->arena)
        return PARE_MEMORY;
    /* Rows of other commands fill the fields that this one does not take, the first row of a field
     * last; its own come after them. */
    for (int own = 0; own <= 1; own++)
        for (size_t i = pare_option_count; i-- > 0;) {
            const pare_option *row = &pare_option_table[i];
            if (row->kind != PARE_OPTION_GROUP && takes(command, row) == (own == 1))
                PARE_TRY(pare_option_set(options, row, row->otherwise, PARE_GIVEN_DEFAULT,
                                         row->name));
        }
    return PARE_OK;
}

void pare_options_free(pare_options *options)
{
    pare_arena_free(options->arena);
    options->arena = NULL;
}

pare_status pare_option_need(const pare_options *options, const char *name, const char *value)
{
    const pare_option *row = pare_option_find(name, strlen(name), options->command);
    char shown[PARE_OPTION_SHOWN];

    assert(row);
    if (value)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "pare %s needs %s %s", options->command->name,
                               pare_option_shown(row, shown), row->value),
                     "%s: %s", row->value, row->help);
}

pare_data_options pare_options_data(const pare_options *o)
{
    return (pare_data_options){.task = o->task, .data = o->data, .split = o->split,
                               .text_column = o->text_column, .pair_column = o->pair_column,
                               .label_column = o->label_column, .strict = o->strict};
}

pare_evaluate_options pare_options_evaluate(const pare_options *o)
{
    return (pare_evaluate_options){.model = o->model, .predictions = o->predictions,
                                   .data = pare_options_data(o),
                                   .max_seq_length = o->max_seq_length,
                                   .batch_size = o->eval_batch_size};
}

void pare_options_train(const pare_options *options, pare_train_options *out)
{
    memset(out, 0, sizeof *out);
#define TRAIN(kind, field, ...) out->field = options->field;
#define OPTION(...)
#include "cli/options.def"
}

/* ---- The command line ---- */

/* The arguments, and the next one to read. */
typedef struct arguments {
    char **argv;
    int argc, at;
} arguments;

static pare_status unknown_option(const pare_options *options, const char *typed, size_t length)
{
    const char *command = options->command->name;
    const pare_option *row = pare_option_find(typed + 2, length - 2, NULL);
    char shown[PARE_OPTION_SHOWN];

    if (row) {
        size_t first = 0;
        while (!(row->commands & (UINT32_C(1) << first)))
            first++;
        return pare_hint(pare_fail(PARE_USAGE, "%s is not an option of pare %s",
                                   pare_option_shown(row, shown), command),
                         "pare %s takes it; pare %s --help lists the options of %s",
                         pare_command_table[first].name, command, command);
    }
    pare_fail(PARE_USAGE, "unknown option %.*s of pare %s", (int)length, typed, command);
    row = pare_option_nearest(typed + 2, length - 2, options->command, false);
    if (row)
        return pare_hint(PARE_USAGE, "did you mean %s? pare %s --help lists every option",
                         pare_option_shown(row, shown), command);
    return pare_hint(PARE_USAGE, "pare %s --help lists every option", command);
}

/* "-h", "-q" and "-v". */
static const char *short_name(char letter)
{
    switch (letter) {
    case 'h':
        return "help";
    case 'q':
        return "quiet";
    case 'v':
        return "verbose";
    }
    return NULL;
}

static int character_length(const char *text)
{
    uint32_t point;
    return (int)pare_utf8_decode(text, strlen(text), &point);
}

/* -q, or several in one: -qv. */
static pare_status parse_short(pare_options *options, const char *letters)
{
    for (const char *s = letters + 1; *s; s++) {
        const char *name = short_name(*s);
        if (!name)
            return pare_hint(pare_fail(PARE_USAGE, "unknown option -%.*s in \"%s\" of pare %s",
                                       character_length(s), s, letters, options->command->name),
                             "short options are -h, -q and -v; others begin with two dashes");
        const pare_option *row = pare_option_find(name, strlen(name), options->command);
        PARE_TRY(pare_option_set(options, row, "true", PARE_GIVEN_LINE, letters));
    }
    return PARE_OK;
}

/* The value of an option: behind its "=", or the next argument; a flag's is "true". */
static pare_status value_of(const pare_option *row, const char *equals, arguments *args,
                            const char *shown, const char **out)
{
    *out = equals ? equals + 1 : "true";
    if (!equals && row->kind != PARE_OPTION_FLAG) {
        if (args->at >= args->argc || strncmp(args->argv[args->at], "--", 2) == 0)
            return pare_hint(pare_fail(PARE_USAGE, "%s needs a value", shown), "%s %s: %s", shown,
                             row->value, row->help);
        *out = args->argv[args->at++];
    }
    if ((*out)[0] == '\0' && !row->otherwise)
        return pare_hint(pare_fail(PARE_USAGE, "%s: its value is empty", shown), "%s %s: %s",
                         shown, row->value, row->help);
    return PARE_OK;
}

/* --name value, --name=value, --name, --no-name. */
static pare_status parse_long(pare_options *options, const char *typed, arguments *args)
{
    const char *equals = strchr(typed, '=');
    size_t length = equals ? (size_t)(equals - typed) : strlen(typed);
    const pare_option *row = pare_option_find(typed + 2, length - 2, options->command);
    char shown[PARE_OPTION_SHOWN];
    const char *value;

    if (!row && length > 5 && !equals &&
        (strncmp(typed, "--no-", 5) == 0 || strncmp(typed, "--no_", 5) == 0)) {
        row = pare_option_find(typed + 5, length - 5, options->command);
        if (row && row->kind == PARE_OPTION_FLAG)
            return pare_option_set(options, row, "false", PARE_GIVEN_LINE, typed);
        row = NULL;
    }
    if (!row)
        return unknown_option(options, typed, length);
    PARE_TRY(value_of(row, equals, args, pare_option_shown(row, shown), &value));
    return pare_option_set(options, row, value, PARE_GIVEN_LINE, shown);
}

static pare_status check_operands(const pare_options *options)
{
    const pare_command *command = options->command;
    int n = options->n_operands;

    if (n < command->fewest)
        return pare_hint(pare_fail(PARE_USAGE, "pare %s needs %s, and %d of them %s given",
                                   command->name, command->operands, n, n == 1 ? "was" : "were"),
                         "pare %s %s", command->name, command->operands);
    if (command->most >= 0 && n > command->most)
        return pare_hint(pare_fail(PARE_USAGE, "pare %s: unexpected argument \"%s\"",
                                   command->name, options->operands[command->most]),
                         "usage: pare %s [options]%s%s; pare %s --help tells more", command->name,
                         command->operands[0] ? " " : "", command->operands, command->name);
    for (int i = 0; i < n; i++)
        if (!*options->operands[i])
            return pare_hint(pare_fail(PARE_USAGE, "pare %s: a name is empty", command->name),
                             "pare %s %s", command->name, command->operands);
    return PARE_OK;
}

static pare_status parse_arguments(pare_options *options, arguments *args)
{
    bool only_operands = false;

    while (args->at < args->argc && !options->help && !options->version) {
        const char *argument = args->argv[args->at++];
        if (only_operands || argument[0] != '-' || argument[1] == '\0')
            options->operands[options->n_operands++] = argument;
        else if (argument[1] != '-')
            PARE_TRY(parse_short(options, argument));
        else if (argument[2] == '\0')
            only_operands = true; /* "--" */
        else
            PARE_TRY(parse_long(options, argument, args));
    }
    return PARE_OK;
}

pare_status pare_options_parse(pare_options *options, int argc, char **argv)
{
    arguments args = {argv, argc, 0};

    options->operands = pare_arena_zalloc(options->arena, (size_t)(argc + 1) * sizeof(char *));
    if (!options->operands)
        return PARE_MEMORY;
    PARE_TRY(parse_arguments(options, &args));
    if (options->help || options->version)
        return PARE_OK;
    PARE_TRY(check_operands(options));
    return options->config ? pare_options_read(options->config, options) : PARE_OK;
}
