"""flop_summary.py TABLE.tsv: the tables of docs/results/flop.md, from bench/flop_study.sh --table.

Scores are the task's first metric on the dev set, times 100. A difference is FLOP's model minus the
truncated one of the same task, seed and size; the interval is Student's over the seeds' means over
the tasks.
"""
import csv
import math
import statistics as st
import sys

T95 = [math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201,
       2.179, 2.160, 2.145, 2.131]  # two-sided, by degrees of freedom


def mean_sd(x):
    return f"{st.mean(x):.2f}" + (f" ± {st.stdev(x):.2f}" if len(x) > 1 else "")


def interval(x):
    """Half the width of the mean's 95 % interval."""
    return T95[len(x) - 1] * st.stdev(x) / math.sqrt(len(x)) if len(x) > 1 else math.nan


rows = list(csv.DictReader(open(sys.argv[1]), delimiter="\t"))
score = {(r["task"], r["seed"], r["method"], r["target"]): 100 * float(r["after"]) for r in rows}
before = {(r["task"], r["seed"]): 100 * float(r["before"]) for r in rows}
tasks = [t for t in ("CoLA", "STS-B", "SST-2", "MRPC", "QNLI") if any(k[0] == t for k in before)]


def scores(task, method, target):
    return [v for k, v in score.items() if (k[0], k[2], k[3]) == (task, method, target)]


def differences(other, target, task=None):
    return [v - score[k[0], k[1], other, target] for k, v in score.items()
            if k[2:] == ("flop", target) and task in (None, k[0])
            and (k[0], k[1], other, target) in score]


def seed_mean(other, target, seed):
    """Of the differences of one seed; None where a task is still missing."""
    d = [score[t, seed, "flop", target] - score[t, seed, other, target] for t in tasks
         if (t, seed, "flop", target) in score and (t, seed, other, target) in score]
    return st.mean(d) if len(d) == len(tasks) else None


def head(*columns):
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")


head("task", "dense", "removed", "flop", "svd", "svd-global", "flop − svd", "its error")
for task in tasks:
    for target in ("0.3", "0.5", "0.7"):
        cells = [mean_sd(x) if x else "–" for x in
                 (scores(task, m, target) for m in ("flop", "svd", "svdglobal"))]
        d = differences("svd", target, task)
        dense = mean_sd([v for k, v in before.items() if k[0] == task])
        error = f"{st.stdev(d) / math.sqrt(len(d)):.2f}" if len(d) > 1 else "–"
        print(f"| {task} | {dense} | {target} | {' | '.join(cells)} |"
              f" {f'{st.mean(d):+.2f}' if d else '–'} | {error} |")

print()
head("removed", "against", "pairs", "mean difference over the tasks", "95 % interval")
for target in ("0.3", "0.5", "0.7"):
    for other in ("svd", "svdglobal"):
        seeds = [x for x in (seed_mean(other, target, s) for s in "123") if x is not None]
        if seeds:
            m, half = st.mean(seeds), interval(seeds)
            width = f"{m - half:+.2f} … {m + half:+.2f}" if len(seeds) > 1 else "–"
            print(f"| {target} | {other} | {len(seeds) * len(tasks)} | {m:+.2f} | {width} |")

flop = [r for r in rows if r["method"] == "flop"]
print()
head("removed", "runs", "largest error of the size", "miss before projection, median, largest",
     "at most 0.03", "undecided gates, median")
for target in ("0.3", "0.5", "0.7"):
    r = [x for x in flop if x["target"] == target]
    miss = [abs(float(x["miss"])) for x in r]
    if r:
        error = max(abs(float(x["realised"]) - float(target)) for x in r)
        print(f"| {target} | {len(r)} | {error:.4f}"
              f" | {st.median(miss):.4f}, {max(miss):.4f} | {sum(m <= 0.03 for m in miss)} |"
              f" {st.median(float(x['undecided']) for x in r):.3f} |")

print()
head("SST-2, 0.4 removed", "scores", "dense − pruned")
for method, name in (("flop40", "with the teacher"), ("labels40", "labels alone")):
    s = scores("SST-2", method, "0.4")
    lost = [before[k[0], k[1]] - v for k, v in score.items() if k[2:] == (method, "0.4")]
    if s:
        print(f"| {name} | {mean_sd(s)} | {mean_sd(lost)} |")
