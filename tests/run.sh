#!/bin/sh
# tests/run.sh [PROGRAM | SCRIPT.sh ...]: runs test programs and checks from the repository's root
# and sums up. Without arguments: all that is built, and every check beside this file.
#
#   UNDER="valgrind -q" tests/run.sh build/tests/test_tensor      runs programs under a tool
#   BUILD=build/asan tests/run.sh                                 takes them from another build
#   JOBS=1 tests/run.sh                                           one after the other
#
# A program counts as cmocka counts its tests, on standard output. A script says how many of its
# checks passed in a last line `N passed, N failed[, N skipped]`; one without such a line counts
# as one check. An exit status of 77, with nothing counted, means that it was skipped. What takes
# longer than LIMIT seconds (600) is ended and fails.
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
PARE=${PARE:-$BUILD/pare}
export BUILD PARE # for the scripts
# Tests use more threads than there may be cores: threads that wait by spinning then take the cores
# from those that work, and seconds become minutes.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
if [ $# -eq 0 ]; then
    for one in tests/*.sh; do # first, for among them are those that take longest
        [ "$one" = tests/run.sh ] || [ ! -x "$one" ] || set -- "$@" "$one" # or it is no script
    done
    for one in "$BUILD"/tests/test_* "$BUILD"-double/tests/test_*grad* \
        "$BUILD"-double/tests/test_*golden*; do
        [ -f "tests/${one##*/}.c" ] && set -- "$@" "$one"
    done
    for one in "$BUILD"/tests/fuzz/fuzz_*; do
        [ -f "tests/fuzz/${one##*/}.c" ] && set -- "$@" "$one"
    done
fi

# Prints "passed failed skipped" of one run. A program that dies between two tests has announced
# more than it answered for: that is one failure, whatever the tests before it said.
count() {
    awk -v status="$1" -v script="$2" '
    script && /^[0-9]+ passed, [0-9]+ failed/ { ok = $1; bad = $3; skip = $5 + 0; said = 1; next }
    script { next }
    /^\[==========\] Running [0-9]+ test/ { n += $3; said = 1 }
    /\[       OK \]/ { ok++ }
    /\[  FAILED  \]/ { bad++ }
    /\[  SKIPPED \]/ { skip++ }
    END {
        if (!said && status == 77) skip = 1
        else if (script && !said && status == 0) ok = 1
        else if (!script && (!said || n > ok + bad + skip)) bad++
        else if (status != 0 && bad == 0) bad = 1
        print ok + 0, bad + 0, skip + 0
    }' "$3"
}

# Runs one, its results in files of that name; says in one write how it went.
run_one() {
    log=$logs/$(echo "$1" | tr / +)
    case $1 in
    *.sh) script=1 command=./$1; [ -x "$1" ] || command="sh $1" ;;
    *) script= command="$UNDER $1" ;;
    esac
    start=$(date +%s)
    timeout "${LIMIT:-600}" $command >"$log.out" 2>"$log.err" </dev/null
    status=$?
    count "$status" "$script" "$log.out" >"$log.count"
    read -r passed failed skipped <"$log.count"
    line="$1: $passed passed, $failed failed, $skipped skipped ($(($(date +%s) - start)) s)"
    if [ "$failed" -eq 0 ]; then
        echo "ok      $line"
        sort -u "$log.err" | sed -n 's/^skipped: /        skipped: /p'
    else
        echo "FAILED  $line, exit status $status"
        sed 's/^/    /' "$log.out" "$log.err"
    fi >"$log.said"
    cat "$log.said"
}

if [ "$1" = --one ]; then
    logs=$2
    run_one "$3"
    exit 0
fi
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM
[ $# -eq 0 ] || printf '%s\n' "$@" |
    xargs -P "${JOBS:-$(nproc)}" -I '{}' sh tests/run.sh --one "$logs" '{}'
cat /dev/null "$logs"/*.count 2>/dev/null | awk '
    { passed += $1; failed += $2; skipped += $3 }
    END {
        printf "%d passed, %d failed", passed, failed
        print skipped ? ", " skipped " skipped" : ""
        exit failed > 0
    }'
