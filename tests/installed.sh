#!/bin/sh
# SPDX-License-Identifier: MIT
#
# installed.sh - an installed library is found through pkg-config and through
# CMake, each compiles a program, shared and static, and the program runs.
#
# From the environment: CC, CFLAGS, LDFLAGS, MAKE, PKG_CONFIG, BACKEND, EXEEXT,
# WINE and WINE_RUNS, see m4/wine.m4. Exit status: 0, 1, or 77 with neither
# pkg-config nor CMake.

set -eu
LC_ALL=C # for ranges of letters
export LC_ALL
CC=${CC:-cc}
MAKE=${MAKE:-make}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
EXEEXT=${EXEEXT-}
by_pkg_config=yes
by_cmake=yes
if ! $PKG_CONFIG --version >/dev/null 2>&1; then
    echo "SKIP: pkg-config: there is none"
    by_pkg_config=no
fi
# CMake would have to be told of the other system.
if [ "${WINE_RUNS:-native}" != native ]; then
    echo "SKIP: CMake: this is built for Windows elsewhere; only what is" \
        "installed is looked at"
    by_cmake=no
elif ! cmake --version >/dev/null 2>&1; then
    echo "SKIP: CMake: there is none"
    by_cmake=no
fi
case $by_pkg_config$by_cmake in
nono) exit 77 ;;
esac
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

# installed NAME: where it is; it must be installed once.
installed() {
    find "$root" -name "$1" >found
    [ "$(($(wc -l <found)))" = 1 ] || {
        echo "$1 was not installed, or not once" >&2
        exit 1
    }
    cat found
}

header=$(installed polling.h)
# number PART: of the version.
number() {
    sed -n "s/^#define POLLING_VERSION_$1 *//p" "$header"
}
major=$(number MAJOR)
version=$major.$(number MINOR).$(number PATCH)

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

# check KIND FOLDER: what the program says, with the shared library of FOLDER.
check() {
    said=$(run "$2")
    echo "$1: $said"
    if [ "$said" != "${BACKEND-${said% *}} $version" ]; then
        echo "it should be: ${BACKEND-} $version"
        exit 1
    fi
}

# libraries: which ones were installed.
libraries() {
    static=$(find "$root" -name libpolling.a)
    shared=$(find "$root" -name libpolling.so -o -name libpolling.dylib -o \
        -name 'libpolling*.dll')
}
libraries

### pkg-config

# compile KIND LIBRARY ARGUMENT...: links the program with the arguments and
# runs it, where that kind of library was installed as the file LIBRARY.
compile() {
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
    check "$kind" "$(dirname "$library")"
}

pc=$(installed libpolling.pc)
if [ "$by_pkg_config" = yes ]; then
    PKG_CONFIG_PATH=$(dirname "$pc")
    PKG_CONFIG_SYSROOT_DIR=$root
    # Where the prefix is /usr, its folders are the system's own, which are
    # left out of flags.
    PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
    PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
    export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR \
        PKG_CONFIG_ALLOW_SYSTEM_CFLAGS PKG_CONFIG_ALLOW_SYSTEM_LIBS
    said=$($PKG_CONFIG --modversion libpolling)
    [ "$said" = "$version" ] || {
        echo "pkg-config says $said, the header $version"
        exit 1
    }
    # Flags are to be split. The linker prefers a shared library wherever there
    # is one, so that the static one is named by its file.
    # shellcheck disable=SC2046
    compile 'pkg-config, shared' "$shared" $($PKG_CONFIG --libs libpolling)
    # shellcheck disable=SC2046
    compile 'pkg-config, static' "$static" "$static" \
        $($PKG_CONFIG --static --libs libpolling | sed 's/-lpolling//')
fi

### CMake

# quietly COMMAND...: shows what it says only if it fails.
quietly() {
    "$@" >log 2>&1 </dev/null || {
        cat log
        exit 1
    }
}

# configure KIND LIBRARY ARGUMENT...: the same by a project, which says which
# library it found.
configure() {
    kind=$1
    library=$2
    shift 2
    if [ -z "$library" ]; then
        echo "$kind: not built, not checked"
        return
    fi
    rm -rf build
    mkdir build
    cd build
    quietly cmake -G 'Unix Makefiles' -Dpolling_DIR="$(dirname "$config")" \
        -DMAJOR="$major" "$@" ../project
    found=$(sed -n 's/^-- it has //p' log)
    [ "$found" = "$library" ] || {
        cat log
        echo "$kind: it should have $library"
        exit 1
    }
    quietly cmake --build .
    check "$kind" "$(dirname "$library")"
    cd ..
}

config=$(installed polling-config.cmake)
[ "$(dirname "$config")" = \
    "$(dirname "$(installed polling-config-version.cmake)")" ]
if [ "$by_cmake" = yes ]; then
    mkdir project
    cp program.c project
    cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.5...3.31)
project(program C)
find_package(polling ${MAJOR} REQUIRED)
get_target_property(library polling::polling LOCATION)
message(STATUS "it has ${library}")
add_executable(program program.c)
target_link_libraries(program polling::polling)

# Again is no error, as when two parts of a program ask for it; and releases of
# another major version are others.
find_package(polling ${polling_VERSION} EXACT REQUIRED)
math(EXPR other "${MAJOR} + 1")
foreach(version 0.9 ${MAJOR}.999 ${other})
  set(polling_DIR "${polling_DIR}")
  find_package(polling ${version} QUIET)
  if(polling_FOUND)
    message(FATAL_ERROR "${polling_VERSION} was taken for ${version}")
  endif()
endforeach()
END
    # What would lead elsewhere.
    unset DESTDIR CMAKE_GENERATOR CMAKE_PREFIX_PATH
    export CC
    # The tree may be moved.
    mv "$root" "$scratch/moved"
    root=$scratch/moved
    libraries
    config=$(installed polling-config.cmake)
    configure 'CMake, shared' "$shared"
    configure 'CMake, static' "$static" \
        -Dpolling_USE_STATIC_LIBS=ON
fi
