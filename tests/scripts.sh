#!/bin/sh
# SPDX-License-Identifier: MIT
#
# scripts.sh - the scripts of the tree do the same in every locale and in every
# shell: one that has ranges of letters, or that changes case, chooses the
# locale C before; elsewhere [a-z] may be without i or w, as it is in Turkish.
# Rules of the Makefile have no such ranges. The shells that are here, those of
# small systems among them, take each script for one, and no function has the
# name of an alias of some ksh, which would be taken for it.
#
# From the environment: srcdir, SHELL.

set -eu
LC_ALL=C # for ranges of letters
export LC_ALL
srcdir=${srcdir:-.}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/scripts.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

failures=0
fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

shells=
for shell in "${SHELL:-/bin/sh}" sh dash 'busybox sh' 'bash --posix' ksh mksh \
    yash; do
    # shellcheck disable=SC2086 # it may have an argument
    $shell -c 'exit 0' >/dev/null 2>&1 || continue
    shells="$shells$shell
"
done

ranges='\[[^] ]*([a-z]-[a-z]|[A-Z]-[A-Z])|\[:(upper|lower|alpha|alnum):\]'
ranges="$ranges|tolower|toupper"

aliases='autoload|compound|float|functions|hash|history|integer|local|login'
aliases="$aliases|nameref|nohup|r|redirect|source|stop|suspend|type"

# first PATTERN FILE: the number of the first such line that is no comment, or
# nothing.
first() {
    grep -nE "$1" "$2" | sed '/^[0-9]*: *#/d
        s/:.*//' | sed q
}

count=0
for script in "$srcdir/bootstrap" "$srcdir"/abi/*.sh "$srcdir"/doc/*/*.sh \
    "$srcdir"/doc/packaging/debian/tests/compile "$srcdir"/tests/*.sh \
    "$srcdir"/tests/bench/*.sh; do
    count=$((count + 1))
    ranged=$(first "$ranges" "$script")
    chosen=$(first '^LC_ALL=C( |$)' "$script")
    if [ -n "$ranged" ] && [ "${chosen:-$ranged}" -ge "$ranged" ]; then
        fail "$script: line $ranged depends on the locale"
    fi
    alias=$(first "^($aliases)\(\)" "$script")
    [ -z "$alias" ] || fail "$script: line $alias defines an alias of ksh"
    echo "$shells" | while read -r shell; do
        [ -n "$shell" ] || continue
        # shellcheck disable=SC2086
        $shell -n "$script" 2>"$scratch/errors" </dev/null ||
            echo "$shell: $(cat "$scratch/errors")"
    done >"$scratch/said"
    [ ! -s "$scratch/said" ] || fail "$script: $(cat "$scratch/said")"
done
[ "$count" -ge 20 ] || fail "only $count scripts were found"
ranged=$(sed '/^[^	]/d' "$srcdir/Makefile.am" | first "$ranges" -)
[ -z "$ranged" ] || fail "a rule of Makefile.am depends on the locale"

if [ "$failures" -ne 0 ]; then
    echo "$failures failures"
    exit 1
fi
echo "$count scripts, by $(echo "$shells" | sed '/^$/d' | tr '\n' ',' |
    sed 's/,$//; s/,/, /g')"
