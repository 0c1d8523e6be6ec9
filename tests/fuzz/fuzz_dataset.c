/* tests/fuzz/fuzz_dataset.c: a split's file becomes examples. The first byte says whose file it is
 * (GLUE's tasks, a user's columns by name and by number), and whether faults are failures. */
#include "tests/fuzz/fuzz.h"

#include "tasks/dataset.h"
#include "tasks/msr.h"

static const struct {
    const char *file, *task, *split, *text, *pair, *label;
} rows[] = {
    {"a.tsv", "CoLA", "train", NULL, NULL, NULL},
    {"a.tsv", "SST-2", "dev", NULL, NULL, NULL},
    {"a.tsv", "MRPC", "test", NULL, NULL, NULL},
    {"a.tsv", "STS-B", "dev", NULL, NULL, NULL},
    {"a.tsv", "MNLI", "ax", NULL, NULL, NULL},
    {"a.tsv", "RTE", "train", NULL, NULL, NULL},
    {"a.tsv", "classify", "train", "0", NULL, "1"},
    {"a.csv", "classify", "train", "text", "pair", "label"},
    {"a.csv", "regress", "train", "0", NULL, "1"},
    {"a.jsonl", "classify", "train", "text", NULL, "label"},
    {"a.jsonl", "regress", "dev", "0", "1", "2"},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void use(const pare_dataset *set)
{
    fuzz_check(set->n > 0);
    for (int64_t i = 0; i < set->n; i++) {
        const pare_example *e = &set->examples[i];
        fuzz_check(e->text && e->line > 0 && e->row >= 0 && e->label >= -1);
        fuzz_check(set->n_labels == 0 || e->label < set->n_labels);
        fuzz_check(e->target - e->target == 0);
    }
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size < 1)
        return;
    const int which = bytes[0] % (ROWS + 1);
    if (which == ROWS) {
        pare_msr_ids *ids = NULL;
        (void)fuzz_read(pare_msr_ids_read(fuzz_file("dev_ids.tsv", bytes + 1, size - 1), &ids));
        pare_msr_ids_free(ids);
        return;
    }
    pare_dataset *set = NULL;
    const pare_data_options options = {.task = rows[which].task,
                                       .data = fuzz_file(rows[which].file, bytes + 1, size - 1),
                                       .split = rows[which].split,
                                       .text_column = rows[which].text,
                                       .pair_column = rows[which].pair,
                                       .label_column = rows[which].label,
                                       .strict = bytes[0] & 128};
    if (fuzz_read(pare_dataset_read(&options, &set)))
        use(set);
    pare_dataset_free(set);
}
