#!/usr/bin/env python3
"""Fine-tuning speed and memory: pare against Hugging Face on PyTorch, in one run.

    python3 bench/compare_pytorch.py --pare build/pare --data glue/SST-2 --minilm minilm-l6/ \
        --threads 4 --output compare.md
    python3 bench/compare_pytorch.py --task RTE --data glue/RTE --minilm minilm-l6/ \
        --variants grouped --max-seq-length 512 --precision bf16

The PyTorch side needs torch==2.13.0 transformers==5.23.0 numpy scipy scikit-learn. Where the
interpreter running this script has torch and transformers they are used as they are; else the
script makes a virtual environment of its own (--venv) and installs these versions with pip, and
says so. --pip-args passes pip further options, such as an index with CPU-only builds of torch.

What is compared: equal threads, batch 32; SST-2, fp32, at most 128 tokens unless told otherwise;
  longest  batches in random order; PyTorch pads to the longest of the batch
  grouped  batches in the order of Trainer's group_by_length, the same for both sides
  128      the batches of `longest`; PyTorch pads to the full length, run_glue.py's default,
           and stays in fp32
pare packs, so it has no padding to choose. Both sides read the same train.tsv, which holds
exactly the sentences of the batches in order, without shuffling, and start from the same weights
with the same head. Rates are real tokens (padding not counted) over the wall time of all steps
but the first three. The sides take turns, --rounds times; a ratio is taken within a turn and the
median of the turns is printed. Peak memory is the maximum resident set (what /usr/bin/time -v
prints) of the same runs, with weights and optimiser saved at the end on both sides.
A run without dropout comes first: losses and gradient norms of both sides must agree, or the
script stops. Method and how to read the table: bench/README.md.
"""
import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import peers

# This driver uses the standard library only: the peak memory Linux reports for a child counts
# the parent's pages until exec, so the parent must stay small.

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDS = ["torch==2.13.0", "transformers==5.23.0", "numpy", "scipy", "scikit-learn"]
BATCH, WARM_UP, CHECK_STEPS, DEV_ROWS = 32, 3, 5, 64
VARIANTS = {"longest": ("random", "longest"), "grouped": ("grouped", "longest"),
            "128": ("random", "max_length")}
HEADERS = {"SST-2": "sentence\tlabel\n", "RTE": "index\tsentence1\tsentence2\tlabel\n"}
LABELS = {"SST-2": ["0", "1"], "RTE": ["entailment", "not_entailment"]}
TARGETS = {("minilm-l6", "fp32"): {"longest": 6.0, "grouped": 2.6, "128": 22.0},
           ("minilm-l6", "bf16"): {"longest": 5.8, "grouped": 2.6, "128": 35.0},
           ("bert-base", "fp32"): {"longest": 5.5, "grouped": 2.3, "128": 18.0},
           ("bert-base", "bf16"): {"longest": 3.2, "grouped": 1.7, "128": 32.0}}
PAIRS_TARGET = 2.5  # of RTE's long pairs
MEMORY_TARGETS = {"minilm-l6": 0.5, "bert-base": 0.68}
TOLERANCES = {"fp32": 2e-3, "bf16": 5e-2}


def fail(text):
    sys.exit(f"error: {text}")


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- the PyTorch side's inputs -----------------------------------------------------------------

def prepare_models(torch, args):
    """Hugging Face directories with a two-class head, so that both sides start equal."""
    from transformers import BertConfig, BertForSequenceClassification as Bert
    for name in args.models:
        out = os.path.join(args.work, name)
        torch.manual_seed(args.seed)
        if name == "minilm-l6":
            model = Bert.from_pretrained(args.minilm, num_labels=2, dtype=torch.float32)
        else:
            model = Bert(BertConfig())
        model.save_pretrained(out)
        for f in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
            if os.path.exists(os.path.join(args.minilm, f)):
                shutil.copy(os.path.join(args.minilm, f), out)


def write_data(args, name, rows, dev):
    out = os.path.join(args.work, "data-" + name)
    os.makedirs(out, exist_ok=True)
    for file, part in (("train.tsv", rows), ("dev.tsv", dev)):
        with open(os.path.join(out, file), "w", encoding="utf-8", newline="\n") as f:
            f.write(HEADERS[args.task])
            for i, (text, pair, label) in enumerate(part):
                cells = [text] if pair is None else [str(i), text, pair]
                f.write("\t".join([*cells, LABELS[args.task][label]]) + "\n")


