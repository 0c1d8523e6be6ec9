#!/bin/sh
# tests/latency.sh: pare latency, bench and sweep from outside, on the demo's model of two layers;
# what a sweep survives is in test_sweep.c. One line a failure; the last
# line is `N passed, N failed`.
cd "$(dirname "$0")/.." || exit 1
. tests/program.sh

run 0 demo --output demo -q
best=demo/run/best.h5
texts="--task SST-2 --data demo/corpus"

# ---- Latency ----
# shellcheck disable=SC2086 # one word an option
{
    run 0 drop-layers --model $best --layers 1 one.h5
    run 0 latency $best one.h5 $texts --batch 1,4 --rounds 12 --json --threads 2
    json threads kernels models file batch tokens_per_batch ms_median ms_p95 examples_per_second \
        ratio_to_first ratio_low ratio_high
    check "two models, two sizes" [ "$(grep -o '"file"' out | wc -l)" -eq 4 ]
    prints '"threads":2'
    run 0 latency $best one.h5 $texts --batch 8 --rounds 10 --length 20 -q
    check "a heading and two rows" [ "$(wc -l <out)" -eq 3 ]
    prints " 160 "
    empty err
    for sizes in 0 x 1, ,1 1,,8 -1 65537 1.5; do
        run 2 latency $best $texts --batch=$sizes
        says "--batch"
    done
    run 2 latency $texts
    run 2 latency $best --task SST-2
    run 2 latency $best $texts --length 500
    says "give at most"
    run 3 latency demo/untrained.h5 $texts
    says "has no head"
    run 4 latency nothing.h5 $texts
}

# ---- Bench ----
run 0 bench --model $best --length 9 --rounds 2 --threads 1 --json
json kernels threads products matrix m n k gflops peak_gflops passes pass gb_per_second \
    triad_gb_per_second step_ms step_limit_ms tokens_per_second forward_ms forward_limit_ms \
    answer_ms answer_limit_ms
prints '"m":288,'
run 0 bench --model demo/untrained.h5 --batch-size 3 --rounds 1 --precision bf16
prints "3 sentences of 13 tokens"
prints "bf16-"
run 2 bench --model $best --length 5000
says "--length"

# ---- Sweep ----
# shellcheck disable=SC2086
{
    sweep="sweep --model demo/untrained.h5 $texts --epochs 1 --train-examples 64 --threads 1"
    run 0 $sweep --grid drop-layers=none,top:1 --seeds 1,2 --output swept --jobs 2
    check "a table of two rows" [ "$(grep -c '^none \|^top:1 ' out)" -eq 2 ]
    prints "SST-2, best accuracy: drop-layers="
    says "[4/4] done: drop-layers="
    check "summary.tsv has as many" [ "$(wc -l <swept/summary.tsv)" -eq 3 ]
    run 0 $sweep --grid drop-layers=none,top:1 --seeds 1,2 --output swept --json
    json cells summary picks timing
    tail -n 1 out >want
    check "summary.json is the object of --json" cmp -s want swept/summary.json
    says "[4/4] done before"
    check "nothing ran" [ "$(grep -c started err)" -eq 0 ]
    run 0 sweep --config swept/sweep.ini --output swept --json
    check "sweep.ini repeats it" cmp -s out swept/summary.json
    run 0 $sweep --grid learning-rate=1e-4,1e-5 --seeds 1,2 --output rates --no-latency
    run 0 plot rates/summary.json --output charts
    check "a box for each rate" \
        [ "$(grep -c 'learning_rate=1e-[45]' charts/rates-SST-2-seeds.tsv)" -ge 2 ]
    run 0 $sweep --grid precision=fp32,bf16 --seeds 1 --output precisions --max-steps 2
    check "one precision is timed" \
        [ "$(awk 'NR > 1 && $NF == "-"' precisions/summary.tsv | wc -l)" -eq 1 ]
    run 2 $sweep --grid learning-rat=1e-5 --output never
    says "did you mean learning-rate?"
    run 2 $sweep --grid drop-layers=none --output swept
    says "now it is"
    check "nothing of it was made" [ ! -e never ]
}

finish
