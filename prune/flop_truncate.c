/* flop_truncate.c: truncated decompositions, what learnt masks are measured against (flop.h). */
#include "prune/flop.h"

pare_status pare_flop_budget(const pare_flop_list *list, double encoder, double target,
                             double *budget)
{
    *budget = list->dense - target * encoder;
    if (*budget > 0)
        return PARE_OK;
    return pare_hint(pare_fail(PARE_USAGE, "target %g: the matrices to be factorised hold only "
                               "%.3g of the encoder's weights", target, list->dense / encoder),
                     "take a smaller target, or more --modules");
}

static pare_status truncate_model(pare_arena *arena, pare_model *factorised, double encoder,
                                  double target, pare_flop_order order, pare_flop_fold fold,
                                  pare_model **out)
{
    pare_flop_list list;
    pare_flop_choice c;
    double budget, cost;
    PARE_TRY(pare_flop_list_new(arena, factorised, &list));
    PARE_TRY(pare_flop_budget(&list, encoder, target, &budget));
    PARE_TRY(pare_flop_choice_new(arena, &list, &c));
    pare_flop_rank_by(&list, order);
    PARE_TRY(pare_flop_project(&list, budget, pare_flop_block(&list), c.keep, &cost));
    return pare_flop_compact(factorised, &list, c.keep, c.z, fold, out);
}

pare_status pare_flop_truncate(const pare_model *dense, const bool which[PARE_MATRICES],
                               double target, pare_flop_order order, pare_flop_fold fold,
                               pare_model **out)
{
    pare_model *factorised = NULL;
    *out = NULL;
    pare_arena *arena = pare_arena_new("truncation");
    pare_status status =
        arena ? pare_flop_factorize(dense, which, true, &factorised) : PARE_MEMORY;
    if (status == PARE_OK)
        status = truncate_model(arena, factorised, (double)pare_model_encoder_parameters(dense),
                                target, order, fold, out);
    pare_model_free(factorised);
    pare_arena_free(arena);
    return status;
}
