/* demo_corpus.c: a grammar whose rules know praise from blame. */
#include "tasks/demo_corpus.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/philox.h"

/* A rule's alternatives, apart by '|'; its words, by spaces. A word =rule is replaced by what that
 * rule says in the same tone, ~rule by what it says in the opposite one: "not ~adjective" blames
 * with a word of praise. The whole sentence's tone is its label. */
typedef struct rule {
    const char *name;
    const char *say[2]; /* [0] in blame, [1] in praise; [1] NULL: the same */
} rule;

static const rule grammar[] = {
    {"sentence",
     {"=claim .|=claim .|=claim .|=claim .|=claim .|=claim .|=claim and =claim .|"
      "~claim , but =claim .|although ~claim , =claim .|for all its ~quality , =claim .",
      NULL}},
    {"claim",
     {"=subject =is =adjective|=subject =is =adjective|=subject =is =degree =adjective|"
      "=subject =is =adjective and =adjective|=subject =denies ~adjective|"
      "=subject =denies ~adjective|=subject will =do|=subject will never ~do|"
      "=people =liked =subject|nobody ~liked =subject|there is =quality in =subject|"
      "there is no ~quality in =subject",
      NULL}},
    {"subject", {"the =thing|the =thing|this =thing|the =kind =thing", NULL}},
    {"thing",
     {"film|story|plot|script|cast|music|ending|dialogue|camera work|first half|comedy|thriller|"
      "romance|sequel",
      NULL}},
    {"kind", {"new|long|short|french|silent|latest|much discussed", NULL}},
    {"is", {"is|is|seems|feels|remains|turns out to be", NULL}},
    {"degree", {"really|very|quite|so|in every way", NULL}},
    {"denies", {"is not|is never|is hardly|is far from|is anything but", NULL}},
    {"people", {"i|we|my friends|the audience|most critics", NULL}},
    {"adjective",
     {"dull|clumsy|tired|shallow|stale|lifeless|messy|bland|hollow|dreary|sloppy|annoying",
      "gripping|funny|moving|clever|warm|charming|lively|honest|fresh|delightful|witty|touching"}},
    {"quality",
     {"noise|gloom|confusion|vanity|clutter|nonsense", "wit|warmth|charm|courage|energy|grace"}},
    {"do",
     {"put you to sleep|waste your time|fall apart|wear you out|try your patience",
      "win you over|keep you laughing|stay in the mind|lift your spirits|reward a second look"}},
    {"liked", {"hated|regretted|resented|disliked", "enjoyed|admired|loved|treasured"}},
};

enum { TEXT_SIZE = 512 }; /* the longest sentence of the grammar has less than half of that */

/* A sentence being written; `draws` counts the random numbers it has used. */
typedef struct writer {
    uint64_t seed;
    uint32_t number, draws;
    char text[TEXT_SIZE];
    size_t length;
} writer;

static uint32_t draw(writer *w, uint32_t below)
{
    uint64_t r = pare_random(w->seed, PARE_RANDOM_DATA, 0, w->number, w->draws++, 0).word[0];
    return (uint32_t)(r * below >> 32);
}

static const rule *find_rule(const char *name, size_t length)
{
    const size_t n = sizeof grammar / sizeof *grammar;
    size_t i = 0;

    while (i < n && (strlen(grammar[i].name) != length ||
                     memcmp(grammar[i].name, name, length) != 0))
        i++;
    assert(i < n);
    return &grammar[i];
}

static void write_word(writer *w, const char *word, size_t length)
{
    assert(w->length + length + 2 <= TEXT_SIZE);
    if (w->length > 0)
        w->text[w->length++] = ' ';
    memcpy(w->text + w->length, word, length);
    w->length += length;
    w->text[w->length] = '\0';
}

