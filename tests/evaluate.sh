#!/bin/sh
# tests/evaluate.sh: scores that can be worked out by hand: files of predictions, regression from
# training to prediction, and MNLI's two dev sets. One line a failure; the last line is
# `N passed, N failed`.
cd "$(dirname "$0")/.." || exit 1
. tests/program.sh

# value NAME FILE: the first number so named in a line of JSON.
value() { sed -n "s/.*\"$1\":\([-+.e0-9]*\).*/\1/p" "$2" | tail -n 1; }
close() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && (a - b) ^ 2 < 1e-10) }'; }

run 0 import "$tiny" tiny.h5

# ---- Files of predictions ----
mkdir -p glue/SST-2 glue/STS-B glue/MNLI
printf 'sentence\tlabel\nthe one\t0\nthe two\t1\nthe three\t1\nthe four\t0\n' >glue/SST-2/dev.tsv
printf 'index\tprediction\n0\t0\n1\t0\n2\t1\n3\t0\n' >guess.tsv
run 0 evaluate --predictions guess.tsv --task SST-2 --data glue --json
prints '"accuracy":0.75'
prints '"loss":null'
printf 'index\tprediction\n0\t0\n1\t0\n2\t1\n' >few.tsv
run 3 evaluate --predictions few.tsv --task SST-2 --data glue
says "few.tsv"
printf 'index\tsentence\n0\tthe one\n' >glue/SST-2/test.tsv
run 3 evaluate --predictions few.tsv --task SST-2 --data glue --split test
says "no labels"
{
    printf 'index\tgenre\tfile\tyear\told\tsource1\tsource2\tsentence1\tsentence2\tscore\n'
    i=0
    for score in 0 1 5; do
        printf '%s\tg\tf\ty\to\ts\ts\tthe one\tthe two\t%s\n' $i $score
        i=$((i + 1))
    done
} >glue/STS-B/dev.tsv
printf 'index\tprediction\n0\t0\n1\t2\n2\t1\n' >scores.tsv
run 0 evaluate --predictions scores.tsv --task STS-B --data glue --json
check "Pearson is 1 / sqrt(28)" close "$(value pearson out)" 0.1889822365046136
check "Spearman is 1 / 2" close "$(value spearman out)" 0.5
mkdir marks
printf 'text\tlabel\nthe one\t5\nthe two\t1\nthe three\t3\n' >marks/dev.tsv
printf 'index\tprediction\n0\t5\n1\t1\n2\t1\n' >marked.tsv
run 0 evaluate --predictions marked.tsv --task classify --data marks --text-column text \
    --label-column label --json
check "2 of 3 marks" close "$(value accuracy out)" 0.6666666666666667
printf 'index\tprediction\n0\t2\n1\t0\n2\t1\n' >marked.tsv # no marks: 2 and 0 are not among them
run 3 evaluate --predictions marked.tsv --task classify --data marks --text-column text \
    --label-column label
says '"2" is no prediction'
run 3 evaluate --model tiny.h5 --task SST-2 --data glue
says "answers with 3 labels"

# ---- Regression: trained, evaluated, predicted, and the predictions evaluated ----
mkdir own
awk 'BEGIN {
    print "text\tscore"
    split("a c d e the", word, " ")
    for (i = 0; i < 24; i++) {
        text = ""
        for (k = 0; k <= i % 5; k++) text = text word[(i + k) % 5 + 1] " "
        print text "\t" i % 5
    }
}' >own/train.tsv
cp own/train.tsv own/dev.tsv
own="--task regress --data own --text-column text --label-column score"
# shellcheck disable=SC2086 # one word an option
{
    run 0 finetune --model tiny.h5 $own --output run --epochs 80 --batch-size 4 --eval-steps 480 \
        --learning-rate 3e-3 --dropout 0 --attention-dropout 0 --threads 2 --json
    run 0 evaluate --model run/last.h5 $own --json
}
mse=$(value loss out) pearson=$(value pearson out) spearman=$(value spearman out)
check "the longer the text the higher the score: $pearson" \
    awk -v r="$pearson" 'BEGIN { exit !(r > 0.6) }'
awk -F '\t' 'NR > 1 { print $1 }' own/dev.tsv | "$pare" predict --model run/last.h5 >out 2>err
sed 's/.*"index":\([0-9]*\).*"score":\([-+.e0-9]*\).*/\1\t\2/' out >predicted.tsv
check "a score a line" [ "$(grep -c '^[0-9]*	[-0-9]' predicted.tsv)" -eq 24 ]
# shellcheck disable=SC2086
run 0 evaluate --predictions predicted.tsv $own --json
check "predictions have the model's Pearson" close "$(value pearson out)" "$pearson"
check "and its Spearman" close "$(value spearman out)" "$spearman"
awk -F '\t' 'NR == FNR { if (FNR > 1) want[FNR - 2] = $2; next }
    { sum += ($2 - want[$1]) ^ 2; n++ } END { printf "%.9f\n", sum / n }' own/dev.tsv \
    predicted.tsv >by-hand
