#!/bin/sh
# SPDX-License-Identifier: MIT
#
# abi.sh - the header, the map, the shared and the static library agree on
# what is public: no name is missing anywhere, and none is there by accident.

set -eu
srcdir=${srcdir:-.}
NM=${NM:-nm}
scratch=$(mktemp -d ./abi.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
status=0

# compare WHAT FILE: FILE must hold the names of the map.
compare() {
    if diff "$scratch/map" "$2" >"$scratch/diff"; then
        echo "$1: $(wc -l <"$2") names, as in the map"
    else
        echo "$1 differs from the map (<: only the map, >: only $1):"
        cat "$scratch/diff"
        status=1
    fi
}

sed -n 's/^[	 ]*\(polling_[a-z_]*\);.*/\1/p' "$srcdir/lib/libpolling.map" |
    sort >"$scratch/map"
test -s "$scratch/map" || {
    echo "the map names nothing"
    exit 1
}

# A declaration may break its line before the parameters, not in the name.
sed -n 's/^POLLING_API .*[ *]\(polling_[a-z_]*\)(.*/\1/p' \
    "$srcdir/include/polling.h" | sort >"$scratch/header"
compare header "$scratch/header"

if ! "$NM" --version >/dev/null 2>&1; then
    echo "SKIP the libraries: no $NM"
    exit $((status ? 1 : 77))
fi

shared=lib/.libs/libpolling.so
if [ -f "$shared" ]; then
    # Versioned names are NAME@@NODE, and the node itself is a symbol.
    "$NM" -D --defined-only "$shared" |
        awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
        sort >"$scratch/shared"
    compare "$shared" "$scratch/shared"
    if grep -q 'HAVE_VERSION_SCRIPT_TRUE=.*#' config.status; then
        echo "symbol versions: not checked, the linker has none"
    elif "$NM" -D --with-symbol-versions --defined-only "$shared" |
        grep ' T ' | grep -v '@@LIBPOLLING_'; then
        echo "the names above have no version"
        status=1
    fi
else
    echo "shared library: not built, not checked"
fi

static=lib/.libs/libpolling.a
[ -f "$static" ] || static=lib/libpolling.a
if [ -f "$static" ]; then
    # Internal functions are global there, so their names are out of the way.
    # Sanitizers and profilers add names of their own, with two underscores.
    "$NM" -g --defined-only "$static" 2>/dev/null |
        awk 'NF == 3 && $3 !~ /^polling_priv_/ && $3 !~ /^__/ { print $3 }' |
        sort -u >"$scratch/static"
    compare "$static" "$scratch/static"
else
    echo "static library: not built, not checked"
fi
exit $status
