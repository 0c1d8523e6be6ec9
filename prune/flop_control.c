/* flop_control.c: where gates begin, and how they are held to a target (flop.h). */
#include <math.h>

#include "core/philox.h"
#include "prune/flop.h"

/* ---- the start ---- */

typedef struct moments {
    double n, sum, squares;
} moments;

static void add_matrix(const pare_flop_matrix *m, moments *to)
{
    const real *x = m->weight->log_alpha->tensor.data;
    for (int64_t i = 0; i < m->rank; i++) {
        to->n++;
        to->sum += x[i];
        to->squares += (double)x[i] * x[i];
    }
}

/* log singular values become the start of the gates. */
static void standardise(const pare_flop_matrix *m, const moments *of, double mean, double spread)
{
    const double centre = of->sum / of->n, variance = of->squares / of->n - centre * centre;
    const double scale = variance > 0 ? spread / sqrt(variance) : 0;
    real *x = m->weight->log_alpha->tensor.data;
    for (int64_t i = 0; i < m->rank; i++)
        x[i] = (real)(mean + scale * ((double)x[i] - centre));
}

static void begin_equal(const pare_flop_matrix *m, double mean, uint64_t seed)
{
    real *x = m->weight->log_alpha->tensor.data;
    const uint64_t place = (uint64_t)(m->layer * PARE_MATRICES + m->matrix);
    for (int64_t i = 0; i < m->rank; i++)
        x[i] = (real)(mean + 0.01 * pare_random_normal(seed, PARE_RANDOM_GATE, 0,
                                                       place << 32 | (uint64_t)i));
}

void pare_flop_begin(const pare_flop_list *list, pare_flop_start start, double mean, double spread,
                     uint64_t seed)
{
    moments all = {0};
    if (start != PARE_FLOP_START_EQUAL)
        pare_flop_rank_by(list, PARE_FLOP_SINGULAR_VALUES);
    for (int64_t k = 0; k < list->n; k++)
        add_matrix(&list->at[k], &all);
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        moments own = {0};
        add_matrix(m, &own);
        if (start == PARE_FLOP_START_EQUAL)
            begin_equal(m, mean, seed);
        else
            standardise(m, start == PARE_FLOP_START_GLOBAL ? &all : &own, mean, spread);
    }
}

pare_status pare_flop_gated(const pare_model *dense, const bool which[PARE_MATRICES],
                            pare_flop_start start, double mean, double spread, uint64_t seed,
                            pare_model **out)
{
    pare_flop_list list;
    *out = NULL;
    pare_arena *arena = pare_arena_new("gates");
    pare_status status = arena ? pare_flop_factorize(dense, which, true, out) : PARE_MEMORY;
    if (status == PARE_OK)
        status = pare_flop_list_new(arena, *out, &list);
    if (status == PARE_OK) {
        pare_flop_begin(&list, start, mean, spread, seed);
    } else {
        pare_model_free(*out);
        *out = NULL;
    }
    pare_arena_free(arena);
    return status;
}

/* ---- the guard ---- */

static double sparsity_shifted(const pare_flop_list *list, double beta, double shift)
{
    double expected = 0;
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        const real *x = m->weight->log_alpha->tensor.data;
        double open = 0;
        for (int64_t i = 0; i < m->rank; i++)
            open += pare_flop_open((real)((double)x[i] + shift), beta);
        expected += (double)(m->in + m->out) * open;
    }
    return 1 - expected / list->prunable;
}

double pare_flop_shift(const pare_flop_list *list, double beta, double target)
{
    enum { HALVINGS = 60 };
    double low = -64, high = 64; /* sparsity falls as the shift rises */
    for (int i = 0; i < HALVINGS && high - low > 1e-7; i++) {
        const double middle = (low + high) / 2;
        if (sparsity_shifted(list, beta, middle) > target)
            low = middle;
        else
            high = middle;
    }
    const double shift = (low + high) / 2;
    for (int64_t k = 0; k < list->n; k++) {
        real *x = list->at[k].weight->log_alpha->tensor.data;
        for (int64_t i = 0; i < list->at[k].rank; i++)
            x[i] = (real)((double)x[i] + shift);
    }
    return shift;
}

double pare_flop_undecided(const pare_flop_list *list, double beta)
{
    int64_t n = 0, undecided = 0;
    for (int64_t k = 0; k < list->n; k++) {
        const pare_flop_matrix *m = &list->at[k];
        for (int64_t i = 0; i < m->rank; i++) {
            const double p = pare_flop_open(m->weight->log_alpha->tensor.data[i], beta);
            undecided += p > 0.1 && p < 0.9;
        }
        n += m->rank;
    }
    return n > 0 ? (double)undecided / (double)n : 0;
}
