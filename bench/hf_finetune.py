#!/usr/bin/env python3
"""Fine-tune BERT on a GLUE task with PyTorch and Hugging Face transformers: the other side of
bench/compare_pytorch.py, and the recipe of the PyTorch columns in the docs.

    pip install torch==2.13.0 transformers==5.23.0 numpy scipy scikit-learn
    python bench/hf_finetune.py --model HF_DIR --task MRPC --data glue/MRPC --output /tmp/run \
        --learning-rate 5e-5 --seed 1 --threads 4

It does what run_glue.py and Trainer do (AdamW with decay on matrices only, linear warm-up and
decay, clipping at 1.0, the model's own dropout, PyTorch's scaled-dot-product attention), without
Trainer's bookkeeping, so its step times flatter PyTorch a little. Rows are tokenised before the
first step. OUTPUT/metrics.jsonl gets one object a step with the fields `pare finetune` writes:
step, loss, learning_rate, grad_norm, tokens (real ones, padding not counted) and seconds (wall
time since the start of training, at the end of the step). The last line of stdout is one JSON
object.
"""
import argparse
import json
import math
import os
import random
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# One row a task: text columns, label column, header?, labels in id order (None: a score),
# the dev file, metrics.
ENTAIL = ["entailment", "not_entailment"]
TASKS = {
    "cola": ([3], 1, False, ["0", "1"], "dev.tsv", ["matthews"]),
    "sst-2": (["sentence"], "label", True, ["0", "1"], "dev.tsv", ["accuracy"]),
    "mrpc": (["#1 String", "#2 String"], "Quality", True, ["0", "1"], "dev.tsv",
             ["accuracy", "f1"]),
    "sts-b": (["sentence1", "sentence2"], "score", True, None, "dev.tsv",
              ["pearson", "spearman"]),
    "qqp": (["question1", "question2"], "is_duplicate", True, ["0", "1"], "dev.tsv",
            ["accuracy", "f1"]),
    "mnli": (["sentence1", "sentence2"], "gold_label", True,
             ["contradiction", "entailment", "neutral"], "dev_matched.tsv", ["accuracy"]),
    "qnli": (["question", "sentence"], "label", True, ENTAIL, "dev.tsv", ["accuracy"]),
    "rte": (["sentence1", "sentence2"], "label", True, ENTAIL, "dev.tsv", ["accuracy"]),
    "wnli": (["sentence1", "sentence2"], "label", True, ["0", "1"], "dev.tsv", ["accuracy"]),
}


def read_tsv(path, task):
    """The rows of a GLUE file as (text, pair or None, label); unreadable rows are left out."""
    texts, label, header, names, _, _ = TASKS[task]
    with open(path, encoding="utf-8-sig", newline="\n") as f:
        lines = [line.rstrip("\r\n").split("\t") for line in f]
    columns = list(range(len(lines[0])))
    if header:
        columns, lines = lines[0], lines[1:]
    at = {name: i for i, name in enumerate(columns)}
    rows, skipped = [], 0
    for cells in lines:
        try:
            value = cells[at[label]]
            value = float(value) if names is None else names.index(value)
            picked = [cells[at[name]] for name in texts]
        except (IndexError, ValueError):
            skipped += 1
            continue
        rows.append((picked[0], picked[1] if len(picked) > 1 else None, value))
    if skipped:
        print(f"{path}: {skipped} rows without a label or columns left out", file=sys.stderr)
    return rows


def load_tokenizer(model_dir):
    from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(model_dir)


def encode(tokenizer, rows, max_length):
    """rows -> list of (ids, type_ids, label), truncated, not padded."""
    if not rows:
        return []
    texts = [r[0] for r in rows]
    pairs = None if rows[0][1] is None else [r[1] for r in rows]
    enc = tokenizer(texts, pairs, truncation=True, max_length=max_length,
                    return_token_type_ids=True, return_attention_mask=False)
    return list(zip(enc["input_ids"], enc["token_type_ids"], [r[2] for r in rows]))


