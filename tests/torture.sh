# tests/torture.sh [MINUTES]: the large size of every test that has one (`make torture`).
#
# Runs each test program and script beside this file that reads PARE_TORTURE, with that set. What
# draws its cases at random (it reads PARE_SEED) runs in every round with another seed, what tries
# every case runs in the first round only. Rounds go on for MINUTES; without them one is finished.
# What is done is remembered: the next call goes on there, and with new seeds.
#
#   build/torture/done           ROUND<TAB>TEST, of those that passed
#   build/torture/counts.tsv     TEST<TAB>WHAT<TAB>COUNT, sums of the lines that tests print:
#                                `torture kills: 100 SIGTERM of flop`
#   build/torture/failed/        what failing tests said; such a test runs again in the next call
#
# After a change of what they test, remove build/torture/done. Exit status 1: a test failed.
cd "$(dirname "$0")/.." || exit 1
minutes=${1:-0}
export BUILD="${BUILD:-build}" PARE="${PARE:-${BUILD:-build}/pare}"
export PARE_TORTURE="${PARE_TORTURE:-1}"
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # as in tests/run.sh
here=build/torture
mkdir -p $here/failed || exit 1
touch $here/done $here/counts.tsv
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
end=$(($(date +%s) + minutes * 60))
failed=0
tests=$(grep -l PARE_TORTURE tests/test_*.c tests/*.sh | grep -v '/\(run\|torture\)\.sh$')

is_done() { grep -q "^$1	$2\$" $here/done; }
time_is_up() { [ "$minutes" -gt 0 ] && [ "$(date +%s)" -ge $end ]; }

# add_counts: the sums with the lines of the log.
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
        kind=sums $here/counts.tsv kind=log "$log" | sort >$here/counts.new &&
        mv $here/counts.new $here/counts.tsv
}

# try ROUND SOURCE
try() {
    name=${2##*/}
    case $2 in
    *.sh) command="sh $2" ;;
    *) name=${name%.c} command=$BUILD/tests/${name%.c} ;;
    esac
    start=$(date +%s)
    PARE_SEED=$1 timeout "${LIMIT:-7200}" $command >"$log" 2>&1 </dev/null
    status=$?
    if [ $status -eq 0 ] && ! grep -q '^[0-9]* passed, [1-9][0-9]* failed' "$log"; then
        add_counts
        printf '%s\t%s\n' "$1" "$name" >>$here/done
        echo "ok      $name, seed $1 ($(($(date +%s) - start)) s)"
    else
        cp "$log" "$here/failed/$name-$1.log"
        echo "FAILED  $name, exit status $status: $here/failed/$name-$1.log;" \
            "again: PARE_TORTURE=$PARE_TORTURE PARE_SEED=$1 $command"
        failed=$((failed + 1))
    fi
}

# one_round ROUND: what of it is not done.
one_round() {
    for source in $tests; do
        name=${source##*/} name=${name%.c}
        ! time_is_up || return 0
        is_done "$1" "$name" || { [ "$1" -gt 1 ] && ! grep -q PARE_SEED "$source"; } ||
            try "$1" "$source"
    done
}

# The first round that was not finished; failing tests do not keep the later ones from running.
round=1
while left=$(for source in $tests; do
    name=${source##*/} name=${name%.c}
    is_done $round "$name" || { [ $round -gt 1 ] && ! grep -q PARE_SEED "$source"; } || echo x
done) && [ -z "$left" ]; do
    round=$((round + 1))
done
one_round $round
while [ "$minutes" -gt 0 ] && ! time_is_up; do
    round=$((round + 1))
    one_round $round
done
echo "sums over all rounds:"
sed 's/^/    /' $here/counts.tsv
[ $failed -eq 0 ]
