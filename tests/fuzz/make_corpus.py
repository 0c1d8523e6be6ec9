#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets, tests/fuzz/corpus/NAME/seed-*, out of tests/data.

    python3 tests/fuzz/make_corpus.py

What fuzzing found beside them bears other names. Needs nothing but Python.
"""
import pathlib
import struct
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS, HF = ROOT / "tests/fuzz/corpus", ROOT / "tests/data/hf"


def put(target, name, data):
    """One input of a target."""
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("seed-" + name)).write_bytes(data.encode() if isinstance(data, str) else data)


def weights():
    entry = '"%s":{"dtype":"%s","shape":%s,"data_offsets":%s}'
    types = "{" + ",".join([
        entry % ("a", "F64", "[2]", "[0,16]"), entry % ("b", "F16", "[1,4]", "[16,24]"),
        entry % ("c", "BF16", "[2,2]", "[24,32]"), entry % ("d", "F32", "[1]", "[32,36]"),
        entry % ("e", "I64", "[1,1,1]", "[36,44]"), '"__metadata__":{"format":"pt"}']) + "}"
    put("safetensors", "types", struct.pack("<Q", len(types)) + types.encode() + bytes(44))
    put("safetensors", "tiny", (HF / "tiny/model.safetensors").read_bytes())
    for path in sorted((HF / "hostile").glob("*.bin")):
        if path.stem in ("bomb", "crc", "views", "twice", "entry-twice", "overlap", "two-sizes"):
            put("zip", path.stem, path.read_bytes())
            put("torch", path.stem, path.read_bytes())
        if zipfile.is_zipfile(path) and path.stem in (
                "views", "twice", "reduce", "stack-global", "inst", "huge-stride", "outside",
                "ordered-dict", "list", "memo", "call-storage"):
            with zipfile.ZipFile(path) as archive:
                pickles = [n for n in archive.namelist() if n.endswith("data.pkl")]
                put("pickle", path.stem, archive.read(pickles[0]))
    for name in ("deflated", "half"):
        put("zip", name, (HF / "bin" / (name + ".bin")).read_bytes())
    put("torch", "deflated", (HF / "bin/deflated.bin").read_bytes())
    for name in ("protocol5", "parameters", "strided"):
        with zipfile.ZipFile(HF / "bin" / (name + ".bin")) as archive:
            pickles = [n for n in archive.namelist() if n.endswith("data.pkl")]
            put("pickle", name, archive.read(pickles[0]))


def runs():
    def state(*counters):
        types = "qqdqqqqqdd"  # as in tasks/checkpoint.h
        return struct.pack("<" + types, *counters, *[0] * (len(types) - len(counters)))
    put("state", "begun", state())
    put("state", "later", state(40, 20, 0.5, 1, 40, 1280, 9000, 0, 1.5, 2.5) +
        b'{"seed":1,"task":"MRPC","learning_rate":2e-5}')
    put("state", "below", state(-3))
    put("state", "skipped", state(3, 0, 0, 0, 0, 0, 0, 4))
    put("state", "other", state(4) + b'{"seed":2,"task":null}')
    put("grid", "rates", "learning-rate=2e-5,3e-5\n1,2,3\n")
    put("grid", "layers", "drop-layers=none,top:1,list:0\nwarmup-ratio=0,0.1")
    put("grid", "twice", "dropout=0,0\nseed=1,2\n1,1")


def tensorflow():
    def whole(index, data):
        return struct.pack("<H", len(index)) + index + data
    tf = HF / "tf"
    data = (tf / "bert_model.ckpt.data-00000-of-00001").read_bytes()
    put("tf", "plain", whole((tf / "bert_model.ckpt.index").read_bytes(), data))
    put("tf", "snappy", whole((tf / "snappy.index").read_bytes(), b""))
    put("snappy", "literal", b"\x05\x10hello")
    put("snappy", "copies", b"\x14\x0cabcd\x05\x04\x0a\x04\x00\x0b\x04\x00\x00\x00")
    put("snappy", "long", b"\x80\x02\xf0\x3f" + bytes(range(64)) + b"\xfe\x01\x00" * 3)


def stores():
    for path in sorted((ROOT / "tests/data/stores").glob("*.h5")):
        if path.stat().st_size < 3000 and path.stem not in ("no-hdf5", "broken-metadata"):
            put("store", path.stem, path.read_bytes()[512:])


    # store/model-tiny is tests/data/hf/tiny by pare import, without its first 512 bytes.
    put("model", "config", '\0{"model_type":"bert","vocab_size":9,"hidden_size":4,'
        '"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":6,'
        '"max_position_embeddings":8,"layers":[{}],"hidden_act":"gelu_new"}')
    put("model", "ranks", '\0{"model_type":"bert","vocab_size":9,"hidden_size":4,'
        '"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":6,'
        '"max_position_embeddings":8,"gated":true,"layers":[{"ranks":{"query":2}}]}')
    put("model", "tokens", "\1[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n\u00e9\n")
    put("model", "labels", '\2["no","yes","\\u00e9"]')
    put("model", "task", "\3regress")
    put("model", "history", '\4[{"command":"import"},[],1]')


def vocabularies():
    tiny = HF / "tiny"
    put("vocabulary", "txt", b"\0" + (tiny / "vocab.txt").read_bytes()[:400])
    put("vocabulary", "all", "\0[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n\u00e9\n##\u4e2d \r\n")
    put("vocabulary", "json", b"\1" + (tiny / "tokenizer.json").read_bytes())
    put("vocabulary", "small", '\1{"normalizer":{"type":"BertNormalizer","lowercase":false,'
        '"strip_accents":null,"handle_chinese_chars":true},"model":{"type":"WordPiece","vocab":'
        '{"[UNK]":0,"[CLS]":1,"[SEP]":2,"a":5,"b\\n":7}}}')
    put("vocabulary", "config", '\2{"do_lower_case":false,"strip_accents":true,'
        '"tokenize_chinese_chars":false,"tokenizer_class":"BertTokenizer"}')
    put("tokenizer", "plain", b"\x09\x00The abc, being ab!  1")
    put("tokenizer", "pair", b"\x09\x08the abc ing the a\tb b b b. abs")
    put("tokenizer", "unicode", b"\x0d\x00" + "\u00c9e\u0301 \u4e2d\u6587\u3000\ud55c \u0130 \ufdfa"
        "\u200d\ufeff\u0000 \u1e9e\U0001d7d8".encode() + b"\xff\xc3\xed\xa0\x80")
    put("tokenizer", "cased", b"\x00\x05ABC abc \xcc\x81\xcc\x81 ...")


def tables():
    put("table", "tsv", b"\0text\tlabel\nA film.\t1\n\n\xff\xfe x\t0\r\n")
    put("table", "csv", b'\1label,text\n1,"a ""b""\n c",3\n"open')
    put("table", "jsonl", b'\2{"text":"a \\u00e9\\u0000","label":1}\n{"text":3.5}\n["a"]\n{\n')
    put("table", "array", b'\5["a",2,null]\n["b",true,1e3]\n[]\n')
    put("table", "last", b"\6a\tb\tc\td\n1\t2\n-1e-5\t+.5\tnan\t0x1p3\n")
    put("table", "mark", b"\1\xef\xbb\xbftext,label\n\"a\nb\",1\n")
    head = "\t".join(["index", "genre", "filename", "year", "old_index", "source1", "source2",
                      "sentence1", "sentence2", "score\n"])
    rows = [
        "gj04\t1\t\tOur friends.\ngj04\t0\t*\tThem is.\n",
        "sentence\tlabel\nit 's fine \t1\nbad\t0\n",
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tA b.\tC d.\n1\t3\t4\tE\tF\n",
        head + "0\tg\tf\t2012\t1\ts\tt\tA plane.\tA jet.\t4.600\n",
        "index\tsentence1\tsentence2\n0\tA.\tB.\n1\tC\tD\n",
        "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnot_entailment\n",
        "x\tno\ny\tyes\nz\tno\n",
        'text,pair,label\n"a, b","c\n",1\nd,e,0\n',
        "s,t\nx,1.5\ny,nan\nz,-2e1\n",
        '{"text":"a","label":"x"}\n{"text":"b","label":2}\n{"label":1}\n',
        '["a","b",1.5]\n["c",null,2]\n["d","e","f"]\n',
        "1\t702876\t702977\n2\t10\t11\n",
    ]
    for i, text in enumerate(rows):
        put("dataset", "row-%d" % i, bytes([i]) + text.encode())
    put("submission", "names", "\0index\tprediction\n0\tno\n2\tyes\n1\tno\n5\tno\n4\tyes\n3\t1\n")
    put("submission", "numbers", "\1index\tprediction\n0\t3\n1\t1\n2\t0\n3\t0\n4\t1\n5\t2\n")
    put("submission", "scores", "\0020\t0.5\n1\t-1e3\n2\t3\n3\t2.25\n4\t1\n5\t5.000\n")


def settings():
    put("config", "tiny", (HF / "tiny/config.json").read_bytes())
    put("config", "layers", '{"model_type":"bert","hidden_size":8,"num_attention_heads":2,'
        '"num_hidden_layers":2,"intermediate_size":16,"vocab_size":9,"hidden_act":"gelu_new",'
        '"layers":[{},{"num_attention_heads":1,"ranks":{"query":2,"output":3}}]}')
    put("index", "one", '{"metadata":{},"weight_map":{"a":"part.safetensors"}}')
    put("index", "missing", '{"weight_map":{"a":"part.safetensors","b":"other.safetensors"}}')
    put("index", "outside", '{"weight_map":{"a":"../part.safetensors"}}')
    put("lines", "pairs", b"\2one\ttwo\n\nthree\t\t\x00four\r\nlast")
    put("lines", "end", b"\0a\n")
    put("json", "types", '{"a":[1,-2.5e3,1e30,true,false,null,"\\u00e9\\ud834\\udd1e\\n"],"b":{}}')
    put("json", "numbers", "[9223372036854775807,9223372036854775808,-0.0,1e-320,0.1]")
    ini = ("; a comment\n[training]\nbatch_size = 32\nlearning-rate=2e-5 ; why\n"
           'data = "my folder; 2\\t\\x41"\nseed = 7\n\n[more]\ndropout =\ntask : MRPC\n')
    for i in range(0, 18, 3):
        put("ini", "command-%d" % i, bytes([i]) + ini.encode())
    put("ini", "mark", b"\4\xef\xbb\xbf[a\nb\n  c=d\n" + b"k" * 300 + b"=1\n")
    words = "--seed\n7\n--learning-rate=2e-5\n--task\nMRPC\n-q\n--drop-layers\nlist:1+3\n1,3,11\n"
    for i in range(0, 18, 2):
        put("arguments", "command-%d" % i, bytes([i]) + words.encode())
    put("arguments", "lists", "\4--grid\na=1,2\n--grid=b=3\n--\n-x\n--no-such\n--help\n--\n")


if __name__ == "__main__":
    weights()
    tensorflow()
    runs()
    stores()
    vocabularies()
    tables()
    settings()
