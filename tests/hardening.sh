#!/bin/sh
# tests/hardening.sh: what the linker and the compiler are to give the program against exploits of
# faults that the other tests have not found. Reads $PARE (build/pare) with readelf.
#
#   PARE=build/pare tests/hardening.sh
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
pare=${PARE:-build/pare}
command -v readelf >/dev/null || {
    echo "skipped: no readelf (Debian: binutils)" >&2
    exit 77
}
about=$(readelf -Whldr --dyn-syms "$pare") || exit 1
passed=0 failed=0

# has WHAT PATTERN and hasnt WHAT PATTERN: whether a line of readelf's says so.
verdict() {
    if [ "$1" -eq 0 ]; then passed=$((passed + 1)) word=ok; else
        failed=$((failed + 1)) word=FAILED
    fi
    echo "$word  $2"
}
has() {
    echo "$about" | grep -Eq "$2"
    verdict $? "$1"
}
hasnt() {
    ! echo "$about" | grep -Eq "$2"
    verdict $? "$1"
}

has "code can lie anywhere: PIE" '^ *Type: +DYN'
has "tables of addresses can be sealed: RELRO" '^ *GNU_RELRO '
has "they are sealed at the start: BIND_NOW" 'FLAGS.*(BIND_NOW|NOW)'
has "the stack is a segment of its own" '^ *GNU_STACK '
hasnt "the stack is not executable" '^ *GNU_STACK .* RWE '
hasnt "no memory is writable and executable" '^ *LOAD .* (RWE|.WE) '
hasnt "code needs no changes when loaded" 'TEXTREL'
hasnt "libraries are looked for where the system says: no RPATH" '\((RPATH|RUNPATH)\)'
has "stacks are guarded" ' __stack_chk_fail(@| |$)'
if echo "$about" | grep -q 'GLIBC_'; then # other C libraries have no checked functions
    has "copies are checked: _FORTIFY_SOURCE" ' __(memcpy|memset|snprintf|vsnprintf|fprintf)_chk'
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
