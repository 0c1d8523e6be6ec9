/* test_options.c: the option table, the command line, config files, help pages. */
#include "harness.h"

#include "cli/config_file.h"
#include "cli/help.h"
#include "cli/options.h"

static pare_status parse(pare_options *options, const char *command, int argc, const char **argv)
{
    char *arguments[32];
    assert_ok(pare_options_init(options, pare_command_find(command)));
    for (int i = 0; i < argc; i++)
        arguments[i] = (char *)(uintptr_t)argv[i];
    return pare_options_parse(options, argc, arguments);
}

/* Parses the arguments of a command into `options`. */
#define PARSE(options, command, ...)                                                               \
    parse((options), (command), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),            \
          (const char *[]){__VA_ARGS__})

static void expect_usage(pare_status status, const char *message, const char *hint)
{
    assert_int_equal(status, PARE_USAGE);
    assert_message_has(message);
    if (!strstr(pare_error_hint(), hint))
        fail_msg("hint \"%s\" does not hold \"%s\"", pare_error_hint(), hint);
}

/* ---- The table ---- */

static void test_every_default_is_in_its_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < pare_option_count; i++) {
        const pare_option *row = &pare_option_table[i];
        if (row->kind == PARE_OPTION_GROUP)
            continue;
        if (pare_option_set(NULL, row, row->otherwise, PARE_GIVEN_DEFAULT, row->name) != PARE_OK)
            fail_msg("%s", pare_error_message());
        assert_true(row->commands != 0);
        assert_true(row->help[0] != '\0');
        bool number = row->kind == PARE_OPTION_INT || row->kind == PARE_OPTION_REAL;
        assert_int_equal(number, strstr(row->range, "..") != NULL);
    }
}

static void test_no_command_has_two_rows_of_a_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < pare_option_count; i++)
        for (size_t j = i + 1; j < pare_option_count; j++)
            if (strcmp(pare_option_table[i].name, pare_option_table[j].name) == 0)
                assert_int_equal(pare_option_table[i].commands & pare_option_table[j].commands, 0);
}

static void test_training_defaults_are_the_documented_ones(void **state)
{
    (void)state;
    pare_options options;
    pare_train_options t;
    assert_ok(pare_options_init(&options, pare_command_find("finetune")));
    pare_options_train(&options, &t);
    assert_true(t.epochs == 3 && t.learning_rate == 2e-5 && t.warmup_ratio == 0.1);
    assert_true(t.weight_decay == 0.01 && t.max_grad_norm == 1.0 && t.dropout < 0);
    assert_int_equal(t.batch_size, 32);
    assert_int_equal(t.eval_batch_size, 64);
    assert_int_equal(t.max_seq_length, 0);
    assert_int_equal(t.seed, 1);
    assert_int_equal(t.save_steps, 1000);
    assert_int_equal(t.keep, 2);
    assert_int_equal(t.grad_accumulation, 1);
    assert_true(t.shuffle && !t.resume && !t.strict);
    assert_string_equal(t.optimizer, "adamw");
    assert_string_equal(t.precision, "fp32");
    assert_string_equal(t.freeze, "");
    assert_null(t.model);
    pare_options_free(&options);
}

/* ---- The command line ---- */

static void test_forms_of_an_option(void **state)
{
    (void)state;
    pare_options o;
    assert_ok(PARSE(&o, "finetune", "--seed", "7", "--batch-size=16", "--no-shuffle", "-qv",
                    "--max_steps", "9", "--seed", "8", "--strict=true", "--learning-rate", "1e-3"));
    assert_int_equal(o.seed, 8); /* the last one wins */
    assert_int_equal(o.batch_size, 16);
    assert_int_equal(o.max_steps, 9);
    assert_true(!o.shuffle && o.quiet && o.verbose && o.strict && o.learning_rate == 1e-3);
    assert_int_equal(o.given.seed, PARE_GIVEN_LINE);
    assert_int_equal(o.given.epochs, PARE_GIVEN_DEFAULT);
    pare_options_free(&o);
    assert_ok(PARSE(&o, "import", "--json", "a", "--", "--odd"));
    assert_int_equal(o.n_operands, 2);
    assert_string_equal(o.operands[1], "--odd");
    pare_options_free(&o);
    assert_ok(PARSE(&o, "import", "--help", "--bogus"));
    assert_true(o.help);
    pare_options_free(&o);
}

