/* config_file.c: ini files through inih; what keys mean, and where an error lies. */
#include "cli/config_file.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

enum { LONGEST_LINE = 65536, LARGEST_FILE = 1 << 20 };

/* Debian's inih can be set at run time; others are built with fixed settings, without these. */
#pragma weak ini_use_stack
#pragma weak ini_max_line
#pragma weak ini_initial_alloc
extern bool ini_use_stack;
extern int ini_max_line, ini_initial_alloc;

/* The file being read. */
typedef struct config_reader {
    const char *path;
    const char *at, *end; /* what is left of its text */
    int line;             /* number of the line handed out last */
    pare_options *options;
    int *first_line;      /* [pare_option_count] where a key was set, 0: not yet */
    pare_status status;   /* of the first error */
} config_reader;

/* ---- Lines ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* inih's reader: the next line, without the blanks before it (inih would join an indented line to
 * the value above it). Comments become empty lines, which keeps inih's limit away from them. */
static char *next_line(char *out, int room, void *context)
{
    config_reader *r = context;

    if (r->at == r->end || r->status != PARE_OK || room < 2)
        return NULL;
    r->line++;
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *start = r->at, *stop = newline ? newline : r->end;
    r->at = newline ? newline + 1 : r->end;
    while (start < stop && is_blank(*start))
        start++;
    if (start < stop && (*start == '#' || *start == ';'))
        start = stop;
    size_t n = (size_t)(stop - start);
    if (n + 2 > (size_t)room) {
        r->status = pare_hint(pare_fail(PARE_USAGE, "%s:%d: a line of %zu bytes", r->path, r->line,
                                        n),
                              "a line may have %d bytes", room - 2);
        return NULL;
    }
    memcpy(out, start, n);
    memcpy(out + n, "\n", 2);
    return out;
}

/* ---- Values ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One escape at *s, behind its backslash; -1 if there is no such escape. */
static int unescape(const char **s)
{
    char c = *(*s)++;
    switch (c) {
    case '"':
    case '\\':
        return c;
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'x': {
        int high = hex_digit((*s)[0]), low = high < 0 ? -1 : hex_digit((*s)[1]);
        if (low < 0 || high * 16 + low == 0)
            return -1;
        *s += 2;
        return high * 16 + low;
    }
    }
    return -1;
}

/* The text between quotes, in the options' arena; NULL with the error set. */
static const char *unquote(config_reader *r, const char *quoted)
{
    char *text = pare_arena_alloc(r->options->arena, strlen(quoted) + 1), *end = text;
    const char *s = quoted + 1;

    if (!text) {
        r->status = PARE_MEMORY;
        return NULL;
    }
    int c = 0;
    while (c >= 0 && *s && *s != '"') {
        c = (unsigned char)*s++;
        if (c == '\\')
            c = unescape(&s);
        *end++ = (char)c;
    }
    *end = '\0';
    if (c >= 0 && *s == '"' && s[1] == '\0')
        return text;
    pare_fail(PARE_USAGE, "%s:%d: %s is no quoted text", r->path, r->line, quoted);
    r->status = pare_hint(PARE_USAGE, "between quotes write \\\" \\\\ \\n \\t, and \\x3b for ;");
    return NULL;
}

static const char *plain_or_quoted(config_reader *r, const char *value)
{
    if (value[0] == '"')
        return unquote(r, value);
    const char *copy = pare_arena_strdup(r->options->arena, value);
    if (!copy)
        r->status = PARE_MEMORY;
    return copy;
}

/* ---- Keys ---- */

static pare_status unknown_key(const config_reader *r, const char *key)
{
    size_t length = strlen(key);
    const pare_option *near = pare_option_nearest(key, length, r->options->command, true);

    if (!near)
        near = pare_option_nearest(key, length, NULL, true);
    pare_fail(PARE_USAGE, "%s:%d: unknown key \"%s\"", r->path, r->line, key);
    if (near)
        return pare_hint(PARE_USAGE, "did you mean %s? pare %s --print-config shows every key",
                         near->name, r->options->command->name);
    return pare_hint(PARE_USAGE, "pare %s --print-config shows every key",
                     r->options->command->name);
}

