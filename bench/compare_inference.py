#!/usr/bin/env python3
"""Forward passes, latency and evaluation: pare against PyTorch, ONNX Runtime and OpenVINO.

    python3 bench/compare_inference.py --pare build/pare --data glue --minilm minilm-l6/ \
        --threads 2 --output inference.md

Needs torch==2.13.0 transformers==5.23.0 onnx onnxruntime openvino onnxscript. Where the interpreter
running this script has them they are used as they are; else it makes a virtual environment of its
own (--venv), installs them with pip, and says so.

All engines have the same weights (MiniLM-L6 with a two-class head, and BERT-base with random
weights: speed does not depend on them), the same threads, and the same batches of SST-2's dev set,
in the file's order; the others pad to the longest of the batch, pare has no padding. In each of
--turns turns every engine answers the same batches, pare through `pare latency`, and its time for
one batch is the median of that turn; the table has the medians over the turns, and pare's time over
the fastest other engine's of the same precision, taken within a turn.

The whole dev set: PyTorch, ONNX Runtime and OpenVINO in batches of 64 sorted by length, tokenised
beforehand, the model loaded and warm. pare twice: in the same state, as one batch of `pare
latency`; and `pare evaluate` as a process, with loading, reading the file and tokenising it.
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time

import peers

NEEDS = ["torch==2.13.0", "transformers==5.23.0", "onnx", "onnxruntime", "onnxscript", "openvino",
         "scipy", "scikit-learn"]
MODULES = "torch, transformers, onnxruntime, openvino, onnxscript"
EVALUATION_BATCH = 64
PROCESS = ", process"
PAUSE = 0.5  # seconds before an engine's turn: the others' threads have stopped spinning


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- models and sentences ------------------------------------------------------------------------

def make_model(args, name):
    """A Hugging Face directory, and pare's file of it."""
    import shutil
    import torch
    from transformers import BertConfig, BertForSequenceClassification as Bert
    out = os.path.join(args.work, name)
    file = out + ".h5"
    if not os.path.exists(file):
        torch.manual_seed(1)
        model = (Bert.from_pretrained(args.minilm, num_labels=2, dtype=torch.float32)
                 if name == "minilm-l6" else Bert(BertConfig()))
        model.save_pretrained(out)
        for f in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
            if os.path.exists(os.path.join(args.minilm, f)):
                shutil.copy(os.path.join(args.minilm, f), out)
        subprocess.run([args.pare, "import", out, file], check=True, stdout=subprocess.DEVNULL)
    return out, file


def read_sentences(args):
    with open(os.path.join(args.data, "SST-2", "dev.tsv"), encoding="utf-8") as f:
        return [row["sentence"] for row in csv.DictReader(f, delimiter="\t",
                                                          quoting=csv.QUOTE_NONE)]


def batches_of(tokenizer, sentences, size):
    """Arrays as the engines take them, padded to the longest of the batch."""
    for i in range(0, len(sentences), size):
        yield dict(tokenizer(sentences[i:i + size], padding=True, truncation=True, max_length=128,
                             return_tensors="np"))


# --- engines: a function from a batch to logits --------------------------------------------------

def torch_engine(directory, compiled, dtype):
    import torch
    from transformers import BertForSequenceClassification as Bert
    model = Bert.from_pretrained(directory, dtype=torch.float32).eval()
    run = torch.compile(model, dynamic=True) if compiled else model

    def forward(batch):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, dtype == "bf16"):
            return run(**{k: torch.from_numpy(v) for k, v in batch.items()}).logits.float().numpy()
    return forward


def export_onnx(directory):
    import torch
    from transformers import BertForSequenceClassification as Bert
    path = directory + ".onnx"
    if os.path.exists(path):
        return path
    model = Bert.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.ones(2, 8, dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(model, (ids, ids, torch.zeros_like(ids)), path, input_names=names,
                      output_names=["logits"], dynamo=False, opset_version=17,
                      dynamic_axes={n: axes for n in names} | {"logits": {0: "batch"}})
    return path


def onnx_engine(directory, threads, int8):
    import onnxruntime as ort
    path = export_onnx(directory)
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        small = directory + ".int8.onnx"
        if not os.path.exists(small):
            quantize_dynamic(path, small, weight_type=QuantType.QInt8)
        path = small
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, batch)[0]


def openvino_engine(directory, threads, dtype):
    import openvino as ov
    core = ov.Core()
    compiled = core.compile_model(export_onnx(directory), "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bf16" else "f32"})
    return lambda batch: compiled(batch)[0]


def ours(args):
    """pare's columns, and their precisions."""
    return {"pare": "fp32", "pare, bf16": "bf16"} if args.bf16 else {"pare": "fp32"}


def make_engines(args, directory):
    """Name: (precision, function). What this machine cannot run is left out, with a word."""
    wanted = {
        "PyTorch": ("fp32", lambda: torch_engine(directory, False, "fp32")),
        "PyTorch, compiled": ("fp32", lambda: torch_engine(directory, True, "fp32")),
        "ONNX Runtime": ("fp32", lambda: onnx_engine(directory, args.threads, False)),
        "OpenVINO": ("fp32", lambda: openvino_engine(directory, args.threads, "fp32")),
        "ONNX Runtime, dynamic int8": ("int8", lambda: onnx_engine(directory, args.threads, True)),
    }
    if args.bf16:
        wanted["PyTorch, bf16"] = ("bf16", lambda: torch_engine(directory, False, "bf16"))
        wanted["OpenVINO, bf16"] = ("bf16",
                                    lambda: openvino_engine(directory, args.threads, "bf16"))
    engines = {}
    for name, (precision, make) in wanted.items():
        try:
            engines[name] = (precision, make())
        except Exception as error:  # one engine less is still a comparison
            say(f"{name} is left out: {str(error).splitlines()[0]}")
    return engines


