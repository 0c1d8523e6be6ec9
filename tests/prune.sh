#!/bin/sh
# tests/prune.sh: pare drop-layers and pare heads from outside, on the demo's model of two layers.
# One line a failure; the last line is `N passed, N failed`.
cd "$(dirname "$0")/.." || exit 1
. tests/program.sh

run 0 demo --output demo -q
cp demo/run/best.h5 model.h5
texts="--task SST-2 --data demo/corpus"
train="--model model.h5 $texts --train-examples 64"

# ---- Layer drop ----
run 0 drop-layers --model model.h5 --strategy top --count 1 top.h5 --json
json strategy dropped kept parameters_before parameters
prints '"dropped":[1],"kept":[0]'
run 0 inspect top.h5 --json
prints '"command":"drop-layers"'
run 0 drop-layers --model model.h5 --layers 0 first.h5
prints "kept                                1"
run 0 drop-layers --model model.h5 --strategy contribution --count 1 \
    --task SST-2 --data demo/corpus --json contribution.h5
json dropped
for wrong in "--strategy tpo --count 1" "--strategy top --count 2" "--strategy top --count 0" \
    "--layers 2" "--layers 0,0" "--layers 0 --count 1" "--strategy top" "--layers 0,1" \
    "--strategy contribution --count 1" "--strategy list --count 1"; do
    # shellcheck disable=SC2086 # one word an option
    run 2 drop-layers --model model.h5 $wrong never.h5
done
# shellcheck disable=SC2086
run 0 finetune $train --output dropped --drop-layers list:0 --max-steps 2
says "dropped layers 0 of 2 (list); kept 1"
# shellcheck disable=SC2086
run 2 finetune $train --output dropped --drop-layers list:1 --max-steps 2 --resume
says "drop_layers"
# shellcheck disable=SC2086
run 2 finetune $train --output never --drop-layers top:2

# ---- Attention heads ----
# shellcheck disable=SC2086
run 0 heads sweep --model model.h5 $texts --all-but-one --output sweep.json --json
json task split examples metric baseline heads verdicts alone difference low high verdict
tail -n 1 out >want
check "--output holds the object of --json" cmp -s want sweep.json
# shellcheck disable=SC2086
run 0 heads sweep --model model.h5 $texts --output again.json
prints "layer  0 head  0"
# shellcheck disable=SC2086
run 0 heads sweep --model model.h5 $texts --train-examples 5 --json
prints '"examples":5'
for score in token example; do
    # shellcheck disable=SC2086
    run 0 heads importance --model model.h5 $texts --score $score --json
    json heads importance normalized
    prints '"normalized":false'
    # shellcheck disable=SC2086
    run 0 heads importance --model model.h5 $texts --score $score --normalize --json
    prints '"normalized":true'
done
# shellcheck disable=SC2086
run 0 heads prune --model model.h5 $texts --fraction 0.5 --step 0.25 --exact half.h5 --json
json heads_before heads removed metrics_before metrics parameters_before parameters curve
run 0 inspect half.h5 --json
prints '"command":"heads prune"'
# shellcheck disable=SC2086
run 0 finetune $train --model half.h5 --output half --max-steps 2
# shellcheck disable=SC2086
run 0 heads prune --model half.h5 $texts --count 1 --score random --seed 3 less.h5
run 0 export less.h5 less --for-transformers 4
run 0 import less again.h5
for model in less again; do
    echo 'a gripping film' | "$pare" predict --model $model.h5 --logits >$model.jsonl 2>err
done
check "pruned heads are read again" cmp -s less.jsonl again.jsonl
check "there is an answer" [ -s less.jsonl ]
run 0 inspect again.h5 --json
cp out want
run 0 inspect less.h5 --json
check "as many of them" [ "$(grep -o '"heads":[0-9]*' want)" = "$(grep -o '"heads":[0-9]*' out)" ]
for wrong in '{"0": [9]}' '{"1": [0, 0]}' '{"0": 1}'; do
    tr '\n' ' ' <less/config.json |
        sed "s/\"pruned_heads\": *{[^}]*}/\"pruned_heads\": $wrong/" >new
    mv new less/config.json
    run 3 import less never.h5
    says "pruned_heads of layer"
done
# shellcheck disable=SC2086
for wrong in "" "--count 0" "--count 9" "--fraction 0" "--fraction 0.5 --count 1" "--fraction 2" \
    "--count 7 --at-least-one"; do
    run 2 heads prune --model model.h5 $texts $wrong never.h5
