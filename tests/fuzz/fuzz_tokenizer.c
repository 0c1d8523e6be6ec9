/* tests/fuzz/fuzz_tokenizer.c: text to tokens. The first byte holds the vocabulary's switches, the
 * second the greatest length; a TAB ends the first text of a pair. */
#include "tests/fuzz/fuzz.h"

#include "tasks/tokenizer.h"

static char tokens[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\ne\n##a\n##b\n##e\nab\n##bc\n"
                       "the\n##ing\n.\n,\n!\n\xc3\xa9\n##\xc3\xa9\n\xe4\xb8\xad\n\xef\xbf\xbd\n"
                       "##s\n1\n";

static void fuzz(const unsigned char *bytes, size_t size)
{
    if (size < 2)
        return;
    const char *text = (const char *)bytes + 2;
    const char *tab = memchr(text, '\t', size - 2);
    size_t left = size - 2, length = tab ? (size_t)(tab - text) : left;
    const pare_vocabulary_spec spec = {tokens, bytes[0] & 1, (bytes[0] >> 1 & 3) % 3 - 1,
                                       bytes[0] >> 3 & 1};
    pare_tokenizer *tokenizer = NULL;
    pare_encoding out;
    fuzz_check(pare_tokenizer_new(&spec, &tokenizer) == PARE_OK);
    pare_status status = pare_tokenizer_encode(tokenizer, text, length, tab ? tab + 1 : NULL,
                                               tab ? left - length - 1 : 0, bytes[1], &out);
    fuzz_check(status == PARE_OK || (status == PARE_USAGE && bytes[1] < 4));
    if (status == PARE_OK) {
        fuzz_check(bytes[1] == 0 || out.n <= bytes[1]);
        fuzz_check(out.n <= (int64_t)left * 4 + 3);
        for (int64_t i = 0; i < out.n; i++)
            fuzz_check(out.ids[i] >= 0 && out.types[i] <= 1 &&
                       out.ids[i] < pare_tokenizer_vocabulary_size(tokenizer));
        pare_encoding_free(&out);
    }
    pare_tokenizer_free(tokenizer);
}