# --- timing --------------------------------------------------------------------------------------

def check_same(args, file, engines, tokenizer, sentences):
    """Every engine of fp32 has pare's logits, or the comparison is worth nothing."""
    import numpy as np
    lines = "\n".join(sentences[:16]) + "\n"
    out = subprocess.run([args.pare, "predict", "--model", file, "--task", "SST-2", "--logits"],
                         input=lines, text=True, capture_output=True, check=True).stdout
    ours = np.array([json.loads(line)["logits"] for line in out.splitlines()])
    for name, (precision, forward) in engines.items():
        theirs = np.concatenate([forward(b) for b in batches_of(tokenizer, sentences[:16], 16)])
        error = float(abs(ours - theirs).max())
        if precision == "fp32" and error > 1e-3:
            sys.exit(f"error: {name}: logits differ by {error}")


def pare_latency(args, file, size, precision):
    out = subprocess.run(
        [args.pare, "latency", file, "--task", "SST-2", "--data", args.data, "--batch", str(size),
         "--rounds", str(args.batches), "--threads", str(args.threads), "--precision", precision,
         "--json", "-q"], capture_output=True, text=True, check=True).stdout
    return json.loads(out)["models"][0]["ms_median"]


def pare_evaluate(args, file, precision):
    start = time.perf_counter()
    subprocess.run([args.pare, "evaluate", "--model", file, "--task", "SST-2", "--data", args.data,
                    "--threads", str(args.threads), "--precision", precision, "-q"],
                   stdout=subprocess.DEVNULL, check=True)
    return 1e3 * (time.perf_counter() - start)


def time_batches(forward, batches):
    times = []
    for batch in batches:
        start = time.perf_counter()
        forward(batch)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def turn(args, file, engines, batches, size, whole):
    """One turn: {engine: milliseconds}; of a whole set also those of pare as a process."""
    total = sum if whole else statistics.median
    row = {}
    for name, precision in ours(args).items():
        time.sleep(PAUSE)
        row[name] = pare_latency(args, file, size, precision)
        if whole:
            time.sleep(PAUSE)
            row[name + PROCESS] = pare_evaluate(args, file, precision)
    for name, (_, forward) in engines.items():
        time.sleep(PAUSE)
        row[name] = total(time_batches(forward, batches))
    return row


def ratio(rows, engines, name, precision):
    """pare's time over the fastest other engine's, within a turn; the median turn."""
    others = [n for n, (p, _) in engines.items() if p == precision]
    if not others:
        return "–"
    return f"{statistics.median(row[name] / min(row[n] for n in others) for row in rows):.2f}"


def write_row(args, label, rows, engines, suffix, write):
    """The medians, and the ratios of pare's time, which is the one of that suffix."""
    names = [name + suffix for name in ours(args)]
    cells = [f"{statistics.median(r[n] for r in rows):.1f}" for n in [*names, *engines]]
    cells += [ratio(rows, engines, n, p) for n, p in zip(names, ours(args).values())]
    write(f"| {label} | {' | '.join(cells)} |")


def compare(args, name, write):
    from transformers import AutoTokenizer
    directory, file = make_model(args, name)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    sentences = read_sentences(args)
    engines = make_engines(args, directory)
    check_same(args, file, engines, tokenizer, sentences)
    columns = [*ours(args), *engines]
    write(f"\n## {name}\n\n| milliseconds | {' | '.join(columns)} | pare / best fp32 |"
          + (" bf16 |" if args.bf16 else "") + "\n|" + "---|" * (len(columns) + 2 + args.bf16))
    for size in (1, 8, 32, len(sentences)):
        whole = size == len(sentences)
        if whole:
            batches = list(batches_of(tokenizer, sorted(sentences, key=len), EVALUATION_BATCH))
        else:
            batches = list(batches_of(tokenizer, sentences[:size * args.batches], size))
        for _, forward in engines.values():
            time_batches(forward, batches)  # warm, and compiled for these shapes
        rows = [turn(args, file, engines, batches, size, whole) for _ in range(args.turns)]
        write_row(args, "whole dev set" if whole else f"batch {size}", rows, engines, "", write)
        if whole:
            write_row(args, "the same, pare as a process", rows, engines, PROCESS, write)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--pare", default="build/pare")
    p.add_argument("--data", required=True, help="GLUE, with SST-2/dev.tsv")
    p.add_argument("--minilm", required=True, help="Hugging Face directory of MiniLM-L6-H384")
    p.add_argument("--models", default="minilm-l6,bert-base")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--batches", type=int, default=20, help="of each size in a turn")
    p.add_argument("--turns", type=int, default=5)
    p.add_argument("--bf16", action="store_true", help="bf16 too: for CPUs that have it")
    p.add_argument("--work", default="build/compare-inference")
    p.add_argument("--venv", default="build/venv")
    p.add_argument("--output", help="the tables as Markdown; default: standard output")
    args = p.parse_args()
    if "PARE_PEERS" not in os.environ:
        os.environ["PARE_PEERS"] = "1"
        python = peers.find_python(MODULES, NEEDS, args.venv)
        os.execv(python, [python, "-W", "ignore", *sys.argv])
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    import torch
    import transformers
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    os.makedirs(args.work, exist_ok=True)
    with open(args.output, "w", encoding="utf-8") if args.output else sys.stdout as out:
        def write(text):
            print(text, file=out, flush=True)
        write(f"{args.threads} threads; load {os.getloadavg()[0]:.1f} at the start; medians of "
              f"{args.turns} turns of {args.batches} batches")
        for name in args.models.split(","):
            compare(args, name, write)


if __name__ == "__main__":
    main()
