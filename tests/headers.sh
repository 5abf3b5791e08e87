#!/bin/sh
# SPDX-License-Identifier: MIT
#
# headers.sh - <polling.h> compiles alone, in every language that may include
# it, twice in one file, without a warning and without the configuration of
# the build.

set -eu
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
else
    echo "C++: not checked, no compiler for it"
fi
exit "$status"
