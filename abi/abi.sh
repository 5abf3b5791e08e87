#!/bin/sh
# SPDX-License-Identifier: MIT
#
# abi.sh - compares what the shared library offers to programs that are linked
# already with what a release offered: names, their versions, types of
# parameters and structures, values of enumerations.
#
#     abi.sh check    fails if anything of the stored dump was removed or
#                     changed; what was added is all right
#     abi.sh dump     writes the dump anew
#
# For make abi-check and make abi-dump, in the build folder. The dump is of one
# system, whose ABI stands for the others; it has only what <polling.h> tells,
# so that what is opaque there may change. Constants that are macros leave no
# trace in a library and are not compared.
#
# From the environment: srcdir, HOST (processor and system), OBJDUMP, ABIDIFF
# and ABIDW. Exit status: 0, or 1 also if it cannot be compared, with a reason.

set -eu
srcdir=${srcdir:-.}
OBJDUMP=${OBJDUMP:-objdump} # it may hold flags
ABIDIFF=${ABIDIFF:-abidiff}
ABIDW=${ABIDW:-abidw}
system=x86_64-linux-gnu
dump=$srcdir/abi/libpolling-$system.abi
shared=lib/.libs/libpolling.so
headers=$(cd "$srcdir/include" && pwd)

die() {
    echo "abi.sh: $*" >&2
    exit 1
}

# needs TOOL
needs() {
    "$1" --version >/dev/null 2>&1 ||
        die "there is no $1; Debian has it in abigail-tools"
}

[ "${HOST:-$system}" = "$system" ] ||
    die "the dump is for $system, and this library is for $HOST"
[ -f "$shared" ] || die "there is no shared library"
# Without it only names would be compared.
# shellcheck disable=SC2086
$OBJDUMP -h "$shared" 2>/dev/null | grep -q '\.debug_info' ||
    die "the library was built without -g, so that it does not tell its types"

# write FILE: what the library offers.
write() {
    needs "$ABIDW"
    "$ABIDW" --exported-interfaces-only --drop-undefined-syms \
        --headers-dir "$headers" --drop-private-types \
        --no-comp-dir-path --no-corpus-path --no-show-locs --no-elf-needed \
        --type-id-style hash --out-file "$scratch/written" "$shared"
    # Names of sources are as the compiler was told them.
    sed "s|path='[^']*/lib/|path='lib/|" "$scratch/written" >"$1"
}

scratch=$(mktemp -d ./abi.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
case ${1-} in
check)
    needs "$ABIDIFF"
    [ -f "$dump" ] || die "there is no $dump"
    write "$scratch/now.abi"
    status=0
    # Of two dumps: for abidiff itself a type is opaque if no place in a header
    # is known for it, and a dump has no places, which change all the time.
    "$ABIDIFF" --no-added-syms "$dump" "$scratch/now.abi" || status=$?
    # Bits: 1 and 2 are errors, 4 a change, 8 one that is surely a bad one.
    [ "$status" = 0 ] || die "not the ABI of the dump (abidiff: $status)"
    echo "$(grep -c '<elf-symbol ' "$dump") names, as in ${dump##*/}"
    ;;
dump)
    write "$dump"
    echo "$dump: $(grep -c '<elf-symbol ' "$dump") names"
    ;;
*)
    die 'check or dump?'
    ;;
esac
