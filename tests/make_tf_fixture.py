"""Writes tests/data/hf/tf: the tiny BERT of tests/data/hf/tiny as TensorFlow's own code saves it.

  pip install tensorflow-cpu==2.21.0 cramjam==2.14.0
  python3 tests/make_tf_fixture.py tests/data/hf

tf/bert_model.ckpt*          what BERT's own scripts save before fine-tuning: encoder, pooler, the
                             heads of pre-training; in one file, its index not compressed
tf/fine-tuned/model.ckpt-7*  what an Estimator saves: with classifier, global_step and Adam's
                             moments; two files merged into one checkpoint
tf/snappy.index              the index of that, its blocks compressed: TensorFlow 1 did so where it
                             merged. The blocks are version 2's, the compression is cramjam's
tf/bert_config.json          the hyper-parameters, as Google's directories hold them
"""
import json, os, struct, sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import cramjam
import numpy as np
import tensorflow.compat.v1 as tf

data = sys.argv[1]
out = f"{data}/tf"
os.makedirs(f"{out}/fine-tuned", exist_ok=True)
tf.disable_eager_execution()

# ---- The weights, under TensorFlow's names ----
with open(f"{data}/tiny/model.safetensors", "rb") as f:
    header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    raw = f.read()
weights, head = {}, {}
for name, entry in header.items():
    if name == "__metadata__":
        continue
    begin, end = entry["data_offsets"]
    value = np.frombuffer(raw[begin:end], "<f4").reshape(entry["shape"])
    name = name.replace(".", "/").replace("/layer/", "/layer_")
    if name.startswith("classifier"):
        head["output_weights" if name.endswith("weight") else "output_bias"] = value
        continue
    if name.endswith("_embeddings/weight"):
        name = name[:-len("/weight")]
    elif "LayerNorm" in name:
        name = name.replace("/weight", "/gamma").replace("/bias", "/beta")
    elif name.endswith("/weight"):
        name, value = name[:-len("weight")] + "kernel", value.T
    weights[name] = value


def save(path, values):
    """As BERT's own scripts do: tf.train.Saver over variables."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(name, initializer=tf.constant(value), use_resource=False)
                     for name, value in values.items()]
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, path, write_meta_graph=False, write_state=False)


def save_merged(path, values):
    """What an Estimator's sharded Saver puts into its graph: a part a device, then a merge."""
    names = sorted(values)
    parts = [names[::2], names[1::2]]
    with tf.Graph().as_default(), tf.Session() as session:
        for i, part in enumerate(parts):
            session.run(tf.raw_ops.SaveV2(
                prefix=f"{path}.part{i}", tensor_names=part, shape_and_slices=[""] * len(part),
                tensors=[tf.constant(values[name]) for name in part]))
        session.run(tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[f"{path}.part{i}" for i in range(len(parts))],
            destination_prefix=path, delete_old_dirs=False))


random = np.random.default_rng(1)
hidden = weights["bert/pooler/dense/bias"].shape[0]
pretraining = {"cls/predictions/output_bias": (9,),
               "cls/predictions/transform/dense/kernel": (hidden, hidden),
               "cls/seq_relationship/output_weights": (2, hidden)}
first = dict(weights)
for name, shape in pretraining.items():
    first[name] = random.standard_normal(shape, np.float32)
save(f"{out}/bert_model.ckpt", first)

second = {**weights, **head, "global_step": np.int64(7)}
for name, value in list(second.items()):
    if name != "global_step":
        second[name + "/adam_m"] = random.standard_normal(value.shape, np.float32)
        second[name + "/adam_v"] = random.standard_normal(value.shape, np.float32)
save_merged(f"{out}/fine-tuned/model.ckpt-7", second)



# ---- The compressed index: each block anew, and the places of the data blocks in theirs ----
def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def read_varint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return n, at


def compress(block):
    body = bytes(cramjam.snappy.compress_raw(block)) + b"\1"
    crc = crc32c(body)
    return body + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff)


with open(f"{out}/fine-tuned/model.ckpt-7.index", "rb") as f:
    table = f.read()
footer = table[-48:]
meta_at, i = read_varint(footer, 0)
meta_size, i = read_varint(footer, i)
index_at, i = read_varint(footer, i)
index_size, i = read_varint(footer, i)
index = table[index_at:index_at + index_size]
# the index has one entry here: shared, rest, size of the value, the rest of the key, at, size
rest, i = read_varint(index, 1)
_, i = read_varint(index, i)
key = index[i:i + rest]
data_at, i = read_varint(index, i + rest)
data_size, i = read_varint(index, i)
assert index[i:] == struct.pack("<II", 0, 1) and data_at == 0
data_block = compress(table[:data_size])
meta_block = compress(table[meta_at:meta_at + meta_size])
place = varint(0) + varint(len(data_block) - 5)
index_block = compress(varint(0) + varint(len(key)) + varint(len(place)) + key + place + index[i:])
handles = (varint(len(data_block)) + varint(len(meta_block) - 5) +
           varint(len(data_block + meta_block)) + varint(len(index_block) - 5))
with open(f"{out}/snappy.index", "wb") as f:
    f.write(data_block + meta_block + index_block + handles.ljust(40, b"\0") + footer[40:])

# ---- What lies beside them ----
config = {"attention_probs_dropout_prob": 0.1, "hidden_act": "gelu_new", "hidden_dropout_prob": 0.1,
          "hidden_size": hidden, "initializer_range": 0.02, "intermediate_size": 6,
          "max_position_embeddings": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
          "type_vocab_size": 2, "vocab_size": 9}
with open(f"{out}/bert_config.json", "w") as f:
    json.dump(config, f, indent=2)
    f.write("\n")
