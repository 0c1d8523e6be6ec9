#!/usr/bin/env python3
"""The sweep over all attention heads against PyTorch: `pare heads sweep`, and as many evaluations
of the same dev set as there are heads by transformers on PyTorch, in turns.

    python3 bench/heads_pytorch.py --pare build/pare --model mrpc.h5 --task MRPC \\
        --data glue/ --threads 2 --rounds 3

needs torch==2.13.0 transformers==5.23.0 (see bench/compare_pytorch.py). PyTorch evaluates the model
that `pare export` writes, in fp32, batches of 64 sentences of like length, padded to the longest,
tokenised before the clock runs; one evaluation is timed and multiplied by the number of heads. The
sweep is timed as a whole process, with reading, tokenising, the whole model's evaluation and the
bootstrap. The ratio is taken within a turn and the median of the turns is printed.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

PAIRS = {"MRPC": (3, 4), "RTE": (1, 2), "QNLI": (1, 2), "STS-B": (7, 8), "CoLA": (3, None),
         "SST-2": (0, None)}


def sentences(task, data):
    """The dev set's texts, as GLUE's files have them."""
    first, second = PAIRS[task]
    with open(os.path.join(data, task, "dev.tsv"), encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    rows = rows if task == "CoLA" else rows[1:]
    return [(row[first], row[second] if second is not None else None) for row in rows]


def batches(directory, texts, size=64):
    from transformers import BertTokenizerFast
    tokenizer = BertTokenizerFast.from_pretrained(directory)
    ids = [tokenizer(a, b, truncation=True, max_length=128) for a, b in texts]
    ids.sort(key=lambda x: len(x["input_ids"]), reverse=True)
    return [tokenizer.pad(ids[i:i + size], return_tensors="pt") for i in range(0, len(ids), size)]


def evaluate(model, inputs):
    import torch
    start = time.perf_counter()
    with torch.no_grad():
        for batch in inputs:
            model(**batch)
    return time.perf_counter() - start


def sweep(args, work):
    output = os.path.join(work, "sweep.json")
    start = time.perf_counter()
    subprocess.run([args.pare, "heads", "sweep", "--model", args.model, "--task", args.task,
                    "--data", args.data, "--threads", str(args.threads), "--output", output, "-q"],
                   check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    with open(output, encoding="utf-8") as file:
        return seconds, len(json.load(file)["heads"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pare", default="build/pare")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", default="MRPC", choices=sorted(PAIRS))
    parser.add_argument("--data", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    import torch
    from transformers import BertForSequenceClassification
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([args.pare, "export", args.model, work + "/hf", "-q"], check=True)
        model = BertForSequenceClassification.from_pretrained(work + "/hf").eval()
        inputs = batches(work + "/hf", sentences(args.task, args.data))
        evaluate(model, inputs)
        ratios = []
        for turn in range(args.rounds):
            ours, heads = sweep(args, work)
            theirs = evaluate(model, inputs)
            ratios.append(ours / (heads * theirs))
            print(f"turn {turn + 1}: sweep {ours:.1f} s, one PyTorch evaluation {theirs:.2f} s, "
                  f"{heads} of them {heads * theirs:.0f} s, ratio {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
