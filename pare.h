/* pare.h: reads, converts and writes BERT models; training and pruning are the program's.
 *
 *   #include <pare.h>
 *   #include <stdio.h>
 *
 *   int main(void)
 *   {
 *       pare_model *model = NULL;
 *       pare_status status = pare_import("bert-dir", &model);
 *       if (status == PARE_OK)
 *           status = pare_model_save(model, "bert.h5");
 *       if (status != PARE_OK)
 *           fprintf(stderr, "error: %s\n", pare_error_message());
 *       pare_model_free(model);
 *       return status;
 *   }
 *
 * Link with what `pkg-config --libs pare` prints. A function that fails returns PARE_INPUT, PARE_IO
 * or PARE_MEMORY unless it says otherwise, and PARE_INTERNAL where a library fails and gives no
 * reason. Pointers must not be NULL, but for pare_model_free's. Any thread may call, but one model
 * is for one thread at a time, and pare_threads_set is for times when no other function runs.
 * pare_import and pare_export may write notes to stderr. */
#ifndef PARE_H
#define PARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARE_VERSION "0.1.0"

/* What a function returns; the values are the program's exit codes. */
typedef enum pare_status {
    PARE_OK = 0,
    PARE_INTERNAL = 1,  /* a fault of pare's own */
    PARE_USAGE = 2,     /* an option or argument is wrong */
    PARE_INPUT = 3,     /* bad input or a corrupt file */
    PARE_IO = 4,        /* a file could not be read or written; disk full */
    PARE_MEMORY = 5,    /* out of memory */
    PARE_DIVERGED = 6,  /* a loss, gradient or weight is not finite */
    PARE_MISSED = 7,    /* finished, but a stated target was missed */
    PARE_STOPPED = 75,  /* stopped early with a checkpoint: the same command goes on from it */
    PARE_FORCED = 130   /* left at once, on a second interrupt */
} pare_status;

/* The message of this thread's last failure ("" before one), and what to do next ("" if nothing
 * is known). Both stay valid until this thread's next failure. */
const char *pare_error_message(void);
const char *pare_error_hint(void);

/* A BERT with everything that belongs to it: weights, config, vocabulary, label names, the length
 * it was trained at, and its history. */
typedef struct pare_model pare_model;

/* Reads a Hugging Face directory (config.json, vocab.txt or tokenizer.json, model.safetensors or
 * pytorch_model.bin) or one of google-research/bert (bert_config.json, vocab.txt, a checkpoint of
 * TensorFlow). On success *out is the caller's, to be given to pare_model_free; on failure NULL. */
pare_status pare_import(const char *directory, pare_model **out);

/* Writes a directory that transformers loads with equal logits. It is made if it is missing; each
 * file in it is replaced atomically. */
pare_status pare_export(const pare_model *model, const char *directory);
/* The same for one version of transformers: 4, or any other number for 5. 4 loads layers with fewer
 * heads, but none without any (PARE_INPUT); for 5 removed heads are written as zeros. Factors are
 * multiplied out for both. A model without a vocabulary is PARE_INPUT. */
pare_status pare_export_for(const pare_model *model, const char *directory, int transformers);

/* Reads and writes pare's one-file model (docs/checkpoint.md). *out is the caller's, NULL on
 * failure. Saving is atomic: the file has its old or its new content, whatever happens; a weight
 * that is not finite is PARE_DIVERGED. */
pare_status pare_model_open(const char *path, pare_model **out);
pare_status pare_model_save(const pare_model *model, const char *path);
void pare_model_free(pare_model *model); /* NULL is allowed */

/* The threads that products and passes use; 0 or less means every core this process may run on.
 * Results are the same bits at any number. pare_threads: the number in use. */
void pare_threads_set(int count);
int pare_threads(void);

#endif