check "the loss is their mean squared error" close "$(cat by-hand)" "$mse"

awk -F '\t' '{ print $1 }' own/dev.tsv >own/test.tsv
# shellcheck disable=SC2086
run 3 heads importance --model run/last.h5 $own --split test
says "importance needs labels"

# ---- A warm-up that is longer than the training ----
# shellcheck disable=SC2086
run 0 finetune --model tiny.h5 $own --output cold --max-steps 2 --warmup-steps 500 \
    --learning-rate 0.5 -q
grep '"step":2,' cold/metrics.jsonl >second
check "the second step's rate is 1 / 500 of the whole" close "$(value learning_rate second)" 0.001

# ---- A rate that is too high ----
# shellcheck disable=SC2086
run 6 finetune --model tiny.h5 $own --output hot --max-steps 9 --learning-rate 1e30
says "help: lower --learning-rate"

# ---- An update of two batches is one of a batch twice as large ----
# shellcheck disable=SC2086
for batch in 8 4; do
    run 0 finetune --model tiny.h5 $own --output by$batch --epochs 1 --batch-size $batch \
        --grad-accumulation $((8 / batch)) --dropout 0 --attention-dropout 0 --max-steps 2 -q
    grep -m 1 '"step":1,' by$batch/metrics.jsonl >first$batch
done
check "its gradient is as long" close "$(value grad_norm first8)" "$(value grad_norm first4)"
check "its loss is the same" close "$(value loss first8)" "$(value loss first4)"

# ---- MNLI: both dev sets, each as if it were alone ----
mnli() { # mnli ROWS FIRST: rows whose labels take turns
    printf 'index\ta\tb\tc\td\te\tf\tg\tsentence1\tsentence2\tlabel1\tgold_label\n'
    i=0
    while [ $i -lt "$1" ]; do
        case $(((i + $2) % 3)) in 0) l=neutral ;; 1) l=entailment ;; *) l=contradiction ;; esac
        printf '%s\t-\t-\t-\t-\t-\t-\t-\tthe %s\tthe two\t%s\t%s\n' $i $i $l $l
        i=$((i + 1))
    done
}
mnli 12 0 >glue/MNLI/train.tsv
mnli 7 1 >glue/MNLI/dev_matched.tsv
mnli 11 2 >glue/MNLI/dev_mismatched.tsv
run 0 finetune --model tiny.h5 --task MNLI --data glue --output mnli --epochs 1 --batch-size 4 -q
run 0 evaluate --model mnli/best.h5 --task MNLI --data glue --json
cp out both
for set in matched mismatched; do
    run 0 evaluate --model mnli/best.h5 --task MNLI --data glue --split dev_$set --json
    check "$set alone" close "$(value accuracy out)" \
        "$(value accuracy$([ $set = matched ] || echo _mismatched) both)"
done

# ---- A head whose labels have another order than the task's ----
cp -r "$tiny" named
sed 's/"contra"/"ENTAILMENT"/; s/"pro"/"neutral"/; s/"neither"/"contradiction"/' \
    "$tiny/config.json" >named/config.json
run 0 import named named.h5
sed 1d glue/MNLI/dev_matched.tsv | cut -f 9,10 | "$pare" predict --model named.h5 >out 2>err
sed 's/.*"label":"\([A-Za-z]*\)".*/\1/' out | tr A-Z a-z >answers
sed 1d glue/MNLI/dev_matched.tsv | cut -f 12 >labels
right=$(paste answers labels | awk '$1 == $2 { n++ } END { printf "%.17g\n", n / NR }')
run 0 evaluate --model named.h5 --task MNLI --data glue --split dev_matched --json
check "labels are met by name" close "$(value accuracy out)" "$right"
still="--task MNLI --data glue --learning-rate 0 --dropout 0 --no-shuffle --max-steps 1"
# shellcheck disable=SC2086
run 0 finetune --model named.h5 $still --output kept
says "order of the task's labels"
run 0 evaluate --model kept/last.h5 --task MNLI --data glue --split dev_matched --json
check "a head that is kept answers alike" close "$(value accuracy out)" "$right"
for teacher in named.h5 kept/last.h5; do
    # shellcheck disable=SC2086
    run 0 finetune --model tiny.h5 $still --teacher $teacher --distill-weight 1 --overwrite \
        --output taught
    value loss taught/metrics.jsonl >>taught-losses
done
check "a teacher answers by name too" [ "$(sort -u taught-losses | wc -l)" -eq 1 ]

finish