static void test_numbers_are_read_whole_and_in_range(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"--batch-size", "0", "0 is not from 1 to 65536"},
        {"--batch-size", "-1", "-1 is not from 1 to 65536"},
        {"--batch-size", "65537", "65537 is not from 1 to 65536"},
        {"--batch-size", "3x", "\"3x\" is not a whole number"},
        {"--batch-size", " 3", "not a whole number"},
        {"--batch-size", "+3", "not a whole number"},
        {"--batch-size", "1e3", "not a whole number"},
        {"--batch-size", "0x10", "not a whole number"},
        {"--seed", "9223372036854775808", "9223372036854775808 is not from 0 to"},
        {"--seed", "-9223372036854775809", "is not from 0 to"},
        {"--max-seq-length", "2", "2 is not from 3 to"},
        {"--learning-rate", "nan", "\"nan\" is not a number"},
        {"--learning-rate", "inf", "not a number"},
        {"--learning-rate", "0x1p3", "not a number"},
        {"--learning-rate", "1e", "not a number"},
        {"--learning-rate", "1e999", "is not from 0 to"},
        {"--warmup-ratio", "1.5", "1.5 is not from 0 to 1"},
        {"--dropout", "-0.1", "-0.1 is not from 0 to 0.99"},
        {"--epochs", "0", "0 is not from"},
        {"--optimizer", "sgd", "\"sgd\" is not one of adamw|bert"},
        {"--optimizer", "adam", "is not one of"},
        {"--shuffle=perhaps", "", "\"perhaps\" is neither true nor false"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pare_options o;
        expect_usage(PARSE(&o, "finetune", bad[i][0], bad[i][1]), bad[i][2], "");
        assert_message_has("--");
        pare_options_free(&o);
    }
}

static void test_errors_name_the_option_and_the_next_step(void **state)
{
    (void)state;
    pare_options o;
    expect_usage(PARSE(&o, "finetune", "--epoch", "3"), "--epoch of pare finetune", "--epochs");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "--lr", "3"), "--lr", "--learning-rate");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "--num_train_epochs=3"), "unknown", "--epochs");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "--zzz"), "unknown option --zzz", "--help lists");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "--split", "dev"), "not an option of pare finetune",
                 "pare evaluate");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "--model"), "--model needs a value", "M.h5");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "--model", "--task"), "--model needs a value", "");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "--model", ""), "--model: its value is empty", "");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "-x"), "-x", "-h, -q and -v");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "-q\xc3\xa9v"), "unknown option -\xc3\xa9 in",
                 "-h, -q and -v");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "finetune", "extra"), "\"extra\"", "--help");
    pare_options_free(&o);
    expect_usage(PARSE(&o, "import", "one"), "DIR OUT.h5", "pare import DIR OUT.h5");
    pare_options_free(&o);
}

static void test_nearest_names(void **state)
{
    (void)state;
    assert_int_equal(pare_name_unlikeness("epohcs", 6, "epochs"), 1); /* two letters swapped */
    assert_int_equal(pare_name_unlikeness("max-steps", 9, "max_steps"), 0);
    assert_int_equal(pare_name_unlikeness("sed", 3, "seed"), 1);
    assert_int_equal(pare_name_unlikeness("threads", 7, "epochs"), -1);
    assert_int_equal(pare_name_unlikeness("", 0, "epochs"), -1);
    assert_true(pare_name_unlikeness("lr", 2, "learning_rate") > 0);
    const pare_command *finetune = pare_command_find("finetune");
    assert_string_equal(pare_option_nearest("batchsize", 9, finetune, false)->name, "batch_size");
    assert_null(pare_option_nearest("wombat", 6, finetune, false));
}

/* ---- Config files ---- */

static char folder[TEST_PATH];

static const char *config_with(const char *text, size_t n)
{
    static char path[TEST_PATH];
    test_path(path, folder, "c.ini");
    test_file_write(path, text, n);
    return path;
}

static pare_status parse_config(pare_options *o, const char *command, const char *text)
{
    const char *arguments[] = {"--config", config_with(text, strlen(text)), "an operand"};
    return parse(o, command, pare_command_find(command)->fewest > 0 ? 3 : 2, arguments);
}

static void test_the_command_line_wins_over_the_file(void **state)
{
    (void)state;
    pare_options o;
    const char *text = "\xef\xbb\xbf# a comment\r\n[training]\r\nseed = 5 ; more\r\n"
                       "  batch-size: 8\r\nshuffle=no\nfreeze = \"0\\x2C1\"\n\n[other]\n"
                       "epochs = 2\ndropout =";
    assert_ok(PARSE(&o, "finetune", "--seed", "6", "--config", config_with(text, strlen(text))));
    assert_int_equal(o.seed, 6);
    assert_int_equal(o.batch_size, 8);
    assert_true(!o.shuffle && o.epochs == 2 && o.dropout < 0);
    assert_string_equal(o.freeze, "0,1");
    assert_int_equal(o.given.batch_size, PARE_GIVEN_CONFIG);
    assert_int_equal(o.given.seed, PARE_GIVEN_LINE);
    pare_options_free(&o);
}

