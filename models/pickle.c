/* pickle.c: a stack machine that can call nothing. */
#include "models/pickle.h"

#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "models/pickle_value.h"

static const char *const kind_names[] = {"None", "a number", "a float", "a string", "a tuple",
                                         "a list", "a dict", "a name", "a storage", "a tensor"};

enum {
    MAX_PICKLE = 1 << 19, /* a BERT-large's has a fifth of it */
    CHUNK = 512           /* values are allocated by so many */
};

typedef struct machine {
    const unsigned char *bytes;
    size_t size, at, op_at;
    const char *where;
    pare_arena *arena;
    pickle_value **stack; /* [size]: an operation pushes one value at most */
    size_t depth;
    size_t *marks; /* [size]: the depths at which MARKs lie */
    size_t n_marks;
    pickle_value **memo; /* [size]: values by number; NULL: none was put there */
    size_t n_memo;
    pickle_value *fresh; /* values not yet handed out */
    size_t n_fresh;
} machine;

/* Every complaint names the file and the operation's place in the pickle. */
static pare_status refuse(const machine *m, const char *reason)
{
    pare_fail(PARE_INPUT, "%s: byte %zu of its pickle: %s", m->where, m->op_at, reason);
    return PARE_INPUT;
}

/* Values come out of the arena in chunks: one takes 40 bytes, and the arena rounds to 64. */
static pare_status new_value(machine *m, pickle_kind type, pickle_value **out)
{
    if (m->n_fresh == 0) {
        m->fresh = pare_arena_zalloc(m->arena, CHUNK * sizeof *m->fresh);
        if (!m->fresh)
            return PARE_MEMORY;
        m->n_fresh = CHUNK;
    }
    *out = m->fresh++;
    m->n_fresh--;
    (*out)->kind = type;
    return PARE_OK;
}

/* ---- The stack ---- */

static pare_status push(machine *m, pickle_value *v)
{
    if (m->depth == m->size)
        return refuse(m, "its stack is full");
    m->stack[m->depth++] = v;
    return PARE_OK;
}

static pare_status push_new(machine *m, pickle_kind type, pickle_value **out)
{
    PARE_TRY(new_value(m, type, out));
    return push(m, *out);
}

/* The lowest depth that may be popped: a MARK is passed by the operations made for it only. */
static size_t ground(const machine *m)
{
    return m->n_marks ? m->marks[m->n_marks - 1] : 0;
}

static pare_status pop(machine *m, pickle_value **out)
{
    if (m->depth <= ground(m))
        return refuse(m, "its stack is empty");
    *out = m->stack[--m->depth];
    return PARE_OK;
}

/* Everything above the last MARK: (*items)[*n], valid until the next push. */
static pare_status pop_mark(machine *m, pickle_value ***items, size_t *n)
{
    if (m->n_marks == 0)
        return refuse(m, "a MARK is missing");
    size_t depth = m->marks[--m->n_marks];
    *items = m->stack + depth;
    *n = m->depth - depth;
    m->depth = depth;
    return PARE_OK;
}

/* Lists double; what they outgrow stays in the arena, no more than the list itself. */
static pare_status append(machine *m, pickle_value *list, pickle_value *const *items, size_t n)
{
    if (n > list->list.capacity - list->list.n) {
        size_t capacity = 2 * list->list.capacity + n;
        pickle_value **more = pare_arena_alloc(m->arena, capacity * sizeof *more);
        if (!more)
            return PARE_MEMORY;
        if (list->list.n)
            memcpy(more, list->list.items, list->list.n * sizeof *more);
        list->list.items = more;
        list->list.capacity = capacity;
    }
    if (n)
        memcpy(list->list.items + list->list.n, items, n * sizeof *items);
    list->list.n += n;
    return PARE_OK;
}

/* ---- Operations. `n` is the number that follows the operation's code ---- */

static pare_status op_nothing(machine *m, uint64_t n)
{
    (void)m, (void)n;
    return PARE_OK;
}

static pare_status op_proto(machine *m, uint64_t n)
{
    return n >= 2 && n <= 5 ? PARE_OK : refuse(m, "its protocol is not one of 2 to 5");
}

