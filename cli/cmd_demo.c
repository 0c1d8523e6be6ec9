/* cmd_demo.c: pare demo: from nothing to a trained model in one small folder. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/progress_line.h"
#include "core/elementary.h"
#include "core/file.h"
#include "models/model.h"
#include "tasks/demo_corpus.h"
#include "tasks/evaluate.h"
#include "tasks/vocabulary_trainer.h"

enum { N_TRAIN = 2000, N_DEV = 400, SEED = 1, MOST_TOKENS = 1000, N_QUESTIONS = 2 };

/* Neither is in the corpus; each has the opposite tone of its strongest word. */
static const char *const questions[N_QUESTIONS] = {
    "the much discussed ending is anything but dull .",
    "there is no warmth in the short romance .",
};
static const char *const label_meanings[] = {"blame", "praise"};

/* Also tells a later demo that the folder is one. */
static const char marker[] = "demo.txt";
static const char marker_text[] =
    "Made by pare demo; running it again replaces these files.\n"
    "\n"
    "corpus/train.tsv  2,000 made-up opinions to learn from, 1 praise, 0 blame\n"
    "corpus/dev.tsv    400 others to be tested on\n"
    "untrained.h5      a small BERT with random weights, and a vocabulary of the corpus\n"
    "run/              pare finetune's run folder: best.h5 is the trained model\n";

/* Paths and results; all is the arena's but the JSON. */
typedef struct demo {
    const pare_options *options;
    pare_arena *arena;
    const char *folder, *corpus, *untrained, *run, *best;
    pare_json *trained, *evaluated;
    int64_t parameters;
    int32_t majority_label;
    double majority;
    int32_t labels[N_QUESTIONS];
    double probabilities[N_QUESTIONS];
} demo;

/* ---- The folder ---- */

static pare_status count_entry(void *context, const char *name)
{
    (void)name;
    ++*(int64_t *)context;
    return PARE_OK;
}

/* Nothing of anyone else's is ever replaced: the folder is new, empty, or an earlier demo's. */
static pare_status open_folder(const demo *d)
{
    int64_t entries = 0;
    const char *path = pare_arena_printf(d->arena, "%s/%s", d->folder, marker);

    if (!path)
        return PARE_MEMORY;
    PARE_TRY(pare_make_directories(d->folder));
    PARE_TRY(pare_directory_list(d->folder, count_entry, &entries));
    if (entries > 0 && !pare_path_exists(path))
        return pare_hint(pare_fail(PARE_USAGE, "%s is not empty, and not of a demo", d->folder),
                         "name another folder with --output");
    return pare_file_replace(path, marker_text, strlen(marker_text));
}

/* The pointers must all be there. */
static pare_status name_files(demo *d)
{
    d->folder = d->options->output;
    d->corpus = pare_arena_printf(d->arena, "%s/corpus", d->folder);
    d->untrained = pare_arena_printf(d->arena, "%s/untrained.h5", d->folder);
    d->run = pare_arena_printf(d->arena, "%s/run", d->folder);
    d->best = pare_arena_printf(d->arena, "%s/run/best.h5", d->folder);
    return d->corpus && d->untrained && d->run && d->best ? PARE_OK : PARE_MEMORY;
}

/* ---- The corpus and a model for it ---- */

static pare_status read_split(const demo *d, const char *split, pare_dataset **out)
{
    const pare_data_options options = {
        .task = "SST-2", .data = d->corpus, .split = split, .strict = true};
    return pare_dataset_read(&options, out);
}

/* What always giving the same answer would score. */
static pare_status find_majority(demo *d)
{
    pare_dataset *dev = NULL;
    int64_t praise = 0;

    PARE_TRY(read_split(d, "dev", &dev));
    for (int64_t i = 0; i < dev->n; i++)
        praise += dev->examples[i].label;
    d->majority_label = 2 * praise >= dev->n;
    d->majority = (double)(d->majority_label ? praise : dev->n - praise) / (double)dev->n;
    pare_dataset_free(dev);
    return PARE_OK;
}

