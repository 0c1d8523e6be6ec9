#!/bin/sh
# bench/heads_study.sh RUNS GLUE OUTPUT: the study of docs/results/heads.md: every head of MiniLM-L6
# off in turn, on the models of bench/reference_runs.sh (RUNS/TASK-SEED/last.h5), the correlations
# between them, and the pictures. Resumable: what is there is not made again.
#
#   PARE=build/pare JOBS=2 THREADS=2 bench/heads_study.sh runs glue results
set -e
runs=$1 data=$2 output=$3
pare=${PARE:-build/pare}
mkdir -p "$output"

for seed in 1 2 3; do
    for task in MRPC CoLA SST-2 STS-B RTE WNLI; do
        echo "$task-$seed $task"
    done
done | xargs -P "${JOBS:-1}" -L 1 sh -c '
    pare=$0 runs=$1 data=$2 output=$3 run=$4 task=$5
    [ -s "$output/$run.json" ] || [ ! -s "$runs/$run/last.h5" ] ||
        "$pare" heads sweep --model "$runs/$run/last.h5" --task "$task" --data "$data" \
            --threads "${THREADS:-0}" --output "$output/$run.json" -q >/dev/null
' "$pare" "$runs" "$data" "$output"
# WNLI is at chance: where every head has the same effect, nothing can be correlated
"$pare" heads correlate "$output"/[!W]*-?.json --output "$output/correlation.json" >/dev/null
"$pare" plot "$output"/*-1.json "$output/correlation.json" --output "$output/plots"