done
# shellcheck disable=SC2086
prune_run="heads run $train --fraction 0.5 --max-steps 3 --output heads-run --json"
run 0 $prune_run
json task heads removed parameters metrics before pruned after
cp out want
run 0 $prune_run
check "a run that is repeated says the same" cmp -s want out
check "it left a model that was fine-tuned" [ -s heads-run/finetuned/last.h5 ]
run 2 $prune_run --exact
says "exact"
run 4 heads sweep --model model.h5 $texts --output nowhere/sweep.json
says "nowhere/sweep.json"
# shellcheck disable=SC2086
run 0 heads run $train --fraction 0.5 --max-steps 3 --output heads-run
prints "metrics after accuracy"
# shellcheck disable=SC2086
run 2 heads run $train --fraction 0.5 --max-steps 3 --metric-for-best loss --output heads-run
says "metric_for_best"
# shellcheck disable=SC2086
run 2 heads run $train --fraction 0.5 --output dropped
says "it holds no pare heads run"
# shellcheck disable=SC2086
run 2 heads run $train --fraction 0.5 --drop-layers top:1 --output never
says "drop them first"
run 2 heads tidy
says "unknown study"
# shellcheck disable=SC2086
run 0 finetune $train --output other --max-steps 3
# shellcheck disable=SC2086
run 0 heads sweep --model other/last.h5 $texts --output other.json
run 0 heads correlate sweep.json other.json --output correlation.json --json
json files n pearson spearman pearson_p spearman_p loss
# shellcheck disable=SC2086
run 0 heads prune --model model.h5 $texts --fraction 1 --step 0.25 --output curve.json less.h5
run 0 plot sweep.json other.json correlation.json curve.json --output plots
prints "plots/sweep-sorted.svg"
cp out plotted
run 0 plot sweep.json other.json correlation.json curve.json --output plots --json
json charts
check "every chart is named" [ "$(grep -c . plotted)" = "$(grep -o svg out | wc -l)" ]
for chart in sweep-sorted sweep-map sweep-and-other correlation-pearson \
    correlation-spearman-loss heads-removed; do
    for ending in svg png tsv; do
        check "there is $chart.$ending" [ -s plots/$chart.$ending ]
    done
done
# Every file has charts and a name of its own.
each_once() { check "no chart twice" [ -z "$(sort out | uniq -d)" ]; }
cp sweep.json lr0.1.json
cp other.json lr0.2.json
run 0 plot lr0.1.json lr0.2.json --output names
for chart in lr0.1-sorted lr0.1-map lr0.2-sorted lr0.2-map lr0.1-and-lr0.2; do
    prints "names/$chart.svg"
done
mkdir -p a/run b/run
cp sweep.json a/same.json
cp other.json b/same.json
run 0 plot a/same.json b/same.json ./a/same.json --output names
each_once
for chart in a-same-map b-same-map a-same-2-map a-same-and-b-same; do
    prints "names/$chart.svg"
done
cp other/metrics.jsonl a/run/metrics.jsonl
cp other/metrics.jsonl b/run/metrics.jsonl
run 0 plot a/run/metrics.jsonl b/run/metrics.jsonl --output names
each_once
prints "names/a-run-loss.svg"
prints "names/b-run-loss.svg"
cp curve.json a/heads.json
cp curve.json b/heads.json
run 0 plot a/heads.json b/heads.json --output names
check "two curves, called after their runs" [ "$(cut -f1 names/heads-removed.tsv | sed 1d |
    uniq | tr '\n' ' ')" = "a b " ]

# Curves of another task or metric have a chart of their own.
sed 's/SST-2/CoLA/; s/accuracy/matthews/g' curve.json >cola.json
run 0 plot curve.json cola.json --output tasks
check "two charts" [ "$(wc -l <out)" -eq 2 ]
for chart in SST-2-accuracy CoLA-matthews; do
    prints "tasks/heads-removed-$chart.svg"
done
sed 's,SST-2,../x,' curve.json >elsewhere.json
run 0 plot cola.json elsewhere.json --output tasks
prints "tasks/heads-removed-..-x-accuracy.svg"
check "the first holds the first alone" [ "$(cut -f1 tasks/heads-removed-SST-2-accuracy.tsv |
    sed 1d | uniq)" = curve ]

for layers in 1000000000 1e300 -1 1.5 '"12"'; do
    printf '{"cells":[],"summary":[{"task":"T","options":{"drop_layers":"top:1"},%s' \
        "\"metric\":\"a\",\"layers\":$layers,\"mean\":0.5,\"sd\":null}]}" >deep.json
    run 3 plot deep.json --output plots
    says "deep: \"layers\" of its point 1"
