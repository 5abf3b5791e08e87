#!/bin/sh
# SPDX-License-Identifier: MIT
#
# installed.sh - an installed library is found through pkg-config, compiles a
# program, shared and static, and the program runs.

set -eu
CC=${CC:-cc}
MAKE=${MAKE:-make}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
if ! $PKG_CONFIG --version >/dev/null 2>&1; then
    echo "SKIP no pkg-config"
    exit 77
fi
scratch=$(mktemp -d "$PWD/installed.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

cat >"$scratch/program.c" <<'END'
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

# The flags of the outer make would reach this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
$MAKE install-includeHEADERS install-libLTLIBRARIES install-pkgconfigDATA \
    DESTDIR="$scratch/root" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    exit 1
}
pc=$(find "$scratch/root" -name libpolling.pc)
test -n "$pc" || {
    echo "no libpolling.pc was installed"
    exit 1
}
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$scratch/root
# A prefix of /usr is on the system's own paths, which are left out of flags.
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS
libdir=$scratch/root$($PKG_CONFIG --variable=libdir libpolling |
    sed "s|^$scratch/root||")

# try KIND FLAG...: links the program and runs it.
try() {
    kind=$1
    shift
    # Flags of libraries are to be split; a sanitizer is in CFLAGS.
    # shellcheck disable=SC2046,SC2086
    (cd "$scratch" && $CC ${CFLAGS-} ${LDFLAGS-} -o program program.c "$@")
    said=$(LD_LIBRARY_PATH=$libdir "$scratch/program")
    echo "$kind: $said"
    case $said in
    "${BACKEND:-}"*" $($PKG_CONFIG --modversion libpolling)") ;;
    *)
        echo "the version should be $($PKG_CONFIG --modversion libpolling)"
        exit 1
        ;;
    esac
}

# pkg-config splits at spaces: a build folder with one is passed by hand.
case $scratch in
*[[:space:]]*) cflags= libs= ;;
*)
    cflags=$($PKG_CONFIG --cflags libpolling)
    libs=$($PKG_CONFIG --libs libpolling)
    ;;
esac
if [ -f "$libdir/libpolling.so" ]; then
    # shellcheck disable=SC2086
    if [ -n "$cflags" ]; then
        try shared $cflags $libs
    else
        try shared -I"$scratch/root$($PKG_CONFIG --variable=includedir \
            libpolling | sed "s|^$scratch/root||")" -L"$libdir" -lpolling
    fi
else
    echo "shared library: not built, not checked"
fi
if [ -f "$libdir/libpolling.a" ] && [ -n "$cflags" ]; then
    # shellcheck disable=SC2046,SC2086
    try static $cflags "$libdir/libpolling.a" \
        $($PKG_CONFIG --static --libs libpolling |
            sed 's/-L[^ ]* *//; s/-lpolling//')
else
    echo "static library: not built, not checked"
fi
