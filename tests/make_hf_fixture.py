"""Writes tests/data/hf: a tiny BERT as Hugging Face's and PyTorch's own tools save it, and broken
files that must be refused.

  pip install torch==2.13.0 transformers==5.23.0
  python3 tests/make_hf_fixture.py tests/data/hf

tiny/               a BertForSequenceClassification (hidden 4, 1 layer, 3 labels), save_pretrained
tiny/tokenizer.json the same vocabulary as vocab.txt, with other switches
bin/*.bin           the same weights by torch.save, in the ways that it can write them
hostile/*.bin       archives with one thing wrong each; tests/test_import.c says what
"""
import io, json, os, pickle, pickletools, struct, sys, zipfile, zlib

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

out = sys.argv[1]
for folder in ("tiny", "bin", "hostile"):
    os.makedirs(f"{out}/{folder}", exist_ok=True)

# ---- The model ----
torch.manual_seed(1)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "caf\u00e9", "##s", "\u65e5"]
config = BertConfig(vocab_size=len(words), hidden_size=4, num_hidden_layers=1,
                    num_attention_heads=2, intermediate_size=6, max_position_embeddings=8,
                    id2label={0: "contra", 1: "pro", 2: "neither"},
                    label2id={"contra": 0, "pro": 1, "neither": 2},
                    hidden_act="gelu_new", classifier_dropout=0.25, layer_norm_eps=1e-7)
model = BertForSequenceClassification(config)
with torch.no_grad():
    for w in model.parameters():
        w.add_(torch.randn_like(w))
model.save_pretrained(f"{out}/tiny")
os.chmod(f"{out}/tiny/model.safetensors", 0o644)
with open(f"{out}/tiny/vocab.txt", "w", encoding="utf-8") as f:
    f.write("\n".join(words) + "\n")
BertTokenizer(vocab={w: i for i, w in enumerate(words)}, do_lower_case=False, strip_accents=True,
              tokenize_chinese_chars=False).save_pretrained(f"{out}/tiny")
with open(f"{out}/tiny/tokenizer_config.json", "w") as f:
    json.dump({"do_lower_case": True, "tokenizer_class": "BertTokenizer"}, f)

# ---- The ways of torch.save ----
state = model.state_dict()


def save(name, tensors, **options):
    torch.save(tensors, f"{out}/bin/{name}.bin", **options)


save("protocol2", state)
save("protocol5", dict(state), pickle_protocol=5)
save("half", {k: v.half() for k, v in state.items()})
save("bfloat16", {k: v.bfloat16() for k, v in state.items()})
save("double", {k: v.double() for k, v in state.items()})
save("parameters", dict(model.named_parameters()))
# every matrix the transpose of a matrix, every vector each second element of one storage
gaps = {}
for k, v in state.items():
    if v.ndim == 2:
        gaps[k] = v.t().contiguous().t()
    else:
        storage = torch.zeros(2 * v.numel() + 1)
        storage[1::2] = v
        gaps[k] = storage[1::2]
save("strided", gaps)
# what training scripts keep, and packed again by a zip tool
checkpoint = io.BytesIO()
torch.save({"state_dict": state, "epoch": 3, "loss": 0.5, "none": None}, checkpoint)
with zipfile.ZipFile(checkpoint) as z, \
        zipfile.ZipFile(f"{out}/bin/deflated.bin", "w", zipfile.ZIP_DEFLATED) as d:
    for info in z.infolist():
        d.writestr(zipfile.ZipInfo(info.filename), z.read(info), zipfile.ZIP_DEFLATED)


# ---- Broken archives: a pickle by hand, and the storages' bytes ----
def text(s):
    b = s.encode()
    return b"X" + struct.pack("<I", len(b)) + b


