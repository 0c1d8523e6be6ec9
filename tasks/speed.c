/* speed.c: see speed.h. */
#include "tasks/speed.h"

#include <math.h>
#include <string.h>

#include "autograd/ops.h"
#include "core/clock.h"
#include "core/gemm.h"
#include "core/philox.h"
#include "core/threads.h"
#include "models/answer.h"
#include "models/bert.h"
#include "optim/adamw.h"
#include "tasks/encoded.h"

enum { SEED = 1, TRIAD = 1 << 24, TRIAD_TILE = 1 << 14 };

/* What is timed works in these. */
typedef struct bench {
    pare_model *model;
    const pare_speed_plan *plan;
    pare_arena *run, *step, *scratch;
    pare_answerer *answerer;
    real *logits; /* [batch, n_labels] */
    pare_optimizer *optimizer;
    pare_packed batch, one; /* the batch, and one sentence of it */
    int32_t *labels;        /* [batch] */
    double *times;          /* [rounds] */
    real *triad;            /* [3, TRIAD] */
} bench;

typedef pare_status timed(bench *b);

static double median_time(bench *b)
{
    pare_sort_doubles(b->times, b->plan->rounds);
    return pare_quantile(b->times, b->plan->rounds, 0.5);
}

/* The median time of a function in milliseconds, after one call that is not counted. */
static pare_status time_median(bench *b, timed *function, double *ms)
{
    PARE_TRY(function(b));
    for (int64_t i = 0; i < b->plan->rounds; i++) {
        const double start = pare_seconds();
        PARE_TRY(function(b));
        b->times[i] = 1e3 * (pare_seconds() - start);
    }
    *ms = median_time(b);
    return PARE_OK;
}

/* The same, beside the peak that the registers have meanwhile: where other machines share the
 * cores, work meets all that it has been, from one millisecond to the next. */
static pare_status time_work(bench *b, timed *function, pare_speed_work *work)
{
    double peaks = 0;
    PARE_TRY(function(b));
    for (int64_t i = 0; i < b->plan->rounds; i++) {
        double peak = 0;
        for (int k = 0; k < 3; k++) /* the first may have to wake threads */
            peak = fmax(peak, pare_gemm_peak());
        const double start = pare_seconds();
        PARE_TRY(function(b));
        b->times[i] = 1e3 * (pare_seconds() - start);
        peaks += peak;
    }
    work->ms = median_time(b);
    work->peak = peaks / (double)b->plan->rounds;
    return PARE_OK;
}

/* ---- sentences ---- */

static pare_status make_batch(const bench *b, int64_t sentences, pare_packed *out)
{
    const int64_t length = b->plan->length, tokens = sentences * length;
    int64_t *offset = pare_arena_alloc(b->run, (size_t)(sentences + 1) * sizeof *offset);
    int64_t *order = pare_arena_alloc(b->run, (size_t)sentences * sizeof *order);
    int32_t *ids = pare_arena_alloc(b->run, (size_t)tokens * sizeof *ids);
    uint8_t *types = pare_arena_zalloc(b->run, (size_t)tokens);
    if (!offset || !order || !ids || !types)
        return PARE_MEMORY;
    for (int64_t s = 0; s <= sentences; s++)
        offset[s] = s * length;
    for (int64_t s = 0; s < sentences; s++)
        order[s] = s;
    for (int64_t t = 0; t < tokens; t++) {
        const double u = pare_random_uniform(SEED, PARE_RANDOM_DATA, 0, (uint64_t)t);
        ids[t] = (int32_t)(u * (double)b->model->config.vocab_size);
    }
    const pare_encoded encoded = {.n = sentences, .offset = offset, .ids = ids, .types = types};
    return pare_pack(b->run, &encoded, order, sentences, out);
}

/* ---- the model as a whole ---- */

static pare_status run_forward(bench *b)
{
    return pare_answer(b->answerer, b->model, &b->batch, b->logits);
}

static pare_status run_answer(bench *b)
{
    return pare_answer(b->answerer, b->model, &b->one, b->logits);
}

static pare_status run_step(bench *b)
{
    static const double rates[PARE_GROUPS] = {1e-9};
    const pare_tape_mode mode = {.recording = true, .training = true, .seed = SEED};
    const pare_mark mark = pare_arena_mark(b->step);
    pare_tape tape;
    double norm;
    pare_tape_begin(&tape, b->step, b->scratch, &mode);
    const pare_bert_pass pass = {.tape = &tape, .model = b->model, .batch = &b->batch,
                                 .dropout = -1};
    pare_tensor *loss = pare_cross_entropy(&tape, pare_bert_logits(&pass), b->labels,
                                           1.0 / (double)b->batch.n_sentences);
    PARE_TRY(pare_tape_status(&tape));
    PARE_TRY(pare_tape_backward(&tape, loss));
    PARE_TRY(pare_optimizer_norm(b->optimizer, &norm));
    pare_optimizer_step(b->optimizer, rates, pare_clip_factor(norm, 1));
    pare_arena_release(b->step, mark);
    return PARE_OK;
}