static pare_status op_mark(machine *m, uint64_t n)
{
    (void)n;
    m->marks[m->n_marks++] = m->depth;
    return PARE_OK;
}

/* A new value of kind n: an empty one, or None. */
static pare_status op_new(machine *m, uint64_t n)
{
    pickle_value *v;
    return push_new(m, (pickle_kind)n, &v);
}

static pare_status op_unsigned(machine *m, uint64_t n)
{
    pickle_value *v;
    PARE_TRY(push_new(m, PICKLE_NUMBER, &v));
    v->integer = (int64_t)n;
    return PARE_OK;
}

/* Four bytes of two's complement. */
static pare_status op_signed(machine *m, uint64_t n)
{
    return op_unsigned(m, (uint64_t)(int64_t)(int32_t)(uint32_t)n);
}

/* n bytes of two's complement. */
static pare_status op_long(machine *m, uint64_t n)
{
    uint64_t bits = 0;
    if (n > 8 || n > m->size - m->at)
        return refuse(m, "a number needs more than 64 bits");
    memcpy(&bits, m->bytes + m->at, n);
    if (n > 0 && n < 8 && bits >> (8 * n - 1))
        bits |= ~(uint64_t)0 << 8 * n;
    m->at += n;
    return op_unsigned(m, bits);
}

static pare_status op_float(machine *m, uint64_t n)
{
    (void)n; /* its eight bytes */
    return op_new(m, PICKLE_REAL);
}

/* n bytes: strings stay where they are in the pickle. */
static pare_status op_text(machine *m, uint64_t n)
{
    pickle_value *v;
    if (n > m->size - m->at)
        return refuse(m, "a string leaves it");
    PARE_TRY(push_new(m, PICKLE_TEXT, &v));
    v->text.bytes = (const char *)m->bytes + m->at;
    v->text.length = n;
    m->at += n;
    return PARE_OK;
}

/* The last n values become a tuple. */
static pare_status op_tuple_of(machine *m, uint64_t n)
{
    pickle_value *v;
    if (m->depth - ground(m) < n)
        return refuse(m, "its stack is empty");
    PARE_TRY(new_value(m, PICKLE_TUPLE, &v));
    m->depth -= n;
    PARE_TRY(append(m, v, m->stack + m->depth, n));
    return push(m, v);
}

static pare_status op_tuple(machine *m, uint64_t n)
{
    pickle_value **items, *v;
    size_t count;
    (void)n;
    PARE_TRY(pop_mark(m, &items, &count));
    PARE_TRY(new_value(m, PICKLE_TUPLE, &v));
    PARE_TRY(append(m, v, items, count));
    return push(m, v);
}

/* The value on the stack's top, which stays there, if it is of this kind. */
static pare_status peek(machine *m, pickle_kind type, pickle_value **out)
{
    *out = m->depth > ground(m) ? m->stack[m->depth - 1] : NULL;
    if (*out && (*out)->kind == type)
        return PARE_OK;
    pare_fail(PARE_INPUT, "%s: byte %zu of its pickle: %s is wanted, %s is there", m->where,
              m->op_at, kind_names[type], *out ? kind_names[(*out)->kind] : "nothing");
    return PARE_INPUT;
}

/* The last n values go into the list, or pair by pair into the dict, below them. */
static pare_status extend(machine *m, pickle_kind type, pickle_value *const *items, size_t n)
{
    pickle_value *list;
    PARE_TRY(peek(m, type, &list));
    if (type == PICKLE_DICT && n % 2)
        return refuse(m, "a dict gets a key without a value");
    return append(m, list, items, n);
}

/* One item into a list, or one pair into a dict. */
static pare_status op_add(machine *m, uint64_t n)
{
    pickle_value *items[2];
    size_t count = n == PICKLE_DICT ? 2 : 1;
    for (size_t i = count; i-- > 0;)
        PARE_TRY(pop(m, &items[i]));
    return extend(m, (pickle_kind)n, items, count);
}

/* Everything above the last MARK; n is the kind that takes it. */
static pare_status op_extend(machine *m, uint64_t n)
{
    pickle_value **items;
    size_t count;
    PARE_TRY(pop_mark(m, &items, &count));
    return extend(m, (pickle_kind)n, items, count);
}

