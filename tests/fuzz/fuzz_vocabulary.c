/* tests/fuzz/fuzz_vocabulary.c: a vocabulary's files. The first byte says which one the rest is:
 * vocab.txt, tokenizer.json or tokenizer_config.json. What is read becomes a tokenizer. */
#include "tests/fuzz/fuzz.h"

#include "models/vocabulary.h"
#include "tasks/tokenizer.h"

#define TOKENS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n"

static void fuzz(const unsigned char *bytes, size_t size)
{
    static const char *const names[] = {"text/vocab.txt", "json/tokenizer.json",
                                        "both/tokenizer_config.json"};
    char folder[FUZZ_PATH];
    pare_vocabulary_spec spec = {0};
    pare_tokenizer *tokenizer = NULL;
    pare_encoding encoding;
    if (size < 1)
        return;
    (void)fuzz_file("both/vocab.txt", TOKENS, strlen(TOKENS));
    snprintf(folder, sizeof folder, "%s", fuzz_file(names[bytes[0] % 3], bytes + 1, size - 1));
    *strrchr(folder, '/') = '\0';
    pare_arena *arena = pare_arena_new("fuzz");
    fuzz_check(arena);
    if (fuzz_read(pare_vocabulary_read(folder, NULL, 30522, arena, &spec)) &&
        fuzz_read(pare_tokenizer_new(&spec, &tokenizer))) {
        fuzz_check(pare_tokenizer_encode(tokenizer, "ab c\xc3\xa9", 6, NULL, 0, 0, &encoding) ==
                   PARE_OK);
        pare_encoding_free(&encoding);
    }
    pare_tokenizer_free(tokenizer);
    pare_arena_free(arena);
}