/* The row of a key: of this command, else of another one, which then is only checked (*own tells);
 * NULL with the error set. */
static const pare_option *row_of_key(config_reader *r, const char *key, bool *own)
{
    size_t length = strlen(key);
    const pare_option *row = pare_option_find(key, length, r->options->command);

    *own = row && !row->line_only;
    if (*own)
        return row;
    for (int c = 0; c < PARE_COMMAND_COUNT; c++) {
        const pare_option *other = pare_option_find(key, length, &pare_command_table[c]);
        if (other && !other->line_only)
            return other;
    }
    if (!row)
        row = pare_option_find(key, length, NULL);
    if (!row) {
        r->status = unknown_key(r, key);
        return NULL;
    }
    char shown[PARE_OPTION_SHOWN];
    r->status = pare_hint(pare_fail(PARE_USAGE, "%s:%d: %s cannot be set in a config file", r->path,
                                    r->line, row->name),
                          "give %s on the command line", pare_option_shown(row, shown));
    return NULL;
}

static pare_status set_key(config_reader *r, const pare_option *row, bool own, const char *value)
{
    char shown[PARE_OPTION_SHOWN + 512];
    size_t index = (size_t)(pare_option_find(row->name, strlen(row->name), NULL) -
                            pare_option_table);

    if (r->first_line[index])
        return pare_hint(pare_fail(PARE_USAGE, "%s:%d: %s is set twice, first in line %d", r->path,
                                   r->line, row->name, r->first_line[index]),
                         "remove one of the two");
    r->first_line[index] = r->line;
    snprintf(shown, sizeof shown, "%s:%d: %s", r->path, r->line, row->name);
    bool wanted = own && pare_option_given(r->options, row) != PARE_GIVEN_LINE;
    return pare_option_set(wanted ? r->options : NULL, row, value, PARE_GIVEN_CONFIG, shown);
}

/* inih's handler: 1 for a good line. */
static int on_key(void *context, const char *section, const char *key, const char *value)
{
    config_reader *r = context;
    bool own;

    (void)section;
    if (r->status != PARE_OK)
        return 0;
    const pare_option *row = row_of_key(r, key, &own);
    const char *text = row ? plain_or_quoted(r, value ? value : "") : NULL;
    if (text)
        r->status = set_key(r, row, own, text);
    return r->status == PARE_OK;
}

/* ---- Reading ---- */

static pare_status parse(config_reader *r)
{
    if (&ini_use_stack && &ini_max_line && &ini_initial_alloc) {
        ini_use_stack = false;
        ini_max_line = ini_initial_alloc = LONGEST_LINE;
    }
    int bad_line = ini_parse_stream(next_line, r, on_key, r);
    /* Where inih met a line it could not cut before one that we refused, it is the first error. */
    if (r->status != PARE_OK && (bad_line <= 0 || bad_line >= r->line))
        return r->status;
    if (bad_line < 0)
        return pare_fail(PARE_MEMORY, "%s: out of memory", r->path);
    if (bad_line > 0)
        return pare_hint(pare_fail(PARE_USAGE, "%s:%d: neither key = value nor [section]", r->path,
                                   bad_line),
                         "comments begin with # or ;");
    return PARE_OK;
}