/* One of the alternatives at random: where it begins, and its length. */
static const char *choose(writer *w, const char *alternatives, size_t *length)
{
    uint32_t n = 1;

    for (const char *c = alternatives; *c; c++)
        n += *c == '|';
    for (uint32_t skip = draw(w, n); skip > 0; skip--)
        alternatives = strchr(alternatives, '|') + 1;
    *length = strcspn(alternatives, "|");
    return alternatives;
}

/* Rules lead only to rules below them in the table, so this ends. */
static void expand(writer *w, const rule *r, bool praise)
{
    size_t length;
    const char *word = choose(w, praise && r->say[1] ? r->say[1] : r->say[0], &length);
    const char *end = word + length;

    while (word < end) {
        size_t n = strcspn(word, " |");
        if (*word == '=' || *word == '~')
            expand(w, find_rule(word + 1, n - 1), praise == (*word == '='));
        else
            write_word(w, word, n);
        word += n + 1;
    }
}

/* All sentences so far, so that none is written twice. */
typedef struct corpus {
    pare_arena *arena;
    uint64_t seed;
    uint32_t next;      /* number of the next sentence to try */
    const char **lines; /* [n] "sentence<TAB>label\n" */
    int64_t n;
} corpus;

static bool is_known(const corpus *c, const char *line)
{
    for (int64_t i = 0; i < c->n; i++)
        if (strcmp(c->lines[i], line) == 0)
            return true;
    return false;
}

/* Adds n new sentences: a little more praise than blame, as in SST-2. */
static pare_status add_lines(corpus *c, int64_t n)
{
    for (int64_t end = c->n + n; c->n < end;) {
        writer w = {.seed = c->seed, .number = c->next++};
        bool praise = draw(&w, 100) < 55;
        expand(&w, find_rule("sentence", strlen("sentence")), praise);
        char line[TEXT_SIZE + 8];
        snprintf(line, sizeof line, "%s\t%d\n", w.text, praise);
        if (is_known(c, line))
            continue;
        c->lines[c->n] = pare_arena_strdup(c->arena, line);
        if (!c->lines[c->n])
            return PARE_MEMORY;
        c->n++;
    }
    return PARE_OK;
}

static pare_status write_file(const corpus *c, const char *directory, const char *name,
                              int64_t from, int64_t to)
{
    static const char header[] = "sentence\tlabel\n";
    pare_output *out = NULL;
    char *path = pare_path_join(directory, name);
    pare_status status = path ? pare_output_open(path, &out) : PARE_MEMORY;

    pare_free(path);
    PARE_TRY(status);
    pare_output_write(out, header, strlen(header));
    for (int64_t i = from; i < to; i++)
        pare_output_write(out, c->lines[i], strlen(c->lines[i]));
    return pare_output_commit(out);
}

static pare_status write_corpus(corpus *c, const char *directory, int64_t n_train, int64_t n_dev)
{
    c->lines = pare_arena_alloc(c->arena, (size_t)(n_train + n_dev) * sizeof *c->lines);
    if (!c->lines)
        return PARE_MEMORY;
    PARE_TRY(add_lines(c, n_train + n_dev));
    PARE_TRY(pare_make_directories(directory));
    PARE_TRY(write_file(c, directory, "train.tsv", 0, n_train));
    return write_file(c, directory, "dev.tsv", n_train, n_train + n_dev);
}

pare_status pare_demo_corpus_write(const char *directory, int64_t n_train, int64_t n_dev,
                                   uint64_t seed)
{
    enum { MOST = 100000 }; /* of the grammar's sentences; comparing them all gets slow before */
    if (n_train < 1 || n_dev < 1 || n_train > MOST || n_dev > MOST)
        return pare_fail(PARE_USAGE, "a corpus of %lld and %lld sentences: 1 to %d each",
                         (long long)n_train, (long long)n_dev, MOST);
    corpus c = {.arena = pare_arena_new("corpus"), .seed = seed};
    pare_status status = c.arena ? write_corpus(&c, directory, n_train, n_dev) : PARE_MEMORY;
    pare_arena_free(c.arena);
    return status;
}