done
run 4 plot none-such.json --output never.h5
printf '%s' '{"metric":"a","baseline":{"metrics":{"a":0.5}},"heads":[{"layer":-9,"head":0,' \
    '"metrics":{"a":0.4},"loss":1}]}' >minus.json
run 3 plot minus.json --output plots
says "cannot be drawn"
run 3 plot demo/run/eval_results.json --output never.h5
says "no chart"
run 2 heads correlate sweep.json
echo '{}' >none.json
run 3 heads correlate sweep.json none.json
says "none.json"
says "help: make one: pare heads sweep --output F.json"

# ---- Factorised matrices ----
run 0 flop factorize --model model.h5 factors.h5 --json
json parameters_before parameters encoder_before encoder_after sparsity_dense ranks
# shellcheck disable=SC2086
run 0 evaluate --model model.h5 $texts --json
sed 's/.*"metrics"//' out >want
# shellcheck disable=SC2086
run 0 evaluate --model factors.h5 $texts --json
check "all ranks give the same metrics" sh -c "sed 's/.*\"metrics\"//' out | cmp -s - want"
for method in svd svd-global; do
    run 0 flop factorize --model model.h5 --target 0.5 --method $method half.h5 --json
    check "half of the encoder goes" grep -Eq '"sparsity_dense":0\.5(0[0-9]*)?,' out
    run 0 inspect half.h5 --json
    prints '"ranks":{"query":'
    # shellcheck disable=SC2086
    run 0 finetune $train --model half.h5 --output "$method" --max-steps 2
    run 0 export "$method/last.h5" "$method-dense"
    run 0 import "$method-dense" dense.h5
    # shellcheck disable=SC2086
    run 0 latency half.h5 dense.h5 $texts --batch 4 --rounds 2 --json
    # shellcheck disable=SC2086
    run 0 evaluate --model "$method/last.h5" $texts --json
    sed 's/.*"metrics"//' out >want
    # shellcheck disable=SC2086
    run 0 evaluate --model dense.h5 $texts --json
    check "the exported model scores the same" \
        sh -c "sed 's/.*\"metrics\"//' out | cmp -s - want"
done
run 0 flop factorize --model model.h5 --target 0.5 --method $method --fold time --allow-miss \
    fast.h5 --json
check "what is faster dense is no smaller" [ "$(stat -c %s fast.h5)" -ge "$(stat -c %s half.h5)" ]
run 3 flop factorize --model factors.h5 never.h5
says "factorised already"
# shellcheck disable=SC2086
run 3 heads prune --model factors.h5 $texts --count 1 --score random never.h5
run 0 drop-layers --model factors.h5 --layers 0 dropped-factors.h5
run 0 heads prune --model model.h5 $texts --count 4 --score random few.h5
run 0 flop factorize --model few.h5 --target 0.3 few-factors.h5
# shellcheck disable=SC2086
run 0 evaluate --model few-factors.h5 $texts
run 0 export few-factors.h5 few-dense
run 2 flop factorize --model model.h5 --modules query,nonsense never.h5
run 0 flop factorize --model model.h5 --target 0.6 --target-of factorised of-factors.h5 --json
check "--target-of counts here too" [ "$(sed 's/.*"sparsity_dense":0\.\(.\).*/\1/' out)" -lt 6 ]
run 2 flop factorize --model model.h5 --targets 0.3,0.5 never.h5
run 2 flop factorize --model model.h5 "" --target 0.3
run 2 flop factorize --model model.h5 --modules= never.h5
says "no matrix is named"
run 2 flop factorize --model model.h5 --modules query --target 0.5 never.h5
run 2 flop factorize --model model.h5 --target 1 never.h5
run 2 flop multiply --model model.h5 never.h5
check "nothing was written" [ ! -e never.h5 ]

# ---- A teacher ----
# shellcheck disable=SC2086
run 0 finetune $train --output taught --teacher model.h5 --max-steps 2
check "the labels' loss is logged beside the mixture's" grep -q '"task_loss":' taught/metrics.jsonl
# shellcheck disable=SC2086
run 0 finetune $train --output taught-alone --teacher model.h5 --distill-weight 1 --max-steps 2
# shellcheck disable=SC2086
run 0 finetune $train --output alone --teacher model.h5 --distill-weight 0 --max-steps 2
# shellcheck disable=SC2086
run 0 finetune $train --output untaught --max-steps 2
echo mine >untaught/mine.tmp
# shellcheck disable=SC2086
run 0 finetune $train --output untaught --overwrite --max-steps 2
check "--overwrite clears what is pare's" [ -s untaught/mine.tmp ]
check "a weight of 0 is no teacher" cmp -s alone/best.h5 untaught/best.h5
check "a weight of 1 is another run" sh -c '! cmp -s taught-alone/best.h5 untaught/best.h5'
# shellcheck disable=SC2086
run 3 finetune $train --output untaught-2 --teacher sweep.json --max-steps 2
mkdir -p pairs/MRPC
printf 'Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta film\ta good film\n' \
    >pairs/MRPC/train.tsv
