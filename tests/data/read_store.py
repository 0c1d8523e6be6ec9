#!/usr/bin/env python3
"""read_store.py DOC STORE: runs the Python lines of DOC (docs/checkpoint.md) on the store that
tests/test_store.c wrote, then compares all that h5py finds there with what was written."""
import re
import sys

import h5py
import numpy as np

doc, path = sys.argv[1:]
lines = re.search(r"```python\n(.*?)```", open(doc, encoding="utf-8").read(), re.S).group(1)
assert len(lines.splitlines()) == 6, lines
exec(lines.replace("model.h5", path).replace("model/bert.pooler.dense.bias", "model/a.b"))

file = h5py.File(path, "r")
names = []
file.visit(names.append)
assert sorted(names) == sorted(
    ["model", "model/a", "model/a.b", "model/a/b", "model/big", "model/bytes", "model/half",
     "model/signed", "model/vocab.txt", "model.history", "training", "training/step.order"]), names
want = {
    "training/step.order": np.array([-2**63, 0, 2**63 - 1], "i8"),
    "model/a.b": np.array([[0.5, -1.25, 3], [4, 5, 1e-40]], "f4"),
    "model/a/b": np.array([[[0.1, -1e300, 3], [4, 5, 6]]], "f8"),
    "model/bytes": np.array([0, 1, 2, 254, 255], "u1").reshape(5, 1, 1, 1),
    "model/signed": np.array([-128, -1, 0, 127], "i1"),
    "model/big": (np.arange(300000, dtype="f4") * np.float32(0.001)).reshape(300, 1000),
    "model/half": np.array([1, -5], "f4"),
}
for name, value in want.items():
    found = file[name]
    assert found.shape == value.shape and np.array_equal(found[()], value), name
    assert name == "model/half" or found.dtype == value.dtype, name
    assert found.chunks is None and found.compression is None, name
attributes = {key: value for key, value in file.attrs.items()}
assert attributes == {"training.step": -2**63, "training.lambda": 0.1, "empty": b"",
                      "model.config": '{"a":"é"}'.encode()}, attributes
text = bytes(ord("a") + i % 26 for i in range(40000))
assert file["model.history"][()] == text
assert file["model/vocab.txt"][()] == b"[PAD]\n[UNK]\n"
