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
# trace in a library: what they stand for, the compiler is asked with the header
# at hand, and a list is kept beside the dump. Not of the version, which is
# there to change.
#
# From the environment: srcdir, HOST (processor and system), CC, OBJDUMP,
# ABIDIFF and ABIDW. Exit status: 0, or 1 also if it cannot be compared, with a reason.

set -eu
LC_ALL=C # for ranges of letters
export LC_ALL
srcdir=${srcdir:-.}
CC=${CC:-cc} # it may hold flags
OBJDUMP=${OBJDUMP:-objdump} # likewise
ABIDIFF=${ABIDIFF:-abidiff}
ABIDW=${ABIDW:-abidw}
system=x86_64-linux-gnu
dump=$srcdir/abi/libpolling-$system.abi
constants=$srcdir/abi/constants
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

# write_constants FILE: the macros of the header that stand for a number, each
# with its value and type, sorted.
# shellcheck disable=SC2086
write_constants() {
    echo '#include <polling.h>' |
        $CC -I"$headers" -E -dM -x c - >"$scratch/macros" ||
        die "the compiler does not tell macros: $CC"
    {
        cat <<'EOF'
#include <polling.h>
#include <stdio.h>

#define TYPE(x)                                                       \
    _Generic((x), int : "int", unsigned : "unsigned", long : "long", \
             unsigned long : "unsigned long", long long : "long long", \
             unsigned long long : "unsigned long long")
#define SHOW(name)                                                \
    printf((name) < 0 ? "%s %lld %s\n" : "%s %#llx %s\n", #name, \
        (long long)(name), TYPE(name))

int
main(void)
{
EOF
        sed -n '/ POLLING_VERSION_/d
            / POLLING_API /d
            s/^#define \(POLLING_[A-Z0-9_]*\) [^ ].*/    SHOW(\1);/p' \
            "$scratch/macros"
        printf '    return 0;\n}\n'
    } >"$scratch/constants.c"
    $CC -I"$headers" -o "$scratch/constants" "$scratch/constants.c" ||
        die 'a macro of the header that is no number: see above'
    "$scratch/constants" | sort >"$1"
    [ -s "$1" ] || die 'the header has no constants'
}

# check_constants: none of the list is gone or another one.
check_constants() {
    [ -s "$constants" ] || die "there is no $constants"
    write_constants "$scratch/now.constants"
    comm -23 "$constants" "$scratch/now.constants" >"$scratch/lost"
    if [ -s "$scratch/lost" ]; then
        while read -r name rest; do
            now=$(sed -n "s/^$name //p" "$scratch/now.constants")
            echo "$name was $rest, is ${now:-gone}"
        done <"$scratch/lost"
        die "not the constants of ${constants##*/}"
    fi
    echo "$(wc -l <"$constants") constants, as in ${constants##*/}"
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
    check_constants
    ;;
dump)
    write "$dump"
    echo "$dump: $(grep -c '<elf-symbol ' "$dump") names"
    write_constants "$constants"
    echo "$constants: $(wc -l <"$constants") constants"
    ;;
*)
    die 'check or dump?'
    ;;
esac
