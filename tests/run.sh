#!/bin/sh
# tests/run.sh [PROGRAM | SCRIPT.sh ...]: runs test programs and checks from the repository's root
# and sums up. Without arguments: all that is built, and every check beside this file.
#
#   UNDER="valgrind -q" tests/run.sh build/tests/test_tensor      runs programs under a tool
#   BUILD=build/asan tests/run.sh                                 takes them from another build
#
# A program counts as cmocka counts its tests, on standard output. A script says how many of its
# checks passed in a last line `N passed, N failed[, N skipped]`; one without such a line counts
# as one check, and its exit status 77 means that it was skipped. What takes longer than LIMIT
# seconds (600) is ended and fails.
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
PARE=${PARE:-$BUILD/pare}
export BUILD PARE # for the scripts
# Tests use more threads than there may be cores: threads that wait by spinning then take the cores
# from those that work, and seconds become minutes.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
if [ $# -eq 0 ]; then
    for one in "$BUILD"/tests/test_* "$BUILD"-double/tests/test_*grad* \
        "$BUILD"-double/tests/test_*golden*; do
        [ -f "tests/${one##*/}.c" ] && set -- "$@" "$one"
    done
    for one in "$BUILD"/tests/fuzz/fuzz_*; do
        [ -f "tests/fuzz/${one##*/}.c" ] && set -- "$@" "$one"
    done
    for one in tests/*.sh; do
        [ "$one" = tests/run.sh ] || [ ! -x "$one" ] || set -- "$@" "$one" # or it is no script
    done
fi
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 skipped=0

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
        if (script && !said && status == 77) skip = 1
        else if (script && !said && status == 0) ok = 1
        else if (!script && (!said || n > ok + bad + skip)) bad++
        else if (status != 0 && bad == 0) bad = 1
        print ok + 0, bad + 0, skip + 0
    }' "$3"
}

for one; do
    case $one in
    *.sh) script=1 command=./$one; [ -x "$one" ] || command="sh $one" ;;
    *) script= command="$UNDER $one" ;;
    esac
    start=$(date +%s)
    timeout "${LIMIT:-600}" $command >"$logs/out" 2>"$logs/err" </dev/null
    status=$?
    set -- $(count "$status" "$script" "$logs/out")
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    line="$one: $1 passed, $2 failed, $3 skipped ($(($(date +%s) - start)) s)"
    if [ "$2" -eq 0 ]; then
        echo "ok      $line"
        sort -u "$logs/err" | sed -n 's/^skipped: /        skipped: /p'
    else
        echo "FAILED  $line, exit status $status"
        sed 's/^/    /' "$logs/out" "$logs/err"
    fi
done

[ "$skipped" -eq 0 ] && skips= || skips=", $skipped skipped"
echo "$passed passed, $failed failed$skips"
[ "$failed" -eq 0 ]
