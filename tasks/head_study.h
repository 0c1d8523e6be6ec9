/* head_study.h: what a task's examples say of a model's attention heads (arXiv 1905.10650).
 *
 * Three studies, each with its result as JSON: every head switched off in turn, every head's
 * importance, and pruning by importance with the curve of scores on the way. Results are the same
 * bits at any number of threads. */
#ifndef PARE_TASKS_HEAD_STUDY_H
#define PARE_TASKS_HEAD_STUDY_H

#include "prune/heads.h"
#include "tasks/evaluate.h"

/* {"task", "split", "examples", "metric", "baseline": {"metrics": {}, "loss"},
 *  "heads": [{"layer", "head", "metrics": {}, "loss", "difference", "low", "high", "verdict"}],
 *  "verdicts": {"helps", "hurts", "neutral"}}
 * and, with all_but_one, "alone": the same list for layers that keep that head alone.
 *
 * difference is the metric's, ablated minus baseline; low and high are the 95 % interval of that
 * difference over 1,000 resamplings of the examples (bootstrap; the same ones for all heads). A
 * removal helps or hurts where the interval leaves out 0. */
typedef struct pare_head_sweep_options {
    pare_evaluate_options eval;
    bool all_but_one;
} pare_head_sweep_options;
pare_status pare_head_sweep(const pare_head_sweep_options *options, const pare_progress *progress,
                            pare_json **result);

/* How heads are scored; the lowest go first. */
typedef struct pare_head_score_options {
    const char *score;  /* "token", "example" (prune/heads.h) or "random" */
    bool normalize;     /* divide each layer's scores by their l2 norm */
    uint64_t seed;      /* of random */
} pare_head_score_options;

/* {"task", "split", "examples", "score", "normalized", "heads": [{"layer", "head", "importance"}]}
 * by the examples that options->data names. */
pare_status pare_head_importance(const pare_evaluate_options *options,
                                 const pare_head_score_options *score,
                                 const pare_progress *progress, pare_json **result);

/* scores[heads->n] of a model by the session's first data set. */
pare_status pare_head_scores(const pare_eval_session *session, const pare_model *model,
                             const pare_head_list *heads, int64_t batch_size,
                             const pare_head_score_options *options, const pare_progress *progress,
                             double *scores);

typedef struct pare_head_prune_options {
    pare_evaluate_options eval;   /* what is measured on */
    pare_evaluate_options scored; /* what importance is taken from */
    pare_head_score_options score;
    double fraction;              /* of all heads to go; < 0: count says */
    int64_t count;
    double step;                  /* of all heads at a time; 0: all at once */
    bool exact;                   /* score anew before each step */
    bool at_least_one;            /* a layer keeps its last head */
} pare_head_prune_options;

/* {"task", "heads_before", "heads", "removed": [{"layer", "head"}], "metrics_before": {},
 *  "metrics": {}, "parameters_before", "parameters",
 *  "curve": [{"removed": n, "metrics": {}, "loss"}]}, and the smaller model, to be freed. */
pare_status pare_head_prune(const pare_head_prune_options *options, const pare_progress *progress,
                            pare_model **smaller, pare_json **result);

/* Pearson's and Spearman's correlation of the heads' scores in n results of pare_head_sweep, of the
 * metric's differences and (under "loss") of the loss's: {"files", "n", "pearson": [[]],
 * "spearman": [[]], "pearson_p", "spearman_p", "loss": {the same}}. p is two-sided, of Student's t
 * with heads - 2 degrees of freedom. */
pare_status pare_head_correlate(const char *const *files, int n, pare_json **result);

#endif