def collate(torch, batch, width, score):
    """A padded batch; width 0 pads to the longest of the batch."""
    n = width or max(len(b[0]) for b in batch)
    ids = torch.zeros(len(batch), n, dtype=torch.long)
    types = torch.zeros(len(batch), n, dtype=torch.long)
    mask = torch.zeros(len(batch), n, dtype=torch.long)
    for i, (tokens, kinds, _) in enumerate(batch):
        ids[i, :len(tokens)] = torch.tensor(tokens)
        types[i, :len(tokens)] = torch.tensor(kinds)
        mask[i, :len(tokens)] = 1
    labels = torch.tensor([b[2] for b in batch],
                          dtype=torch.float if score else torch.long)
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask,
            "labels": labels}


def grouped_order(torch, lengths, batch_size, seed):
    """Trainer's group_by_length: shuffled, then sorted by length inside megabatches of 50."""
    from transformers.trainer_pt_utils import get_length_grouped_indices
    return get_length_grouped_indices(lengths, batch_size,
                                      generator=torch.Generator().manual_seed(seed))


def score(task, predictions, labels):
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import f1_score, matthews_corrcoef
    table = {
        "accuracy": lambda p, y: sum(a == b for a, b in zip(p, y)) / len(y),
        "f1": lambda p, y: f1_score(y, p),
        "matthews": lambda p, y: matthews_corrcoef(y, p),
        "pearson": lambda p, y: pearsonr(p, y)[0],
        "spearman": lambda p, y: spearmanr(p, y)[0],
    }
    return {name: float(table[name](predictions, labels)) for name in TASKS[task][5]}


def evaluate(torch, model, task, data, batch_size):
    """Mean loss and metrics over data; batches by length, as an evaluation may."""
    regression = TASKS[task][3] is None
    order = sorted(range(len(data)), key=lambda i: len(data[i][0]))
    out, total = [0] * len(data), 0.0
    model.eval()
    with torch.no_grad():
        for at in range(0, len(order), batch_size):
            part = order[at:at + batch_size]
            got = model(**collate(torch, [data[i] for i in part], 0, regression))
            total += got.loss.item() * len(part)
            best = got.logits[:, 0] if regression else got.logits.argmax(-1)
            for i, value in zip(part, best.tolist()):
                out[i] = value
    model.train()
    return total / len(data), score(task, out, [d[2] for d in data])


def build_model(torch, args, n_labels):
    from transformers import AutoConfig, AutoModelForSequenceClassification
    config = AutoConfig.from_pretrained(args.model)
    config.num_labels = n_labels
    if args.dropout is not None:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = args.dropout
        config.classifier_dropout = args.dropout
    model = AutoModelForSequenceClassification.from_pretrained(
        args.model, config=config, dtype=torch.float32)
    if args.drop_layers:
        drop = {int(i) for i in args.drop_layers.split(",")}
        layers = model.bert.encoder.layer
        model.bert.encoder.layer = torch.nn.ModuleList(
            layer for i, layer in enumerate(layers) if i not in drop)
        model.config.num_hidden_layers = len(model.bert.encoder.layer)
    return model


def make_optimizer(torch, model, args, steps):
    from transformers import get_linear_schedule_with_warmup
    decay = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": args.weight_decay},
         {"params": plain, "weight_decay": 0.0}], lr=args.learning_rate)
    rounding = math.floor if args.warmup_floor else math.ceil
    schedule = get_linear_schedule_with_warmup(
        optimizer, rounding(args.warmup_ratio * steps), steps)
    return optimizer, schedule


def train_step(torch, model, optimizer, schedule, batch, args):
    """One update; returns loss, gradient norm and the learning rate it used."""
    with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
        loss = model(**batch).loss
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.max_grad_norm)
    lr = optimizer.param_groups[0]["lr"]
    optimizer.step()
    schedule.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item(), norm.item(), lr


