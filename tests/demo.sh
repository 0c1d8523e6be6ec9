#!/bin/sh
# tests/demo.sh: `pare demo` learns, leaves what it says, says the same again, and spares other
# people's folders. Data of our own only. The last line is `N passed, N failed`.
cd "$(dirname "$0")/.." || exit 1
PARE=${PARE:-${BUILD:-build}/pare}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0
tab=$(printf '\t')

# check NAME COMMAND...: one line, and one more of either kind
check() {
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
    fi
}

# number KEY FILE: the number behind the first "KEY": in a file
number() {
    sed -n "s/.*\"$1\":\([-0-9.e+]*\).*/\1/p" "$2" | head -n 1
}

at_least() {
    awk -v value="${1:-nan}" -v least="$2" 'BEGIN { exit !(value + 0 >= least) }'
}

same_number() {
    [ -n "$1" ] && [ "$1" = "$2" ]
}

lines() {
    [ "$(wc -l <"$1")" -eq "$2" ]
}

none() {
    ! "$@"
}

demo=$folder/demo
"$PARE" demo --json --output "$demo" >"$folder/out" 2>"$folder/err"
check "pare demo ends with 0" [ $? -eq 0 ]
[ "$failed" -eq 0 ] || cat "$folder/err"
check "stdout is one line" lines "$folder/out" 1
check "accuracy above 0.9" at_least "$(number accuracy "$folder/out")" 0.9
majority=$(number majority "$folder/out")
check "far above always giving one answer" at_least "$(number accuracy "$folder/out")" \
    "$(awk -v majority="${majority:-nan}" 'BEGIN { print majority + 0.25 }')"
check "its questions are answered" grep -q '"label":"1".*"label":"0"' "$folder/out"

# The corpus: SST-2's columns, no sentence twice, questions that it does not hold.
check "2,000 sentences and a header" lines "$demo/corpus/train.tsv" 2001
check "400 sentences and a header" lines "$demo/corpus/dev.tsv" 401
check "columns" grep -qx "sentence${tab}label" "$demo/corpus/dev.tsv"
check "every row is a sentence and 0 or 1" \
    none grep -qv "^[a-z ,.]*${tab}\([01]\|label\)\$" "$demo/corpus/train.tsv"
cut -f 1 "$demo/corpus/train.tsv" "$demo/corpus/dev.tsv" | grep -v '^sentence$' | sort | uniq -d \
    >"$folder/twice"
check "no sentence twice" lines "$folder/twice" 0
sed 's/"text":"/\n/g' "$folder/out" | sed -n 's/\(.*\)","label":"[01]".*/\1/p' \
    >"$folder/questions"
check "two questions" lines "$folder/questions" 2
check "the questions are new" none grep -qFf "$folder/questions" "$demo/corpus/train.tsv"

# What it left is what the other commands make of it.
best=$demo/run/best.h5
check "files are sound" \
    "$PARE" verify -q "$best" "$demo/untrained.h5" "$demo/run/last.h5" >/dev/null
"$PARE" evaluate --json -q --model "$best" --task SST-2 --data "$demo/corpus" >"$folder/evaluated"
check "pare evaluate says the same" \
    same_number "$(number accuracy "$folder/evaluated")" "$(number accuracy "$folder/out")"
"$PARE" predict --model "$best" <"$folder/questions" >"$folder/predicted"
for file in predicted out; do
    grep -o '"label":"[01]"' "$folder/$file" >"$folder/$file.labels"
done
check "pare predict says the same" cmp "$folder/predicted.labels" "$folder/out.labels"

# Again, in the same folder, with other threads: the same model to the bit.
cp "$best" "$folder/first.h5"
"$PARE" demo -q --threads 2 --output "$demo" >"$folder/again" 2>"$folder/err"
check "a second demo ends with 0" [ $? -eq 0 ]
check "and makes the same model" cmp "$best" "$folder/first.h5"
check "and says what it scores" grep -q '^accuracy 0\.9' "$folder/again"

mkdir "$folder/theirs"
echo precious >"$folder/theirs/run"
"$PARE" demo --output "$folder/theirs" >/dev/null 2>"$folder/err"
check "a folder with other files is refused" [ $? -eq 2 ]
check "saying why" grep -q "theirs is not empty" "$folder/err"
check "and left as it was" [ "$(ls "$folder/theirs")" = run ]

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