def number(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    b = n.to_bytes((n.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(b)]) + b


def tuple_of(*parts):
    return b"(" + b"".join(parts) + b"t"


def storage(key="0", elements=4, kind="FloatStorage"):
    return tuple_of(text("storage"), f"ctorch\n{kind}\n".encode(), text(key), text("cpu"),
                    number(elements)) + b"Q"


def tensor(shape=(4,), stride=(1,), offset=0, **options):
    return (b"ctorch._utils\n_rebuild_tensor_v2\n" +
            tuple_of(storage(**options), number(offset), tuple_of(*map(number, shape)),
                     tuple_of(*map(number, stride)), b"\x89", b"ccollections\nOrderedDict\n)R") +
            b"R")


def program(value, name="classifier.bias"):
    return b"\x80\x02}" + text(name) + value + b"s."


def archive(name, code, data=b"\0" * 16, extra=(), method=zipfile.ZIP_STORED, edit=None):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as z:
        z.writestr(zipfile.ZipInfo("a/data.pkl"), code, method)
        if data is not None:
            z.writestr(zipfile.ZipInfo("a/data/0"), data, method)
        for entry, content in extra:
            z.writestr(zipfile.ZipInfo(entry), content, method)
    raw = bytearray(raw.getvalue())
    if edit:
        edit(raw)
    with open(f"{out}/hostile/{name}.bin", "wb") as f:
        f.write(raw)


def record(raw, entry):
    """Where the directory record of an entry begins."""
    return raw.rindex(entry) - 46


def put(raw, at, form, value):
    struct.pack_into(form, raw, at, value)


good = program(tensor())
archive("reduce", program(b"cos\nsystem\n" + tuple_of(text("true")) + b"R"))
archive("stack-global", b"\x80\x04}" + text("x") + text("builtins") + text("eval") +
        b"\x93" + tuple_of(text("1")) + b"Rs.")
archive("inst", program(b"(" + text("true") + b"ios\nsystem\n"))
archive("newobj", program(b"ccollections\nOrderedDict\n)\x81"))
archive("call-storage", program(b"ctorch\nFloatStorage\n(K\x04tR"))
archive("ordered-dict", program(b"ccollections\nOrderedDict\n(K\x01tR"))
archive("protocol", b"\x80\x06" + good[2:])
archive("cut", good[:-20])
archive("empty-stack", b"\x80\x02s.")
archive("memo", program(b"h\x07"))
archive("list", b"\x80\x02].")
archive("no-tensors", b"\x80\x02}.")
archive("twice", b"\x80\x02}(" + 2 * (text("classifier.bias") + tensor()) + b"u.")
archive("huge-number", program(tensor(shape=(2**63,))))
archive("huge-size", program(tensor(shape=(2**61, 16), stride=(0, 0))))
archive("huge-stride", program(tensor(shape=(3,), stride=(2**62,))))
archive("zero-size", program(tensor(shape=(0,))))
archive("negative-stride", program(tensor(shape=(2,), stride=(-1,), offset=2)))
archive("outside", program(tensor(shape=(4,), offset=1)))
archive("storage-size", program(tensor(elements=5)))
archive("storage-missing", program(tensor(key="7")))
archive("name", program(tensor(), name="a\033[31m"))
archive("big-endian", good, extra=[("a/byteorder", b"big")])
archive("two-pickles", good, extra=[("b/data.pkl", good)])
archive("no-pickle", b"", edit=lambda raw: raw.__setitem__(
    slice(0, len(raw)), bytes(raw).replace(b"a/data.pkl", b"a/data.txt")))
archive("entry-twice", good, extra=[("a/data/1", b"")], edit=lambda raw: raw.__setitem__(
    slice(0, len(raw)), bytes(raw).replace(b"a/data/1", b"a/data/0")))
archive("encrypted", good, edit=lambda raw: put(raw, record(raw, b"a/data/0") + 8, "<H", 1))
archive("method", good, edit=lambda raw: put(raw, record(raw, b"a/data/0") + 10, "<H", 12))
archive("crc", good, edit=lambda raw: put(raw, record(raw, b"a/data/0") + 16, "<I", 1))
archive("two-sizes", good, edit=lambda raw: put(raw, record(raw, b"a/data/0") + 24, "<I", 15))
archive("leaves", good, edit=lambda raw: (put(raw, record(raw, b"a/data/0") + 20, "<I", 9999),
                                          put(raw, record(raw, b"a/data/0") + 24, "<I", 9999)))
archive("overlap", good, extra=[("a/data/1", b"")],
        edit=lambda raw: (put(raw, record(raw, b"a/data/0") + 20, "<I", 20),
                          put(raw, record(raw, b"a/data/0") + 24, "<I", 20)))
archive("local-header", good, edit=lambda raw: put(raw, record(raw, b"a/data/0") + 42, "<I", 3))
archive("bomb", program(tensor(shape=(2**28,), elements=2**28)), method=zipfile.ZIP_DEFLATED,
        edit=lambda raw: put(raw, record(raw, b"a/data/0") + 24, "<I", 2**30))
archive("inflate", good, data=b"\0" * 12, method=zipfile.ZIP_DEFLATED,
        edit=lambda raw: put(raw, record(raw, b"a/data/0") + 24, "<I", 16))
archive("views", program(tensor(shape=(1 << 24, 1 << 10), stride=(0, 0)),
                         name="bert.embeddings.word_embeddings.weight"))
with open(f"{out}/hostile/legacy.bin", "wb") as f:
    f.write(pickle.dumps({"classifier.bias": [1.0]}, protocol=2))
