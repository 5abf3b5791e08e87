#!/bin/sh
# SPDX-License-Identifier: MIT
#
# installed.sh - an installed library is found through pkg-config, compiles a
# program, shared and static, and the program runs.
#
# From the environment: CC, CFLAGS, LDFLAGS, MAKE, PKG_CONFIG, BACKEND, EXEEXT,
# WINE and WINE_RUNS, see m4/wine.m4. Exit status: 0, 1, or 77 without
# pkg-config.

set -eu
CC=${CC:-cc}
MAKE=${MAKE:-make}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
EXEEXT=${EXEEXT-}
if ! $PKG_CONFIG --version >/dev/null 2>&1; then
    echo "SKIP: no pkg-config"
    exit 77
fi
case $PWD in
# libtool installs nothing into a folder with a space in its name.
*[[:space:]]*) scratch=$(mktemp -d) ;;
*) scratch=$(mktemp -d "$PWD/installed.XXXXXX") ;;
esac
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# The flags of the outer make would reach this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
$MAKE install DESTDIR="$scratch/root" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    exit 1
}

cd "$scratch"
cat >program.c <<'END'
#include <polling.h>
#include <stdio.h>
int main(void)
{
	struct polling_event posted = {7, POLLING_IN, 9}, event;
	struct polling *p = polling_create(0);
	if (p == NULL || polling_post(p, &posted) != 0 ||
	    polling_wait(p, &event, 1, NULL) != 1 || event.key != 7)
		return 1;
	polling_destroy(p);
	printf("%s %s\n", polling_backend(), polling_version());
	return 0;
}
END

root=$scratch/root
pc=$(find "$root" -name libpolling.pc)
test -n "$pc" || {
    echo "no libpolling.pc was installed"
    exit 1
}
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$root
# Where the prefix is /usr, its folders are the system's own, which are left
# out of flags.
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS
version=$($PKG_CONFIG --modversion libpolling)

# run FOLDER: the program, which finds shared libraries in the folder.
run() {
    case ${WINE_RUNS:-native} in
    native)
        # Windows looks for them where it looks for programs.
        LD_LIBRARY_PATH=$1 PATH=$1:$PATH "./program$EXEEXT"
        ;;
    yes)
        # Drive Z is the root. Lines end in two characters. Not to a pipe:
        # what Wine leaves running for a while would keep it open.
        # shellcheck disable=SC1003
        WINEPATH="Z:$(printf '%s\n' "$1" | tr / '\\')" \
            timeout -k 10 120 "$WINE" "./program$EXEEXT" </dev/null >said
        tr -d '\r' <said
        ;;
    esac
}

# try KIND LIBRARY ARGUMENT...: links the program with the arguments and runs
# it, where that kind of library was installed as the file LIBRARY.
try() {
    kind=$1
    library=$2
    shift 2
    if [ -z "$library" ]; then
        echo "$kind: not built, not checked"
        return
    fi
    # CC and the flags may be lists; a sanitizer is in CFLAGS.
    # shellcheck disable=SC2046,SC2086
    $CC ${CFLAGS-} ${LDFLAGS-} $($PKG_CONFIG --cflags libpolling) \
        -o "program$EXEEXT" program.c "$@"
    if [ "${WINE_RUNS:-native}" = no ]; then
        echo "$kind: links; not run, there is no Wine that runs programs"
        return
    fi
    said=$(run "$(dirname "$library")")
    echo "$kind: $said"
    if [ "$said" != "${BACKEND-${said% *}} $version" ]; then
        echo "it should be: ${BACKEND-} $version"
        exit 1
    fi
}

# Flags are to be split. The linker prefers a shared library wherever there is
# one, so that the static one is named by its file.
static=$(find "$root" -name libpolling.a)
# shellcheck disable=SC2046
try shared "$(find "$root" -name libpolling.so -o -name 'libpolling*.dll')" \
    $($PKG_CONFIG --libs libpolling)
# shellcheck disable=SC2046
try static "$static" "$static" \
    $($PKG_CONFIG --static --libs libpolling | sed 's/-lpolling//')