def prepare(args):
    """Runs under the PyTorch interpreter: writes models, data folders and prepared.json.

    `grouped` is three batches to warm up on, the longest of the second megabatch, and then the
    first megabatch of 50 batches from its longest to its shortest, so that the timed batches
    hold a fair share of lengths: give --steps 50 (the default) or all that are timed are long.
    """
    import random
    sys.path.insert(0, HERE)
    import torch
    import transformers
    import hf_finetune
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = hf_finetune.load_tokenizer(args.minilm)
    rows = hf_finetune.read_tsv(os.path.join(args.data, "train.tsv"), args.task.lower())
    lengths = [len(e[0]) for e in hf_finetune.encode(tokenizer, rows, args.max_seq_length)]
    n = (WARM_UP + args.steps) * BATCH
    mega = 50 * BATCH
    if len(rows) < max(n + DEV_ROWS, mega + WARM_UP * BATCH):
        raise SystemExit(f"error: {args.data}/train.tsv: {len(rows)} rows, too few")
    order = list(range(len(rows)))
    random.Random(args.seed).shuffle(order)
    grouped = hf_finetune.grouped_order(torch, lengths, BATCH, args.seed)
    grouped = grouped[mega:mega + WARM_UP * BATCH] + grouped[:mega] + grouped[2 * mega:]
    tokens = {}
    for name, index in (("random", order[:n]), ("grouped", grouped[:n])):
        write_data(args, name, [rows[i] for i in index], [rows[i] for i in order[-DEV_ROWS:]])
        tokens[name] = [sum(lengths[i] for i in index[at:at + BATCH])
                        for at in range(0, n, BATCH)]
    prepare_models(torch, args)
    with open(os.path.join(args.work, "prepared.json"), "w", encoding="utf-8") as f:
        json.dump({"tokens": tokens, "torch": torch.__version__,
                   "transformers": transformers.__version__}, f)


# --- one run of one side -----------------------------------------------------------------------

