/* op_attention.c: self-attention over a packed batch.
 *
 * A tile is some heads of one sentence, one after the other, so the score matrix never leaves the
 * cache and a sentence never sees its neighbours. Where a head's columns are whole vectors,
 * products read and write them where they lie; else in padded copies.
 *
 * L = tokens of the sentence, N = its queries (L, or 1 for [CLS] only), d = head size; Lp and dp
 * are L and d rounded up to whole vectors. */
#include <math.h>
#include <string.h>

#include "autograd/ops.h"
#include "core/threads.h"

enum { TILE_TOKENS = 256 }; /* of short sentences, a tile has as many heads */

typedef struct attention_saved {
    const pare_packed *batch;
    int64_t heads;
    bool first_only;
    pare_dropout_site dropout;
} attention_saved;

typedef struct attention_args {
    const pare_kernels *k;
    const attention_saved *s;
    const real *q, *key, *v;
    pare_output context;          /* forward */
    const real *dcontext;         /* backward: its gradient */
    pare_output dq, dk, dv;       /* backward */
    int64_t hidden, size;         /* columns of q, and of one head */
    int64_t tile_heads, head_tiles; /* heads of a tile; tiles of a sentence */
    pare_dropout_key dropout;
    real *workspace;              /* [threads, workspace_size] */
    int64_t workspace_size;
} attention_args;

typedef struct span {
    int64_t first, n;
} span;

/* One tile's place in the batch and its scratch. */
typedef struct head_view {
    int64_t d, Lp, dp;
    int64_t column;               /* first column of the head */
    span keys, queries;           /* L rows of k and v, N rows of q and context */
    real *transposed;             /* [d, Lp] */
    real *rows;                   /* [L, dp] */
    real *result;                 /* [L, dp] */
    real *p, *dp_, *factor;       /* [N, Lp] each; the factors without padding */
} head_view;

static int64_t round_up(int64_t n)
{
    return (n + PARE_VECTOR_LANES - 1) / PARE_VECTOR_LANES * PARE_VECTOR_LANES;
}

static int64_t head_workspace(int64_t longest, int64_t queries, int64_t size)
{
    const int64_t Lp = round_up(longest), dp = round_up(size);
    return size * Lp + 2 * longest * dp + 3 * queries * Lp;
}

static head_view view_head(const attention_args *a, int64_t sentence, int64_t head)
{
    const pare_packed *batch = a->s->batch;
    head_view h = {.d = a->size, .dp = round_up(a->size), .column = head * a->size};
    h.keys.first = batch->offset[sentence];
    h.keys.n = batch->offset[sentence + 1] - h.keys.first;
    h.Lp = round_up(h.keys.n);
    h.queries = a->s->first_only ? (span){sentence, 1} : h.keys;
    h.transposed = a->workspace + pare_thread_index() * a->workspace_size;
    h.rows = h.transposed + h.d * h.Lp;
    h.result = h.rows + h.keys.n * h.dp;
    h.p = h.result + h.keys.n * h.dp;
    h.dp_ = h.p + h.queries.n * h.Lp;
    h.factor = h.dp_ + h.queries.n * h.Lp;
    return h;
}

/* ---- moving a head's columns in and out ---- */

/* to[n, dp] = the head's columns of these rows, zero-padded */
static void copy_in(real *to, const attention_args *a, const head_view *h, const real *from,
                    span rows)
{
    for (int64_t i = 0; i < rows.n; i++) {
        memcpy(to + i * h->dp, from + (rows.first + i) * a->hidden + h->column,
               (size_t)h->d * sizeof(real));
        memset(to + i * h->dp + h->d, 0, (size_t)(h->dp - h->d) * sizeof(real));
    }
}

/* to[d, Lp] = the keys' rows transposed, zero-padded */
static void copy_in_transposed(real *to, const attention_args *a, const head_view *h,
                               const real *from)
{
    if (h->Lp > h->keys.n)
        memset(to, 0, (size_t)(h->d * h->Lp) * sizeof(real));
    a->k->transpose(to, h->Lp, from + h->keys.first * a->hidden + h->column, a->hidden,
                    h->keys.n, h->d);
}

static bool is_wanted(const pare_output *to)
{
    return to->data || to->half;
}

