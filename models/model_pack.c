/* model_pack.c: weights as products take them, for a model that only answers. */
#include "core/gemm.h"
#include "models/model.h"

/* The embeddings are not multiplied. */
static bool is_multiplied(const pare_param *p)
{
    return p->rank == 2 && p->layer >= 0;
}

pare_status pare_model_pack(pare_model *model)
{
    pare_model_unpack(model);
    model->packed = pare_arena_new("packed weights");
    if (!model->packed)
        return PARE_MEMORY;
    for (int i = 0; i < model->n_params; i++) {
        pare_tensor *w = &model->params[i]->tensor;
        const size_t bytes = pare_gemm_packed_size(w->rows, w->cols);
        if (!is_multiplied(model->params[i]) || bytes == 0)
            continue;
        real *packed = pare_arena_alloc(model->packed, bytes);
        if (!packed) {
            pare_model_unpack(model);
            return PARE_MEMORY;
        }
        pare_gemm_pack_b(packed, w->data, w->cols, w->rows, w->cols);
        w->packed = packed;
    }
    return PARE_OK;
}

void pare_model_unpack(pare_model *model)
{
    for (int i = 0; i < model->n_params; i++)
        model->params[i]->tensor.packed = NULL;
    pare_arena_free(model->packed);
    model->packed = NULL;
}