def run_child(argv, threads, log):
    """Runs argv; returns (stdout, wall seconds, peak resident MB); stops the script if it fails."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1",
               TOKENIZERS_PARALLELISM="false")
    env.pop("PYTHONSTARTUP", None)
    start = time.perf_counter()
    with open(log + ".out", "w+", encoding="utf-8") as out, \
            open(log + ".err", "w+", encoding="utf-8") as err:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        text, messages = out.read(), err.read()
    if child.returncode != 0:
        fail(f"{shlex.join(argv)}: exit code {child.returncode}\n{messages[-2000:]}")
    return text, seconds, usage.ru_maxrss / 1024


def read_steps(path):
    """The step records of a metrics.jsonl, in order, each with its own duration."""
    steps = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            record = json.loads(line)
            if "step" in record and "loss" in record:
                steps.append(record)
    if [s["step"] for s in steps] != list(range(1, len(steps) + 1)):
        fail(f"{path}: steps are not 1..{len(steps)}")
    return steps


def measure(argv, run, threads):
    """One run -> rate over the steps after warm-up, losses, tokens, wall seconds, peak MB."""
    shutil.rmtree(run, ignore_errors=True)
    os.makedirs(os.path.dirname(run), exist_ok=True)
    _, wall, peak = run_child(argv, threads, run)
    steps = read_steps(os.path.join(run, "metrics.jsonl"))
    warm = min(WARM_UP, len(steps) - 1)
    seconds = steps[-1]["seconds"] - steps[warm - 1]["seconds"]
    timed = steps[warm:]
    result = {"rate": sum(s["tokens"] for s in timed) / seconds,
              "examples": BATCH * len(timed) / seconds, "step_ms": 1000 * seconds / len(timed),
              "loss": statistics.mean(s["loss"] for s in timed), "peak": peak, "wall": wall,
              "steps": steps}
    for big in ("last", "last.h5", "best.h5", f"checkpoint-{len(steps)}.h5"):
        path = os.path.join(run, big)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.remove(path)
    return result


def common_options(args, steps):
    return ["--task", args.task, "--batch-size", str(BATCH),
            "--max-seq-length", str(args.max_seq_length),
            "--max-steps", str(steps), "--epochs", "1", "--learning-rate", "2e-5",
            "--warmup-ratio", "0.1", "--weight-decay", "0.01", "--max-grad-norm", "1.0",
            "--seed", str(args.seed), "--threads", str(args.threads), "--no-shuffle"]


def run_pare(args, model, data, steps, extra=()):
    run = os.path.join(args.work, "runs", f"pare-{model}-{data}")
    argv = [args.pare, "finetune", "--model", os.path.join(args.work, model + ".h5"),
            "--data", os.path.join(args.work, "data-" + data), "--output", run, "--json",
            "--save-steps", str(steps), "--precision", args.precision,
            *common_options(args, steps), *extra]
    return measure(argv, run, args.threads)


def run_torch(args, model, data, padding, steps, extra=()):
    run = os.path.join(args.work, "runs", f"pytorch-{model}-{data}-{padding}")
    argv = [args.python, os.path.join(HERE, "hf_finetune.py"),
            "--model", os.path.join(args.work, model),
            "--data", os.path.join(args.work, "data-" + data), "--output", run,
            "--padding", padding, *common_options(args, steps), *extra,
            "--precision", "fp32" if padding == "max_length" else args.precision]
    if args.compile:
        argv.append("--compile")
    return measure(argv, run, args.threads)


# --- checks that both sides do the same work ---------------------------------------------------

def check_tokens(result, expected, side):
    got = [s["tokens"] for s in result["steps"]]
    if got != expected[:len(got)]:
        k = next(i for i, (a, b) in enumerate(zip(got, expected)) if a != b)
        fail(f"{side}: step {k + 1} had {got[k]} tokens, the batch has {expected[k]}")


def check_same_work(args, model):
    """Without dropout the sides must agree on losses and gradient norms, step by step."""
    off = ["--dropout", "0"]
    ours = run_pare(args, model, "random", CHECK_STEPS, off)["steps"]
    theirs = run_torch(args, model, "random", "longest", CHECK_STEPS, off)["steps"]
    worst = 0.0
    for a, b in zip(ours, theirs):
        for key in ("loss", "grad_norm", "learning_rate"):
            worst = max(worst, abs(a[key] - b[key]) / max(abs(b[key]), 1e-3))
    if len(ours) != len(theirs) or worst > args.tolerance:
        fail(f"{model}: without dropout the sides differ by {worst:.2g} (relative) within "
             f"{CHECK_STEPS} steps, allowed {args.tolerance:g}:\n  pare    {brief(ours)}\n"
             f"  PyTorch {brief(theirs)}")
    say(f"{model}: {CHECK_STEPS} steps without dropout agree to {worst:.1g} relative")
    return worst


def brief(steps):
    return " ".join(f"{s['loss']:.5f}/{s['grad_norm']:.4f}" for s in steps)


# --- the comparison ----------------------------------------------------------------------------

def import_models(args):
    for model in args.models:
        out = os.path.join(args.work, model + ".h5")
        if os.path.exists(out):
            os.remove(out)
        run_child([args.pare, "import", os.path.join(args.work, model), out, "--json"],
                  args.threads, os.path.join(args.work, "import-" + model))


def compare(args, expected):
    """All turns; -> {(model, variant): {"pare": [result…], "pytorch": [result…]}}"""
    results = {}
    steps = WARM_UP + args.steps
    for turn in range(args.rounds):
        for model in args.models:
            for variant in args.variants:
                data, padding = VARIANTS[variant]
                cell = results.setdefault((model, variant), {"pare": [], "pytorch": []})
                if args.side != "pytorch":
                    cell["pare"].append(run_pare(args, model, data, steps))
                if args.side != "pare":
                    cell["pytorch"].append(run_torch(args, model, data, padding, steps))
                for side, runs in cell.items():
                    if runs:
                        check_tokens(runs[-1], expected[data], side)
                        say(f"turn {turn + 1} {model} {variant} {side}: {runs[-1]['rate']:.0f} "
                            f"tokens/s, {runs[-1]['peak']:.0f} MB, load {load()}")
    return results


def load():
    return f"{os.getloadavg()[0]:.1f}"


def middle(runs, key):
    return statistics.median(r[key] for r in runs) if runs else float("nan")


def flop_per_token(args, model):
    """Matrix products of forward and backward: 6 a weight of the encoder's matrices."""
    with open(os.path.join(args.work, model, "config.json"), encoding="utf-8") as f:
        c = json.load(f)
    h = c["hidden_size"]
    return 6 * c["num_hidden_layers"] * (4 * h * h + 2 * h * c["intermediate_size"])


