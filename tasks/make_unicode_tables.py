#!/usr/bin/env python3
"""Makes unicode_tables.h: what BERT's reference tokenizer thinks of every code point.

    pip install tokenizers==0.23.3
    python3 tasks/make_unicode_tables.py > tasks/unicode_tables.h
    python3 tasks/make_unicode_tables.py --vectors      the numbers in tests/test_tokenizer.c

The reference mixes Unicode versions: its categories are of about version 8, its decompositions of
9, its lower case of the compiler that built it. So nothing is taken from a Unicode database here:
each of the reference's own steps is asked about each code point, and the answers are written down
as ranges. The one database used is Python's frozen copy of Unicode 3.2, to know code points that
will never gain a decomposition: they may be bridged to join ranges.
"""
import sys
import unicodedata
import zlib

from tokenizers import __version__, normalizers, pre_tokenizers

DROPPED, SPACE, CJK, ACCENT, PUNCTUATION, COMPOSED = 1, 2, 4, 8, 16, 32
POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def bert(*steps):
    """The reference's normalizer with these steps alone."""
    known = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
    return normalizers.BertNormalizer(**{step: step in steps for step in known}).normalize_str


CLEAN, CHINESE, STRIP, LOWER = map(
    bert, ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"))
NFD = normalizers.NFD().normalize_str
WORDS = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def one_of(answer, *choices):
    """Which of the choices the answer is; anything else means the reference has changed."""
    assert answer in choices, (answer, choices)
    return choices.index(answer)


def flags_of(point):
    """Flags of one code point, each by asking one step of the reference."""
    c = chr(point)
    decomposed = NFD(c)
    flags = (0, DROPPED, SPACE)[one_of(CLEAN(f"a{c}b"), f"a{c}b", "ab", "a b")]
    flags |= (0, CJK)[one_of(CHINESE(c), c, f" {c} ")]
    flags |= ACCENT if STRIP(c) == "" else 0
    words = one_of([w for w, _ in WORDS(f"a{c}b")], [f"a{c}b"], ["a", c, "b"], ["a", "b"])
    flags |= (0, PUNCTUATION, SPACE)[words]
    # U+0345 has the highest combining class: whatever moves before it has a class of its own.
    moves = NFD(f"a\u0345{c}") != f"a\u0345{decomposed}" or c == "\u0345"
    flags |= COMPOSED if moves or decomposed != c else 0
    # A text never grows: not more code points come out than bytes went in (words.c relies on it).
    kept = [x for x in decomposed if STRIP(x) != ""]
    assert len(kept) + (2 if flags & CJK else 0) <= len(c.encode())
    return flags


def bridged(flags):
    """COMPOSED set also where it can never matter, so that neighbouring ranges join."""
    old = unicodedata.ucd_3_2_0
    out = dict(flags)
    last = None
    for c in POINTS:
        if flags[c] & COMPOSED:
            if last is not None and all(
                    flags.get(b) == flags[c] & ~COMPOSED and old.category(chr(b)) != "Cn"
                    for b in range(last + 1, c)) and flags[last] == flags[c]:
                for b in range(last + 1, c):
                    out[b] = flags[c]
            last = c
    return out


def ranges(flags):
    """[(first, last, flags)] of all code points beyond ASCII that have any."""
    out = []
    for c in POINTS[128:]:
        if not flags[c]:
            continue
        if out and out[-1][1] == c - 1 and out[-1][2] == flags[c]:
            out[-1][1] = c
        else:
            out.append([c, c, flags[c]])
    return out


def lower_ranges(flags):
    """[(first, last, step, delta)]: every step-th code point has its lower case delta away."""
    out = []
    for c in POINTS[128:]:
        low = LOWER(chr(c))
        if low == chr(c):
            continue
        assert len(low) == 1 or (c == 0x130 and low == "i\u0307"), hex(c)
        # Upper and lower case are words' parts alike, so that splitting may come first or last.
        assert not flags[c] & ~COMPOSED and not flags[ord(low[0])] & ~COMPOSED, hex(c)
        delta = ord(low[0]) - c
        if out:
            first, last, step, d = out[-1]
            if d == delta and c - last in (1, 2) and (first == last or c - last == step):
                out[-1] = [first, c, c - last, d]
                continue
        out.append([c, c, 1, delta])
    return out


def rows(items, width=100):
    """Items of a C table, as many a line as fit."""
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > width:
            yield line
            line = "   "
        line += " " + item + ","
    yield line


def vectors():
    """CRC-32 over the words (each with a newline) of one text a character, under each rule."""
    points = [c for c in POINTS if c < 0x30000 or 0xE0000 <= c < 0xE0200 or c % 251 == 0]
    for rules in range(8):
        names = ("lowercase", "strip_accents", "handle_chinese_chars")
        normalize = bert("clean_text", *(name for i, name in enumerate(names) if rules >> i & 1))
        crc = 0
        for point in points:
            c = chr(point)
            text = f"A{c}\u302e{c}\u0301\U0001d165\u0327{c}B"
            words = "".join(word + "\n" for word, _ in WORDS(normalize(text)))
            crc = zlib.crc32(words.encode(), crc)
        print(f"0x{crc:08x}", end=",\n" if rules == 7 else ", ")


def main():
    flags = {c: flags_of(c) for c in POINTS}
    # Syllables are decomposed by arithmetic: they are one range whatever they are made of.
    assert all(flags[c] == COMPOSED for c in range(0xAC00, 0xD7A4))
    lower = lower_ranges(flags)
    table = ranges(bridged(flags))
    print(f"""\
/* unicode_tables.h: what BERT's reference tokenizer thinks of every code point.
 *
 * Made by make_unicode_tables.py from tokenizers {__version__}. For unicode.c only. */
#ifndef PARE_TASKS_UNICODE_TABLES_H
#define PARE_TASKS_UNICODE_TABLES_H

/* Flags of ASCII; unicode.h names them. */
static const unsigned char ascii_flags[128] = {{""")
    print("\n".join(rows([str(flags[c]) for c in range(128)])))
    print(f"""\
}};

/* Flags beyond ASCII, by ascending ranges; code points between them have none. */
static const struct flag_range {{
    uint32_t first, last;
    unsigned char flags;
}} flag_ranges[] = {{""")
    print("\n".join(rows([f"{{0x{a:x}, 0x{b:x}, {f}}}" for a, b, f in table])))
    print(f"""\
}};

/* Lower case beyond ASCII: every step-th code point of a range is delta away from its lower case.
 * U+0130 becomes i and U+0307; unicode.c adds the second. */
static const struct lower_range {{
    uint32_t first, last;
    unsigned char step;
    int32_t delta;
}} lower_ranges[] = {{""")
    print("\n".join(rows([f"{{0x{a:x}, 0x{b:x}, {s}, {d}}}" for a, b, s, d in lower])))
    print("};\n\n#endif")
    print(f"{len(table)} ranges of flags, {len(lower)} of lower case", file=sys.stderr)


if __name__ == "__main__":
    vectors() if sys.argv[1:] == ["--vectors"] else main()