run 3 finetune --model demo/untrained.h5 --task MRPC --data pairs --teacher model.h5 \
    --output untaught-2 --max-steps 2
says "it was trained on SST-2"

# ---- Two dropouts ----
losses() { sed -n 's/.*"loss":\([0-9.e-]*\),"learning.*/\1/p' "$1/metrics.jsonl"; }
# shellcheck disable=SC2086
run 0 finetune $train --output two --dropout 0.1 --attention-dropout 0.1 --max-steps 2
# shellcheck disable=SC2086
run 0 finetune $train --output one --dropout 0.1 --max-steps 2
# shellcheck disable=SC2086
run 0 finetune $train --output no-attention --dropout 0.1 --attention-dropout 0 --max-steps 2
check "the same dropout twice is one" [ "$(losses two)" = "$(losses one)" ]
check "none in the attention is another" [ "$(losses no-attention)" != "$(losses one)" ]
check "there are losses" [ -n "$(losses one)" ]

# ---- Learnt ranks ----
flop="--task SST-2 --data demo/corpus --train-examples 64 --mask-epochs 4 --epochs 1"
# shellcheck disable=SC2086
run 0 flop run --model model.h5 $flop --target 0.4 --targets 0.2,0.4 --output flop --json
json task target sparsity factorised dense expected realised parameters encoder_before \
    encoder_after metrics before after latency_ms miss_before_projection undecided_gates models
for file in eval_results.json eval_results.txt info.txt last.h5 best.h5 config.ini; do
    check "flop run writes $file" [ -s "flop/$file" ]
done
run 0 plot flop/eval_results.json flop/masks/metrics.jsonl --output flop-plots
for chart in flop-ranks-0.4 flop-SST-2-parameters flop-SST-2-time flop-loss flop-score \
    flop-sparsity flop-multipliers; do
    check "there is $chart.svg" [ -s "flop-plots/$chart.svg" ]
done
check "ranks are numbers of the result" sh -c \
    'for rank in $(sed 1d flop-plots/flop-ranks-0.4.tsv | tr "\t" "\n" | grep -E "^[1-9][0-9]+$")
     do grep -qE "\"[a-z_]+\": $rank" flop/eval_results.json || exit 1; done'
# shellcheck disable=SC2086
run 0 flop run --model model.h5 $flop --target 0.3 --precision bf16 --output flop-bf16
check "masks train with products of bf16" grep -q '"kernels":"bf16-' flop-bf16/masks/metrics.jsonl
for labels in ab cd; do
    mkdir $labels
    for file in train dev; do
        head -n 40 demo/corpus/$file.tsv | sed "2,\$y/01/$labels/" >$labels/$file.tsv
    done
done
own="--task classify --text-column sentence --label-column label --epochs 1"
# shellcheck disable=SC2086
run 0 finetune --model demo/untrained.h5 $own --data ab --output of-ab
# shellcheck disable=SC2086
run 0 flop run --model of-ab/best.h5 $own --data cd --target 0.4 --mask-epochs 2 --output of-cd
check "a head of other labels is no head: dense is trained first" [ -s of-cd/dense/last.h5 ]
# shellcheck disable=SC2086
run 0 flop run --model of-ab/best.h5 $own --data ab --target 0.4 --mask-epochs 2 --output of-ab-2
check "one of the same labels is" [ ! -e of-ab-2/dense ]
for key in target_sparsity expected_sparsity lambda_1 lambda_2 model_lr alpha_lr lambda_lr task_loss
do
    check "the log has $key" grep -q "\"$key\":" flop/masks/metrics.jsonl
done
printf 'sentence\tlabel\none\tx\ntwo\tx\n' >one.tsv
run 3 finetune --model demo/untrained.h5 --task classify --data one.tsv --text-column sentence \
    --label-column label --output never
says 'every row has the label "x"'
run 0 inspect flop/last.h5 --json
prints '"command":"flop masks"'
# shellcheck disable=SC2086
run 0 flop run --model model.h5 $flop --target 0.4 --targets 0.2,0.4 --output flop --resume
run 2 flop run --model model.h5 $flop --target 0.3 --output flop
says "recipe.json was made with targets"
# shellcheck disable=SC2086
run 2 flop run --model model.h5 $flop --target 0.3 --output dropped
says "it holds no pare flop run"
# shellcheck disable=SC2086
run 7 flop run --model model.h5 $flop --target 0.4 --no-projection --mask-rule stretch \
    --guard never --method flop --output missed
