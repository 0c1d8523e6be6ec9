#!/bin/sh
# bench/heads_study.sh RUNS GLUE OUTPUT: the study of docs/results/heads.md: every head of MiniLM-L6
# off in turn, on the models of bench/reference_runs.sh (RUNS/TASK-SEED/best.h5), the correlations
# between them, and the pictures. Resumable: what is there is not made again.
#
#   PARE=build/pare THREADS=2 bench/heads_study.sh runs glue results
set -e
runs=$1 data=$2 output=$3
pare=${PARE:-build/pare}
mkdir -p "$output"

for run in MRPC-1 MRPC-2 MRPC-3 CoLA-1 CoLA-2 CoLA-3 SST-2-1 SST-2-2 SST-2-3 \
    STS-B-1 STS-B-2 STS-B-3 RTE-1 WNLI-1; do
    [ -s "$output/$run.json" ] || [ ! -s "$runs/$run/best.h5" ] ||
        "$pare" heads sweep --model "$runs/$run/best.h5" --task "${run%-?}" --data "$data" \
            --threads "${THREADS:-0}" --output "$output/$run.json" -q >/dev/null
done
"$pare" heads correlate "$output"/*-?.json --output "$output/correlation.json" >/dev/null
"$pare" plot "$output"/*-1.json "$output/correlation.json" --output "$output/plots"
