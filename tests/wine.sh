#!/bin/sh
# SPDX-License-Identifier: MIT
#
# wine.sh - runs a program for Windows: by Wine if it was compiled elsewhere.
#
#   wine.sh PROGRAM [ARGUMENT...]
#
# PROGRAM is one of the build folder, which is the current one, by the name that
# make gives it. The library's DLL is found. The program gets its time, but not
# more: a test that hangs in Wine hangs for good.
#
# From the environment: WINE, WINE_RUNS (yes, no, native; see m4/wine.m4),
# WINE_SECONDS, the time if it is not half an hour, and CK_TIMEOUT_MULTIPLIER,
# which stretches it and, for each case of the suites by Wine, is 4 if unset.
# Exit status: the program's, or 77 if it cannot be run here.

set -eu
# The suites have limits for each case, which are shorter.
seconds=${WINE_SECONDS:-1800}

program=$1
shift
[ -f "$program" ] || program=$program.exe
# In the place of the program there may be one of libtool's that starts it.
inner=$(dirname "$program")/.libs/$(basename "$program")
[ ! -f "$inner" ] || program=$inner
case ${WINE_RUNS:-native} in
native)
    PATH=$PWD/lib/.libs:$PATH
    export PATH
    exec "$program" "$@"
    ;;
no)
    echo "SKIP: $program was built, but not run: configure found no Wine" \
        "that runs programs"
    exit 77
    ;;
esac
# Drive Z is the root.
# shellcheck disable=SC1003
WINEPATH="Z:$(printf '%s\n' "$PWD/lib/.libs" | tr / '\\')"
export WINEPATH
stretch=$(printf '%.0f' "${CK_TIMEOUT_MULTIPLIER:-1}")
[ "$stretch" -ge 1 ] || stretch=1
# Whatever a program calls goes through the one server of Wine. Beside others
# that takes its time: what passes a notification to and fro, twenty times as
# long beside twenty.
CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-4}
export CK_TIMEOUT_MULTIPLIER
exec timeout -k 10 $((seconds * stretch)) \
    "$WINE" "$program" "$@" </dev/null
