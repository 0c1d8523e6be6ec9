/* op_attention.c: self-attention over a packed batch.
 *
 * One tile is one (sentence, head): it copies its rows of q, k, v into padded scratch and works
 * there, so the score matrix never leaves the cache and a sentence never sees its neighbours.
 *
 * L = tokens of the sentence, N = its queries (L, or 1 for [CLS] only), d = head size; Lp and dp
 * are L and d rounded up to whole vectors. */
#include <math.h>
#include <string.h>

#include "autograd/ops.h"
#include "core/threads.h"

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
    real *context;                /* forward: output */
    const real *dcontext;         /* backward: its gradient */
    real *dq, *dk, *dv;           /* NULL where none is wanted */
    bool add_q, add_k, add_v;
    int64_t hidden, size;         /* columns of q, and of one head */
    pare_dropout_key dropout;
    real *workspace;              /* [threads, workspace_size] */
    int64_t workspace_size;
} attention_args;

/* One tile's place in the batch and its scratch. */
typedef struct head_view {
    int64_t L, N, d, Lp, dp;
    int64_t column;               /* first column of the head */
    int64_t row, q_row;           /* first rows in k and v, and in q and context */
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

static head_view view_head(const attention_args *a, int64_t tile)
{
    const pare_packed *batch = a->s->batch;
    const int64_t sentence = tile / a->s->heads, head = tile % a->s->heads;
    head_view h = {.d = a->size, .dp = round_up(a->size), .column = head * a->size};
    h.row = batch->offset[sentence];
    h.L = batch->offset[sentence + 1] - h.row;
    h.Lp = round_up(h.L);
    h.N = a->s->first_only ? 1 : h.L;
    h.q_row = a->s->first_only ? sentence : h.row;
    h.transposed = a->workspace + pare_thread_index() * a->workspace_size;
    h.rows = h.transposed + h.d * h.Lp;
    h.result = h.rows + h.L * h.dp;
    h.p = h.result + h.L * h.dp;
    h.dp_ = h.p + h.N * h.Lp;
    h.factor = h.dp_ + h.N * h.Lp;
    return h;
}

/* ---- moving a head's columns in and out ---- */

/* to[n, dp] = from's n rows, the head's columns, zero-padded */
static void copy_in(real *to, const head_view *h, const real *from, int64_t hidden, int64_t first,
                    int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        memcpy(to + i * h->dp, from + (first + i) * hidden + h->column,
               (size_t)h->d * sizeof(real));
        memset(to + i * h->dp + h->d, 0, (size_t)(h->dp - h->d) * sizeof(real));
    }
}

/* to[d, Lp] = the same rows transposed, zero-padded */
static void copy_in_transposed(real *to, const head_view *h, const real *from, int64_t hidden)
{
    for (int64_t c = 0; c < h->d; c++) {
        const real *source = from + h->row * hidden + h->column + c;
        for (int64_t i = 0; i < h->L; i++)
            to[c * h->Lp + i] = source[i * hidden];
        for (int64_t i = h->L; i < h->Lp; i++)
            to[c * h->Lp + i] = 0;
    }
}

/* to's n rows, the head's columns (+)= from[n, dp] */
static void copy_out(real *to, const attention_args *a, const head_view *h, const real *from,
                     int64_t first, int64_t n, bool add)
{
    for (int64_t i = 0; i < n; i++) {
        real *target = to + (first + i) * a->hidden + h->column;
        if (add)
            a->k->add(target, from + i * h->dp, h->d);
        else
            memcpy(target, from + i * h->dp, (size_t)h->d * sizeof(real));
    }
}

/* ---- the passes of one head ---- */

/* p[N,L] = softmax(q·kᵀ / sqrt(d)), before dropout */
static void probabilities(const attention_args *a, const head_view *h)
{
    copy_in_transposed(h->transposed, h, a->key, a->hidden);
    const real *q = a->q + h->q_row * a->hidden + h->column;
    a->k->small_product(h->p, h->Lp, q, a->hidden, 1, h->transposed, h->Lp, h->N, h->L, h->d);
    for (int64_t i = 0; i < h->N; i++)
        a->k->softmax(h->p + i * h->Lp, 1 / sqrt((double)h->d), h->L);
}

/* Fills the dropout factors [N * L] of this head; false where dropout is off. */
static bool head_factors(const attention_args *a, const head_view *h)
{
    if (a->dropout.probability <= 0)
        return false;
    pare_dropout_key key = a->dropout;
    key.example = a->s->batch->tokens.example[h->row];
    a->k->dropout(h->factor, &key, (uint32_t)(h->column / h->d), h->N * h->L);
    return true;
}

