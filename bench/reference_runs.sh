#!/bin/sh
# Fine-tunes MiniLM-L6 on GLUE as docs/RESULTS.md reports it, one resumable run a task and seed.
#
#   bench/reference_runs.sh MODEL.h5 GLUE_DIR OUT_DIR [JOBS]     runs what is missing
#   bench/reference_runs.sh --table OUT_DIR                      a line for each finished run
#   PRECISION=bf16 bench/reference_runs.sh ...                   the same in bf16
#
# MODEL.h5 is made by `pare import` from the MiniLM-L6-H384-uncased directory. Options: 3 epochs,
# batch 32, length 128, learning rate 5e-5; last weights, no picking of the best epoch. JOBS runs
# go on side by side, one thread each. Interrupt it whenever you like: it goes on where it was.
set -eu

runs() {
    for seed in 1 2 3 4 5; do
        echo "MRPC $seed" && echo "STS-B $seed" && echo "CoLA $seed"
        [ "$seed" -gt 3 ] || echo "SST-2 $seed --train-examples 20000"
        [ "$seed" -gt 3 ] || { echo "RTE $seed" && echo "WNLI $seed"; }
    done
}

if [ "$1" = --table ]; then
    for result in "$2"/*/eval_results.json; do
        python3 - "$result" <<'P'
import json, os, sys
r = json.load(open(sys.argv[1]))
name, seed = os.path.basename(os.path.dirname(sys.argv[1])).rsplit("-", 1)
scores = " ".join(f"{k}={v:.4f}" for k, v in r["metrics"].items())
print(f"{name} seed {seed}: {scores} ({r['steps']} steps, {r['kernels']})")
P
    done
    exit
fi

model=$1 data=$2 out=$3 jobs=${4:-1}
pare=${PARE:-build/pare}
mkdir -p "$out"
runs | xargs -P "$jobs" -L 1 sh -c '
    pare=$0 model=$1 data=$2 out=$3 task=$4 seed=$5
    shift 5
    [ -f "$out/$task-$seed/eval_results.json" ] ||
        "$pare" finetune --model "$model" --task "$task" --data "$data" --seed "$seed" \
            --output "$out/$task-$seed" --resume --learning-rate 5e-5 --epochs 3 --batch-size 32 \
            --max-seq-length 128 --keep 1 --threads 1 --precision "${PRECISION:-fp32}" --quiet "$@"
' "$pare" "$model" "$data" "$out"
