/* config_file.h: options in an ini file (the only user of inih's header).
 *
 *   [training]              ; sections are headings for the reader: keys mean the same in each
 *   batch_size = 32         ; a comment
 *   data = "my folder; 2"   ; quoted where spaces, ; or \ matter: \" \\ \n \t \xHH inside
 *   dropout =               ; no value: not set
 *
 * A key that another command takes is checked and passed over, so that one file serves finetune and
 * evaluate. An unknown key, a key set twice, a line without = and a value out of its range are
 * PARE_USAGE, naming file and line; a file that is no text is PARE_INPUT. */
#ifndef PARE_CLI_CONFIG_FILE_H
#define PARE_CLI_CONFIG_FILE_H

#include "cli/options.h"
#include "core/text.h"

/* Sets every option of the file that was not given on the command line. */
pare_status pare_options_read(const char *path, pare_options *options);

/* Adds the options of this command as such a file, every key with its comment; it reads back to
 * the same values. */
void pare_options_write(const pare_options *options, pare_text *out);

#endif