static pare_status learn_vocabulary(const demo *d, pare_vocabulary_spec *spec)
{
    pare_dataset *train = NULL;

    PARE_TRY(read_split(d, "train", &train));
    const char **texts = pare_arena_alloc(d->arena, (size_t)train->n * sizeof *texts);
    for (int64_t i = 0; texts && i < train->n; i++)
        texts[i] = train->examples[i].text;
    pare_status status = PARE_MEMORY;
    if (texts)
        status = pare_vocabulary_train(spec, texts, train->n, MOST_TOKENS, &spec->text);
    pare_dataset_free(train);
    return status;
}

static pare_config small_bert(const char *vocabulary)
{
    pare_config config = {
        .hidden_size = 96,
        .num_hidden_layers = 2,
        .num_attention_heads = 4,
        .intermediate_size = 192,
        .max_position_embeddings = 64,
        .type_vocab_size = 2,
        .hidden_act = PARE_ACT_GELU,
        .hidden_dropout_prob = 0.1,
        .attention_probs_dropout_prob = 0.1,
        .classifier_dropout = -1,
        .layer_norm_eps = 1e-12,
        .initializer_range = 0.02,
    };
    assert(vocabulary);
    for (const char *c = vocabulary; *c; c++)
        config.vocab_size += *c == '\n';
    return config;
}

static pare_status save_model(demo *d, const pare_vocabulary_spec *spec)
{
    const pare_config config = small_bert(spec->text);
    pare_model *model = NULL;

    PARE_TRY(pare_model_new(&config, true, 0, &model));
    pare_model_initialize(model, SEED);
    d->parameters = pare_model_parameters(model);
    pare_status status = pare_model_set_vocabulary(model, spec);
    if (status == PARE_OK)
        status = pare_model_save(model, d->untrained);
    if (status == PARE_OK)
        pare_note("a BERT of %lld layers, %lld wide, %lld WordPieces, %lld random weights: %s",
                  (long long)config.num_hidden_layers, (long long)config.hidden_size,
                  (long long)config.vocab_size, (long long)d->parameters, d->untrained);
    pare_model_free(model);
    return status;
}

static pare_status make_model(demo *d)
{
    pare_vocabulary_spec spec = {
        .do_lower_case = true, .strip_accents = -1, .tokenize_chinese_chars = true};
    pare_status status = learn_vocabulary(d, &spec);

    if (status == PARE_OK)
        status = save_model(d, &spec);
    pare_free(spec.text);
    return status;
}

/* ---- Training, by the options that a user would type ---- */

/* As pare_command_finetune, but Ctrl-C just ends the demo: there is nothing to go on with. */
static pare_status train_with(demo *d, const pare_options *options)
{
    pare_train_options train;
    pare_text config = {0};
    pare_progress_view view;
    pare_progress progress = pare_progress_view_init(&view);

    pare_options_write(options, &config);
    pare_status status = pare_text_status(&config);
    pare_options_train(options, &train);
    train.progress = &progress;
    train.config_text = config.bytes;
    if (status == PARE_OK)
        status = pare_finetune(&train, &d->trained);
    pare_progress_view_end(&view);
    pare_text_free(&config);
    return status;
}

static pare_status train(demo *d)
{
    const char *threads = pare_arena_printf(d->arena, "%lld", (long long)d->options->threads);
    const char *line[] = {"--model",  d->untrained, "--task",          "SST-2", "--data",
                          d->corpus,  "--output",   d->run,            "--overwrite",
                          "--epochs", "12",         "--learning-rate", "1e-3", "--threads",
                          threads};
    enum { N = sizeof line / sizeof *line };
    char *arguments[N];
    pare_text command = {0};
    pare_options options;

    for (int i = 0; i < N; i++) {
        arguments[i] = line[i] ? pare_arena_strdup(d->arena, line[i]) : NULL;
        if (!arguments[i])
            return PARE_MEMORY;
        pare_text_printf(&command, " %s", line[i]);
    }
    if (pare_text_status(&command) == PARE_OK)
        pare_note("training it: pare finetune%s", command.bytes);
    pare_text_free(&command);
    pare_status status = pare_options_init(&options, pare_command_find("finetune"));
    if (status == PARE_OK)
        status = pare_options_parse(&options, N, arguments);
    if (status == PARE_OK)
        status = train_with(d, &options);
    pare_options_free(&options);
    return status;
}

static pare_status evaluate(demo *d)
{
    const pare_evaluate_options options = {
        .model = d->best,
        .data = {.task = "SST-2", .data = d->corpus, .split = "dev"},
        .batch_size = 64,
    };
    return pare_evaluate(&options, NULL, &d->evaluated);
}

