/* progress.h: what a long task tells whoever watches it.
 *
 * The task counts, the watcher draws: cli/progress_line.c shows a line on a terminal, or a plain
 * line every few seconds without one. A task is given a `const pare_progress *`, NULL when nobody
 * watches, and calls the two functions below; they are cheap enough for every step.
 *
 *   pare_progress_info info = {.what = "train", .step = 0, .steps = 345};
 *   pare_progress_update(progress, &info);      // starts the clock
 *   ... after each step: info.step, .loss, .examples, .tokens ...
 *   pare_progress_update(progress, &info);
 *   pare_progress_message(progress, "saved runs/a/checkpoint-100.h5"); */
#ifndef PARE_TASKS_PROGRESS_H
#define PARE_TASKS_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/* Figures that are not known, or mean nothing here, are negative (or NAN for the loss). */
typedef struct pare_progress_info {
    const char *what;     /* "train", "eval", ...: another name starts another clock and line */
    int64_t step, steps;  /* done so far (a resumed run begins above 0), and in all */
    double loss;          /* of this step; the watcher smooths */
    double learning_rate;
    int64_t examples;     /* seen so far: rates come from what they grow by */
    int64_t tokens;
} pare_progress_info;

typedef struct pare_progress {
    void (*update)(void *context, const pare_progress_info *info);
    void (*message)(void *context, const char *text); /* one line, no newline at its end */
    void *context;
} pare_progress;

static inline void pare_progress_update(const pare_progress *progress,
                                        const pare_progress_info *info)
{
    if (progress && progress->update)
        progress->update(progress->context, info);
}

static inline void pare_progress_message(const pare_progress *progress, const char *text)
{
    if (progress && progress->message)
        progress->message(progress->context, text);
}

#endif
