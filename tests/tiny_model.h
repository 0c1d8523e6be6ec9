/* tests/tiny_model.h: a model of a few thousand weights and a corpus that it can learn, for tests
 * that train or time.
 *
 *   make_tiny_corpus(home, 160, 40);             home/SST-2/train.tsv and dev.tsv
 *   make_tiny_model(home, path, 2, 0, 300);      two layers, no head, 300 tokens */
#ifndef PARE_TESTS_TINY_MODEL_H
#define PARE_TESTS_TINY_MODEL_H

#include "tests/harness.h"

#include "models/model.h"
#include "tasks/demo_corpus.h"
#include "tasks/tokenizer.h"
#include "tasks/vocabulary_trainer.h"

enum { TINY_POSITIONS = 64 };

TEST_UNUSED static void make_tiny_corpus(const char *home, int64_t n_train, int64_t n_dev)
{
    char corpus[TEST_PATH];
    test_path(corpus, home, "SST-2");
    assert_ok(pare_demo_corpus_write(corpus, n_train, n_dev, 5));
}

/* Learns a vocabulary of `tokens` WordPieces from the corpus. spec->text is pare_free's. */
TEST_UNUSED static void learn_tiny_vocabulary(const char *home, int64_t tokens,
                                              pare_vocabulary_spec *spec)
{
    char path[TEST_PATH];
    test_path(path, home, "SST-2/train.tsv");
    char *text = test_file_read(path, NULL);
    *spec = (pare_vocabulary_spec){.do_lower_case = true, .strip_accents = -1,
                                   .tokenize_chinese_chars = true};
    assert_ok(pare_vocabulary_train(spec, (const char *const[]){text}, 1, tokens, &spec->text));
    free(text);
}

/* A model file; n_labels 0: without a head. */
TEST_UNUSED static void make_tiny_model(const char *home, const char *path, int64_t layers,
                                        int64_t n_labels, int64_t tokens)
{
    pare_vocabulary_spec spec;
    pare_tokenizer *tokenizer = NULL;
    pare_model *model = NULL;
    learn_tiny_vocabulary(home, tokens, &spec);
    assert_ok(pare_tokenizer_new(&spec, &tokenizer));
    const pare_config config = {.vocab_size = pare_tokenizer_vocabulary_size(tokenizer),
                                .hidden_size = 24, .num_hidden_layers = layers,
                                .num_attention_heads = 3, .intermediate_size = 50,
                                .max_position_embeddings = TINY_POSITIONS, .type_vocab_size = 2,
                                .hidden_act = PARE_ACT_GELU, .hidden_dropout_prob = 0.1,
                                .attention_probs_dropout_prob = 0.1, .classifier_dropout = -1,
                                .layer_norm_eps = 1e-12, .initializer_range = 0.05};
    assert_ok(pare_model_new(&config, true, n_labels, &model));
    pare_model_initialize(model, 7);
    assert_ok(pare_model_set_vocabulary(model, &spec));
    if (n_labels > 0)
        assert_ok(pare_model_set_labels(model, "SST-2", NULL, n_labels));
    assert_ok(pare_model_save(model, path));
    pare_model_free(model);
    pare_tokenizer_free(tokenizer);
    pare_free(spec.text);
}

#endif
