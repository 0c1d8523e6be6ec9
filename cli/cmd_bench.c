/* cmd_bench.c: pare bench: what this machine makes of a model. */
#include "tasks/speed.h"

#include "cli/columns.h"
#include "cli/console.h"
#include "cli/options.h"
#include "core/gemm.h"
#include "core/threads.h"

static pare_json *products_json(const pare_speed *s)
{
    pare_json *all = pare_json_new_array();
    for (int i = 0; i < PARE_SPEED_PRODUCTS; i++) {
        const pare_speed_product *p = &s->products[i];
        pare_json *one = pare_json_new_object();
        pare_json_set_string(one, "matrix", p->name);
        pare_json_set_int(one, "m", p->m);
        pare_json_set_int(one, "n", p->n);
        pare_json_set_int(one, "k", p->k);
        pare_json_set_double(one, "gflops", p->gflops);
        pare_json_set_double(one, "peak_gflops", p->peak);
        pare_json_append(all, one);
    }
    return all;
}

static pare_json *passes_json(const pare_speed *s)
{
    pare_json *all = pare_json_new_array();
    for (int i = 0; i < PARE_SPEED_PASSES; i++) {
        pare_json *one = pare_json_new_object();
        pare_json_set_string(one, "pass", s->passes[i].name);
        pare_json_set_double(one, "ms", s->passes[i].ms);
        pare_json_set_double(one, "gb_per_second", s->passes[i].gb_per_second);
        pare_json_append(all, one);
    }
    return all;
}

static pare_status print_json(const pare_options *o, const pare_speed *s)
{
    pare_json *result = pare_json_new_object();
    pare_json_set_string(result, "kernels", pare_gemm_path());
    pare_json_set_int(result, "threads", pare_threads());
    pare_json_set_string(result, "model", o->model ? o->model : "bert-base");
    pare_json_set_int(result, "batch_size", o->batch_size);
    pare_json_set_int(result, "length", o->length);
    pare_json_set(result, "products", products_json(s));
    pare_json_set(result, "passes", passes_json(s));
    pare_json_set_double(result, "triad_gb_per_second", s->triad_gb_per_second);
    pare_json_set_double(result, "step_ms", s->step.ms);
    pare_json_set_double(result, "step_limit_ms", s->step.limit_ms);
    pare_json_set_double(result, "tokens_per_second", 1e3 * (double)s->tokens / s->step.ms);
    pare_json_set_double(result, "forward_ms", s->forward.ms);
    pare_json_set_double(result, "forward_limit_ms", s->forward.limit_ms);
    pare_json_set_double(result, "answer_ms", s->answer.ms);
    pare_json_set_double(result, "answer_limit_ms", s->answer.limit_ms);
    return pare_out_json(result);
}

static void put_work(pare_text *work, const char *name, pare_speed_work w)
{
    pare_text_printf(work, "%s\t%.2f\t%.2f\t%.2f\n", name, w.ms, w.limit_ms, w.ms / w.limit_ms);
}

static pare_status print_tables(const pare_options *o, const pare_speed *s)
{
    pare_text products = {0}, passes = {0}, work = {0};
    pare_out("%s, %d threads, %s, %lld sentences of %lld tokens\n\n", pare_gemm_path(),
             pare_threads(), o->model ? o->model : "BERT-base with random weights",
             (long long)o->batch_size, (long long)o->length);
    pare_text_puts(&products, "product\tm\tn\tk\tGFLOP/s\tof the registers' peak\n");
    for (int i = 0; i < PARE_SPEED_PRODUCTS; i++) {
        const pare_speed_product *p = &s->products[i];
        pare_text_printf(&products, "%s\t%lld\t%lld\t%lld\t%.0f\t%.0f %%\n", p->name,
                         (long long)p->m, (long long)p->n, (long long)p->k, p->gflops,
                         100 * p->gflops / p->peak);
    }
    PARE_TRY(pare_columns_print(&products));
    pare_out("\n");
    pare_text_puts(&passes, "pass\tms\tGB/s\tof the memory's triad\n");
    for (int i = 0; i < PARE_SPEED_PASSES; i++) {
        const pare_speed_pass *p = &s->passes[i];
        pare_text_printf(&passes, "%s\t%.2f\t%.1f\t%.0f %%\n", p->name, p->ms, p->gb_per_second,
                         100 * p->gb_per_second / s->triad_gb_per_second);
    }
    PARE_TRY(pare_columns_print(&passes));
    pare_out("\n");
    pare_text_puts(&work, "work\tms\tlimit, ms\tof the limit\n");
    put_work(&work, "training step", s->step);
    put_work(&work, "forward pass", s->forward);
    put_work(&work, "one sentence", s->answer);
    PARE_TRY(pare_columns_print(&work));
    pare_out("\n%.0f tokens/s in training\n", 1e3 * (double)s->tokens / s->step.ms);
    return pare_out_flush();
}

/* The user's, with a head of two labels if it has none; or BERT-base. */
static pare_status open_model(const pare_options *o, pare_model **model)
{
    if (!o->model)
        return pare_speed_bert_base(model);
    PARE_TRY(pare_model_open(o->model, model));
    return (*model)->n_labels > 1 ? PARE_OK : pare_model_ensure_head(*model, 2, 1, NULL);
}

pare_status pare_command_bench(const pare_options *o)
{
    const pare_speed_plan plan = {o->batch_size, o->length, o->rounds};
    pare_model *model = NULL;
    pare_speed speed;
    pare_status status = open_model(o, &model);
    if (status == PARE_OK)
        status = pare_speed_measure(model, &plan, &speed);
    if (status == PARE_OK)
        status = o->json ? print_json(o, &speed) : print_tables(o, &speed);
    pare_model_free(model);
    return status;
}