static void drop(const attention_args *a, const head_view *h, real *to, const real *from)
{
    for (int64_t i = 0; i < h->N; i++)
        a->k->multiply(to + i * h->Lp, from + i * h->Lp, h->factor + i * h->L, h->L);
}

static void attention_tile(void *context, int64_t tile)
{
    const attention_args *a = context;
    const head_view h = view_head(a, tile);
    probabilities(a, &h);
    if (head_factors(a, &h))
        drop(a, &h, h.p, h.p);
    copy_in(h.rows, &h, a->v, a->hidden, h.row, h.L);
    a->k->small_product(h.result, h.dp, h.p, h.Lp, 1, h.rows, h.dp, h.N, h.d, h.L);
    copy_out(a->context, a, &h, h.result, h.q_row, h.N, false);
}

/* With P the probabilities, F the factors, O = (P F)·V:
 *   dV = (P F)ᵀ·dO,  dP = (dO·Vᵀ) F,  dS = softmax'(dP) / sqrt(d),  dQ = dS·K,  dK = dSᵀ·Q */
static void attention_grad_tile(void *context, int64_t tile)
{
    const attention_args *a = context;
    const head_view h = view_head(a, tile);
    const pare_kernels *k = a->k;
    const real *dout = a->dcontext + h.q_row * a->hidden + h.column;
    probabilities(a, &h);
    const bool dropped = head_factors(a, &h);
    if (a->dv) { /* dp_ holds P F for the moment */
        const real *pf = h.p;
        if (dropped) {
            drop(a, &h, h.dp_, h.p);
            pf = h.dp_;
        }
        copy_in(h.rows, &h, a->dcontext, a->hidden, h.q_row, h.N);
        k->small_product(h.result, h.dp, pf, 1, h.Lp, h.rows, h.dp, h.L, h.d, h.N);
        copy_out(a->dv, a, &h, h.result, h.row, h.L, a->add_v);
    }
    copy_in_transposed(h.transposed, &h, a->v, a->hidden);
    k->small_product(h.dp_, h.Lp, dout, a->hidden, 1, h.transposed, h.Lp, h.N, h.L, h.d);
    if (dropped)
        drop(a, &h, h.dp_, h.dp_);
    for (int64_t i = 0; i < h.N; i++)
        k->softmax_grad(h.dp_ + i * h.Lp, h.p + i * h.Lp, 1 / sqrt((double)h.d), h.L);
    if (a->dq) {
        copy_in(h.rows, &h, a->key, a->hidden, h.row, h.L);
        k->small_product(h.result, h.dp, h.dp_, h.Lp, 1, h.rows, h.dp, h.N, h.d, h.L);
        copy_out(a->dq, a, &h, h.result, h.q_row, h.N, a->add_q);
    }
    if (a->dk) {
        copy_in(h.rows, &h, a->q, a->hidden, h.q_row, h.N);
        k->small_product(h.result, h.dp, h.dp_, 1, h.Lp, h.rows, h.dp, h.L, h.d, h.N);
        copy_out(a->dk, a, &h, h.result, h.row, h.L, a->add_k);
    }
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
    a->workspace_size = head_workspace(s->batch->longest, queries, a->size);
    const pare_mark mark = pare_arena_mark(t->scratch);
    a->workspace =
        pare_tape_scratch(t, (size_t)(pare_threads() * a->workspace_size) * sizeof(real));
    if (a->workspace)
        pare_parallel_work(s->batch->n_sentences * s->heads,
                           (double)(s->batch->n_tokens * s->batch->longest * s->heads) +
                               8.0 * (double)(s->batch->n_tokens * a->hidden),
                           tile, a);
    pare_arena_release(t->scratch, mark);
}

pare_tensor *pare_attention(pare_tape *t, pare_tensor *q, pare_tensor *k, pare_tensor *v,
                            const pare_packed *batch, int64_t heads, bool first_only,
                            pare_dropout_site dropout)
{
    if (!q || !k || !v)
        return NULL;
    pare_tensor *y =
        pare_tape_output(t, q->rows, q->cols, q->needs_grad || k->needs_grad || v->needs_grad);
    if (!y)
        return NULL;
    const attention_saved saved = {batch, heads, first_only, dropout};
    attention_args args = {.q = q->data, .key = k->data, .v = v->data, .context = y->data,
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
    args.dq = pare_tape_gradient(t, q, &args.add_q);
    args.dk = pare_tape_gradient(t, k, &args.add_k);
    args.dv = pare_tape_gradient(t, v, &args.add_v);
    run_heads(t, &args, node->saved, attention_grad_tile);
}
