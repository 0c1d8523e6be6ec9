#!/bin/sh
# bench/flop_study.sh RUNS GLUE OUTPUT [JOBS]: the study of docs/results/flop.md: FLOP against
# truncated singular values at 0.3, 0.5 and 0.7 of MiniLM-L6's encoder removed, five tasks, three
# seeds; and at 0.4 on SST-2, with the dense model's answers (flop40) and without (labels40).
# RUNS/TASK-SEED/best.h5 are the models of bench/reference_runs.sh; QNLI's, on its first 8,999
# sentences, are made there if MODEL=minilm.h5 is set. Resumable: repeat the command.
#
#   MODEL=minilm.h5 bench/flop_study.sh runs glue results 4       runs what is missing
#   bench/flop_study.sh --table results                           a line a model
#
# With DONE=study.tsv, a table from another machine, runs that are in it are left out; its lines and
# the new table's are the whole.
set -eu

if [ "$1" = --table ]; then
    printf 'task\tseed\tmethod\ttarget\trealised\tmiss\tundecided\tbefore\tafter\tparameters\t'
    printf 'time_1\ttime_32\n'
    for result in "$2"/*-*-*/eval_results.json; do
        python3 - "$result" <<'P'
import json, os, sys
r = json.load(open(sys.argv[1]))
task, seed, method = os.path.basename(os.path.dirname(sys.argv[1])).rsplit("-", 2)
for m in r["models"]:
    name = next(iter(m["metrics"]["before"]))
    print(task, seed, method, m["target"], "%.4f" % m["sparsity"]["dense"]["realised"],
          "%+.4f" % m["miss_before_projection"] if "miss_before_projection" in m else "-",
          "%.3f" % m["undecided_gates"] if "undecided_gates" in m else "-",
          "%.4f" % m["metrics"]["before"][name], "%.4f" % m["metrics"]["after"][name],
          m["parameters"]["after"], "%.3f" % m["latency_ratio"]["1"],
          "%.3f" % m["latency_ratio"]["32"], sep="\t")
P
    done
    exit
fi

runs=$1 data=$2 output=$3 jobs=${4:-1}
pare=${PARE:-build/pare}
mkdir -p "$output"

first() { # the sentences of a task that are used
    case $1 in SST-2) echo 20000 ;; QNLI) echo 8999 ;; *) echo 0 ;; esac
}

runs_of() { # METHOD: a line a run, cheap tasks first
    for seed in 1 2 3; do
        for task in CoLA STS-B SST-2 MRPC QNLI; do
            for method; do
                echo "$task $seed $method 0.3,0.5,0.7 $(first $task)"
            done
        done
    done
}

{
    runs_of flop svd
    for seed in 1 2 3; do
        echo "SST-2 $seed flop40 0.4 $(first SST-2)"
        echo "SST-2 $seed labels40 0.4 $(first SST-2)"
    done
    runs_of svdglobal
} | xargs -P "$jobs" -L 1 sh -c '
    pare=$0 runs=$1 data=$2 output=$3 task=$4 seed=$5 name=$6 targets=$7 first=$8
    run=$output/$task-$seed-$name model=$runs/$task-$seed/best.h5
    [ ! -s "$run/eval_results.json" ] || exit 0
    tab=$(printf "\t")
    [ -z "${DONE:-}" ] || ! grep -q "^$task$tab$seed$tab$name$tab" "$DONE" || exit 0
    reference=$runs/$task-$seed/eval_results.json
    if [ ! -s "$reference" ] && [ "$name" = flop ] && [ -n "${MODEL:-}" ]; then
        "$pare" finetune --model "$MODEL" --task "$task" --data "$data" --seed "$seed" \
            --output "$runs/$task-$seed" --resume --learning-rate 5e-5 --epochs 3 \
            --batch-size 32 --max-seq-length 128 --keep 1 --threads 1 --quiet \
            --train-examples "$first"
    fi
    while [ ! -s "$reference" ]; do sleep 10; done
    case $name in
    labels40) method="flop --no-distill" ;;
    svdglobal) method=svd-global ;;
    *) method=${name%40} ;;
    esac
    "$pare" flop run --model "$model" --task "$task" --data "$data" --seed "$seed" \
        --method $method --targets "$targets" \
        --epochs 3 --final-epochs 1 --learning-rate 5e-5 --batch-size 32 --max-seq-length 128 \
        --train-examples "$first" --threads 1 --keep 1 --quiet --output "$run" >/dev/null || exit 1
    rm -rf "$run"/masks/checkpoint-* "$run"/masks/*.h5 "$run"/finetuned-*/*.h5 "$run"/*.h5
' "$pare" "$runs" "$data" "$output"
