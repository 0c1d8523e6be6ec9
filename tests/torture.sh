# tests/torture.sh [MINUTES [WORD...]]: the large size of every test that has one (`make torture`).
#
# A round is each test program and script beside this file that reads PARE_TORTURE, with that set,
# and ten minutes of each fuzz target. What reads PARE_PART too is run in PARTS parts, so that an
# interrupted round loses little. Rounds go on for MINUTES; without them, or with 0, one is
# finished. With WORDs only what has one of them in its name is run: `torture.sh 0 faults fuzz_zip`.
# Later rounds draw other cases (PARE_SEED) and go on fuzzing; what has tried every case is not
# run again. JOBS (the number of processors) run at once.
#
#   build/torture/done           ROUND<TAB>NAME, of those that passed: the next call goes on there
#   build/torture/counts.tsv     TEST<TAB>WHAT<TAB>COUNT, sums of the lines that tests print:
#                                `torture kills: 100 SIGTERM of flop`
#   build/torture/failed/        what failing tests said; such a test runs again in the next call
#
# After a change of what they test, remove build/torture/done. Exit status 1: a test failed.
cd "$(dirname "$0")/.." || exit 1
export BUILD="${BUILD:-build}" PARE="${PARE:-${BUILD:-build}/pare}" PARE_TORTURE=1
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # as in tests/run.sh
PARTS=20 FUZZ_SECONDS=600
here=build/torture

# add_counts LOG: the sums with its lines.
add_counts() {
    awk -F '\t' '
        kind == "sums" { sum[$1 FS $2] += $3; next }
        /^torture [^ ]+: [0-9]+ / {
            split($0, word, " ")
            name = substr(word[2], 1, length(word[2]) - 1)
            what = substr($0, length("torture : ") + length(name) + length(word[3]) + 2)
            sum[name FS what] += word[3]
        }
        END { for (key in sum) printf "%s\t%.0f\n", key, sum[key] }' \
        kind=sums $here/counts.tsv kind=log "$1" | sort >$here/counts.new &&
        mv $here/counts.new $here/counts.tsv
}

# run_one ROUND NAME: NAME is `machines.sh`, `test_kills`, its part `test_kills.7`, or `fuzz_zip`.
run_one() {
    log=$(mktemp) || exit 1
    trap 'rm -f "$log"' EXIT
    part=0
    case $2 in
    *.sh) command="sh tests/$2" ;;
    fuzz_*) command="tests/fuzz/explore.sh $FUZZ_SECONDS build/fuzz/bin/tests/fuzz/$2" ;;
    *.*) command=$BUILD/tests/${2%.*} part=${2##*.} ;;
    *) command=$BUILD/tests/$2 ;;
    esac
    export PARE_SEED=$(($1 * 100 + part))
    [ $part = 0 ] || export PARE_PART="$part/$PARTS"
    start=$(date +%s)
    timeout "${LIMIT:-7200}" $command >"$log" 2>&1 </dev/null
    status=$?
    if [ $status -eq 0 ] && ! grep -q '^[0-9]* passed, [1-9][0-9]* failed' "$log"; then
        exec 9>$here/lock && flock 9 && add_counts "$log"
        printf '%s\t%s\n' "$1" "$2" >>$here/done
        echo "ok      $2, round $1 ($(($(date +%s) - start)) s)"
    else
        cp "$log" "$here/failed/$2-$1.log"
        echo "FAILED  $2, exit status $status: $here/failed/$2-$1.log; again:" \
            "PARE_TORTURE=1 PARE_SEED=$PARE_SEED${PARE_PART:+ PARE_PART=$PARE_PART} $command"
        exit 1
    fi
}

# every_name ROUND: what such a round is made of.
every_name() {
    for source in $(grep -l PARE_TORTURE tests/test_*.c tests/*.sh); do
        name=${source##*/} name=${name%.c}
        case $name in run.sh | torture.sh) continue ;; esac
        [ "$1" -eq 1 ] || grep -q PARE_SEED "$source" || continue
        if grep -q PARE_PART "$source"; then
            seq -f "$name.%g" $PARTS
        else
            echo "$name"
        fi
    done
    for source in tests/fuzz/fuzz_*.c; do
        name=${source##*/} name=${name%.c}
        [ ! -x "build/fuzz/bin/tests/fuzz/$name" ] || echo "$name"
    done
}

# names ROUND [WORD...]: those with one of the words, or all.
names() {
    number=$1
    shift
    every_name "$number" | while read -r name; do
        for word in "${@:-}"; do
            case $name in *"$word"*) echo "$name" && break ;; esac
        done
    done
}

# left ROUND NAME...: those that have not passed.
left() {
    number=$1
    shift
    for name; do
        grep -q "^$number	$name\$" $here/done || echo "$name"
    done
}

if [ "$1" = --one ]; then # END ROUND NAME
    [ "$2" -eq 0 ] || [ "$2" -gt "$(date +%s)" ] || exit 0
    run_one "$3" "$4"
    exit
fi
mkdir -p $here/failed || exit 1
touch $here/done $here/counts.tsv
minutes=${1:-0} end=0 round=0 failed=0
[ $# -eq 0 ] || shift
[ "$minutes" -eq 0 ] || end=$(($(date +%s) + minutes * 60))
trap 'exit 130' INT TERM
[ -x build/fuzz/bin/tests/fuzz/fuzz_zip ] || echo "no fuzzing: its programs need clang"
while round=$((round + 1)) && all=$(names $round "$@") && [ -n "$all" ]; do
    todo=$(left $round $all)
    [ -n "$todo" ] || continue
    echo "$todo" | xargs -P "${JOBS:-$(nproc)}" -I '{}' \
        sh tests/torture.sh --one $end $round '{}' || failed=1
    [ $end -gt "$(date +%s)" ] || break
done
echo "sums over all rounds:"
sed 's/^/    /' $here/counts.tsv
exit $failed
