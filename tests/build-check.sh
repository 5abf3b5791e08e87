#!/bin/sh
# SPDX-License-Identifier: MIT
#
# build-check.sh - builds Check for another machine, from the source package
# of the distribution that this one runs (Debian and its relatives).
#
#   build-check.sh --fetch DIRECTORY
#       unpacks the source there and prints its folder. Needs dpkg-dev, but
#       neither root nor a change to the system.
#   build-check.sh SOURCE PREFIX [ARGUMENT...]
#       builds a static library in the current folder and installs it, with
#       its header and check.pc, into PREFIX. The arguments are for Check's
#       configure: --host=..., CC=... and so on.
#   build-check.sh PREFIX [ARGUMENT...]
#       both, below PREFIX; nothing if it is there already.
#
# With a check.pc in PREFIX/lib/pkgconfig, this library's configure finds it
# by PKG_CONFIG_PATH.

set -eu

die() {
    printf 'build-check.sh: %s\n' "$*" >&2
    exit 1
}

# quietly COMMAND...: shows what it prints only if it fails, and never on
# standard output, which is for the answer.
quietly() {
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || {
        tail -n 100 "$log" >&2
        rm -f "$log"
        return 1
    }
    rm -f "$log"
}

# The system's own list of where packages come from, read as one of where
# sources come from, in a configuration beside the system's.
fetch() {
    for tool in apt-get dpkg-source; do
        command -v "$tool" >/dev/null 2>&1 ||
            die "$tool is needed; it fetches or unpacks the source package"
    done
    mkdir -p "$1"
    directory=$(cd "$1" && pwd)
    apt=$directory/apt
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/archives/partial"
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        case $list in
        *.sources) sed 's/^Types:.*/Types: deb-src/' "$list" ;;
        *.list)
            sed -n 's/^deb[[:space:]]/deb-src /p' "$list" 2>/dev/null || :
            ;;
        esac >"$apt/parts/${list##*/}"
    done
    set -- -o Dir::Etc::SourceList=/dev/null \
        -o "Dir::Etc::SourceParts=$apt/parts" \
        -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt"
    # Root hands the work over to a user who may not write here.
    [ "$(id -u)" != 0 ] || set -- "$@" -o APT::Sandbox::User=root
    # It complains of places that have no sources.
    quietly apt-get "$@" update || :
    (
        cd "$directory"
        quietly apt-get "$@" source check
    ) || die "the source package of Check could not be fetched"
    rm -rf "$apt"
    unpacked=$(find "$directory" -maxdepth 1 -name 'check-*' -type d)
    [ -x "$unpacked/configure" ] || die "no configure in '$unpacked'"
    echo "$unpacked"
}

# That malloc(0) gives memory and that vsnprintf() is that of C99 is true of all
# systems that matter; configure would have to run a program to find out. On
# Windows the latter is MinGW's, by the definition that other systems ignore.
build() {
    source=$1 prefix=$2
    shift 2
    quietly "$source/configure" "--prefix=$prefix" "--libdir=$prefix/lib" \
        --disable-shared --disable-subunit --disable-build-docs \
        --disable-timeout-tests \
        ac_cv_func_malloc_0_nonnull=yes ac_cv_func_realloc_0_nonnull=yes \
        hw_cv_func_vsnprintf_c99=yes hw_cv_func_snprintf_c99=yes \
        CPPFLAGS=-D__USE_MINGW_ANSI_STDIO=1 "$@"
    quietly "${MAKE:-make}" -C lib
    quietly "${MAKE:-make}" -C src libcheck.la
    # The parts that matter, by name: the rest would be built first.
    quietly "${MAKE:-make}" -C src install-libLTLIBRARIES \
        install-includeHEADERS
    cp check_stdint.h "$prefix/include"
    quietly "${MAKE:-make}" install-pcdataDATA
    # Debian's own packages have the library under two names.
    sed 's/-lcheck_pic/-lcheck/' check.pc >"$prefix/lib/pkgconfig/check.pc"
}

unset MAKEFLAGS MFLAGS MAKELEVEL CHECK_CFLAGS CHECK_LIBS
case ${1-} in
'' | -h | --help)
    sed -n '4,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
--fetch)
    [ $# = 2 ] || die "--fetch takes one folder"
    fetch "$2"
    exit
    ;;
esac
if [ -x "$1/configure" ]; then
    [ $# -ge 2 ] || die "where is it to be installed?"
    mkdir -p "$2"
    prefix=$(cd "$2" && pwd)
    source=$(cd "$1" && pwd)
    shift 2
    build "$source" "$prefix" "$@"
    exit
fi
[ ! -f "$1/lib/pkgconfig/check.pc" ] || exit 0
mkdir -p "$1/build"
prefix=$(cd "$1" && pwd)
shift
source=$(fetch "$prefix/source")
cd "$prefix/build"
build "$source" "$prefix" "$@"
rm -rf "$prefix/build" "$prefix/source"
