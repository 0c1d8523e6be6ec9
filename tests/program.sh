# tests/program.sh: for scripts that try the program from outside: `. tests/program.sh` goes to a
# folder of its own, removed at the end, and gives them check, run, says, prints, empty and json.
# A script ends with `finish`.
pare=${PARE:-${BUILD:-build}/pare}
case $pare in /*) ;; *) pare=$PWD/$pare ;; esac
tiny=$PWD/tests/data/hf/tiny
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1
unset NO_COLOR PARE_KERNELS
passed=0 failed=0

# check WHAT COMMAND...: passes if the command succeeds.
check() {
    what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED  $what"
        sed 's/^/        /' out err 2>/dev/null | head -20
    fi
}

# run CODE ARGUMENTS...: runs pare into out and err; checks its exit code.
run() {
    code=$1
    shift
    "$pare" "$@" </dev/null >out 2>err
    got=$?
    check "pare $*: exit code $got, not $code" [ $got -eq "$code" ]
}
says() { check "stderr has: $1" grep -qF -- "$1" err; }
prints() { check "stdout has: $1" grep -qF -- "$1" out; }
empty() { check "$1 is empty" [ ! -s "$1" ]; }
# The last line of stdout is a JSON object with these members.
json() {
    for key; do
        check "the last line of stdout has \"$key\"" \
            sh -c "tail -n 1 out | grep -q '^{.*\"$key\":.*}\$'"
    done
}
narrow() { [ -s out ] && ! LC_ALL=C.UTF-8 awk 'length($0) > 80 { bad = 1 } END { exit !bad }' out; }

# The last line; the exit code tells.
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