/* the head's columns of these rows (+)= from[n, dp] */
static void copy_out(const pare_output *to, const attention_args *a, const head_view *h,
                     const real *from, span rows)
{
    const int64_t start = rows.first * a->hidden + h->column;
    if (to->half)
        a->k->narrow(to->half + start, a->hidden, from, h->dp, rows.n, h->d);
    for (int64_t i = 0; to->data && i < rows.n; i++) {
        real *target = to->data + start + i * a->hidden;
        if (to->add)
            a->k->add(target, from + i * h->dp, h->d);
        else
            memcpy(target, from + i * h->dp, (size_t)h->d * sizeof(real));
    }
}

/* The head's columns of `to`, queries or keys, (+)= s·from with s[N, Lp] and `from` of keys, or
 * sᵀ·from with `from` of queries. */
static void multiply_rows(const attention_args *a, const head_view *h, const pare_output *to,
                          bool to_keys, const real *s, const real *from)
{
    const span in = to_keys ? h->queries : h->keys, out = to_keys ? h->keys : h->queries;
    const bool whole = h->d == h->dp, straight = whole && to->data && !to->add;
    const real *rows = whole ? from + in.first * a->hidden + h->column : h->rows;
    real *result = straight ? to->data + out.first * a->hidden + h->column : h->result;
    if (!whole)
        copy_in(h->rows, a, h, from, in);
    a->k->small_product(result, straight ? a->hidden : h->dp, s, to_keys ? 1 : h->Lp,
                        to_keys ? h->Lp : 1, rows, whole ? a->hidden : h->dp, out.n, h->d, in.n);
    if (!straight)
        copy_out(to, a, h, result, out);
}

/* ---- the passes of one head ---- */

/* p[N,L] = softmax(q·kᵀ / sqrt(d)), before dropout */
static void probabilities(const attention_args *a, const head_view *h)
{
    copy_in_transposed(h->transposed, a, h, a->key);
    const real *q = a->q + h->queries.first * a->hidden + h->column;
    a->k->small_product(h->p, h->Lp, q, a->hidden, 1, h->transposed, h->Lp, h->queries.n,
                        h->keys.n, h->d);
    for (int64_t i = 0; i < h->queries.n; i++)
        a->k->softmax(h->p + i * h->Lp, 1 / sqrt((double)h->d), h->keys.n);
}

/* Fills the dropout factors [N * L] of this head; false where dropout is off. */
static bool head_factors(const attention_args *a, const head_view *h)
{
    if (a->dropout.probability <= 0)
        return false;
    pare_dropout_key key = a->dropout;
    key.example = a->s->batch->tokens.example[h->keys.first];
    a->k->dropout(h->factor, &key, (uint32_t)(h->column / h->d), h->queries.n * h->keys.n);
    return true;
}

static void drop(const attention_args *a, const head_view *h, real *to, const real *from)
{
    for (int64_t i = 0; i < h->queries.n; i++)
        a->k->multiply(to + i * h->Lp, from + i * h->Lp, h->factor + i * h->keys.n, h->keys.n);
}

static void attend(const attention_args *a, const head_view *h)
{
    probabilities(a, h);
    if (head_factors(a, h))
        drop(a, h, h->p, h->p);
    multiply_rows(a, h, &a->context, false, h->p, a->v);
}

/* With P the probabilities, F the factors, O = (P F)·V:
 *   dV = (P F)ᵀ·dO,  dP = (dO·Vᵀ) F,  dS = softmax'(dP) / sqrt(d),  dQ = dS·K,  dK = dSᵀ·Q */
static void attend_grad(const attention_args *a, const head_view *h)
{
    const pare_kernels *k = a->k;
    const real *dout = a->dcontext + h->queries.first * a->hidden + h->column;
    probabilities(a, h);
    const bool dropped = head_factors(a, h);
    if (is_wanted(&a->dv)) { /* dp_ holds P F for the moment */
        const real *pf = h->p;
        if (dropped) {
            drop(a, h, h->dp_, h->p);
            pf = h->dp_;
        }
        multiply_rows(a, h, &a->dv, true, pf, a->dcontext);
    }
    copy_in_transposed(h->transposed, a, h, a->v);
    k->small_product(h->dp_, h->Lp, dout, a->hidden, 1, h->transposed, h->Lp, h->queries.n,
                     h->keys.n, h->d);
    if (dropped)
        drop(a, h, h->dp_, h->dp_);
    for (int64_t i = 0; i < h->queries.n; i++)
        k->softmax_grad(h->dp_ + i * h->Lp, h->p + i * h->Lp, 1 / sqrt((double)h->d), h->keys.n);
    if (is_wanted(&a->dq))
        multiply_rows(a, h, &a->dq, false, h->dp_, a->key);
    if (is_wanted(&a->dk))
        multiply_rows(a, h, &a->dk, true, h->dp_, a->q);
}

