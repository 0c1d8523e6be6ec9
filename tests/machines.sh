#!/bin/sh
# tests/machines.sh: the same bits at any thread count on every kernel path of this machine, and
# with --kernels portable on any x86-64: with glibc told to leave FMA alone, and under qemu as CPUs
# of several ages. Trains, evaluates, scores heads, factorises, learns ranks and compacts. A run
# that goes on by other kernels says so.
# The last line is `N passed, N failed[, N skipped]`.
#
#   PARE_TORTURE=1 tests/machines.sh     every CPU of qemu's that can run pare, and more threads
cd "$(dirname "$0")/.." || exit 1
build=$PWD/${BUILD:-build}
. tests/program.sh
skipped=0
# A program that starts itself anew leaves the emulator: with this set, pare does not.
export OMP_WAIT_POLICY=passive

# skip WHAT WHY
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1: $2" >&2
}

# ---- What is run ----

"$pare" demo -q --output demo >out 2>err || cat err
mkdir data
head -n 17 demo/corpus/train.tsv >data/train.tsv
head -n 9 demo/corpus/dev.tsv >data/dev.tsv
cut -f 1 data/dev.tsv >lines
texts="--task SST-2 --data $work/data"
steps="--batch-size 8 --max-steps 3 --eval-steps 2 --learning-rate 1e-3"

elementary=functions
if [ ! -x "$build/tests/test_elementary" ]; then
    elementary=
    skip "exp, log and their kin by themselves" "no $build/tests/test_elementary"
fi

# pare_as KERNELS THREADS COMMAND...: by $under, if that is set
pare_as() {
    kernels=$1 threads=$2
    shift 2
    # shellcheck disable=SC2086 # a program and its arguments
    $under "$pare" "$@" -q --kernels "$kernels" --threads "$threads" 2>>err
}

# chain FOLDER KERNELS THREADS: all of it, into FOLDER
chain() {
    folder=$1 k=$2 n=$3
    mkdir "$folder" && : >err
    # shellcheck disable=SC2086 # one word an option
    {
        pare_as "$k" "$n" finetune --model demo/untrained.h5 $texts $steps --output "$folder/run" \
            >out &&
            pare_as "$k" "$n" finetune --model demo/untrained.h5 $texts $steps --precision bf16 \
                --output "$folder/run16" >out &&
            pare_as "$k" "$n" evaluate --model "$folder/run/last.h5" $texts --json \
                >"$folder/evaluated" &&
            pare_as "$k" "$n" predict --model "$folder/run/last.h5" --logits \
                <lines >"$folder/predicted" &&
            pare_as "$k" "$n" heads sweep --model "$folder/run/last.h5" $texts --json \
                --output "$folder/swept" >out &&
            pare_as "$k" "$n" heads importance --model "$folder/run/last.h5" $texts --json \
                --output "$folder/scored" >out &&
            pare_as "$k" "$n" flop factorize --model "$folder/run/last.h5" --gates \
                "$folder/gated.h5" >out &&
            pare_as "$k" "$n" flop train --model "$folder/gated.h5" $texts --batch-size 8 \
                --mask-epochs 2 --target 0.4 --output "$folder/masks" >out &&
            pare_as "$k" "$n" flop compact --model "$folder/masks/last.h5" --target 0.4 \
                "$folder/compact.h5" >out
    } || return 1
    # Logs tell time too.
    [ -z "$elementary" ] || functions "$folder/functions" || return 1
    for log in run masks; do
        sed 's/,"seconds":[^,}]*//; s/"kernels":"[^"]*"//' "$folder/$log/metrics.jsonl" \
            >"$folder/$log.log"
    done
}

# functions FILE: the bits of 200,000 results of each of exp, log and their kin
functions() {
    # shellcheck disable=SC2086 # a program and its arguments
    $under "$build/tests/test_elementary" 2>>err | grep '^bits' >"$1"
}

# same WHAT A B: every file that a chain leaves is the same
same() {
    for file in $elementary run/best.h5 run.log evaluated predicted swept scored gated.h5 \
        masks.log masks/best.h5 compact.h5 run16/best.h5; do
        check "$1: $file is the same" cmp "$2/$file" "$3/$file"
    done
}

# ---- Threads ----