/* ---- passes ---- */

/* An op over a batch's hidden states, of `width` columns each. */
static pare_tensor *states(bench *b, int64_t width)
{
    pare_tensor *x = pare_tensor_new(b->step, b->batch.n_tokens, width);
    for (int64_t i = 0; x && i < pare_tensor_size(x); i++)
        x->data[i] = (real)(i % 17) / 16;
    return x;
}

/* Times one op alone: its inputs are made before each run. */
static pare_status time_pass(bench *b, int which, double *ms)
{
    const pare_config *c = &b->model->config;
    const pare_norm *norm = &b->model->embeddings_norm;
    const pare_dropout_site no_dropout = {0};
    for (int64_t i = 0; i < b->plan->rounds; i++) {
        const pare_mark mark = pare_arena_mark(b->step);
        pare_tape tape;
        pare_tape_begin(&tape, b->step, b->scratch, &(pare_tape_mode){0});
        pare_tensor *x[3];
        for (int k = 0; k < 3; k++) {
            x[k] = states(b, which == 0 ? c->intermediate_size : c->hidden_size);
            if (!x[k])
                return PARE_MEMORY;
        }
        const double start = pare_seconds();
        if (which == 0)
            (void)pare_activate(&tape, x[0], c->hidden_act);
        else if (which == 1)
            (void)pare_add_norm(&tape, x[0], x[1], &norm->weight->tensor, &norm->bias->tensor,
                                c->layer_norm_eps, &b->batch.tokens, no_dropout);
        else
            (void)pare_attention(&tape, x[0], x[1], x[2], &b->batch, c->num_attention_heads, false,
                                 no_dropout, true);
        b->times[i] = 1e3 * (pare_seconds() - start);
        pare_arena_release(b->step, mark);
        PARE_TRY(pare_tape_status(&tape));
    }
    *ms = median_time(b);
    return PARE_OK;
}

static pare_status run_optimizer(bench *b)
{
    static const double rates[PARE_GROUPS] = {1e-9};
    for (int i = 0; i < b->optimizer->n; i++)
        b->optimizer->params[i]->tensor.has_grad = true;
    pare_optimizer_step(b->optimizer, rates, 1);
    return PARE_OK;
}

/* What AdamW goes through whole: of tables it takes the rows that a step touched. */
static double whole_weights(const pare_optimizer *o)
{
    double n = 0;
    for (int i = 0; i < o->n; i++)
        n += o->params[i]->tensor.late ? 0 : (double)pare_tensor_size(&o->params[i]->tensor);
    return n;
}

static pare_status measure_passes(bench *b, pare_speed *out)
{
    const pare_config *c = &b->model->config;
    const double row = (double)b->batch.n_tokens * sizeof(real) * 1e-6;
    const struct {
        const char *name;
        double megabytes;
    } passes[] = {{"activation", 2 * row * (double)c->intermediate_size},
                  {"residual and LayerNorm", 4 * row * (double)c->hidden_size},
                  {"attention", 4 * row * (double)c->hidden_size},
                  {"AdamW", 7e-6 * sizeof(real) * whole_weights(b->optimizer)}};
    for (int i = 0; i < PARE_SPEED_PASSES; i++) {
        pare_speed_pass *p = &out->passes[i];
        p->name = passes[i].name;
        PARE_TRY(i == PARE_SPEED_PASSES - 1 ? time_median(b, run_optimizer, &p->ms)
                                            : time_pass(b, i, &p->ms));
        p->gb_per_second = passes[i].megabytes / p->ms;
    }
    return PARE_OK;
}

static void triad_tile(void *context, int64_t tile)
{
    real *a = (real *)context + tile * TRIAD_TILE, *b = a + TRIAD, *c = b + TRIAD;
    for (int64_t i = 0; i < TRIAD_TILE; i++)
        a[i] = b[i] + (real)0.5 * c[i];
}

static pare_status run_triad(bench *b)
{
    pare_parallel(TRIAD / TRIAD_TILE, triad_tile, b->triad);
    return PARE_OK;
}

/* ---- all ---- */