/* ---- Names ---- */

/* The one place where a name comes in: what is not in the list ends the reading. */
static pare_status push_global(machine *m, const char *module, size_t module_length,
                               const char *name, size_t name_length)
{
    const pickle_global *g = pickle_find_global(module, module_length, name, name_length);
    pickle_value *v;
    if (g) {
        PARE_TRY(push_new(m, PICKLE_GLOBAL, &v));
        v->global = g;
        return PARE_OK;
    }
    char text[128]; /* without what could steer a terminal */
    snprintf(text, sizeof text, "%.*s.%.*s", (int)(module_length < 60 ? module_length : 60), module,
             (int)(name_length < 60 ? name_length : 60), name);
    for (char *c = text; *c; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    pare_fail(PARE_INPUT, "%s: byte %zu of its pickle: names %s, which no weights need", m->where,
              m->op_at, text);
    return pare_hint(PARE_INPUT, "only tensors are read, and nothing is run; save the model's "
                     "state_dict, or model.safetensors");
}

/* The line at `at`, without its end. */
static pare_status read_line(machine *m, const char **line, size_t *length)
{
    const unsigned char *begin = m->bytes + m->at;
    const unsigned char *end = memchr(begin, '\n', m->size - m->at);
    if (!end)
        return refuse(m, "a name leaves it");
    *line = (const char *)begin;
    *length = (size_t)(end - begin);
    m->at += *length + 1;
    return PARE_OK;
}

/* Module and name on two lines (protocols up to 3) ... */
static pare_status op_global(machine *m, uint64_t n)
{
    const char *module, *name;
    size_t module_length, name_length;
    (void)n;
    PARE_TRY(read_line(m, &module, &module_length));
    PARE_TRY(read_line(m, &name, &name_length));
    return push_global(m, module, module_length, name, name_length);
}

/* ... or as two strings on the stack (from protocol 4). */
static pare_status op_stack_global(machine *m, uint64_t n)
{
    pickle_value *module, *name;
    (void)n;
    PARE_TRY(pop(m, &name));
    PARE_TRY(pop(m, &module));
    if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
        return refuse(m, "a name is no string");
    return push_global(m, module->text.bytes, module->text.length, name->text.bytes,
                       name->text.length);
}

/* Pushes a storage or a tensor that the caller fills. */
static pare_status push_tensor(machine *m, pickle_kind type, pare_pickle_tensor **out)
{
    pickle_value *v;
    PARE_TRY(push_new(m, type, &v));
    *out = v->tensor = pare_arena_alloc(m->arena, sizeof **out);
    return *out ? PARE_OK : PARE_MEMORY;
}

static pare_status op_persistent(machine *m, uint64_t n)
{
    pickle_value *id;
    pare_pickle_tensor *storage;
    (void)n;
    PARE_TRY(pop(m, &id));
    PARE_TRY(push_tensor(m, PICKLE_STORAGE, &storage));
    const char *wrong = pickle_read_storage(id, storage);
    return wrong ? refuse(m, wrong) : PARE_OK;
}

static pare_status rebuild_tensor(machine *m, const pickle_value *args)
{
    pare_pickle_tensor *tensor;
    PARE_TRY(push_tensor(m, PICKLE_TENSOR, &tensor));
    const char *wrong = pickle_read_tensor(args, tensor);
    return wrong ? refuse(m, wrong) : PARE_OK;
}

/* _rebuild_parameter(tensor, requires_grad, hooks) is its tensor. */
static pare_status rebuild_parameter(machine *m, const pickle_value *args)
{
    if (args->list.n < 1 || args->list.items[0]->kind != PICKLE_TENSOR)
        return refuse(m, "_rebuild_parameter gets no tensor");
    return push(m, args->list.items[0]);
}

/* A name and its arguments: pushes what a call would have made. */
static pare_status op_reduce(machine *m, uint64_t n)
{
    pickle_value *args, *callable;
    (void)n;
    PARE_TRY(pop(m, &args));
    PARE_TRY(pop(m, &callable));
    if (callable->kind != PICKLE_GLOBAL || args->kind != PICKLE_TUPLE)
        return refuse(m, "what would be called is no name, or gets no tuple");
    pickle_role role = callable->global->role;
    if (role == PICKLE_REBUILD_TENSOR)
        return rebuild_tensor(m, args);
    if (role == PICKLE_REBUILD_PARAMETER)
        return rebuild_parameter(m, args);
    if (role == PICKLE_ORDERED_DICT && args->list.n == 0)
        return op_new(m, PICKLE_DICT);
    return pare_fail(PARE_INPUT, "%s: byte %zu of its pickle: %s would be called with %zu "
                     "arguments", m->where, m->op_at, callable->global->full, args->list.n);
}

/* A state for an object: a state dict's _metadata, which nobody needs. */
static pare_status op_build(machine *m, uint64_t n)
{
    pickle_value *state, *object;
    (void)n;
    PARE_TRY(pop(m, &state));
    return peek(m, PICKLE_DICT, &object);
}

/* ---- The memo ---- */

/* The stack's top gets the number n. No pickle needs more numbers than it has bytes. */
static pare_status op_put(machine *m, uint64_t n)
{
    if (n >= m->size || m->depth <= ground(m))
        return refuse(m, "its memo is misused");
    for (; m->n_memo <= n; m->n_memo++)
        m->memo[m->n_memo] = NULL;
    m->memo[n] = m->stack[m->depth - 1];
    return PARE_OK;
}

static pare_status op_memoize(machine *m, uint64_t n)
{
    (void)n;
    return op_put(m, m->n_memo);
}

static pare_status op_get(machine *m, uint64_t n)
{
    if (n >= m->n_memo || !m->memo[n])
        return refuse(m, "its memo has no such entry");
    return push(m, m->memo[n]);
}

/* ---- The machine ---- */

/* All that a state dict needs. What makes objects in other ways (INST, OBJ, NEWOBJ, EXT, ...) is
 * not here, and so is refused by its code. */
static const struct operation {
    unsigned char code;
    unsigned char width; /* bytes of the number behind the code; 0: the number is `implied` */
    unsigned char implied;
    pare_status (*run)(machine *m, uint64_t n);
} operations[] = {
    {0x80, 1, 0, op_proto},                 /* PROTO */
    {0x95, 8, 0, op_nothing},               /* FRAME: a length that nothing depends on */
    {'(', 0, 0, op_mark},                   /* MARK */
    {'N', 0, PICKLE_NONE, op_new},          /* NONE */
    {0x88, 0, 1, op_unsigned},              /* NEWTRUE */
    {0x89, 0, 0, op_unsigned},              /* NEWFALSE */
    {'K', 1, 0, op_unsigned},               /* BININT1 */
    {'M', 2, 0, op_unsigned},               /* BININT2 */
    {'J', 4, 0, op_signed},                 /* BININT */
    {0x8a, 1, 0, op_long},                  /* LONG1 */
    {0x8b, 4, 0, op_long},                  /* LONG4 */
    {'G', 8, 0, op_float},                  /* BINFLOAT */
    {'X', 4, 0, op_text},                   /* BINUNICODE */
    {0x8c, 1, 0, op_text},                  /* SHORT_BINUNICODE */
    {0x8d, 8, 0, op_text},                  /* BINUNICODE8 */
    {'U', 1, 0, op_text},                   /* SHORT_BINSTRING */
    {'T', 4, 0, op_text},                   /* BINSTRING */
    {'C', 1, 0, op_text},                   /* SHORT_BINBYTES */
    {'B', 4, 0, op_text},                   /* BINBYTES */
    {0x8e, 8, 0, op_text},                  /* BINBYTES8 */
    {')', 0, PICKLE_TUPLE, op_new},         /* EMPTY_TUPLE */
    {0x85, 0, 1, op_tuple_of},              /* TUPLE1 */
    {0x86, 0, 2, op_tuple_of},              /* TUPLE2 */
    {0x87, 0, 3, op_tuple_of},              /* TUPLE3 */
    {'t', 0, 0, op_tuple},                  /* TUPLE */
    {']', 0, PICKLE_LIST, op_new},          /* EMPTY_LIST */
    {'a', 0, PICKLE_LIST, op_add},          /* APPEND */
    {'e', 0, PICKLE_LIST, op_extend},       /* APPENDS */
    {'}', 0, PICKLE_DICT, op_new},          /* EMPTY_DICT */
    {'s', 0, PICKLE_DICT, op_add},          /* SETITEM */
    {'u', 0, PICKLE_DICT, op_extend},       /* SETITEMS */
    {'c', 0, 0, op_global},                 /* GLOBAL */
    {0x93, 0, 0, op_stack_global},          /* STACK_GLOBAL */
    {'Q', 0, 0, op_persistent},             /* BINPERSID */
    {'R', 0, 0, op_reduce},                 /* REDUCE */
    {'b', 0, 0, op_build},                  /* BUILD */
    {'q', 1, 0, op_put},                    /* BINPUT */
    {'r', 4, 0, op_put},                    /* LONG_BINPUT */
    {0x94, 0, 0, op_memoize},               /* MEMOIZE */
    {'h', 1, 0, op_get},                    /* BINGET */
    {'j', 4, 0, op_get},                    /* LONG_BINGET */
};

/* One operation; *stop at the last. */
static pare_status step(machine *m, bool *stop)
{
    m->op_at = m->at;
    if (m->at == m->size)
        return refuse(m, "it ends without STOP (cut short?)");
    unsigned char code = m->bytes[m->at++];
    *stop = code == '.';
    if (*stop)
        return PARE_OK;
    const struct operation *op = operations, *end = op + sizeof operations / sizeof *operations;
    while (op < end && op->code != code)
        op++;
    if (op == end)
        return pare_fail(PARE_INPUT, "%s: byte %zu of its pickle: operation 0x%02x is not one that "
                         "weights need", m->where, m->op_at, code);
    if (op->width > m->size - m->at)
        return refuse(m, "it ends inside an operation");
    uint64_t n = op->implied;
    memcpy(&n, m->bytes + m->at, op->width); /* the host is little-endian, as the pickle is */
    m->at += op->width;
    return op->run(m, n);
}

/* The result's tensors, or those of its member "state_dict". Other members are left alone. */
static pare_status collect(machine *m, const pickle_value *dict, pare_pickle_tensor **out,
                           size_t *n)
{
    for (size_t i = 0; i < dict->list.n; i += 2) {
        const pickle_value *v = dict->list.items[i + 1];
        if (pickle_is_text(dict->list.items[i], "state_dict") && v->kind == PICKLE_DICT) {
            dict = v;
            break;
        }
    }
    *n = 0;
    *out = pare_arena_alloc(m->arena, (dict->list.n / 2 + 1) * sizeof **out);
    if (!*out)
        return PARE_MEMORY;
    for (size_t i = 0; i < dict->list.n; i += 2) {
        const pickle_value *key = dict->list.items[i], *v = dict->list.items[i + 1];
        if (key->kind != PICKLE_TEXT || v->kind != PICKLE_TENSOR)
            continue;
        pare_pickle_tensor *t = &(*out)[(*n)++];
        *t = *v->tensor;
        t->name = key->text.bytes;
        t->name_length = key->text.length;
    }
    return *n ? PARE_OK : refuse(m, "it holds no tensors");
}

pare_status pare_pickle_read(const unsigned char *bytes, size_t size, const char *where,
                             pare_arena *arena, pare_pickle_tensor **out, size_t *n)
{
    machine m = {.bytes = bytes, .size = size, .where = where, .arena = arena};
    if (size > MAX_PICKLE)
        return pare_fail(PARE_INPUT, "%s: its pickle has %zu bytes; at most %d are read", where,
                         size, MAX_PICKLE);
    m.stack = pare_arena_alloc(arena, size * sizeof *m.stack);
    m.marks = pare_arena_alloc(arena, size * sizeof *m.marks);
    m.memo = pare_arena_alloc(arena, size * sizeof *m.memo);
    if (!m.stack || !m.marks || !m.memo)
        return PARE_MEMORY;
    for (bool stop = false; !stop;)
        PARE_TRY(step(&m, &stop));
    pickle_value *result;
    PARE_TRY(peek(&m, PICKLE_DICT, &result));
    return collect(&m, result, out, n);
}
