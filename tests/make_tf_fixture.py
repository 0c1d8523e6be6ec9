"""Writes tests/data/hf/tf: the tiny BERT of tests/data/hf/tiny as TensorFlow's own code saves it.

  pip install tensorflow-cpu==2.21.0
  python3 tests/make_tf_fixture.py tests/data/hf

tf/bert_model.ckpt*          what BERT's own scripts save before fine-tuning: encoder, pooler, the
                             heads of pre-training; in one file, its index not compressed
tf/fine-tuned/model.ckpt-7*  what an Estimator saves: with classifier, global_step and Adam's
                             moments; two files merged into one checkpoint, its index by snappy
"""
import json, os, struct, sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
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

# ---- What lies beside them ----
config = {"attention_probs_dropout_prob": 0.1, "hidden_act": "gelu_new", "hidden_dropout_prob": 0.1,
          "hidden_size": hidden, "initializer_range": 0.02, "intermediate_size": 6,
          "max_position_embeddings": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
          "type_vocab_size": 2, "vocab_size": 9}
with open(f"{out}/bert_config.json", "w") as f:
    json.dump(config, f, indent=2)
    f.write("\n")