def number(value, digits=0):
    return "–" if value != value else f"{value:.{digits}f}"


def verdict(ok):
    return "met" if ok else "missed"


def target_of(args, model, variant):
    return PAIRS_TARGET if args.task == "RTE" else TARGETS[model, args.precision][variant]


def speed_table(args, results):
    yield ("| model | PyTorch pads | pare tokens/s | PyTorch tokens/s | ratio (range of turns) "
           "| target | pare step ms | PyTorch step ms | pare GFLOP/s | mean loss, both |")
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for (model, variant), cell in results.items():
        ours, theirs = cell["pare"], cell["pytorch"]
        ratios = [a["rate"] / b["rate"] for a, b in zip(ours, theirs)]
        wanted = target_of(args, model, variant)
        text, target = "–", f"≥ {wanted:g}"
        if ratios:
            ratio = statistics.median(ratios)
            text = f"**{ratio:.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"
            target += f": {verdict(ratio >= wanted)}"
        flops = middle(ours, "rate") * flop_per_token(args, model) / 1e9
        yield (f"| {model} | {variant} | {number(middle(ours, 'rate'))} | "
               f"{number(middle(theirs, 'rate'))} | {text} | {target} | "
               f"{number(middle(ours, 'step_ms'))} | {number(middle(theirs, 'step_ms'))} | "
               f"{number(flops)} | {number(middle(ours, 'loss'), 4)}, "
               f"{number(middle(theirs, 'loss'), 4)} |")


def memory_table(results):
    yield "| model | PyTorch pads | pare MB | PyTorch MB | ratio | target | whole run, s, both |"
    yield "|---|---|---|---|---|---|---|"
    for (model, variant), cell in results.items():
        ours, theirs = middle(cell["pare"], "peak"), middle(cell["pytorch"], "peak")
        target = "–"
        if variant == "grouped":
            target = f"≤ {MEMORY_TARGETS[model]}"
            if cell["pare"] and cell["pytorch"]:
                target += f": {verdict(ours <= MEMORY_TARGETS[model] * theirs)}"
        yield (f"| {model} | {variant} | {number(ours)} | {number(theirs)} | "
               f"{number(ours / theirs, 2)} | {target} | "
               f"{number(middle(cell['pare'], 'wall'))}, "
               f"{number(middle(cell['pytorch'], 'wall'))} |")


def machine(args):
    """One line on the CPU, its vector instructions and memory."""
    name, flags = platform.processor() or platform.machine(), ""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            if key.strip() in ("flags", "Features"):
                flags = value
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "sve")
    have = " ".join(w for w in wanted if w in flags.split())
    with open("/proc/meminfo", encoding="utf-8") as f:
        memory = int(f.readline().split()[1]) / (1 << 20)
    return (f"{name}; {have}; {os.cpu_count()} CPUs, {memory:.0f} GB; {args.threads} threads a "
            f"side; Linux {platform.release()}")


def report(args, prepared, results, agreed, loads):
    version = "not run"
    if args.side != "pytorch":
        version = run_child([args.pare, "--version"], 1,
                            os.path.join(args.work, "version"))[0].strip().split("\n")[0]
    yield f"Machine: {machine(args)}; load before {loads[0]}, after {loads[1]}."
    yield (f"Versions: {version}; PyTorch {prepared['torch']}, transformers "
           f"{prepared['transformers']}.")
    yield (f"{args.task}, batch {BATCH}, at most {args.max_seq_length} tokens, {args.precision}"
           f"{', torch.compile' if args.compile else ''}, dropout as in the model, "
           f"{args.steps} timed steps after {WARM_UP} to warm up, {args.rounds} turns; real "
           "tokens over the total time of the timed steps; medians.")
    for model, worst in agreed.items():
        yield (f"Without dropout, {model}: loss, gradient norm and learning rate of {CHECK_STEPS} "
               f"steps agree to {worst:.1g} (relative).")
    yield ""
    yield from speed_table(args, results)
    yield ""
    yield from memory_table(results)