/* ---- tiles ---- */

/* The columns of the head behind h, which lie far apart, are asked for before their turn. */
static void fetch_next(const attention_args *a, const head_view *h, const real *from, span rows)
{
    for (int64_t i = 0; from && i < rows.n; i++)
        for (int64_t c = 0; c < a->size; c += 64 / (int64_t)sizeof(real))
            __builtin_prefetch(from + (rows.first + i) * a->hidden + h->column + a->size + c);
}

static void run_tile(const attention_args *a, int64_t tile,
                     void (*run)(const attention_args *, const head_view *))
{
    const int64_t first = tile % a->head_tiles * a->tile_heads;
    for (int64_t head = first; head < first + a->tile_heads && head < a->s->heads; head++) {
        const head_view h = view_head(a, tile / a->head_tiles, head);
        if (head + 1 < a->s->heads) {
            fetch_next(a, &h, a->q, h.queries);
            fetch_next(a, &h, a->key, h.keys);
            fetch_next(a, &h, a->v, h.keys);
            fetch_next(a, &h, a->dcontext, h.queries);
        }
        run(a, &h);
    }
}

static void attention_tile(void *context, int64_t tile)
{
    run_tile(context, tile, attend);
}

static void attention_grad_tile(void *context, int64_t tile)
{
    run_tile(context, tile, attend_grad);
}

/* ---- the op ---- */

static void run_heads(pare_tape *t, attention_args *a, const attention_saved *s,
                      pare_tile_function *tile)
{
    const int64_t queries = s->first_only ? 1 : s->batch->longest;
    a->k = pare_kernels_get();
    a->s = s;
    a->size = s->heads > 0 ? a->hidden / s->heads : 0;
    a->dropout = (pare_dropout_key){t->mode.seed, t->mode.step, s->dropout.site, 0,
                                    t->mode.training ? s->dropout.probability : 0};
    a->tile_heads = TILE_TOKENS / (s->batch->longest + 1) + 1;
    a->head_tiles = (s->heads + a->tile_heads - 1) / a->tile_heads;
    a->workspace_size = head_workspace(s->batch->longest, queries, a->size);
    const pare_mark mark = pare_arena_mark(t->scratch);
    a->workspace =
        pare_tape_scratch(t, (size_t)(pare_threads() * a->workspace_size) * sizeof(real));
    if (a->workspace)
        pare_parallel_work(s->batch->n_sentences * a->head_tiles,
                           (double)(s->batch->n_tokens * s->batch->longest * s->heads) +
                               8.0 * (double)(s->batch->n_tokens * a->hidden),
                           tile, a);
    pare_arena_release(t->scratch, mark);
}

pare_tensor *pare_attention(pare_tape *t, pare_tensor *q, pare_tensor *k, pare_tensor *v,
                            const pare_packed *batch, int64_t heads, bool first_only,
                            pare_dropout_site dropout, bool is_operand)
{
    if (!q || !k || !v)
        return NULL;
    const bool needs_grad = q->needs_grad || k->needs_grad || v->needs_grad;
    pare_tensor *y = is_operand ? pare_tape_operand(t, q->rows, q->cols, needs_grad)
                                : pare_tape_output(t, q->rows, q->cols, needs_grad);
    if (!y)
        return NULL;
    const attention_saved saved = {batch, heads, first_only, dropout};
    attention_args args = {.q = q->data, .key = k->data, .v = v->data,
                           .context = {y->half ? NULL : y->data, y->half, false},
                           .hidden = q->cols};
    run_heads(t, &args, &saved, attention_tile);
    return pare_tape_record(t, PARE_OP_attention, y, (pare_tensor *[]){q, k, v}, 3, &saved,
                            sizeof saved);
}

void pare_attention_grad(pare_tape *t, const pare_node *node)
{
    pare_tensor *q = node->in[0], *k = node->in[1], *v = node->in[2];
    attention_args args = {.q = q->data, .key = k->data, .v = v->data,
                           .dcontext = node->out->grad, .hidden = q->cols};
    args.dq = pare_tape_any_gradient(t, q);
    args.dk = pare_tape_any_gradient(t, k);
    args.dv = pare_tape_any_gradient(t, v);
    run_heads(t, &args, node->saved, attention_grad_tile);
}
