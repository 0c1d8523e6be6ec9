#!/bin/sh
# tests/structure.sh: checks that the tree keeps the laws that ARCHITECTURE.md states.
#
#   tests/structure.sh          one line a check; the last line is `N passed, N failed`
#   tests/structure.sh --list   lines for files that the reading order lacks, in an order that works
#
# The reading order is the list under `## Reading order`, its lines of the form
#   - `core/status.h` — one error type for the whole program
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C # so that every awk counts bytes

rooms=
for room in core plot autograd optim models prune tasks cli; do
    [ ! -d $room ] || rooms="$rooms $room"
done
sources=$(for room in $rooms; do
    find "$room" -name '*.[ch]' -o -name '*.def' | sort
done)
beside=$(find tests bench -name '*.[ch]' 2>/dev/null | sort)
texts=$(find . -name .git -prune -o -name 'build*' -type d -prune -o -type f \
    \( -name '*.md' -o -name '*.sh' -o -name '*.py' -o -name '*.ini' \
    -o -name '*.in' -o -name '*.suppress' -o -name '*.mk' \
    -o -name Makefile -o -name bootstrap -o -name run \) \
    -print | sed 's|^\./||' | sort)

# shellcheck disable=SC2086 # one word a file; names with spaces are no names for sources
exec awk -v mode="$1" -v rooms="$rooms" '
function report(check, what) { faults[check] = faults[check] "\n        " what }
function at(what) { return FILENAME ":" FNR ": " what }