def parse_args():
    cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pare", default=os.path.join(HERE, "..", "build", "pare"),
                   help="the program (default build/pare)")
    p.add_argument("--task", choices=list(HEADERS), default="SST-2")
    p.add_argument("--data", required=True, help="folder with the task's train.tsv")
    p.add_argument("--minilm", required=True,
                   help="Hugging Face directory of MiniLM-L6; its vocabulary serves both models")
    p.add_argument("--max-seq-length", type=int, default=128)
    p.add_argument("--precision", choices=list(TOLERANCES), default="fp32",
                   help="of both sides; PyTorch's bf16 is autocast")
    p.add_argument("--compile", action="store_true", help="PyTorch by torch.compile")
    p.add_argument("--models", default="minilm-l6,bert-base")
    p.add_argument("--variants", default="longest,grouped,128")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--steps", type=int, default=50, help="timed steps a run (default 50)")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--side", choices=["both", "pare", "pytorch"], default="both")
    p.add_argument("--tolerance", type=float,
                   help="largest relative difference without dropout (2e-3; bf16: 5e-2)")
    p.add_argument("--work", help="folder for models, data and runs (default: a temporary one)")
    p.add_argument("--venv", default=os.path.join(cache, "pare-models", "pytorch-venv"))
    p.add_argument("--pip-args", default="")
    p.add_argument("--output", help="also write the Markdown here, and all figures to *.json")
    p.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    args = p.parse_args()
    args.models, args.variants = args.models.split(","), args.variants.split(",")
    args.tolerance = args.tolerance or TOLERANCES[args.precision]
    for name, known in ((args.models, MEMORY_TARGETS), (args.variants, VARIANTS)):
        for one in name:
            if one not in known:
                p.error(f"{one}: not one of {', '.join(known)}")
    for path in (os.path.join(args.data, "train.tsv"), os.path.join(args.minilm, "vocab.txt")):
        if not os.path.exists(path):
            p.error(f"{path}: no such file (see --data, --minilm)")
    return args


def write_output(args, text, results):
    print(text)
    if not args.output:
        return
    with open(args.output, "w", encoding="utf-8") as f:
        f.write(text + "\n")
    rows = [{"model": m, "variant": v, "side": side, "runs": runs}
            for (m, v), cell in results.items() for side, runs in cell.items()]
    with open(os.path.splitext(args.output)[0] + ".json", "w", encoding="utf-8") as f:
        json.dump(rows, f)


def main():
    args = parse_args()
    if args.prepare:
        prepare(args)
        return
    temporary = None
    if not args.work:
        temporary = tempfile.TemporaryDirectory(prefix="pare-compare-")
        args.work = temporary.name
    os.makedirs(args.work, exist_ok=True)
    args.python = peers.find_python("torch, transformers, scipy, sklearn", NEEDS, args.venv,
                                    shlex.split(args.pip_args))
    before = load()
    subprocess.run([args.python, os.path.abspath(__file__), "--prepare", "--work", args.work,
                    "--task", args.task, "--max-seq-length", str(args.max_seq_length),
                    "--data", args.data, "--minilm", args.minilm, "--seed", str(args.seed),
                    "--steps", str(args.steps), "--models", ",".join(args.models)], check=True)
    with open(os.path.join(args.work, "prepared.json"), encoding="utf-8") as f:
        prepared = json.load(f)
    agreed = {}
    if args.side != "pytorch":
        import_models(args)
    if args.side == "both":
        agreed = {model: check_same_work(args, model) for model in args.models}
    results = compare(args, prepared["tokens"])
    write_output(args, "\n".join(report(args, prepared, results, agreed, (before, load()))),
                 results)
    if temporary:
        temporary.cleanup()


if __name__ == "__main__":
    main()
