#!/bin/sh
# tests/coverage.sh BUILD: how many lines of each room the tests reached, from what gcov says of a
# build with --coverage. Fails where core, autograd, optim, prune or tasks is under 90 %.
# BUILD/unreached.txt gets the other lines. `make coverage` runs it.
#
# A line counts once, however many objects it is in: the kernels are one header, compiled once for
# each instruction set, and a machine runs some of them.
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
build=${1:?"usage: tests/coverage.sh BUILD"}

# Notes (.gcno) are there for every object, counts (.gcda) for those that ran.
find "$build" -name '*.gcno' ! -path "$build/tests/*" | sort |
    xargs gcov --stdout 2>/dev/null | awk -v unreached="$build/unreached.txt" '
BEGIN { n = split("core autograd optim models prune tasks cli plot", rooms, " ") }
/^ *-: *0:Source:/ {
    file = substr($0, index($0, "Source:") + 7)
    next
}
{
    split($0, part, ":") # count, line, text
    gsub(/[ *]/, "", part[1])
    if (file ~ /^\// || part[1] == "-" || part[2] + 0 == 0) next
    at = file ":" part[2] + 0
    reached[at] += part[1] ~ /^[0-9]/
    text[at] = substr($0, index($0, ":") + 7)
}
END {
    for (at in reached) {
        room = at
        sub(/\/.*/, "", room)
        lines[room]++
        if (reached[at]) hit[room]++
        else print at ": " text[at] | "sort -t: -k1,1 -k2,2n >" unreached
    }
    for (i = 1; i <= n; i++) {
        room = rooms[i]
        percent = lines[room] ? 100 * hit[room] / lines[room] : 0
        asked = room ~ /^(core|autograd|optim|prune|tasks)$/
        bad = asked && percent < 90
        failed += bad
        printf "%s %-9s %5.1f %% of %5d lines\n", bad ? "FAILED " : "ok     ", room, percent,
            lines[room]
    }
    print n - failed " passed, " failed + 0 " failed"
    exit failed > 0
}'
