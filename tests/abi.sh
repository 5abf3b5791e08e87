#!/bin/sh
# SPDX-License-Identifier: MIT
#
# abi.sh - the header, the map, the shared and the static library agree on
# what is public: no name is missing anywhere, none is there by accident, and
# none of the last release was lost. The header is as the compiler sees it, for
# its target. A DLL also needs no other DLL than the system's.
#
# From the environment: srcdir, CC, CPPFLAGS, NM, OBJDUMP, VERSION_SCRIPT (yes or
# no), BACKEND. Exit status: 0, 1, or 77 if only the header and the map could be
# compared.

set -eu
srcdir=${srcdir:-.}
NM=${NM:-nm} # these may hold flags, so they are not quoted below
OBJDUMP=${OBJDUMP:-objdump}
CC=${CC:-cc}
scratch=$(mktemp -d ./abi.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
LC_ALL=C # for sort and ranges of letters
export LC_ALL
status=0
libraries=0

# compare WHAT FILE: FILE must hold the names of the map.
compare() {
    if diff "$scratch/map" "$2" >"$scratch/diff"; then
        echo "$1: $(($(wc -l <"$2"))) names, as in the map"
    else
        echo "$1 differs from the map (<: only the map, >: only $1):"
        cat "$scratch/diff"
        status=1
    fi
}

case ${BACKEND-} in
iocp) map=lib/windows.map ;;
*) map=lib/libpolling.map ;;
esac
sed -n 's/^[	 ]*\(polling_[a-z_]*\);.*/\1/p' "$srcdir/$map" |
    sort >"$scratch/map"
test -s "$scratch/map" || {
    echo "the map names nothing"
    exit 1
}

# Calls of the functions are all that is left of it with these names.
echo '#include <polling.h>' >"$scratch/header.c"
# shellcheck disable=SC2086
$CC ${CPPFLAGS-} -I"$srcdir/include" -E "$scratch/header.c" \
    >"$scratch/header.i" || exit 1
tr -s '\n\t' '  ' <"$scratch/header.i" | sed 's/polling_[a-z_]* *(/\
&\
/g' | sed -n 's/^\(polling_[a-z_]*\) *($/\1/p' | sort >"$scratch/header"
compare header "$scratch/header"
if [ -f lib/libpolling.sym ]; then
    sort lib/libpolling.sym >"$scratch/list"
    compare lib/libpolling.sym "$scratch/list"
fi
if [ "$map" = lib/libpolling.map ]; then
    symbols=doc/packaging/debian/libpolling0.symbols
    sed -n 's/^ \(polling_[a-z_]*\)@.*/\1/p' "$srcdir/$symbols" |
        sort >"$scratch/symbols"
    compare "$symbols" "$scratch/symbols"

    # What was released stays, in its node. make abi-check, which needs abidiff
    # and looks at types as well, is not run by everybody.
    dump=$srcdir/abi/libpolling-x86_64-linux-gnu.abi
    sed -n "s/.*<elf-symbol name='\([^']*\)' version='\([^']*\)'.*/\1@\2/p" \
        "$dump" | sort >"$scratch/released"
    awk '/^LIBPOLLING_/ { node = $1 }
        sub(/^[ \t]*polling_/, "polling_") { print $0 "@" node }' \
        "$srcdir/$map" | tr -d ';' | sort >"$scratch/nodes"
    comm -23 "$scratch/released" "$scratch/nodes" >"$scratch/lost"
    if [ -s "$scratch/lost" ] || [ ! -s "$scratch/released" ]; then
        echo "the map has lost these of the last release:"
        cat "$scratch/lost"
        status=1
    fi
fi

# What the compiler puts before each name of C for the linker: an underscore on
# 32-bit Windows and Apple's systems, nothing on most others.
# shellcheck disable=SC2086
prefix=$(echo __USER_LABEL_PREFIX__ | $CC ${CPPFLAGS-} -E - | sed '/^#/d')
case $prefix in
*USER_LABEL_PREFIX* | *[!_.$]*) prefix= ;;
esac

# unprefixed: names without it. What has none is no name of C, and stays.
unprefixed() {
    prefix=$prefix awk '{
        p = ENVIRON["prefix"]
        print index($0, p) == 1 ? substr($0, length(p) + 1) : $0
    }'
}

if ! $NM --version >/dev/null 2>&1; then
    echo "SKIP: no $NM to read the libraries with"
    exit $((status ? 1 : 77))
fi

shared=lib/.libs/libpolling.so
if [ -f "$shared" ]; then
    libraries=$((libraries + 1))
    # Versioned names are NAME@@NODE, and the node itself is a symbol.
    $NM -D --defined-only "$shared" >"$scratch/dynamic"
    awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' "$scratch/dynamic" |
        unprefixed | sort >"$scratch/shared"
    compare "$shared" "$scratch/shared"
    if [ "${VERSION_SCRIPT:-yes}" = no ]; then
        echo "symbol versions: not checked, the linker has none"
    elif ! grep -q '@@' "$scratch/dynamic" &&
        ! $NM --help | grep -q with-symbol-versions; then
        echo "symbol versions: not checked, $NM does not tell them"
    elif grep ' [TtRrDd] ' "$scratch/dynamic" |
        grep -v '@@LIBPOLLING_[0-9]'; then
        echo "the names above have no version"
        status=1
    fi
elif [ -n "$(find lib/.libs -name 'libpolling*.dll' 2>/dev/null)" ]; then
    libraries=$((libraries + 1))
    shared=$(find lib/.libs -name 'libpolling*.dll')
    # shellcheck disable=SC2086 # OBJDUMP may hold flags
    $OBJDUMP -p "$shared" >"$scratch/dll"
    # [   0] +base[   1]  0000 polling_add
    awk '
        /Ordinal\/Name Pointer\] Table/ { inside = 1; next }
        inside && !/\[/ { exit }
        inside { print $NF }' "$scratch/dll" | sort >"$scratch/shared"
    compare "$shared" "$scratch/shared"
    awk '/DLL Name:/ { print $3 }' "$scratch/dll" | sort -u >"$scratch/needed"
    echo "$shared needs: $(tr '\n' ' ' <"$scratch/needed")"
    test -s "$scratch/needed" || {
        echo "it cannot need nothing"
        status=1
    }
    # What every Windows since 7 has: msvcrt, or the newer C library, which is
    # said to be many.
    if grep -viE '^(kernel32|ws2_32|ntdll|msvcrt|ucrtbase|advapi32)\.dll$' \
        "$scratch/needed" | grep -viE '^api-ms-win-crt-.*\.dll$'; then
        echo "the DLLs above are not part of the system"
        status=1
    fi
else
    echo "shared library: not built, not checked"
fi

static=lib/.libs/libpolling.a
[ -f "$static" ] || static=lib/libpolling.a
if [ -f "$static" ]; then
    libraries=$((libraries + 1))
    # Internal functions are global there, so their names are out of the way.
    # Sanitizers and profilers add names of their own, with two underscores;
    # GCC adds some for Windows, with a dot or with a name of the linker's.
    $NM -g --defined-only "$static" >"$scratch/global" 2>/dev/null
    awk 'NF == 3 { print $3 }' "$scratch/global" | unprefixed |
        awk '!/^polling_priv_/ && !/^(__|\.)/' | sort -u >"$scratch/static"
    compare "$static" "$scratch/static"
else
    echo "static library: not built, not checked"
fi
[ "$libraries" != 0 ] || {
    echo "SKIP: neither library is built"
    exit $((status ? 1 : 77))
}
exit "$status"
