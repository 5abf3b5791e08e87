#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fuzz.sh - looks for inputs with which the library does not follow the model;
# run by make fuzz, in the build folder.
#
#   FUZZ_SECONDS=60            for each backend
#   FUZZ_BACKENDS='poll port'  those to try; without it all that are here.
#                              kqueue:netbsd is a system that is emulated
#   FUZZ_TOOL=libfuzzer        clang's, or afl for AFL++
#   FUZZ_SANITIZERS=address,undefined
#                              or memory, or others that clang has; none
#   CLANG=clang                the compiler; with afl, afl-clang-fast
#
# All it makes is in fuzz-results/: the programs, a log for each backend, and
# what a fuzzer has collected, from where the next run goes on. Exits with 1 if
# an input was found, which is kept and named, and with 77 if there is no
# compiler with a fuzzer.

set -u
LC_ALL=C # for ranges of letters
export LC_ALL
: "${srcdir:=.}" "${BACKEND:?is set by make fuzz}"
seconds=${FUZZ_SECONDS:-60}
tool=${FUZZ_TOOL:-libfuzzer}
sanitizers=${FUZZ_SANITIZERS:-address,undefined}
out=fuzz-results
longest=4096 # bytes of an input; tests/fuzz-main.c has it too

case $tool in
libfuzzer) compiler=${CLANG:-clang} ;;
afl) compiler=${CLANG:-afl-clang-fast} ;;
*)
    echo "FUZZ_TOOL is libfuzzer or afl, and not $tool"
    exit 2
    ;;
esac
backends=${FUZZ_BACKENDS:-}
if [ -z "$backends" ]; then
    backends=$BACKEND
    [ "$BACKEND" = poll ] || backends="$backends poll"
    backends="$backends ${EMULATIONS:-}"
fi

mkdir -p "$out" || exit 2

flags='-g -O1 -fno-sanitize-recover=all -fsanitize=fuzzer'
[ "$sanitizers" = none ] || flags="$flags,$sanitizers"

# Does the compiler have a fuzzer, and the sanitizers?
printf '%s\n' '#include <stddef.h>' '#include <stdint.h>' \
    'int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);' \
    'int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)' \
    '{ return input == NULL || size == 0 ? 0 : 0; }' >"$out/probe.c"
# shellcheck disable=SC2086 # a list
if ! "$compiler" $flags -o "$out/probe" "$out/probe.c" >"$out/probe.log" 2>&1
then
    echo "SKIP $compiler does not build with $flags:"
    tail -n 3 "$out/probe.log"
    exit 77
fi

# sources NAME...: those that are compiled, where they are.
sources() {
    for each in "$@"; do
        case $each in
        *.c) printf '%s/%s ' "$srcdir" "$each" ;;
        esac
    done
}

# build BACKEND: makes $program.
build() {
    program=$out/$1-$tool-$sanitizers
    case $1 in
    "$BACKEND") more='' options='' ;;
    kqueue) more=$KQUEUE options='-DHAVE_KQUEUE1=1' ;;
    port) more=$PORT options='' ;;
    *) more='' options='' ;;
    esac
    [ -z "$more" ] || options="$options -I$srcdir/tests/emulation/$1"
    # Lists, and folders without blanks.
    # shellcheck disable=SC2046,SC2086
    "$compiler" $flags -DHAVE_CONFIG_H -I. "-I$srcdir/include" \
        "-I$srcdir/tests/fuzz" $options $CPPFLAGS -o "$program" \
        $(sources $CORE "lib/$1.c" $MODEL $more) $LIBS
}

# told FIELD LOG: a figure of libFuzzer's last line about it.
told() {
    sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

# How to repeat what an input does.
tell() {
    replayer=tests/fuzz-model
    [ "$1" = "$BACKEND" ] || replayer=tests/fuzz-model-$1
    setting=${POLLING_EMULATION:+POLLING_EMULATION=$POLLING_EMULATION }
    echo "It is kept as $2. To repeat it, in this folder:"
    echo "    make $replayer && $setting$replayer -v $2"
    echo 'or, with sanitizers,'
    echo "    $setting$program $2"
}

# libfuzzer BACKEND NAME
libfuzzer() {
    log=$out/$2.log
    mkdir -p "$out/$2"
    status=0
    "$program" -max_total_time="$seconds" -max_len="$longest" -timeout=60 \
        -print_final_stats=1 -artifact_prefix="$out/found-$2-" \
        "$out/$2" "$srcdir/tests/fuzz/inputs" "$out/seeds" \
        >"$log" 2>&1 || status=$?
    echo "$2: $(told number_of_executed_units "$log") executions," \
        "$(told average_exec_per_sec "$log") a second;" \
        "$(sed -n 's/.* cov: \([0-9]*\) ft: [0-9]* corp: \([0-9]*\).*/\1 \2/p' \
            "$log" | awk 'END { print $1 " edges, " $2 " inputs" }')"
    [ "$status" -ne 0 ] || return 0
    grep -E 'step [0-9]+ of the input|^==.*ERROR|runtime error' "$log" |
        tail -n 3
    found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    if [ -n "$found" ]; then
        tell "$1" "$found"
    else
        tail -n 20 "$log"
    fi
    return 1
}

# afl BACKEND NAME
afl() {
    log=$out/$2.log
    mkdir -p "$out/$2.in"
    cp "$srcdir"/tests/fuzz/inputs/* "$out"/seeds/* "$out/$2.in"
    AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1 AFL_AUTORESUME=1 \
        AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_FAST_CAL=1 \
        afl-fuzz -V "$seconds" -t 20000 -m none -G "$longest" \
        -i "$out/$2.in" -o "$out/$2.afl" -- "$program" >"$log" 2>&1
    stats=$out/$2.afl/default/fuzzer_stats
    if [ ! -f "$stats" ]; then
        tail -n 20 "$log"
        return 1
    fi
    echo "$2: $(sed -n 's/^execs_done *: //p' "$stats") executions," \
        "$(sed -n 's/^execs_per_sec *: //p' "$stats") a second;" \
        "$(sed -n 's/^edges_found *: //p' "$stats") edges," \
        "$(sed -n 's/^corpus_count *: //p' "$stats") inputs"
    status=0
    for found in "$out/$2.afl"/default/crashes/id* \
        "$out/$2.afl"/default/hangs/id*; do
        [ -f "$found" ] || continue
        tell "$1" "$found"
        status=1
    done
    return "$status"
}

rm -rf "$out/seeds"
mkdir "$out/seeds" && tests/fuzz-model -w "$out/seeds" 30 || exit 2
failed=0
for each in $backends; do
    backend=${each%:*}
    unset POLLING_EMULATION
    if [ "$backend" != "$each" ]; then
        POLLING_EMULATION=${each#*:}
        export POLLING_EMULATION
    fi
    name=$backend${POLLING_EMULATION:+-$POLLING_EMULATION}
    build "$backend" || exit 2
    case $tool in
    libfuzzer) libfuzzer "$backend" "$name" || failed=1 ;;
    afl) afl "$backend" "$name" || failed=1 ;;
    esac
done
exit "$failed"
