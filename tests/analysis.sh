#!/bin/sh
# tests/analysis.sh: the source read by cppcheck and clang-tidy, with clang's warnings among what
# counts as an error. `make tidy` also follows clang's analyzer, which takes minutes.
cd "$(dirname "$0")/.." || exit 1
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
passed=0 failed=0 skipped=0

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1" >&2
}
# check WHAT TARGET...: a target of the Makefile finds nothing.
check() {
    what=$1
    shift
    if env -u MAKEFLAGS -u MAKELEVEL make -s -k "$@" >"$logs/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
        cat "$logs/out"
    fi
}

if command -v cppcheck >/dev/null; then check "cppcheck" cppcheck; else skip "no cppcheck"; fi
# clang-tidy reads <omp.h> of clang's own.
echo '#include <omp.h>' >"$logs/omp.c"
if ! command -v clang-tidy >/dev/null; then
    skip "no clang-tidy"
elif ! clang-tidy --quiet "$logs/omp.c" -- -fopenmp >/dev/null 2>&1; then
    skip "clang-tidy finds no omp.h (Debian: libomp-dev)"
else
    check "clang-tidy" tidy TIDY=--checks=-clang-analyzer-*
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
