/* model_pack.c: weights as products take them, for a model that only answers. */
#include "core/gemm.h"
#include "models/model.h"

pare_status pare_model_pack(pare_model *model)
{
    pare_model_unpack(model);
    model->packed = pare_arena_new("packed weights");
    if (!model->packed)
        return PARE_MEMORY;
    for (int i = 0; i < model->n_params; i++) {
        pare_tensor *w = &model->params[i]->tensor;
        const size_t bytes = pare_gemm_packed_size(w->rows, w->cols);
        if (model->params[i]->rank != 2 || pare_param_is_table(model->params[i]) || bytes == 0)
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
