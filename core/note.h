/* note.h: lines for people on stderr, from any room, that --quiet silences. */
#ifndef PARE_CORE_NOTE_H
#define PARE_CORE_NOTE_H

#include <stdbool.h>

/* A line in one write, of at most 4,094 bytes; nothing while notes are silent. */
void pare_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For times when no other thread writes notes. */
void pare_notes_silence(bool silent);

#endif
