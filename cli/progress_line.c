/* progress_line.c: the progress line. */
#include "cli/progress_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/console.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

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

static void add_rate(pare_text *out, int64_t count, double seconds, const char *unit)
{
    double rate = (double)count / seconds;

    if (count > 0 && seconds > 0)
        pare_text_printf(out, rate < 100 ? "  %.1f %s" : "  %.0f %s", rate, unit);
}

/* "  loss 0.5123  lr 1.92e-05  113 ex/s  1538 tok/s  ETA 2:30" */
static void add_figures(pare_text *out, const pare_progress_info *info, double loss,
                        int64_t first_step, double seconds)
{
    int64_t done = info->step - first_step;

    if (isfinite(loss))
        pare_text_printf(out, "  loss %.4f", loss);
    if (info->learning_rate >= 0)
        pare_text_printf(out, "  lr %.2e", info->learning_rate);
    add_rate(out, info->examples, seconds, "ex/s");
    add_rate(out, info->tokens, seconds, "tok/s");
    if (info->step < info->steps && done > 0) {
        pare_text_puts(out, "  ETA ");
        add_time(out, seconds / (double)done * (double)(info->steps - info->step));
    } else if (info->step >= info->steps) {
        pare_text_puts(out, "  in ");
        add_time(out, seconds);
    }
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
                          int64_t first_step, double seconds, int width, bool bar)
{
    enum { LEAST = 6, MOST = 30 };
    double share = info->steps > 0 ? (double)info->step / (double)info->steps : 0;
    pare_text figures = {0};

    pare_text_printf(&figures, " %lld/%lld", (long long)info->step, (long long)info->steps);
    add_figures(&figures, info, loss, first_step, seconds);
    size_t start = out->n;
    pare_text_puts(out, info->what);
    int left = width - (int)(strlen(info->what) + figures.n) - 3;
    if (bar && left >= LEAST)
        add_bar(out, share, left < MOST ? left : MOST);
    if (figures.bytes)
        pare_text_add(out, figures.bytes, figures.n);
    if (!out->failed && bar && out->n - start > (size_t)width)
        out->n = start + (size_t)width; /* a live line must not wrap */
    pare_text_free(&figures);
}

/* ---- Drawing ---- */

static void draw(pare_progress_view *v, const pare_progress_info *info, double time)
{
    const char *dim = v->color && v->live ? "\033[36m" : "", *plain = dim[0] ? "\033[0m" : "";

    pare_text_clear(&v->line);
    pare_progress_format(&v->line, info, v->loss, v->first_step, time - v->started,
                         v->live ? pare_console_width() - 1 : 1000, v->live);
    if (v->line.failed || v->line.n == 0)
        return;
    if (v->live)
        fprintf(stderr, "\r%s%.*s%s\033[K", dim, (int)v->line.n, v->line.bytes, plain);
    else
        fprintf(stderr, "%.*s\n", (int)v->line.n, v->line.bytes);
    fflush(stderr);
    v->drawn = time;
    v->on_screen = v->live;
}

/* Another `what`: another clock. A finished live line stays, an unfinished one is drawn over. */
static void begin(pare_progress_view *v, const pare_progress_info *info, double time)
{
    if (v->on_screen && v->drawn_last)
        pare_progress_view_end(v);
    snprintf(v->what, sizeof v->what, "%s", info->what);
    v->started = v->drawn = time;
    v->first_step = info->step;
    v->loss = NAN;
}

static void on_update(void *context, const pare_progress_info *info)
{
    pare_progress_view *v = context;
    double time = now();

    if (v->quiet)
        return;
    if (strncmp(v->what, info->what, sizeof v->what - 1) != 0 || info->step < v->first_step ||
        (v->drawn_last && info->step < info->steps))
        begin(v, info, time);
    bool last = info->step >= info->steps;
    bool repeated = last && v->drawn_last;
    if (isfinite(info->loss) && info->step > v->first_step) /* the mean of some 50 steps */
        v->loss = isfinite(v->loss) ? v->loss + 0.02 * (info->loss - v->loss) : info->loss;
    v->drawn_last = last;
    if (!repeated && (last || time - v->drawn >= v->every))
        draw(v, info, time);
}

static void on_message(void *context, const char *text)
{
    pare_progress_view *v = context;

    if (v->on_screen && !v->drawn_last)
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
        .loss = NAN,
    };
    v->every = v->live ? 0.1 : console->verbose ? 1 : 10;
    return (pare_progress){on_update, on_message, v};
}

void pare_progress_view_end(pare_progress_view *v)
{
    if (v->on_screen)
        fputs("\n", stderr);
    v->on_screen = false;
    pare_text_free(&v->line);
}
