#!/bin/sh
# tests/mutate.sh [WORD...]: would the tests notice? Each row of tests/mutations.tsv puts one fault
# into a copy of the tree (build/mutate), builds the test program that it names, and runs it: the
# program must fail. A fault that it lets pass is a gap in the tests.
#
#   make mutate                           every row
#   make mutate MUTATIONS="adamw gate"    rows that hold one of these words
#   make mutate JOBS=2                    with so many compilers at once
#
# Nothing is done to the tree itself. The copy stays, with what is built in it, for the next time.
cd "$(dirname "$0")/.." || exit 1
tree=build/mutate
mkdir -p $tree || exit 1
# Only what changed, so that little is built anew; and faults of a run that was broken off go.
find . -name .git -prune -o -name 'build*' -type d -prune -o -type f -print |
    while read -r file; do
        cmp -s "$file" "$tree/$file" && continue
        mkdir -p "$tree/${file%/*}" && cp -p "$file" "$tree/$file" && touch "$tree/$file"
    done
(cd $tree && find . -name "build*" -type d -prune -o -type f -print) |
    while read -r file; do [ -e "$file" ] || rm "$tree/$file"; done
all=$PWD/tests/mutations.tsv
cd $tree || exit 1
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
export PARE_SHARED="${PARE_SHARED:-../../../shared}"
passed=0 failed=0 tab=$(printf '\t')

# A test is a program of tests/, or a script that tries build/pare.
build() {
    case $1 in *.sh) target=build/pare ;; *) target=build/tests/$1 ;; esac
    env -u MAKEFLAGS -u MAKELEVEL make -s JOBS="${JOBS:-2}" OPTIMIZE=-O1 CFLAGS=-w $target \
        >log 2>&1
}
try() {
    case $1 in *.sh) program=tests/$1 ;; *) program=build/tests/$1 ;; esac
    timeout 120 $program >log 2>&1 </dev/null
}
verdict() {
    if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf "%s\n" "$1  $2"
}

# Replaces `from`, which must stand in one line of the file, once, by `to`.
apply() {
    from=$3 to=$4 awk '
    (at = index($0, ENVIRON["from"])) {
        found++
        rest = substr($0, at + length(ENVIRON["from"]))
        if (index(rest, ENVIRON["from"])) found++
        $0 = substr($0, 1, at - 1) ENVIRON["to"] rest
    }
    { print }
    END { exit found != 1 }' "$1" >"$2"
}

# Programs must pass before anything is changed, or their failures would say nothing.
sound=" "
is_sound() {
    case $sound in *" $1 "*) return 0 ;; esac
    build "$1" && try "$1" && sound="$sound$1 "
}

one() {
    what="$file: $from -> $to ($test)"
    if ! is_sound "$test"; then
        verdict FAILED "$test does not pass on the tree as it is: $what"
    elif ! apply "$file" mutant "$from" "$to"; then
        verdict FAILED "does not stand there once: $what"
    else
        mv "$file" original && mv mutant "$file"
        if ! build "$test"; then
            verdict FAILED "does not compile: $what"
        elif try "$test"; then
            verdict FAILED "not noticed: $what"
        else
            verdict ok "$what"
        fi
        mv original "$file" && touch "$file"
    fi
}

while IFS=$tab read -r file test from to; do
    case $file in '' | '#'*) continue ;; esac
    for word in "${@:-.}"; do
        printf "%s\n" "$file $test $from $to" | grep -q -- "$word" && one && break
    done
done <"$all"
[ -z "$PARE_TORTURE" ] || echo "torture mutate: $passed faults put into the code and noticed"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