def save(torch, model, optimizer, tokenizer, out):
    """What Trainer's checkpoint holds that matters: weights and the optimiser's moments."""
    os.makedirs(out, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    torch.save(optimizer.state_dict(), os.path.join(out, "optimizer.pt"))


def batches_of_epoch(torch, data, args, epoch):
    order = list(range(len(data)))
    if args.group_by_length:
        order = grouped_order(torch, [len(d[0]) for d in data], args.batch_size,
                              args.seed + epoch)
    elif not args.no_shuffle:
        random.Random(args.seed * 1000 + epoch).shuffle(order)
    for at in range(0, len(order), args.batch_size):
        yield [data[i] for i in order[at:at + args.batch_size]]


def train(torch, model, data, args, log):
    """The loop; returns (steps, seconds, tokens, examples, optimizer)."""
    regression = TASKS[args.task][3] is None
    per_epoch = math.ceil(len(data) / args.batch_size)
    steps = args.max_steps or int(per_epoch * args.epochs)
    optimizer, schedule = make_optimizer(torch, model, args, steps)
    width = args.max_seq_length if args.padding == "max_length" else 0
    step, epoch, tokens, examples = 0, 0, 0, 0
    model.train()
    compiled = torch.compile(model, dynamic=True) if args.compile else model
    start = time.perf_counter()
    while step < steps:
        for rows in batches_of_epoch(torch, data, args, epoch):
            batch = collate(torch, rows, width, regression)
            loss, norm, lr = train_step(torch, compiled, optimizer, schedule, batch, args)
            step += 1
            n = sum(len(r[0]) for r in rows)
            tokens, examples = tokens + n, examples + len(rows)
            log.write(json.dumps({
                "step": step, "loss": loss, "learning_rate": lr, "grad_norm": norm,
                "tokens": n, "padded_tokens": batch["input_ids"].numel(),
                "seconds": time.perf_counter() - start}) + "\n")
            log.flush()
            if step == steps:
                break
        epoch += 1
    return step, time.perf_counter() - start, tokens, examples, optimizer


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--model", required=True, help="Hugging Face directory")
    p.add_argument("--task", required=True, type=lambda s: s.lower(),
                   help="a GLUE task: " + " ".join(TASKS))
    p.add_argument("--data", required=True, help="the task's folder")
    p.add_argument("--output", required=True)
    p.add_argument("--epochs", type=float, default=3)
    p.add_argument("--max-steps", type=int, default=0)
    p.add_argument("--train-examples", type=int, default=0, help="the first N rows")
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--eval-batch-size", type=int, default=64)
    p.add_argument("--max-seq-length", type=int, default=128)
    p.add_argument("--padding", choices=["longest", "max_length"], default="longest")
    p.add_argument("--group-by-length", action="store_true")
    p.add_argument("--no-shuffle", action="store_true")
    p.add_argument("--learning-rate", type=float, default=2e-5)
    p.add_argument("--warmup-ratio", type=float, default=0.1)
    p.add_argument("--warmup-floor", action="store_true",
                   help="round warm-up steps down (Trainer and pare round up)")
    p.add_argument("--weight-decay", type=float, default=0.01)
    p.add_argument("--max-grad-norm", type=float, default=1.0)
    p.add_argument("--dropout", type=float, help="every dropout; not given: the model's own")
    p.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    p.add_argument("--compile", action="store_true", help="train by torch.compile")
    p.add_argument("--drop-layers", help="0-based layers to drop first, as 3,4,5")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--no-save", action="store_true")
    p.add_argument("--no-eval", action="store_true")
    args = p.parse_args()
    if args.task not in TASKS:
        p.error(f"--task {args.task}: not one of {' '.join(TASKS)}")
    return args


def main():
    args = parse_args()
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    _, _, _, names, dev, _ = TASKS[args.task]
    tokenizer = load_tokenizer(args.model)
    rows = read_tsv(os.path.join(args.data, "train.tsv"), args.task)
    data = encode(tokenizer, rows[:args.train_examples or None], args.max_seq_length)
    model = build_model(torch, args, len(names) if names else 1)
    os.makedirs(args.output, exist_ok=True)
    with open(os.path.join(args.output, "metrics.jsonl"), "w", encoding="utf-8") as log:
        step, seconds, tokens, examples, optimizer = train(torch, model, data, args, log)
    if not args.no_save:
        save(torch, model, optimizer, tokenizer, os.path.join(args.output, "last"))
    loss, metrics = None, {}
    if not args.no_eval:
        held = encode(tokenizer, read_tsv(os.path.join(args.data, dev), args.task),
                      args.max_seq_length)
        loss, metrics = evaluate(torch, model, args.task, held, args.eval_batch_size)
    print(json.dumps({
        "task": args.task, "steps": step, "eval_loss": loss, "metrics": metrics,
        "train_seconds": seconds, "tokens_per_second": tokens / seconds,
        "examples_per_second": examples / seconds, "torch": torch.__version__,
        "transformers": transformers.__version__, "threads": torch.get_num_threads(),
        "attention": model.config._attn_implementation}))


if __name__ == "__main__":
    main()
