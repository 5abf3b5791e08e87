#!/bin/sh
# SPDX-License-Identifier: MIT
#
# packaging.sh - the starts of packages in doc/packaging fit the tree: their
# versions are that of the header, and each file that make install installs is
# in just one package or left out on purpose, by the patterns of the RPM spec
# and of debian/, none of which is for nothing. --program-prefix and its like,
# which some use for all they build, change no name, and make uninstall leaves
# nothing.
#
# From the environment: srcdir, MAKE, BACKEND. Exit status: 0, 1, or 77 where
# not all is installed, so that only the versions were compared.

set -eu
LC_ALL=C # for ranges of letters
export LC_ALL
srcdir=${srcdir:-.}
MAKE=${MAKE:-make}
spec=$srcdir/doc/packaging/libpolling.spec
debian=$srcdir/doc/packaging/debian
scratch=$(mktemp -d "${TMPDIR:-/tmp}/packaging.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

failures=0
fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

number() {
    sed -n "s/^#define POLLING_VERSION_$1 *//p" "$srcdir/include/polling.h"
}
version=$(number MAJOR).$(number MINOR).$(number PATCH)
spec_version=$(sed -n 's/^Version: *//p' "$spec")
spec_log=$(sed -n '/^%changelog/,$s/^\* .* - \(.*\)-.*/\1/p' "$spec" | sed q)
debian_version=$(sed -n '1s/.*(\(.*\)-.*/\1/p' "$debian/changelog")
[ "$spec_version" = "$version" ] ||
    fail "the spec is for $spec_version, the header for $version"
[ "$spec_log" = "$version" ] || fail "the spec's newest entry is of $spec_log"
[ "$debian_version" = "$version" ] ||
    fail "debian/changelog is for $debian_version, the header for $version"

# ended STATUS: unless something has failed.
ended() {
    [ "$failures" = 0 ] || {
        echo "$failures failures"
        exit 1
    }
    exit "$1"
}
if [ ! -f lib/.libs/libpolling.so ] || [ ! -f lib/.libs/libpolling.a ]; then
    echo "SKIP: not both libraries are built, as they are in packages;" \
        "the versions agree"
    ended 77
fi

# The flags of the outer make would reach this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
root=$scratch/root
# make_it TARGET: for a root of its own.
make_it() {
    $MAKE "$1" DESTDIR="$root" prefix=/usr exec_prefix=/usr \
        libdir=/usr/lib/ARCH includedir=/usr/include datarootdir=/usr/share \
        mandir=/usr/share/man docdir=/usr/share/doc/libpolling \
        program_transform_name='s,^,g,' >"$scratch/log" 2>&1 || {
        cat "$scratch/log"
        fail "make $1"
        exit 1
    }
}
make_it install
(cd "$root" && find usr ! -type d | sort) >"$scratch/installed"
[ -s "$scratch/installed" ] || fail "nothing was installed"

# claims NAME: patterns, one a line, of one way of packaging; a folder stands
# for all that is in it.
claims() {
    : >"$scratch/claimed"
    while read -r pattern; do
        before=$(($(wc -l <"$scratch/claimed")))
        while read -r file; do
            # shellcheck disable=SC2254 # it is a pattern
            case $file in
            $pattern | ${pattern%/}/*) echo "$file" >>"$scratch/claimed" ;;
            esac
        done <"$scratch/installed"
        [ $(($(wc -l <"$scratch/claimed"))) -gt "$before" ] ||
            fail "$1: nothing is installed as $pattern"
    done
    sort "$scratch/claimed" >"$scratch/sorted"
    uniq -d "$scratch/sorted" >"$scratch/twice"
    [ ! -s "$scratch/twice" ] ||
        fail "$1 has these twice: $(cat "$scratch/twice")"
    uniq "$scratch/sorted" | comm -3 "$scratch/installed" - \
        >"$scratch/left"
    [ ! -s "$scratch/left" ] ||
        fail "$1 forgets these: $(cat "$scratch/left")"
}

cat "$debian"/*.install "$debian"/not-installed >"$scratch/debian"
claims debian <"$scratch/debian"

# Without the static library: %configure --disable-static.
{
    echo usr/lib/ARCH/libpolling.a
    sed -n '/^%files/,/^%changelog/s/^\(%{_[a-z]*dir}\)/\1/p
        s/^rm \(-r \)*%{buildroot}//p' "$spec" | sed '
        s|%{_libdir}|usr/lib/ARCH|
        s|%{_includedir}|usr/include|
        s|%{_mandir}|usr/share/man|
        s|%{_docdir}|usr/share/doc|
        s|%{name}|libpolling|'
} >"$scratch/spec"
claims spec <"$scratch/spec"

make_it uninstall
(cd "$root" && find . ! -type d -o -name '*polling*') >"$scratch/left"
[ ! -s "$scratch/left" ] ||
    fail "make uninstall leaves these: $(cat "$scratch/left")"
echo "$version, $(grep -c . "$scratch/installed") files"
ended 0
