#!/bin/sh
# SPDX-License-Identifier: MIT
#
# replay.sh - the library follows the model with all inputs of fuzzers that were
# kept, over each backend that is here: those in tests/fuzz/inputs, and some
# that are made of seeds, which must do what the seeds do.

set -u
: "${srcdir:=.}"
inputs=$srcdir/tests/fuzz/inputs
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

# replay PROGRAM [SYSTEM]
replay() {
    [ -x "$1" ] || return 0
    if env ${2:+"POLLING_EMULATION=$2"} "$1" "$inputs"/* "$folder"/seeds/* \
        >"$folder/log" 2>&1; then
        echo "PASS $1${2:+, $2}: $(tail -n 1 "$folder/log")"
    else
        echo "FAIL $1${2:+, $2}, with the input that is named last:"
        tail -n 30 "$folder/log"
        failed=1
    fi
}

# The operations that a program has printed.
operations() {
    sed -n 's/^\([0-9]*: .*\)/\1/p' "$1"
}

mkdir "$folder/seeds"
if ! tests/fuzz-model -w "$folder/seeds" 20; then
    echo 'FAIL no inputs could be made of seeds'
    exit 1
fi

replay tests/fuzz-model
replay tests/fuzz-model-poll
for system in freebsd openbsd netbsd macos; do
    replay tests/fuzz-model-kqueue "$system"
done
replay tests/fuzz-model-port illumos

# What an input is: the choices of the generator.
if [ -x tests/suites ]; then
    for seed in 1 6 640; do
        POLLING_TEST_SEED=$seed tests/suites \
            model/random_operations_follow_the_model >"$folder/by-seed"
        tests/fuzz-model -v "$folder/seeds/seed-$seed" >"$folder/by-input"
        operations "$folder/by-seed" >"$folder/seed.operations"
        operations "$folder/by-input" >"$folder/input.operations"
        if [ -s "$folder/seed.operations" ] &&
            cmp "$folder/seed.operations" "$folder/input.operations"; then
            echo "PASS seed $seed as an input"
        else
            echo "FAIL seed $seed does something else as an input"
            failed=1
        fi
    done
else
    echo 'without the suites seeds are not compared with inputs'
fi
exit "$failed"
