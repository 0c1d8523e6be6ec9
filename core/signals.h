/* signals.h: a request to stop or to save, seen by whoever asks between two steps.
 *
 *   pare_signals_install();
 *   while (step < steps && !pare_signal_stop_requested())
 *       ...
 *
 * SIGINT and SIGTERM ask to stop: the run saves and ends with PARE_STOPPED. A second one leaves at
 * once with exit code 130. SIGUSR1 asks to save and go on. The handlers only set flags. */
#ifndef PARE_CORE_SIGNALS_H
#define PARE_CORE_SIGNALS_H

#include <stdbool.h>

/* From now on the three signals set flags; may be called again. SIGINT is caught even where it was
 * being ignored (a script's background job): `kill -INT` then saves as it does elsewhere. */
void pare_signals_install(void);

/* A stop was asked for; stays true. */
bool pare_signal_stop_requested(void);

/* A save was asked for since the last call: reading clears it. */
bool pare_signal_save_requested(void);

#endif
