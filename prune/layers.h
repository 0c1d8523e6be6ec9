/* layers.h: layer drop (Sajjad et al. 2020, arXiv 2004.03844): encoder layers are removed before
 * fine-tuning and the rest renumbered.
 *
 *   pare_layer_choice choice;
 *   PARE_TRY(pare_layers_choose("top", 4, 12, NULL, &choice));       // drops 8, 9, 10, 11
 *   PARE_TRY(pare_layers_drop(model, &choice, &smaller)); */
#ifndef PARE_PRUNE_LAYERS_H
#define PARE_PRUNE_LAYERS_H

#include "models/model.h"

enum { PARE_MAX_LAYERS = 1024 };

/* Which layers go, and what chose them. */
typedef struct pare_layer_choice {
    const char *strategy;        /* a name of the table */
    bool drop[PARE_MAX_LAYERS];  /* [n_layers] */
    int64_t n_layers, n_dropped;
} pare_layer_choice;

/* The layers that `strategy` drops when `count` of n_layers are to go, 0-based:
 *   top            the last ones
 *   bottom         the first ones
 *   symmetric      the middle ones, from (n_layers - count) / 2 on
 *   alternate-odd  every second one downward from the highest even index (odd if counted from 1)
 *   alternate-even ... from the highest odd index
 *   contribution   those whose similarity[n_layers] is highest, of equals the higher layer
 * PARE_USAGE for an unknown name or a count out of range, that names it. similarity may be NULL for
 * the others. */
pare_status pare_layers_choose(const char *strategy, int64_t count, int64_t n_layers,
                               const double *similarity, pare_layer_choice *out);

/* The layers named in "1,3" ("1+3" too): strategy "list". */
pare_status pare_layers_list(const char *layers, int64_t n_layers, pare_layer_choice *out);

/* Whether a strategy needs the similarities. */
bool pare_layers_need_similarity(const char *strategy);

/* The model without them; its history tells. `old` stays as it is. */
pare_status pare_layers_drop(const pare_model *old, const pare_layer_choice *choice,
                             pare_model **out);

/* {"dropped": [...], "kept": [...]} into an object, as indices of the larger model. */
void pare_layers_report(const pare_layer_choice *choice, pare_json *object);

#endif
