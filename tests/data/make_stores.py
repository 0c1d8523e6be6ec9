#!/usr/bin/env python3
"""Makes tests/data/stores/*.h5: files whose seal is right and whose inside is none of pare's.

Run from the repository's root. Needs h5py and numpy; made with h5py 3.16 on HDF5 2.0.
format-1.h5 is not made here: it is what pare wrote in format 1, and stays as it is.
"""
import os
import zlib

import h5py
import numpy as np

FOLDER = "tests/data/stores"
FLOATS = np.arange(6, dtype="<f4").reshape(2, 3)


def seal(path, version=1):
    """The first 512 bytes as docs/checkpoint.md has them, with the file's own size and CRC-32."""
    rest = open(path, "rb").read()[512:]
    head = b"pare %05d\nsize %020d\ncrc32 " % (version, 512 + len(rest))
    tail = b"\n".rjust(512 - len(head) - 8)
    crc = zlib.crc32(head + b"00000000" + tail + rest)
    with open(path, "wb") as file:
        file.write(head + b"%08x" % crc + tail + rest)


def make(name, fill, libver=("v110", "v110"), edit=None, version=1):
    path = f"{FOLDER}/{name}.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=512) as file:
        fill(file, file.create_group("model"))
    if edit:
        data = bytearray(open(path, "rb").read())
        edit(data)
        open(path, "wb").write(data)
    seal(path, version)


def low_level(group, name, dtype, shape, set_plist=lambda plist: None):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    set_plist(plist)
    return h5py.h5d.create(group.id, name.encode(), dtype, h5py.h5s.create_simple(shape), plist)


def virtual(file, model):
    layout = h5py.VirtualLayout(shape=(3,), dtype="<f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", shape=(3,))
    model.create_virtual_dataset("a", layout)


def external_data(file, model):
    low_level(model, "a", h5py.h5t.IEEE_F32LE, (1024,),
              lambda plist: plist.set_external(b"/etc/passwd", 0, 4096))


def compact(file, model):
    data = low_level(model, "a", h5py.h5t.IEEE_F32LE, (6,),
                     lambda plist: plist.set_layout(h5py.h5d.COMPACT))
    data.write(h5py.h5s.ALL, h5py.h5s.ALL, FLOATS.reshape(6))


def cycle(file, model):
    model["self"] = model


def same_bytes(file, model):
    model["a"] = FLOATS
    model["b"] = model["a"]


def named_type(file, model):
    model["a"] = np.dtype("<f4")


def attribute(value, **options):
    def fill(file, model):
        file.attrs.create("model.config", value, **options)
    return fill


def array(value, **options):
    def fill(file, model):
        model.create_dataset("a", data=value, **options)
    return fill


def link(kind):
    def fill(file, model):
        model["a"] = kind
    return fill


def break_metadata(data):
    data[data.index(b"OHDR") + 12] ^= 1  # an object header, which has a checksum of its own


def break_signature(data):
    data[512] ^= 1


def main():
    os.makedirs(FOLDER, exist_ok=True)
    f32 = h5py.h5t.IEEE_F32LE
    make("external-link", link(h5py.ExternalLink("/etc/passwd", "/")))
    make("soft-link", link(h5py.SoftLink("/model")))
    make("external-data", external_data)
    make("virtual", virtual)
    make("chunked", array(FLOATS, chunks=(1, 3)))
    make("deflated", array(FLOATS, chunks=(2, 3), compression="gzip"))
    make("compact", compact)
    make("unallocated", lambda file, model: low_level(model, "a", f32, (6,)))
    make("huge", lambda file, model: low_level(model, "a", f32, (1 << 60,)))
    make("empty-dimension", array(np.zeros((2, 0), "<f4")))
    make("rank-5", array(np.zeros((1, 1, 1, 1, 1), "<f4")))
    make("scalar", array(np.float32(1)))
    make("big-endian", array(FLOATS.astype(">f4")))
    make("compound", array(np.zeros(2, [("x", "<f4"), ("y", "<f4")])))
    make("variable-string", array("text"))
    make("attribute-array", attribute(np.arange(3)))
    make("attribute-variable", attribute("text"))
    make("named-type", named_type)
    make("same-bytes", same_bytes)
    make("cycle", cycle)
    make("old-format", array(FLOATS), libver=("earliest", "v110"))
    make("no-hdf5", array(FLOATS), edit=break_signature)
    make("broken-metadata", array(FLOATS), edit=break_metadata)
    make("later-format", array(FLOATS), version=2)


if __name__ == "__main__":
    main()
