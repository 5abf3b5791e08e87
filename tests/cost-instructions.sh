#!/bin/sh
# SPDX-License-Identifier: MIT
#
# cost-instructions.sh - the library executes no more instructions than it did.
#
# valgrind counts those of its public functions and of all that they call, in
# the scenes of cost.c; what a program does with its events is not among them.
# The figure is the difference between two runs of different lengths, so that
# what is done once does not count.
#
# The limits leave some room for other compilers. Where a change makes the
# library faster, lower them; where one needs more, say in its commit why it is
# worth that.

set -u
LC_ALL=C # for ranges of letters
export LC_ALL
program=./tests/cost-run
rounds=200

skip() {
    echo "SKIP $*"
    exit 77
}

[ -x "$program" ] || skip "$program was not built here"
[ "${BACKEND-}" = epoll ] || skip "the limits are those of epoll"
command -v valgrind >/dev/null 2>&1 || skip 'valgrind is not installed'
case $(uname -m) in
x86_64) ;;
*) skip 'the limits are those of x86_64' ;;
esac
case " ${CC-} ${CFLAGS-} " in
*-fsanitize* | *--coverage* | *-pg* | *-m32* | *-mx32*)
    skip 'the compiler adds instructions of its own, or makes others' ;;
*' -O0 '* | *' -Og '* | *' -O1 '* | *' -O '* | *' -Os '*)
    skip 'the library was not compiled with -O2' ;;
*' -O'*) ;;
*) skip 'the library was not compiled with -O2' ;;
esac

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# Public functions begin and end the counting. They do not call each other.
toggles=
for function in wait modify add delete notify post \
    add_timer modify_timer delete_timer; do
    toggles="$toggles --toggle-collect=polling_$function"
done

# count SCENE ROUNDS
count() {
    # shellcheck disable=SC2086 # a list
    $LIBTOOL --mode=execute valgrind --tool=callgrind \
        --callgrind-out-file=/dev/null $toggles "$program" "$1" "$2" \
        >"$log" 2>&1 || return 1
    sed -n 's/^==[0-9]*== Collected : \([0-9]*\)$/\1/p' "$log"
}

failed=0
while read -r scene events limit; do
    long=$(count "$scene" $((2 * rounds))) && short=$(count "$scene" "$rounds")
    if [ -z "$long" ] || [ -z "$short" ] || [ "$long" -le "$short" ]; then
        tail -n 20 "$log"
        skip 'valgrind did not count'
    fi
    each=$(((long - short) / rounds / events))
    result=PASS
    if [ "$each" -gt "$limit" ]; then
        result=FAIL
        failed=1
    fi
    echo "$result $scene: $each instructions for an event (at most $limit)"
done <<LIMITS
level-1 1 395
level-1-timeout 1 400
level-100 100 90
edge-1 1 395
edge-100 100 90
oneshot-1 1 620
oneshot-100 100 325
late-100 50 415
churn-1 1 980
notify 1 275
timers 100 1240
LIMITS
exit "$failed"