static void test_errors_of_a_file_name_its_line(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"\n\nbatch_sise = 3\n", "c.ini:3: unknown key \"batch_sise\"", "batch_size"},
        {"seed = 1\nseed = 1\n", "c.ini:2: seed is set twice, first in line 1", ""},
        {"seed = 1\n[x]\nseed = 2\n", "c.ini:3: seed is set twice", ""},
        {"batch_size = 0\n", "c.ini:1: batch_size: 0 is not from 1 to 65536", ""},
        {"batch_size =\n", "c.ini:1: batch_size: \"\" is not a whole number", ""},
        {"# c\nnonsense\nseed = 2x", "c.ini:2: neither key = value nor [section]", ""},
        {"seed = 2x\nnonsense\n", "c.ini:1: seed: \"2x\"", ""},
        {"[open\n", "c.ini:1: neither", ""},
        {"resume = true\n", "c.ini:1: resume cannot be set in a config file", "--resume"},
        {"data = \"a\n", "c.ini:1: \"a is no quoted text", "\\x3b"},
        {"data = \"a\" b\n", "c.ini:1: \"a\" b is no quoted text", ""},
        {"data = \"\\q\"\n", "c.ini:1: ", ""},
        {"data = \"\\x00\"\n", "c.ini:1: ", ""},
        {"split = never\n", "c.ini:1: split: \"never\" is not one of dev|train", ""},
        {"= 3\n", "c.ini:1: unknown key \"\"", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pare_options o;
        expect_usage(parse_config(&o, "finetune", bad[i][0]), bad[i][1], bad[i][2]);
        pare_options_free(&o);
    }
}

static void test_files_that_are_none(void **state)
{
    (void)state;
    pare_options o;
    assert_status(PARSE(&o, "finetune", "--config", config_with("seed = 1\0\n", 10)), PARE_INPUT);
    pare_options_free(&o);
    assert_status(PARSE(&o, "finetune", "--config", "/no/such/file.ini"), PARE_IO);
    assert_message_has("/no/such/file.ini");
    pare_options_free(&o);
    char *text = malloc(100001);
    assert_non_null(text);
    memset(text, 'x', 100000);
    memcpy(text, "model = ", 8);
    assert_status(PARSE(&o, "finetune", "--config", config_with(text, 100000)), PARE_USAGE);
    pare_options_free(&o);
    text[0] = '#'; /* a comment may have any length */
    assert_ok(PARSE(&o, "finetune", "--config", config_with(text, 100000)));
    pare_options_free(&o);
    free(text);
}

static void test_one_file_serves_two_commands(void **state)
{
    (void)state;
    pare_options o;
    const char *text = "model = a\noutput = runs/x\nlearning_rate = 1e-4\nsplit = train\n";
    assert_ok(parse_config(&o, "evaluate", text));
    assert_string_equal(o.model, "a");
    assert_string_equal(o.split, "train");
    assert_null(o.output); /* finetune's: a run folder is no place for evaluate's result */
    pare_options_free(&o);
    expect_usage(parse_config(&o, "evaluate", "learning_rate = x\n"), "c.ini:1: learning_rate", "");
    pare_options_free(&o);
}

/* Writes the options, reads them back, writes them again: the same text. */
static void expect_round_trip(const pare_options *o)
{
    pare_text first = {0}, second = {0};
    pare_options again;
    pare_options_write(o, &first);
    assert_ok(pare_text_status(&first));
    assert_ok(parse_config(&again, o->command->name, first.bytes));
    pare_options_write(&again, &second);
    assert_string_equal(first.bytes, second.bytes);
    if (o->model)
        assert_string_equal(o->model, again.model);
    assert_true(o->learning_rate == again.learning_rate && o->dropout == again.dropout);
    pare_text_free(&first);
    pare_text_free(&second);
    pare_options_free(&again);
}

static void test_lists_grow(void **state)
{
    (void)state;
    pare_options o;
    assert_ok(PARSE(&o, "sweep", "--grid", "seed=1", "--grid=epochs=2,3", "--grid", "dropout=0"));
    assert_string_equal(o.grid, "seed=1\nepochs=2,3\ndropout=0");
    expect_round_trip(&o);
    pare_text text = {0};
    pare_options again;
    pare_options_write(&o, &text);
    assert_ok(parse_config(&again, "sweep", text.bytes));
    assert_string_equal(again.grid, o.grid);
    pare_text_free(&text);
    pare_options_free(&again);
    pare_options_free(&o);
}