available=$("$pare" doctor --json | sed 's/.*"kernels_available":"\([^"]*\)".*/\1/')
counts="2 3 4"
[ -z "$PARE_TORTURE" ] || counts="2 3 4 5 6 7 8 16"
for kernels in $available; do
    check "$kernels: it runs" chain "$kernels" "$kernels" 1
    for threads in $counts; do
        check "$kernels, $threads threads: it runs" chain "$kernels-$threads" "$kernels" "$threads"
        same "$kernels, $threads threads" "$kernels" "$kernels-$threads"
    done
    [ "$kernels" = portable ] ||
        check "$kernels has bits of its own" sh -c "! cmp -s portable/run.log $kernels/run.log"
done

# ---- A resume by other kernels ----

resumed="finetune --model demo/untrained.h5 $texts $steps --output resumed"
one_step="--max-seconds 1e-9"
# shellcheck disable=SC2086 # one word an option
{
    run 75 $resumed $one_step --kernels portable
    run 75 $resumed $one_step --kernels portable --resume
    check "the same kernels: no warning" sh -c "! grep -q warning err"
    run 0 $resumed --kernels blis --resume
    says "checkpoint-2.h5 was made by the kernels fp32-portable, this run goes on with fp32-blis-"
    for file in last best; do
        run 0 inspect resumed/$file.h5 --json
        prints '"command":"finetune"'
        prints '"kernels":"fp32-portable"'
    done
    run 0 inspect resumed/last.h5 --json
    prints '{"command":"resume","step":2,"kernels_before":"fp32-portable","kernels":"fp32-blis-'
    check "the log names both" [ "$(grep -c '"kernels":"fp32-portable"' resumed/metrics.jsonl)$(
        grep -c '"kernels":"fp32-blis-' resumed/metrics.jsonl)" = 21 ]
    run 0 $resumed --kernels portable --resume
    check "nothing is left to do: no warning" sh -c "! grep -q warning err"
    run 0 inspect resumed/last.h5 --json
    check "and nothing is added" [ "$(grep -o '"command":"resume"' out | wc -l)" -eq 1 ]
}

# ---- No function whose bits the C library chooses by the CPU ----

if [ -f "$build/libpare.a" ] && command -v nm >/dev/null; then
    for name in exp exp2 expm1 log log2 log10 log1p pow sin cos tan sincos asin acos atan atan2 \
        sinh cosh tanh erf erfc cbrt hypot lgamma tgamma; do
        printf '%s\n%sf\n%sl\n' $name $name $name
    done >libm
    nm -A -u "$build/libpare.a" 2>/dev/null | sed 's/.*libpare.a:\([^:]*\): *U */\1 /' |
        awk 'NR == FNR { libm[$1]; next } $2 in libm && $1 !~ /^(color|marker|scale)\.o/ {
            print $1, "calls", $2 }' libm - >out
    check "only charts call the C library's exp and the like" [ ! -s out ]
else
    skip "the library's functions" "no libpare.a, or no nm"
fi

# ---- Other machines ----

other=portable-libm
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F
under=
check "without FMA in glibc: it runs" chain $other portable 1
same "without FMA in glibc" portable $other
unset GLIBC_TUNABLES

cpus="Nehalem Haswell"
[ -z "$PARE_TORTURE" ] || cpus="Nehalem Westmere SandyBridge IvyBridge Haswell Broadwell \
    Skylake-Client Skylake-Server Cascadelake-Server Icelake-Server Denverton Snowridge Opteron_G4 \
    Opteron_G5 EPYC EPYC-Rome EPYC-Milan Dhyana max"
if ! command -v qemu-x86_64 >/dev/null; then
    skip "other CPUs" "qemu-x86_64 is missing (Debian: qemu-user)"
    cpus=
fi
machines=0
for cpu in $cpus; do
    under="qemu-x86_64 -cpu $cpu"
    check "$cpu: it runs" chain "$cpu" portable 2
    same "$cpu" portable "$cpu"
    machines=$((machines + 1))
done
if [ -n "$cpus" ]; then
    under="qemu-x86_64 -cpu Nehalem"
    pare_as avx2 1 evaluate --model demo/untrained.h5 >out 2>&1
    check "the CPU was an emulated one" grep -q "this CPU cannot run them" err
fi
[ -z "$PARE_TORTURE" ] || echo "torture machines: $machines CPUs"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
