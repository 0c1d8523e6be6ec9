/* tests/fuzz/fuzz_submission.c: a file of predictions for six rows of one of three kinds, which the
 * first byte picks. What is read is written and reads back. */
#include "tests/fuzz/fuzz.h"

#include "core/memory.h"
#include "tasks/submission.h"

enum { EXAMPLES = 6 };

static const struct {
    const char *file, *task, *text;
} kinds[] = {
    {"c.tsv", "classify", "a\tno\nb\tyes\nc\tno\nd\tyes\ne\tno\nf\tyes\n"},
    {"n.tsv", "classify", "a\t3\nb\t1\nc\t1\nd\t0\ne\t3\nf\t0\n"},
    {"r.tsv", "regress", "a\t0.5\nb\t1\nc\t2\nd\t3\ne\t4\nf\t5\n"},
};

static void read_twice(const pare_dataset *set, const char *path)
{
    int32_t prediction[EXAMPLES], again[EXAMPLES];
    double score[EXAMPLES], score_again[EXAMPLES];
    char *text = NULL;
    size_t size;
    if (!fuzz_read(pare_submission_read(path, set, prediction, score)))
        return;
    fuzz_check(pare_submission_text(set, prediction, score, &text, &size) == PARE_OK);
    fuzz_check(pare_submission_read(fuzz_file("again.tsv", text, size), set, again,
                                    score_again) == PARE_OK);
    for (int i = 0; set->n_labels > 0 && i < EXAMPLES; i++)
        fuzz_check(prediction[i] >= 0 && prediction[i] < set->n_labels &&
                   prediction[i] == again[i]);
    pare_free(text);
}

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size < 1)
        return;
    const int which = bytes[0] % 3;
    const char *text = kinds[which].text;
    pare_dataset *set = NULL;
    const pare_data_options options = {.task = kinds[which].task, .split = "dev",
                                       .data = fuzz_file(kinds[which].file, text, strlen(text)),
                                       .text_column = "0", .label_column = "1"};
    fuzz_check(pare_dataset_read(&options, &set) == PARE_OK && set->n == EXAMPLES);
    read_twice(set, fuzz_file("predictions.tsv", bytes + 1, size - 1));
    pare_dataset_free(set);
}