static pare_status measure_products(const bench *b, pare_speed *out)
{
    const int64_t h = b->model->config.hidden_size, i = b->model->config.intermediate_size;
    const int64_t m = b->batch.n_tokens;
    const pare_speed_product products[PARE_SPEED_PRODUCTS] = {
        {"query", m, h, h, 0, 0}, {"intermediate", m, i, h, 0, 0}, {"output", m, h, i, 0, 0}};
    for (int k = 0; k < PARE_SPEED_PRODUCTS; k++) {
        pare_speed_product *p = &out->products[k];
        *p = products[k];
        PARE_TRY(pare_gemm_measure(p->m, p->n, p->k, &p->gflops, &p->peak));
    }
    return PARE_OK;
}

static void find_limits(const bench *b, pare_speed *out)
{
    const double weights = (double)pare_model_encoder_parameters(b->model);
    const double token = 2e-6 * weights / 0.9; /* millions of operations: ms at 1 GFLOP/s */
    const double batch = token * (double)out->tokens, one = token * (double)b->plan->length;
    const double read = 1e-6 * weights * sizeof(real) / out->triad_gb_per_second;
    out->forward.limit_ms = batch / out->forward.peak;
    out->step.limit_ms = 3 * batch / out->step.peak + 7 * read;
    out->answer.limit_ms = fmax(one / out->answer.peak, read);
}

static pare_status prepare(bench *b)
{
    const int64_t n = b->plan->batch;
    PARE_TRY(make_batch(b, n, &b->batch));
    PARE_TRY(make_batch(b, 1, &b->one));
    b->labels = pare_arena_zalloc(b->run, (size_t)n * sizeof *b->labels);
    b->times = pare_arena_alloc(b->run, (size_t)b->plan->rounds * sizeof *b->times);
    b->triad = pare_arena_zalloc(b->run, 3 * (size_t)TRIAD * sizeof(real));
    b->logits = pare_arena_alloc(b->run, (size_t)(n * b->model->n_labels) * sizeof(real));
    if (!b->labels || !b->times || !b->triad || !b->logits)
        return PARE_MEMORY;
    PARE_TRY(pare_answerer_new(b->step, b->scratch, &b->answerer));
    return pare_optimizer_new(b->run, b->model->params, b->model->n_params, "adamw", 0.01,
                              &b->optimizer);
}

static pare_status measure(bench *b, pare_speed *out)
{
    double ms;
    PARE_TRY(prepare(b));
    out->tokens = b->batch.n_tokens;
    PARE_TRY(measure_products(b, out));
    PARE_TRY(time_median(b, run_triad, &ms));
    out->triad_gb_per_second = 3e-6 * TRIAD * sizeof(real) / ms;
    PARE_TRY(pare_model_pack(b->model));
    PARE_TRY(time_work(b, run_answer, &out->answer));
    PARE_TRY(time_work(b, run_forward, &out->forward));
    pare_model_unpack(b->model);
    PARE_TRY(time_work(b, run_step, &out->step));
    find_limits(b, out);
    return measure_passes(b, out);
}

pare_status pare_speed_measure(pare_model *model, const pare_speed_plan *plan, pare_speed *out)
{
    if (plan->length > model->config.max_position_embeddings)
        return pare_fail(PARE_USAGE, "--length: %lld is more than the model's %lld positions",
                         (long long)plan->length,
                         (long long)model->config.max_position_embeddings);
    bench b = {.model = model, .plan = plan, .run = pare_arena_new("bench"),
               .step = pare_arena_new("step"), .scratch = pare_arena_new("scratch")};
    *out = (pare_speed){0};
    const pare_status status = b.run && b.step && b.scratch ? measure(&b, out) : PARE_MEMORY;
    pare_answerer_free(b.answerer);
    pare_arena_free(b.scratch);
    pare_arena_free(b.step);
    pare_arena_free(b.run);
    return status;
}

pare_status pare_speed_bert_base(pare_model **out)
{
    static const pare_config config = {
        .vocab_size = 30522, .hidden_size = 768, .num_hidden_layers = 12,
        .num_attention_heads = 12, .intermediate_size = 3072, .max_position_embeddings = 512,
        .type_vocab_size = 2, .hidden_act = PARE_ACT_GELU, .hidden_dropout_prob = 0.1,
        .attention_probs_dropout_prob = 0.1, .classifier_dropout = -1, .layer_norm_eps = 1e-12,
        .initializer_range = 0.02};
    PARE_TRY(pare_model_new(&config, true, 2, out));
    pare_model_initialize(*out, SEED);
    return PARE_OK;
}
