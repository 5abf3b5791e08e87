#!/bin/sh
# SPDX-License-Identifier: MIT
#
# headers.sh - <polling.h> compiles alone, in every language that may include
# it, twice in one file, and without the configuration of the build.

set -eu
srcdir=${srcdir:-.}
CC=${CC:-cc}
CXX=${CXX:-c++}
scratch=$(mktemp -d ./headers.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
status=0

cat >"$scratch/use.c" <<'END'
#include <polling.h>
#include <polling.h>
#ifdef HAVE_CONFIG_H
#error "the public header must not need config.h"
#endif
#ifdef PACKAGE_NAME
#error "the public header must not include config.h"
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

# try COMPILER STANDARD FILE
try() {
    # shellcheck disable=SC2086 # CC may hold flags
    if $1 -std="$2" -pedantic -Wall -Wextra -Werror -I"$srcdir/include" \
        -c -o "$scratch/use.o" "$scratch/$3" 2>"$scratch/errors"; then
        echo "$2: compiles"
    else
        echo "$2: does not compile"
        cat "$scratch/errors"
        status=1
    fi
}

for standard in c99 c11 c17; do
    try "$CC" "$standard" use.c
done
# shellcheck disable=SC2086 # CXX may hold flags
if echo 'int x;' >"$scratch/x.cc" &&
    ${CXX:-false} -c -o "$scratch/x.o" "$scratch/x.cc" 2>/dev/null; then
    # Before C++11 long long, which stdint.h needs, was an extension.
    try "$CXX -Wno-long-long" c++98 use.cc
    for standard in c++11 c++14 c++17 c++20; do
        try "$CXX" "$standard" use.cc
    done
else
    echo "SKIP C++: no compiler for it"
fi
exit $status
