#!/bin/sh
# tests/sanitize.sh: the quicker test programs under AddressSanitizer, LeakSanitizer and
# UndefinedBehaviorSanitizer in one build, and some of them under valgrind, which also sees memory
# that is read before it is written. `make asan-test` and `make valgrind-test` run the others too.
cd "$(dirname "$0")/.." || exit 1
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
passed=0 failed=0 skipped=0

# check WHAT TARGET NAME...: adds up what tests/run.sh says of the test programs so named.
check() {
    what=$1 target=$2
    shift 2
    env -u MAKEFLAGS -u MAKELEVEL make -s "$target" NAMES="$*" >"$logs/out" 2>&1
    last=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed\(, \([0-9]*\) skipped\)*$/\1 \2 0\4/p' \
        "$logs/out" | tail -n 1)
    # shellcheck disable=SC2086 # three numbers
    set -- ${last:-0 1 0}
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    [ "$2" -eq 0 ] || {
        echo "FAILED  $what"
        cat "$logs/out"
    }
}

check "sanitizers" asan-test dataset file import json kernels lines metrics model model_file optim \
    options prune prune_golden sweep_grid tf_checkpoint tokenizer
if command -v valgrind >/dev/null; then
    check "valgrind" valgrind-test import lines model model_file optim prune
else
    skipped=$((skipped + 1))
    echo "skipped: no valgrind" >&2
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