pare_status pare_options_read(const char *path, pare_options *options)
{
    char *text;
    size_t size;

    pare_status status = pare_file_read(path, LARGEST_FILE, &text, &size);
    if (status != PARE_OK)
        return pare_hint(status, "--config names a file; pare %s --print-config shows one",
                         options->command->name);
    config_reader r = {.path = path, .at = text, .end = text + size, .options = options};
    r.first_line = pare_arena_zalloc(options->arena, pare_option_count * sizeof(int));
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        r.at += 3; /* a byte order mark */
    if (!r.first_line)
        status = PARE_MEMORY;
    else if (memchr(text, '\0', size))
        status = pare_hint(pare_fail(PARE_INPUT, "%s: a NUL byte: this is no config file", path),
                           "pare %s --print-config shows what one looks like",
                           options->command->name);
    else
        status = parse(&r);
    pare_free(text);
    return status;
}

/* ---- Writing ---- */

static void write_quoted(pare_text *out, const char *text)
{
    pare_text_puts(out, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if (*s == '"' || *s == '\\')
            pare_text_printf(out, "\\%c", *s);
        else if (*s == ';' || *s < 0x20 || *s == 0x7f)
            pare_text_printf(out, "\\x%02x", *s);
        else
            pare_text_add(out, (const char *)s, 1);
    pare_text_puts(out, "\"");
}

static bool needs_quotes(const char *text)
{
    size_t n = strlen(text);

    if (n > 0 && (text[0] == '"' || text[0] == ' ' || text[n - 1] == ' '))
        return true;
    for (size_t i = 0; i < n; i++)
        if (text[i] == ';' || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

/* The fewest digits that read back as the same number. */
static void write_real(pare_text *out, double value)
{
    char digits[32];

    for (int n = 1; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    pare_text_puts(out, digits);
}

static void write_value(const pare_options *options, const pare_option *row, pare_text *out)
{
    const void *field = (const char *)options + row->offset;
    const char *string = NULL;

    switch (row->kind) {
    case PARE_OPTION_STRING:
    case PARE_OPTION_LIST:
    case PARE_OPTION_CHOICE:
        memcpy(&string, field, sizeof string);
        if (string && needs_quotes(string))
            write_quoted(out, string);
        else if (string)
            pare_text_puts(out, string);
        break;
    case PARE_OPTION_INT: {
        int64_t value = *(const int64_t *)field;
        if (value != 0 || row->otherwise)
            pare_text_int(out, value);
        break;
    }
    case PARE_OPTION_REAL: {
        double value = *(const double *)field;
        if (value >= 0 || row->otherwise)
            write_real(out, value);
        break;
    }
    case PARE_OPTION_FLAG:
    case PARE_OPTION_GROUP:
        pare_text_puts(out, *(const bool *)field ? "true" : "false");
        break;
    }
}

/* "# examples a step (32; 1..65536)" */
static void write_comment(const pare_option *row, pare_text *out)
{
    pare_text note = {0};

    pare_text_puts(&note, row->help);
    if (row->otherwise && row->otherwise[0])
        pare_text_printf(&note, " [default: %s]", row->otherwise);
    pare_text_puts(out, "# ");
    if (note.bytes)
        pare_text_wrap(out, note.bytes, "# ", 2, 78);
    pare_text_puts(out, "\n");
    out->failed = out->failed || note.failed;
    pare_text_free(&note);
}

void pare_options_write(const pare_options *options, pare_text *out)
{
    const pare_option *heading = NULL;

    pare_text_printf(out, "# pare %s: keys are the options of the command line.\n",
                     options->command->name);
    for (size_t i = 0; i < pare_option_count; i++) {
        const pare_option *row = &pare_option_table[i];
        if (row->kind == PARE_OPTION_GROUP)
            heading = row;
        if (!(row->commands & PARE_COMMAND_BIT(options->command)) || row->line_only)
            continue;
        if (heading)
            pare_text_printf(out, "\n[%s]\n", heading->name);
        heading = NULL;
        write_comment(row, out);
        pare_text_printf(out, "%s =", row->name);
        size_t before = out->n;
        pare_text_puts(out, " ");
        write_value(options, row, out);
        if (!out->failed && out->n == before + 1)
            out->n = before; /* not set: no blank behind the = */
        pare_text_puts(out, "\n");
    }
}