says "more than 0.01 from its target"
# shellcheck disable=SC2086
run 0 flop run --model model.h5 $flop --target 0.4 --no-projection --mask-rule stretch \
    --guard never --method flop --output missed --allow-miss
# shellcheck disable=SC2086
run 0 flop run --model model.h5 $flop --max-score-drop 1 --targets 0.2,0.5 --method svd \
    --output smallest --json
prints '"target":0.5'
run 7 flop run --model model.h5 $flop --targets 0.9,0.95 --method svd --learning-rate 1e-9 \
    --max-score-drop 0.0005 --output lost --json
says "no model is within --max-score-drop 0.0005"
prints '"score_missed":true'
prints '"target":0.9'
run 0 flop factorize --model model.h5 --gates gated.h5
# shellcheck disable=SC2086
run 2 flop train --model gated.h5 $flop --target 0.3 --output dropped
says "or name another --output"
check "no option is named that it has not" [ "$(grep -c overwrite err)" -eq 0 ]
# shellcheck disable=SC2086
run 0 flop train --model gated.h5 $flop --target 0.3 --output frozen --freeze 0 --patience 1 \
    --eval-steps 2 --regularization-scale 1e-4
check "patience does not end mask training" [ -s frozen/compact-0.3.h5 ]
# shellcheck disable=SC2086
run 0 flop run --model model.h5 $flop --target 0.6 --target-of factorised --modules query,output \
    --output part --json
gone=$(sed 's/.*"factorised":{"expected":[0-9.e-]*,"realised":\([0-9.e-]*\).*/\1/' out)
check "60 % of what is factorised is gone: $gone" \
    awk -v x="$gone" 'BEGIN { exit !(x > 0.56 && x < 0.64) }'
# shellcheck disable=SC2086
run 0 flop train --model gated.h5 $flop --target 0.4 --output masks --json
json steps metrics
check "train compacts too" [ -s masks/compact-0.4.h5 ]
run 0 flop compact --model masks/last.h5 --target 0.4 compact.h5 --json
json encoder_after ranks
check "the same model" cmp -s compact.h5 masks/compact-0.4.h5
run 7 flop compact --model gated.h5 --target 0.4 --no-projection missed.h5 --json
prints '"missed":true'
says "more than 0.01 from its target"
check "what was made stays" [ -s missed.h5 ]
run 0 flop compact --model gated.h5 --target 0.4 --no-projection --allow-miss missed.h5
# shellcheck disable=SC2086
run 7 flop train --model gated.h5 $flop --target 0.4 --no-projection --guard never --max-steps 4 \
    --mask-learning-rate 1e-9 --gate-learning-rate 1e-9 --output open --json
prints '"missed":true'
run 0 flop factorize --model model.h5 --gates --modules query,output some.h5
# shellcheck disable=SC2086
run 0 flop train --model some.h5 $flop --target 0.2 --output some
run 0 flop compact --model some/last.h5 --target 0.2 some-compact.h5
# shellcheck disable=SC2086
run 0 flop run --model model.h5 $flop --target 0.4 --max-steps 6 --output short
check "--max-steps is for the masks" [ "$(grep -c '"task_loss"' short/masks/metrics.jsonl)" -eq 6 ]
check "the same model of some matrices" cmp -s some-compact.h5 some/compact-0.2.h5
# shellcheck disable=SC2086
for wrong in "--target 1" "--target 0" "--targets 0.5,0.3" "--targets 0.5,x" "--target 0.9999" \
    "--targets 0.5," "--target 0.4 --freeze 0-" \
    "--target 0.2 --target-of factorised" "--target 0.4 --modules nonsense" \
    "--target 0.4 --drop-layers top:1"; do
    run 2 flop run --model model.h5 $flop $wrong --output nowhere
done
# shellcheck disable=SC2086
run 3 flop run --model compact.h5 $flop --target 0.4 --output nowhere
# shellcheck disable=SC2086
run 3 flop train --model model.h5 $flop --target 0.4 --output nowhere
check "nothing was made" [ ! -e nowhere ]
# shellcheck disable=SC2086
run 0 sweep --run flop --model model.h5 $flop --target 0.4 --grid method=flop,svd --seeds 1 \
    --slim --no-latency --output flops --json
json cells summary mean
check "a slim run keeps its model" [ -s "flops/method=flop,seed=1/best.h5" ]
check "a slim run keeps no checkpoint" sh -c '! find flops -name "checkpoint-*" | grep -q .'

finish
