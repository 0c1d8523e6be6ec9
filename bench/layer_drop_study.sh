#!/bin/sh
# bench/layer_drop_study.sh MODEL.h5 GLUE OUTPUT: the study of docs/results/layer-drop.md: MiniLM-L6
# with its top, bottom and middle layers dropped before fine-tuning. Resumable: repeat the command.
#
#   PARE=build/pare THREADS=4 bench/layer_drop_study.sh minilm.h5 glue results
set -e
model=$1 data=$2 output=$3
pare=${PARE:-build/pare}
half=none,top:3,bottom:3,symmetric:3
less=top:1,top:2,bottom:1,bottom:2,symmetric:1,symmetric:2

study() { # NAME GRID SEEDS TASKS [OPTION...]
    name=$1 grid=$2 seeds=$3 tasks=$4
    shift 4
    "$pare" sweep --model "$model" --data "$data" --grid "task=$tasks" --grid "drop-layers=$grid" \
        --seeds "$seeds" --epochs 3 --batch-size 32 --learning-rate 5e-5 --max-seq-length 128 \
        --jobs "${JOBS:-1}" --threads "${THREADS:-0}" --slim --no-latency \
        --output "$output/$name" "$@"
}

mkdir -p "$output"
study half-mrpc $half 1,2,3 MRPC
study half-cola $half 1,2,3 CoLA
study half-sst2 $half 1,2,3 SST-2 --train-examples 10000
study half-stsb $half 1,2,3 STS-B
study half-sst2-20k top:3 1,2,3 SST-2 --train-examples 20000 # as PyTorch's run
study chance $half 1 RTE,WNLI
study less $less 1 MRPC,CoLA,STS-B
study less-sst2 $less 1 SST-2 --train-examples 10000