# The text of a line without comments and without what stands in quotes.
function code(line,    out, quote) {
    for (;;) {
        if (commented) {
            if (!(quote = index(line, "*/"))) return out
            line = substr(line, quote + 2)
            commented = 0
        }
        if (!match(line, /"|\047|\/\*|\/\//)) return out line
        out = out substr(line, 1, RSTART - 1) " "
        quote = substr(line, RSTART, 1)
        if (substr(line, RSTART, 2) == "//") return out
        commented = quote == "/"
        line = substr(line, RSTART + 1 + commented)
        if (commented) continue
        if (quote == "\"") match(line, /^([^"\\]|\\.)*"/)
        else match(line, /^([^\047\\]|\\.)*\047/)
        if (!RSTART) return out
        line = substr(line, RLENGTH + 1)
    }
}

# Whether a file includes, at any depth, one that visit has begun but not yet placed.
function waits(file, asked,    i, n, names) {
    if (file in asked || file in placed) return 0
    if (file in begun) return 1
    asked[file] = 1
    n = split(includes[file], names, " ")
    for (i = 1; i <= n; i++) if (waits(names[i], asked)) return 1
    return 0
}

# Files in an order in which every include stands earlier, a header right before its .c.
function visit(file,    own, i, n, names) {
    own = file
    split("", names)
    if (sub(/\.h$/, ".c", own) && own in source && !waits(own, names)) visit(own)
    if (file in begun) return
    begun[file] = 1
    own = file
    sub(/\.c$/, ".h", own)
    n = split(includes[file], names, " ")
    for (i = 1; i <= n; i++) if (names[i] != own && names[i] in source) visit(names[i])
    if (own != file && own in source) visit(own)
    placed[file] = 1
    ordered[++n_ordered] = file
}

function print_missing(    i, file) {
    for (i = 1; i <= n_sources; i++) visit(sources[i])
    for (i = 1; i <= n_ordered; i++) {
        file = ordered[i]
        if (!(file in place)) print "- `" file "` — " about[file]
    }
}

BEGIN {
    n_checks = split("every file listed once|what is listed exists|includes stand earlier|" \
        "rooms are one-way|memory|exit|file length|line width|nothing left open|" \
        "no paths of one machine|file names unique", checks, "|")
    n = split(rooms, parts, " ")
    for (i = 1; i <= n; i++) storey[parts[i]] = i
    # Outside libraries: who alone may include their header.
    split("blis.h core/blis.c hdf5.h core/hdf5_session.h zlib.h core/checksum.c " \
        "libdeflate.h core/checksum.c " \
        "jansson.h core/json.c " \
        "ini.h cli/config_file.c utf8proc.h tasks/unicode.c cairo.h plot/canvas.c " \
        "cairo-svg.h plot/canvas.c omp.h core/threads.c", pairs, " ")
    for (i = 1; i in pairs; i += 2) {
        owner[pairs[i]] = pairs[i + 1]
        checks[++n_checks] = pairs[i] " only in " pairs[i + 1]
    }
    # Written in pieces, as this file is checked too.
    open = "(^|[^A-Za-z])(TO" "DO|FIX" "ME|XX" "X|[Ss]tu" "b|[Nn]ot imple" "mented)([^A-Za-z]|$)"
    machine = "(^|[^A-Za-z0-9_.$}])/(wo" "rk|ro" "ot|ho" "me|tmp/ve" "nv)(/|[^A-Za-z0-9_/]|$)"
    call = "(^|[^A-Za-z0-9_>.])"
    allocate = call "(malloc|calloc|realloc|free|strdup|strndup|aligned_alloc|posix_memalign) *\\("
    leave = call "(exit|abort|quick_exit) *\\("
    leave_now = call "_[Ee]xit *\\("
}

FNR == 1 {
    commented = 0
    name = FILENAME
    sub(/.*\//, "", name)
    is_code = FILENAME ~ /\.(c|h|def)$/
    is_source = is_code && FILENAME !~ /^(tests|bench)\//
    if (is_source && !(FILENAME in source)) {
        source[FILENAME] = 1
        sources[++n_sources] = FILENAME
    }
    if (is_code || FILENAME ~ /\.sh$/) {
        if (name in home) report("file names unique", FILENAME " and " home[name])
        home[name] = FILENAME
    }
    if (is_source && match($0, /^\/\* [^:]*: /)) {
        about[FILENAME] = substr($0, RLENGTH + 1)
        sub(/\.?( \*\/)?$/, "", about[FILENAME])
    }
}

FILENAME == "ARCHITECTURE.md" {
    if (/^## /) listing = /^## Reading order/
    if (listing && /^- `/) {
        head = $0
        sub(/ — .*/, "", head)
        n = split(head, parts, "`")
        for (i = 2; i <= n; i += 2) {
            if (parts[i] in place) report("every file listed once", at(parts[i] " is listed twice"))
            place[parts[i]] = ++n_places
        }
    }
}

length > 100 && FILENAME !~ /\.(md|suppress)$/ {
    text = $0
    gsub(/[\200-\277]/, "", text) # what follows the first byte of a UTF-8 character
    if (length(text) > 100) report("line width", at(length(text) " columns"))
}
$0 ~ open { report("nothing left open", at($0)) }
$0 ~ machine { report("no paths of one machine", at($0)) }
is_code && FNR == 601 && FILENAME !~ /_tables\.h$/ {
    report("file length", FILENAME " is longer than 600 lines")
}
!is_source { next }

!commented && /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    split($0, parts, /[<">]/)
    if (/</) {
        sub(/.*\//, "", parts[2])
        if (parts[2] in owner && FILENAME != owner[parts[2]])
            report(parts[2] " only in " owner[parts[2]], at("includes it too"))
    } else {
        includes[FILENAME] = includes[FILENAME] " " parts[2]
        where[FILENAME, parts[2]] = FNR
    }
    next
}
{
    text = commented || /["\047\/]/ ? code($0) : $0
    if (FILENAME != "core/memory.c" && text ~ allocate) report("memory", at($0))
    if (FILENAME != "cli/main.c" && text ~ leave) report("exit", at($0))
    # Two leave from inside a signal handler, where only _exit is allowed.
    if (FILENAME !~ /^(cli\/|core\/(signals|library_guard)\.c$)/ && text ~ leave_now)
        report("exit", at($0))
}

function room(file) {
    sub(/\/.*/, "", file)
    return file
}

function check_order(    i, j, n, file, names) {
    for (i = 1; i <= n_sources; i++) {
        file = sources[i]
        if (!(file in place)) report("every file listed once", file " is not in the reading order")
        n = split(includes[file], names, " ")
        for (j = 1; j <= n; j++) {
            fault = file ":" where[file, names[j]] ": " names[j]
            if (!(names[j] in source))
                report("includes stand earlier", fault " is no source file, seen from the root")
            else if (storey[room(names[j])] > storey[room(file)])
                report("rooms are one-way", fault " is in a room above")
            else if (file in place && names[j] in place && place[names[j]] >= place[file])
                report("includes stand earlier", fault " stands later in the reading order")
        }
    }
    for (file in place)
        if (!(file in source)) report("what is listed exists", file " is listed but does not exist")
}

END {
    if (mode == "--list") {
        print_missing()
        exit 0
    }
    check_order()
    for (i = 1; i <= n_checks; i++) {
        bad = checks[i] in faults
        failed += bad
        print (bad ? "FAILED  " : "ok      ") checks[i] faults[checks[i]]
    }
    print n_checks - failed " passed, " failed + 0 " failed"
    exit failed > 0
}' ARCHITECTURE.md pare.h $sources $beside $(echo "$texts" | grep -v '^ARCHITECTURE.md$')
