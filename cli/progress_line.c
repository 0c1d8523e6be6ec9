/* progress_line.c: the progress line. */
#include "cli/progress_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/console.h"
#include "core/clock.h"

/* ---- The line ---- */

/* 75 -> "1:15", 3700 -> "1:01:40". */
static void add_time(pare_text *out, double seconds)
{
    if (!(seconds < 1e9))
        seconds = 1e9;
    int64_t s = (int64_t)(seconds + 0.5);

    if (s >= 3600)
        pare_text_printf(out, "%lld:%02lld:%02lld", (long long)(s / 3600),
                         (long long)(s / 60 % 60), (long long)(s % 60));
    else
        pare_text_printf(out, "%lld:%02lld", (long long)(s / 60), (long long)(s % 60));
}

/* " 113 ex/s", " 42.0k tok/s" */
static void add_rate(pare_text *out, int64_t count, double seconds, const char *unit)
{
    double rate = (double)count / seconds;

    if (count <= 0 || seconds <= 0)
        return;
    if (rate >= 1e4)
        pare_text_printf(out, " %.1fk %s", rate / 1e3, unit);
    else
        pare_text_printf(out, rate < 100 ? " %.1f %s" : " %.0f %s", rate, unit);
}

/* " ETA 2:30", or " in 2:30" at the end. */
static void add_rest(pare_text *out, const pare_progress_info *info, int64_t done, double seconds)
{
    bool last = info->step >= info->steps;

    if (!last && done <= 0)
        return;
    pare_text_puts(out, last ? " in " : " ETA ");
    add_time(out, last ? seconds
                       : seconds / (double)done * (double)(info->steps - info->step));
}

/* " 345/690 loss 0.5123 lr 1.9e-05 113 ex/s 1538 tok/s ETA 2:30"; `without` of the less important
 * figures are left out. */
static void add_figures(pare_text *out, const pare_progress_info *info, double loss,
                        const pare_progress_info *first, double seconds, int without)
{
    pare_text_printf(out, " %lld/%lld", (long long)info->step, (long long)info->steps);
    if (isfinite(loss))
        pare_text_printf(out, " loss %.4f", loss);
    if (info->learning_rate >= 0 && without < 2)
        pare_text_printf(out, " lr %.1e", info->learning_rate);
    if (without < 3)
        add_rate(out, info->examples - first->examples, seconds, "ex/s");
    if (without < 1)
        add_rate(out, info->tokens - first->tokens, seconds, "tok/s");
    add_rest(out, info, info->step - first->step, seconds);
}

static void add_bar(pare_text *out, double share, int cells)
{
    int full = (int)(share * cells + 0.5);

    pare_text_puts(out, " [");
    for (int i = 0; i < cells; i++)
        pare_text_add(out, i < full ? "#" : ".", 1);
    pare_text_puts(out, "]");
}

void pare_progress_format(pare_text *out, const pare_progress_info *info, double loss,
                          const pare_progress_info *first, double seconds, int width, bool bar)
{
    enum { LEAST = 6, MOST = 30, FRAME = 3, FEWEST = 3 };
    double share = info->steps > 0 ? (double)info->step / (double)info->steps : 0;
    pare_text figures = {0};
    size_t start = out->n;
    int left = 0;

    for (int without = 0; without <= FEWEST; without++) {
        pare_text_clear(&figures);
        add_figures(&figures, info, loss, first, seconds, without);
        left = width - (int)(strlen(info->what) + figures.n) - FRAME;
        if (left >= LEAST)
            break;
    }
    pare_text_puts(out, info->what);
    if (bar && left >= LEAST)
        add_bar(out, share, left < MOST ? left : MOST);
    if (figures.bytes)
        pare_text_add(out, figures.bytes, figures.n);
    if (!out->failed && out->n - start > (size_t)width)
        out->n = start + (size_t)width; /* a line that wraps cannot be drawn over */
    pare_text_free(&figures);
}

/* ---- Drawing ---- */