/* A sweep takes what its runs take, but for what each has its own of. */
static void test_sweep_takes_what_finetune_takes(void **state)
{
    (void)state;
    const pare_command *finetune = pare_command_find("finetune");
    const pare_command *sweep = pare_command_find("sweep");
    for (size_t i = 0; i < pare_option_count; i++) {
        const pare_option *row = &pare_option_table[i];
        if (row->kind == PARE_OPTION_GROUP || !(row->commands & PARE_COMMAND_BIT(finetune)))
            continue;
        const pare_option *same = pare_option_find(row->name, strlen(row->name), sweep);
        if (strcmp(row->name, "resume") == 0 || strcmp(row->name, "overwrite") == 0)
            assert_null(same);
        else
            assert_true(same && same->offset == row->offset);
        assert_int_equal(same == row, strcmp(row->name, "output") != 0 &&
                                          strcmp(row->name, "dry_run") != 0 && same != NULL);
    }
}

static void test_written_options_read_back(void **state)
{
    (void)state;
    static const char *const models[] = {
        "plain.h5", " blanks ", "a;b", "a ;b", "\"quoted\"", "back\\slash", "\"", "#x", ";x", "[x]",
        "new\nline\ttab\x7f", "k=v:w", "na\xc3\xafve \xff", "a\"b", "\\x3b"};
    static const char *const rates[] = {"0.1", "2e-5", "0.30000000000000004", "1e-300", "0",
                                        "1.7976931348623157e29"};
    pare_options o;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        assert_ok(PARSE(&o, "finetune", "--model", models[i], "--learning-rate", rates[i % 6],
                        "--seed", "9223372036854775807", "--no-shuffle", "--dropout", "0"));
        expect_round_trip(&o);
        pare_options_free(&o);
    }
    for (int c = 0; c < PARE_COMMAND_COUNT; c++) {
        assert_ok(pare_options_init(&o, &pare_command_table[c]));
        if (pare_option_find("config", 6, o.command))
            expect_round_trip(&o);
        pare_options_free(&o);
    }
}

/* ---- Help ---- */

static void expect_narrow(const pare_text *page, const char *what)
{
    assert_ok(pare_text_status(page));
    for (const char *line = page->bytes; *line; line += strcspn(line, "\n"), line += *line != 0)
        if (strcspn(line, "\n") > 80)
            fail_msg("%s: %.*s", what, (int)strcspn(line, "\n"), line);
}

static void test_help_fits_80_columns(void **state)
{
    (void)state;
    pare_text page = {0};
    pare_help_program(&page);
    expect_narrow(&page, "pare --help");
    for (int c = 0; c < PARE_COMMAND_COUNT; c++) {
        const pare_command *command = &pare_command_table[c];
        assert_non_null(strstr(page.bytes, command->name));
        pare_text one = {0};
        pare_help_command(command, &one);
        expect_narrow(&one, command->name);
        for (size_t i = 0; i < pare_option_count; i++) {
            char shown[PARE_OPTION_SHOWN];
            const pare_option *row = &pare_option_table[i];
            if (row->commands & PARE_COMMAND_BIT(command))
                assert_non_null(strstr(one.bytes, pare_option_shown(row, shown) + 2));
        }
        pare_text_free(&one);
    }
    pare_text_free(&page);
}

/* The defaults of what a command does not take are not those of another command. */
static void test_options_that_a_command_does_not_take(void **state)
{
    (void)state;
    static const char *const without[] = {"import", "export", "inspect", "verify"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        pare_options o;
        assert_ok(pare_options_init(&o, pare_command_find(without[i])));
        assert_int_equal(o.threads, 0);
        pare_options_free(&o);
    }
}

static int make_folder(void **state)
{
    (void)state;
    test_dir_make(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_default_is_in_its_range),
        cmocka_unit_test(test_no_command_has_two_rows_of_a_name),
        cmocka_unit_test(test_training_defaults_are_the_documented_ones),
        cmocka_unit_test(test_options_that_a_command_does_not_take),
        cmocka_unit_test(test_forms_of_an_option),
        cmocka_unit_test(test_numbers_are_read_whole_and_in_range),
        cmocka_unit_test(test_errors_name_the_option_and_the_next_step),
        cmocka_unit_test(test_nearest_names),
        cmocka_unit_test(test_the_command_line_wins_over_the_file),
        cmocka_unit_test(test_errors_of_a_file_name_its_line),
        cmocka_unit_test(test_files_that_are_none),
        cmocka_unit_test(test_one_file_serves_two_commands),
        cmocka_unit_test(test_lists_grow),
        cmocka_unit_test(test_sweep_takes_what_finetune_takes),
        cmocka_unit_test(test_written_options_read_back),
        cmocka_unit_test(test_help_fits_80_columns),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
