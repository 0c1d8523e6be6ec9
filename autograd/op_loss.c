/* op_loss.c: the losses. Small next to the rest, so in one thread and in double. */
#include "autograd/ops.h"
#include "core/elementary.h"

/* log of the sum of exp(row), safe from overflow */
static double log_sum_exp(const real *row, int64_t n)
{
    double largest = row[0], sum = 0;
    for (int64_t c = 1; c < n; c++)
        largest = row[c] > largest ? row[c] : largest;
    for (int64_t c = 0; c < n; c++)
        sum += pare_exp(row[c] - largest);
    return largest + pare_log(sum);
}

typedef struct soft_saved {
    const double *probabilities;
    double weight;
} soft_saved;

pare_tensor *pare_soft_cross_entropy(pare_tape *t, pare_tensor *logits,
                                     const double *probabilities, double weight)
{
    if (!logits)
        return NULL;
    pare_tensor *loss = pare_tape_output(t, 1, 1, logits->needs_grad);
    if (!loss)
        return NULL;
    double total = 0;
    for (int64_t s = 0; s < logits->rows; s++) {
        const real *row = logits->data + s * logits->cols;
        const double log_total = log_sum_exp(row, logits->cols);
        for (int64_t c = 0; c < logits->cols; c++)
            total += probabilities[s * logits->cols + c] * (log_total - row[c]);
    }
    loss->data[0] = (real)(weight * total);
    const soft_saved saved = {probabilities, weight};
    return pare_tape_record(t, PARE_OP_soft_cross_entropy, loss, (pare_tensor *[]){logits}, 1,
                            &saved, sizeof saved);
}

/* d/dlogit = weight (sum(probabilities) softmax - probabilities) */
void pare_soft_cross_entropy_grad(pare_tape *t, const pare_node *node)
{
    const soft_saved *s = node->saved;
    pare_tensor *logits = node->in[0];
    bool add;
    real *grad = pare_tape_gradient(t, logits, &add);
    if (!grad)
        return;
    const double scale = s->weight * node->out->grad[0];
    for (int64_t r = 0; r < logits->rows; r++) {
        const real *row = logits->data + r * logits->cols;
        const double *p = s->probabilities + r * logits->cols;
        const double log_total = log_sum_exp(row, logits->cols);
        double sum = 0;
        for (int64_t c = 0; c < logits->cols; c++)
            sum += p[c];
        for (int64_t c = 0; c < logits->cols; c++) {
            real *d = grad + r * logits->cols + c;
            const double g = scale * (sum * pare_exp(row[c] - log_total) - p[c]);
            *d = (real)(add ? *d + g : g);
        }
    }
}

pare_tensor *pare_cross_entropy(pare_tape *t, pare_tensor *logits, const int32_t *labels,
                                double weight)
{
    if (!logits)
        return NULL;
    double *one_hot =
        pare_arena_zalloc(t->step, (size_t)pare_tensor_size(logits) * sizeof *one_hot);
    if (!one_hot)
        return pare_tape_fail(t, PARE_MEMORY);
    for (int64_t s = 0; s < logits->rows; s++)
        one_hot[s * logits->cols + labels[s]] = 1;
    return pare_soft_cross_entropy(t, logits, one_hot, weight);
}

typedef struct error_saved {
    const double *targets;
    double weight;
} error_saved;

pare_tensor *pare_squared_error(pare_tape *t, pare_tensor *scores, const double *targets,
                                double weight)
{
    if (!scores)
        return NULL;
    pare_tensor *loss = pare_tape_output(t, 1, 1, scores->needs_grad);
    if (!loss)
        return NULL;
    double total = 0;
    for (int64_t s = 0; s < scores->rows; s++)
        total += (scores->data[s] - targets[s]) * (scores->data[s] - targets[s]);
    loss->data[0] = (real)(weight * total);
    const error_saved saved = {targets, weight};
    return pare_tape_record(t, PARE_OP_squared_error, loss, (pare_tensor *[]){scores}, 1, &saved,
                            sizeof saved);
}

void pare_squared_error_grad(pare_tape *t, const pare_node *node)
{
    const error_saved *s = node->saved;
    pare_tensor *scores = node->in[0];
    bool add;
    real *grad = pare_tape_gradient(t, scores, &add);
    if (!grad)
        return;
    for (int64_t r = 0; r < scores->rows; r++) {
        const double g = 2 * s->weight * node->out->grad[0] * (scores->data[r] - s->targets[r]);
        grad[r] = (real)(add ? grad[r] + g : g);
    }
}
