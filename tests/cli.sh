#!/bin/sh
# tests/cli.sh: the program from outside: exit codes, messages, output, files. One line a failure;
# the last line is `N passed, N failed`.
#
#   PARE=build/pare tests/cli.sh
cd "$(dirname "$0")/.." || exit 1
. tests/program.sh

# ---- Help, version, unknown names ----
run 0 --version
check "the version is one line" [ "$(wc -l <out)" -eq 1 ]
run 0 --help
check "pare --help fits 80 columns" narrow
empty err
commands=$(sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' out)
check "there are commands" [ -n "$commands" ]
for command in $commands; do
    run 0 "$command" --help
    check "pare $command --help fits 80 columns" narrow
    prints "usage: pare $command"
    prints "--json"
done
run 0 help import
prints "usage: pare import"
run 2
empty out
says "usage: pare COMMAND"
run 2 finetun
empty out
says 'error: unknown command "finetun"'
says "help: did you mean pare finetune?"
run 2 finetune --epoch 3
says "error: unknown option --epoch"
says "--epochs"
run 2 finetune --batch-size 0
says "--batch-size: 0 is not from 1 to 65536"
run 2 finetune --model
says "needs a value"
run 2 finetune
says "error: pare finetune needs --model"
says "help: "
run 2 import only-one
says "needs DIR OUT.h5"
run 2 tokenize
says "--vocab"
run 2 finetune --config missing-value.ini --batch-size x
says '"x" is not a whole number'
PARE_KERNELS=bogus "$pare" doctor >out 2>err
check "a wrong PARE_KERNELS is reported" [ $? -eq 2 ]
says "PARE_KERNELS"

# ---- Colours and streams ----
run 2 import --color=always a
says "DIR OUT.h5"
"$pare" verify --color=always nothing.h5 >out 2>err
check "--color=always colours" grep -q "$(printf '\033')" err
"$pare" verify nothing.h5 >out 2>err
check "no colours without a terminal" sh -c "! grep -q '$(printf '\033')' err"
if [ -w /dev/full ]; then
    "$pare" --help >/dev/full 2>err
    check "a full disk under stdout is exit code 4" [ $? -eq 4 ]
    says "standard output: "
fi
"$pare" --help >&- 2>err
check "a closed stdout is exit code 4" [ $? -eq 4 ]
"$pare" tokenize --vocab "$tiny/vocab.txt" <&- >out 2>err
check "so is a closed stdin" [ $? -eq 4 ]

# ---- Config files ----
run 0 finetune --print-config --model 'a b; "c' --learning-rate 0.1 --no-shuffle --freeze 0-3
cp out first.ini
check "every key has a comment" awk '
    /^#/ { comment = 1; next }
    /^[a-z_]+ =/ { if (!comment) bad = 1; comment = 0; n++ }
    END { exit bad || n < 30 }' first.ini
run 0 finetune --config first.ini --print-config
check "--print-config reads back as itself" cmp -s out first.ini
run 0 finetune --config first.ini --print-config --seed 9
check "the command line wins" grep -q '^seed = 9$' out
printf '# comment\n\nbatch_sise = 3\n' >bad.ini
run 2 finetune --config bad.ini
says 'error: bad.ini:3: unknown key "batch_sise"'
says "did you mean batch_size?"
run 4 finetune --config nowhere.ini
says "nowhere.ini"

# ---- Tokens ----
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b '##b' c >vocab.txt
tokens() { "$pare" tokenize --vocab vocab.txt "$@" >out 2>err; }
printf 'a b\n\nA\000B abb\nlast c' | tokens
check "tokenize succeeds" [ $? -eq 0 ]
cat >want <<'END'
{"ids":[2,5,6,3],"type_ids":[0,0,0,0]}
{"ids":[2,3],"type_ids":[0,0]}
{"ids":[2,5,7,5,7,7,3],"type_ids":[0,0,0,0,0,0,0]}
{"ids":[2,1,8,3],"type_ids":[0,0,0,0]}
END
check "one line of ids for each line, whatever it holds" cmp -s out want
printf 'a\tb\tc\na\n' | tokens --pair
cat >want <<'END'
{"ids":[2,5,3,6,8,3],"type_ids":[0,0,0,1,1,1]}
{"ids":[2,5,3,3],"type_ids":[0,0,0,1]}
END
check "pairs are cut at the first TAB" cmp -s out want
printf '"a\\tb"\n["a","b\\n"]\n["a",null]\n' | tokens --json-input
cat >want <<'END'
{"ids":[2,5,6,3],"type_ids":[0,0,0,0]}
{"ids":[2,5,3,6,3],"type_ids":[0,0,0,1,1]}
{"ids":[2,5,3],"type_ids":[0,0,0]}
END
check "--json-input takes strings and pairs" cmp -s out want
printf 'a b c a b c\n' | tokens --max-seq-length 4
prints '{"ids":[2,5,6,3]'
printf 'A\n' | tokens --cased
prints '{"ids":[2,1,3]'
printf '"a"\n[1]\n' | tokens --json-input
check "a bad line is exit code 3" [ $? -eq 3 ]
says "standard input:2: "
check "the lines before it were answered" [ "$(wc -l <out)" -eq 1 ]
yes 'a b c' | head -n 20000 >many
tokens --threads 1 <many
cp out want
tokens --threads 3 <many
check "the same ids on 3 threads" cmp -s out want
check "20,000 lines, 20,000 answers" [ "$(wc -l <out)" -eq 20000 ]
(yes 'a b c' | "$pare" tokenize --vocab vocab.txt 2>err | head -n 1) >out
prints '{"ids"'
empty err
run 3 tokenize --vocab many
says "many"

# ---- Model files ----
run 4 verify nothing.h5 --json
json ok file error
prints '"ok":false'
printf 'not a model' >junk.h5
run 3 verify junk.h5
says "error: junk.h5"
run 3 inspect junk.h5
says "help: "
run 3 import . out.h5
check "a failed import leaves no file" [ ! -e out.h5 ]
run 0 import "$tiny" tiny.h5 --json
json parameters layers sha256
check "one line on stdout" [ "$(wc -l <out)" -eq 1 ]
check "the sha256 is the file's" grep -qF "$(sha256sum tiny.h5 | cut -d' ' -f1)" out
run 0 verify tiny.h5 --json
json ok file error
run 3 verify tiny.h5 junk.h5
prints "tiny.h5: ok"
run 0 inspect tiny.h5 --json
json config parameters encoder_parameters layers history
prints '"heads":2'
prints '"ranks":{}'
run 0 inspect tiny.h5
prints "classify labels: contra, pro, neither"
cp -r "$tiny" hostile
sed 's/"contra"/"\\u001b[31mred"/; s/"pro"/"a\\tb\\u009b\\n"/' "$tiny/config.json" \
    >hostile/config.json
run 0 import hostile hostile.h5
run 0 inspect hostile.h5
prints 'labels: \u001b[31mred, a\u0009b\u009b\u000a, neither'
run 0 export tiny.h5 exported
run 0 import exported again.h5
run 4 import exported no/such/folder/out.h5
cp -r exported noted
sed 's/"id2label"/"problem_type": "multi_label_classification", &/' exported/config.json \
    >noted/config.json
sed '$d' exported/vocab.txt >noted/vocab.txt
echo '{"added_tokens":[{"id":9,"content":"[NEW]"}]}' >noted/tokenizer.json
sed 's/"strip_accents": [a-z]*,//' exported/tokenizer_config.json >noted/tokenizer_config.json
run 0 import noted noted.h5
for note in "read as a choice of one" "8 tokens for 9 rows" "1 added token "; do says "$note"; done
run 0 import -q noted noted.h5
empty err
sed 's/ForSequenceC/ForTokenC/' exported/config.json >noted/config.json
run 0 import noted noted.h5
says "not used: classifier.bias, classifier.weight"
run 0 import -q noted noted.h5
empty err
run 0 export noted.h5 noted
says "noted/tokenizer.json was there before"
run 0 export -q noted.h5 noted
empty err
mkdir google
cp "$tiny"/../tf/fine-tuned/* "$tiny/../tf/bert_config.json" "$tiny/vocab.txt" google
run 0 import google google.h5
run 0 export google.h5 from-google
check "a TensorFlow checkpoint gives the same weights" \
    cmp -s from-google/model.safetensors "$tiny/model.safetensors"
rm google/model.ckpt-7.data-00001-of-00002
run 3 import google google.h5
says "error: google/model.ckpt-7.data-00001-of-00002: there is no such file"
says "help: a checkpoint is the index and all its files of data"
printf 'a\tb\n\nlast' | "$pare" predict --model tiny.h5 --logits >out 2>err
check "predict answers every line" \
    [ "$(grep -c '^{"index":.*"label":.*"probability":.*"logits":\[' out)" -eq 3 ]
printf 'a\n' | "$pare" predict --model tiny.h5 --task CoLA >out 2>err
check "another task's head is exit code 3" [ $? -eq 3 ]
printf 'a\n' | "$pare" predict --model tiny.h5 --task nonsense >out 2>err
check "an unknown task is exit code 2" [ $? -eq 2 ]
printf 'text\tlabel\n' >train.tsv
for label in contra pro neither contra pro neither contra pro; do
    printf 'the caf\303\251s\t%s\n' $label >>train.tsv
done
mkdir data && mv train.tsv data && cp data/train.tsv data/dev.tsv
train="--model tiny.h5 --task classify --data data --text-column text --label-column label"
# shellcheck disable=SC2086 # one word an option
run 0 finetune $train --output run --epochs 2 --batch-size 4 --json --threads 2
json task steps best_step metrics train_seconds tokens_per_second examples_per_second
check "the run has its config" grep -q '^epochs = 2$' run/config.ini
# shellcheck disable=SC2086
run 2 finetune $train --output run
says "--resume"
run 0 evaluate --config run/config.ini --model run/best.h5 --json --output scores.json
json task split examples loss metrics
tail -n 1 out >want
check "--output holds the object of --json" cmp -s want scores.json
# ---- Verifying ----
run 0 verify run
for file in best.h5 last.h5; do prints "run/$file: ok"; done
run 0 verify run --json
json ok file files
mkdir -p runs/a && cp run/best.h5 runs/a && cp run/best.h5 runs && ln -s .. runs/a/circle
printf x | dd of=runs/a/best.h5 bs=1 seek=700 conv=notrunc 2>dd.log
run 3 verify runs
prints "runs/best.h5: ok"
prints "runs/a/best.h5: BAD"
says "error: runs/a/best.h5: checksum differs"
run 3 verify tiny.h5 runs/a --json
json ok file error files
prints '"ok":false,"file":"runs/a/best.h5","error":"runs/a/best.h5: checksum differs'
run 3 verify data
says "there is no .h5 file in it"
run 4 verify nowhere.h5

run 0 evaluate --config run/config.ini -q
empty err
by_number="--model run/best.h5 --task classify --data data --text-column 0 --label-column 1"
# shellcheck disable=SC2086
run 0 evaluate $by_number
says "taken for a header"
# shellcheck disable=SC2086
run 0 evaluate -q $by_number
empty err

# ---- Products of bf16 ----
for threads in 1 3; do
    # shellcheck disable=SC2086
    run 0 finetune $train --output bf16-$threads --batch-size 4 --precision bf16 --threads $threads
done
check "the log names the kernels of bf16" grep -q '"kernels":"bf16-' bf16-1/metrics.jsonl
check "the threads do not matter" cmp -s bf16-1/best.h5 bf16-3/best.h5
# shellcheck disable=SC2086
run 0 finetune $train --output fp32 --batch-size 4
check "bf16 is not fp32" sh -c '! cmp -s bf16-1/best.h5 fp32/best.h5'
# shellcheck disable=SC2086
run 2 finetune $train --output fp32 --batch-size 4 --precision bf16 --resume
says "precision"
printf 'the caf\303\251s\n' >line.txt
for precision in fp32 bf16; do
    "$pare" predict --model bf16-1/last.h5 --precision $precision <line.txt >$precision.out 2>err
    check "pare predict --precision $precision" [ $? -eq 0 ]
done
check "logits of bf16 are rounded" sh -c '! cmp -s fp32.out bf16.out'
run 2 evaluate --config run/config.ini --precision fp16
says "fp16"

finish
