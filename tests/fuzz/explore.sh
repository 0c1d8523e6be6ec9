#!/bin/sh
# tests/fuzz/explore.sh SECONDS TARGET...: lets libFuzzer look for inputs, SECONDS a target, one
# target after the other. `make fuzz SECONDS=600` builds the targets and calls it.
#
# What it finds is kept in build/fuzz/NAME and is where the next run begins; the committed corpus is
# read too. An input that crashes, hangs (10 s) or takes too much memory is kept in
# build/fuzz/found/NAME; after it the search goes on until the time is up or there are ten.
# One line a target: executions, inputs new in the corpus, findings. Exit status 1: findings.
cd "$(dirname "$0")/../.." || exit 1
seconds=$1
shift
mkdir -p build/fuzz
TMPDIR=$(mktemp -d "$PWD/build/fuzz/tmp-XXXXXX") || exit 1
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM
export LSAN_OPTIONS="suppressions=$PWD/tests/fuzz/leaks.suppress"
export UBSAN_OPTIONS=print_stacktrace=1
all=0
for target; do
    name=${target##*/fuzz_}
    corpus=build/fuzz/$name found=build/fuzz/found/$name log=build/fuzz/$name.log
    mkdir -p "$corpus" "$found"
    before=$(ls "$corpus" | wc -l)
    end=$(($(date +%s) + seconds)) findings=0
    : >"$log"
    while left=$((end - $(date +%s))) && [ "$left" -gt 0 ] && [ "$findings" -lt 10 ]; do
        "$target" -max_total_time="$left" -timeout=10 -malloc_limit_mb=256 -rss_limit_mb=2048 \
            -print_final_stats=1 -close_fd_mask=2 -artifact_prefix="$found/" -verbosity=1 \
            "$corpus" "tests/fuzz/corpus/$name" >>"$log" 2>&1 && break
        findings=$((findings + 1))
    done
    executions=$(awk '/number_of_executed_units/ { n += $2 } END { printf "%d", n }' "$log")
    echo "$name: $executions executions," \
        "$(($(ls "$corpus" | wc -l) - before)) new inputs, $findings findings"
    if [ -n "$PARE_TORTURE" ]; then
        echo "torture fuzz: $executions executions of $name"
        echo "torture fuzz: $seconds seconds of $name"
    fi
    all=$((all + findings))
done
[ "$all" -eq 0 ]