/* ---- Two questions ---- */

static pare_status ask_model(demo *d, const pare_model *model, const pare_tokenizer *tokenizer)
{
    pare_encoded encoded;
    real logits[N_QUESTIONS][2];

    PARE_TRY(pare_encode_texts(d->arena, tokenizer, questions, NULL, N_QUESTIONS,
                               pare_sequence_length(model, 0), &encoded));
    PARE_TRY(pare_infer(model, &encoded, N_QUESTIONS, NULL, NULL, logits[0]));
    for (int i = 0; i < N_QUESTIONS; i++) {
        d->labels[i] = logits[i][1] > logits[i][0];
        const double margin = (double)logits[i][1] - (double)logits[i][0];
        d->probabilities[i] = 1 / (1 + pare_exp(-fabs(margin)));
    }
    return PARE_OK;
}

static pare_status ask(demo *d)
{
    pare_model *model = NULL;
    pare_tokenizer *tokenizer = NULL;

    PARE_TRY(pare_model_open(d->best, &model));
    pare_status status = pare_tokenizer_new(&model->vocabulary, &tokenizer);
    if (status == PARE_OK)
        status = ask_model(d, model, tokenizer);
    pare_tokenizer_free(tokenizer);
    pare_model_free(model);
    return status;
}

/* ---- What came of it ---- */

static double accuracy(const demo *d)
{
    return pare_json_get_double(pare_json_get(d->evaluated, "metrics"), "accuracy", NAN);
}

static pare_status report_json(const demo *d)
{
    pare_json *result = pare_json_copy(d->evaluated), *answers = pare_json_new_array();

    for (int i = 0; i < N_QUESTIONS; i++) {
        pare_json *one = pare_json_new_object();
        pare_json_set_string(one, "text", questions[i]);
        pare_json_set_string(one, "label", d->labels[i] ? "1" : "0");
        pare_json_set_double(one, "probability", d->probabilities[i]);
        pare_json_append(answers, one);
    }
    pare_json_set_double(result, "majority", d->majority);
    pare_json_set_int(result, "parameters", d->parameters);
    pare_json_set_int(result, "steps", pare_json_get_int(d->trained, "steps", 0));
    pare_json_set_double(result, "train_seconds",
                         pare_json_get_double(d->trained, "train_seconds", NAN));
    pare_json_set(result, "predictions", answers);
    pare_json_set_string(result, "output", d->folder);
    return pare_out_json(result);
}

static pare_status report(const demo *d)
{
    if (d->options->json)
        return report_json(d);
    pare_out("accuracy %.4f on %d sentences that it has not seen (always \"%s\": %.4f)\n",
             accuracy(d), N_DEV, label_meanings[d->majority_label], d->majority);
    for (int i = 0; i < N_QUESTIONS; i++)
        pare_out("%s\n    %d (%s), probability %.4f\n", questions[i], d->labels[i],
                 label_meanings[d->labels[i]], d->probabilities[i]);
    PARE_TRY(pare_out_flush());
    pare_note("the files are in %s; %s/%s says what each is. Next, try", d->folder, d->folder,
              marker);
    pare_note("    pare evaluate --model %s --task SST-2 --data %s", d->best, d->corpus);
    pare_note("    echo 'the music is never dull' | pare predict --model %s", d->best);
    pare_note("    pare inspect %s", d->best);
    return PARE_OK;
}

static pare_status run(demo *d)
{
    PARE_TRY(name_files(d));
    PARE_TRY(open_folder(d));
    PARE_TRY(pare_demo_corpus_write(d->corpus, N_TRAIN, N_DEV, SEED));
    pare_note("%d made-up opinions to learn from, %d others as a test: %s", N_TRAIN, N_DEV,
              d->corpus);
    PARE_TRY(find_majority(d));
    PARE_TRY(make_model(d));
    PARE_TRY(train(d));
    PARE_TRY(evaluate(d));
    PARE_TRY(ask(d));
    return report(d);
}

pare_status pare_command_demo(const pare_options *options)
{
    demo d = {.options = options, .arena = pare_arena_new("demo")};
    pare_status status = d.arena ? run(&d) : PARE_MEMORY;

    pare_json_free(d.trained);
    pare_json_free(d.evaluated);
    pare_arena_free(d.arena);
    return status;
}
