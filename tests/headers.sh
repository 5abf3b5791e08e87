#!/bin/sh
# SPDX-License-Identifier: MIT
#
# headers.sh - <polling.h> compiles alone, in every language that may include
# it, twice in one file, without a warning and without the configuration of
# the build. A program in C++, doc/examples/raii.cc, is linked with the library
# and run.
#
# From the environment: srcdir, CC, CXX, CFLAGS, LDFLAGS, LIBTOOL and WINE_RUNS.

set -eu
LC_ALL=C # for ranges of letters
export LC_ALL
srcdir=${srcdir:-.}
CC=${CC:-cc}
CXX=${CXX:-c++}
scratch=$(mktemp -d ./headers.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
status=0
strict='-pedantic -Wall -Wextra -Wshadow -Wundef -Werror'

cat >"$scratch/use.c" <<'END'
#include <polling.h>
#include <polling.h>
#if defined(HAVE_CONFIG_H) || defined(PACKAGE_NAME)
#error "the public header must neither need nor include config.h"
#endif
int use(struct polling *p, struct polling_event *e);
int use(struct polling *p, struct polling_event *e)
{
	if (polling_add(p, 0, POLLING_IN, POLLING_ONESHOT, (uintptr_t)e) != 0)
		return -1;
	return polling_wait(p, e, 1, 0);
}
END
cp "$scratch/use.c" "$scratch/use.cc"
echo 'int x;' | tee "$scratch/x.c" >"$scratch/x.cc"

# try COMPILER STANDARD SUFFIX; CC and CXX may hold flags, so that they and the
# list of warnings are not quoted.
try() {
    # shellcheck disable=SC2086
    if ! $1 -std="$2" -c -o "$scratch/x.o" "$scratch/x.$3" 2>/dev/null; then
        echo "$2: $1 does not know it"
    elif $1 -std="$2" $strict -I"$srcdir/include" \
        -c -o "$scratch/use.o" "$scratch/use.$3" 2>"$scratch/errors"; then
        echo "$2: compiles"
    else
        echo "$2: does not compile"
        cat "$scratch/errors"
        status=1
    fi
}

for standard in c99 c11 c17; do
    try "$CC" "$standard" c
done
# system COMPILER LANGUAGE: Windows or not.
system() {
    # shellcheck disable=SC2086
    if echo | $1 -x "$2" -dM -E - 2>/dev/null | grep -q ' _WIN32 '; then
        echo Windows
    else
        echo another
    fi
}

# knows STANDARD: whether the compiler for C++ does.
knows() {
    # shellcheck disable=SC2086
    $CXX -std="$1" -c -o "$scratch/x.o" "$scratch/x.cc" 2>/dev/null
}

# example STANDARD: the one in C++, whose oldest is C++11.
example() {
    # What the library was made with, such as a sanitizer, is needed to link; to
    # compile, much of it may be for C only.
    # shellcheck disable=SC2086
    if $CXX -std="$1" $strict -I"$srcdir/include" -c -o "$scratch/raii.o" \
        "$srcdir/doc/examples/raii.cc" 2>"$scratch/errors" &&
        $LIBTOOL --silent --tag=CC --mode=link $CXX ${CFLAGS-} ${LDFLAGS-} \
            -o "$scratch/raii" "$scratch/raii.o" lib/libpolling.la \
            2>"$scratch/errors" &&
        "$scratch/raii" >"$scratch/said" 2>"$scratch/errors" &&
        [ "$(head -n 4 "$scratch/said")" = 'read: line 1
read: line 2
read: line 3
nothing more' ]; then
        echo "raii.cc, $1: compiles and runs"
    else
        echo "raii.cc, $1: does not compile, or not do what it should"
        cat "$scratch/errors" "$scratch/said"
        status=1
    fi
}

# linked: true if a program of both compilers can be made and runs.
linked() {
    echo 'extern "C" int c(void); int main() { return c(); }' \
        >"$scratch/main.cc"
    echo 'int c(void); int c(void) { return 0; }' >"$scratch/c.c"
    # shellcheck disable=SC2086
    $CC ${CFLAGS-} -c -o "$scratch/c.o" "$scratch/c.c" 2>/dev/null &&
        $CXX -c -o "$scratch/main.o" "$scratch/main.cc" 2>/dev/null &&
        $CXX ${CFLAGS-} ${LDFLAGS-} -o "$scratch/main" "$scratch/main.o" \
            "$scratch/c.o" 2>/dev/null &&
        "$scratch/main" 2>/dev/null
}

# The one for C++ may be there for this machine only.
# shellcheck disable=SC2086
if [ "$(system "$CXX" c++)" != "$(system "$CC" c)" ]; then
    echo "C++: not checked, no compiler for it for this target"
elif $CXX -c -o "$scratch/x.o" "$scratch/x.cc" 2>/dev/null; then
    # Before C++11 long long, which stdint.h needs, was an extension.
    try "$CXX -Wno-long-long" c++98 cc
    for standard in c++11 c++14 c++17 c++20; do
        try "$CXX" "$standard" cc
    done
    : >"$scratch/said"
    if [ "${WINE_RUNS:-native}" != native ]; then
        echo "raii.cc: not checked, it is for POSIX systems"
    elif [ -z "${LIBTOOL-}" ]; then
        echo "raii.cc: not checked, this is not make check"
    elif linked; then
        example c++11
        ! knows c++20 || example c++20
    else
        echo "raii.cc: not checked, $CXX makes no programs with $CC"
    fi
else
    echo "C++: not checked, no compiler for it"
fi
exit "$status"