static void draw(pare_progress_view *v, const pare_progress_info *info, double time)
{
    const pare_progress_clock *clock = &v->clocks[v->current];
    const char *cyan = v->color && v->live ? "\033[36m" : "", *plain = cyan[0] ? "\033[0m" : "";

    pare_text_clear(&v->line);
    pare_progress_format(&v->line, info, clock->loss, &clock->first, time - clock->started,
                         v->live ? pare_console_width() - 1 : 1000, v->live);
    if (v->line.failed || v->line.n == 0)
        return;
    if (v->live)
        fprintf(stderr, "\r%s%.*s%s\033[K", cyan, (int)v->line.n, v->line.bytes, plain);
    else
        fprintf(stderr, "%.*s\n", (int)v->line.n, v->line.bytes);
    fflush(stderr);
    v->drawn = time;
    v->on_screen = v->live;
    v->complete = info->step >= info->steps;
}

/* ---- Clocks ---- */

static void clock_start(pare_progress_clock *clock, const pare_progress_info *info, double time)
{
    *clock = (pare_progress_clock){
        .started = time, .first = *info, .last_step = info->step, .loss = NAN};
    snprintf(clock->what, sizeof clock->what, "%s", info->what);
}

/* The clock of this name, else a free one, else the last. */
static int clock_find(const pare_progress_view *v, const char *what)
{
    int i = 0;
    while (i < PARE_PROGRESS_CLOCKS - 1 && v->clocks[i].what[0] != '\0' &&
           strncmp(v->clocks[i].what, what, PARE_PROGRESS_NAME - 1) != 0)
        i++;
    return i;
}

/* Makes the clock of info->what the running one. A task that begins again, at an earlier step or
 * behind its end, begins with a new clock. */
static pare_progress_clock *clock_switch(pare_progress_view *v, const pare_progress_info *info,
                                         double time)
{
    int index = clock_find(v, info->what);
    pare_progress_clock *clock = &v->clocks[index];
    bool known = strncmp(clock->what, info->what, PARE_PROGRESS_NAME - 1) == 0;

    if (index != v->current && v->on_screen && v->complete)
        pare_progress_view_end(v); /* what was completed stays on the screen */
    if (!known || info->step < clock->last_step)
        clock_start(clock, info, time);
    else if (index != v->current)
        clock->started += time - clock->last_seen;
    if (v->current < 0)
        v->drawn = time;
    v->current = index;
    return clock;
}

static void on_update(void *context, const pare_progress_info *info)
{
    pare_progress_view *v = context;
    double time = pare_seconds();

    if (v->quiet)
        return;
    pare_progress_clock *clock = clock_switch(v, info, time);
    bool moved = info->step > clock->last_step;
    if (moved && isfinite(info->loss)) /* the mean of some 50 steps */
        clock->loss = isfinite(clock->loss) ? clock->loss + 0.02 * (info->loss - clock->loss)
                                            : info->loss;
    clock->last_step = info->step;
    clock->last_seen = time;
    if ((moved && info->step >= info->steps) || time - v->drawn >= v->every)
        draw(v, info, time);
}

static void on_message(void *context, const char *text)
{
    pare_progress_view *v = context;

    if (v->on_screen && !v->complete)
        fputs("\r\033[K", stderr); /* the next drawing brings the line back, below */
    else if (v->on_screen)
        fputs("\n", stderr);
    v->on_screen = false;
    pare_note("%s", text);
}

pare_progress pare_progress_view_init(pare_progress_view *v)
{
    const pare_console *console = pare_console_get();

    *v = (pare_progress_view){
        .live = console->err_live && !console->quiet,
        .color = console->err_color,
        .quiet = console->quiet,
        .current = -1,
    };
    v->every = v->live ? 0.1 : console->verbose ? 1 : 10;
    return (pare_progress){on_update, on_message, v};
}

void pare_progress_view_end(pare_progress_view *v)
{
    if (v->on_screen)
        fputs("\n", stderr);
    v->on_screen = v->complete = false;
    pare_text_free(&v->line);
}
