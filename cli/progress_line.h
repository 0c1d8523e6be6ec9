/* progress_line.h: draws a task's progress on stderr.
 *
 * On a terminal one line is drawn over and over: a bar, loss, learning rate, examples and tokens a
 * second, time left. Elsewhere a plain line appears every ten seconds (every second with
 * --verbose), and one at the end. --quiet draws nothing. */
#ifndef PARE_CLI_PROGRESS_LINE_H
#define PARE_CLI_PROGRESS_LINE_H

#include "core/text.h"
#include "tasks/progress.h"

enum { PARE_PROGRESS_NAME = 24, PARE_PROGRESS_CLOCKS = 4 };

/* One `what`: its clock stands still while another one is at work (training waits while the model
 * is evaluated). */
typedef struct pare_progress_clock {
    char what[PARE_PROGRESS_NAME];
    double started;  /* in seconds of the monotonic clock, moved forward by its pauses */
    double last_seen;
    pare_progress_info first; /* where it began: rates are of what came after */
    int64_t last_step;
    double loss;     /* smoothed; NAN before the first */
} pare_progress_clock;

/* What is known of the task; filled by _init. */
typedef struct pare_progress_view {
    bool live, color, quiet;
    double every; /* seconds between two drawings */
    double drawn; /* when something was drawn last */
    pare_progress_clock clocks[PARE_PROGRESS_CLOCKS];
    int current;    /* the clock that runs; -1: none yet */
    bool on_screen; /* a live line stands on the terminal */
    bool complete;  /* and it shows the last step */
    pare_text line;
} pare_progress_view;

/* The interface to hand to a task; lives as long as the view. */
pare_progress pare_progress_view_init(pare_progress_view *view);
/* Ends the live line, so that what follows begins on a new one. */
void pare_progress_view_end(pare_progress_view *view);

/* The line itself, without control characters: for `width` columns, after `seconds` of work that
 * began at `first`. Known parts only. The bar takes what is left; where room is short tokens a
 * second, the learning rate and examples a second are left out, in this order, then the bar. */
void pare_progress_format(pare_text *out, const pare_progress_info *info, double loss,
                          const pare_progress_info *first, double seconds, int width, bool bar);

#endif
