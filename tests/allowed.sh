#!/bin/sh
# SPDX-License-Identifier: MIT
#
# allowed.sh - the library makes the system calls that HACKING lists, and no
# others: a program that uses all of it is killed for any other one, as the
# processes of some containers are. And the list is no longer than it has to be:
# without any one line of those that are always needed the program is killed.

set -u
LC_ALL=C # for ranges of letters
export LC_ALL
list=${srcdir:-.}/HACKING
# What older kernels lack; without them others are called in their place.
newer='eventfd2 epoll_pwait2 ppoll ppoll_time64 pidfd_open timerfd_create'

case " ${CC-} ${CFLAGS-} " in
*-fsanitize* | *--coverage* | *-pg*)
    echo 'SKIP the compiler adds code that makes calls of its own'
    exit 77
    ;;
esac
[ -x ./tests/allowed ] || {
    echo 'SKIP ./tests/allowed was not built here'
    exit 77
}
# The list is for what configure finds on Linux by itself.
for feature in EVENTFD EPOLL_PWAIT2 PPOLL PIPE2 PIDFD_OPEN TIMERFD_CREATE \
    WAITID PTHREAD_ATFORK PTHREAD_SETCANCELSTATE DECL_PR_SET_TIMERSLACK; do
    grep -q "^#define HAVE_$feature 1" config.h || {
        echo "SKIP the library was configured without HAVE_$feature"
        exit 77
    }
done
for call in eventfd2 epoll_pwait2 ppoll pidfd_open timerfd_create; do
    ./tests/allowed -n "$call" || {
        echo "SKIP $call: this system does not have it, or denies it"
        exit 77
    }
done
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
failed=0

fail() {
    echo "FAIL $*"
    failed=1
}

# Every public function is used.
functions=$(sed -n 's/^[	 ]*\(polling_[a-z_]*\);.*/\1/p' \
    "${srcdir:-.}/lib/libpolling.map")
for function in $functions; do
    grep -q "$function(" "${srcdir:-.}/tests/allowed.c" ||
        fail "tests/allowed.c does not use $function()"
done

# table BACKEND WHEN...: the lines of these kinds, the calls of each separated
# by slashes.
table() {
    backend=$1
    shift
    awk -v backend="$backend" -v when=" $* " '
        /^System calls$/ { here = 1 }
        /^How to \.\.\.$/ { here = 0 }
        # The names may have a line of their own.
        here && /^    [a-z0-9_\/]+$/ { names = $1; next }
        names != "" { $0 = names " " $0; names = "" }
        here && ($2 == backend || $2 == "both") && index(when, " " $3 " ") {
            print $1
        }' "$list"
}

# run PROGRAM LINES OPTION...: under a filter that allows the lines.
run() {
    program=$1
    lines=$(echo "$2" | tr '/' ' ')
    shift 2
    status=0
    # shellcheck disable=SC2086 # a list
    "$program" "$@" -- $lines >"$log" 2>&1 || status=$?
}

# Whether the last run was ended by the filter: by SIGSYS, to which shells add
# 128 or, as ksh does, 256; or a child was.
was_killed() {
    [ "$status" = 159 ] || [ "$status" = 287 ] || [ "$status" = 3 ]
}

# expect_death PROGRAM LINE LINES OPTION...: without that one of the lines.
expect_death() {
    program=$1 line=$2 lines=$3
    shift 3
    run "$program" "$(echo "$lines" | grep -Fxv "$line")" "$@"
    was_killed && return
    # Unless this machine does not have it, by any name.
    for call in $(echo "$line" | tr '/' ' '); do
        "$program" -n "$call" || continue
        fail "$program, line $line: listed, and not needed ($*)"
        return
    done
}

# try PROGRAM LINES OPTION...: with all the lines.
try() {
    run "$@"
    case $status in
    0)
        echo "PASS $1: $(echo "$2" | wc -l) lines of calls are enough"
        return
        ;;
    77)
        cat "$log"
        exit 77
        ;;
    esac
    cat "$log"
    fail "$1 ended with status $status"
    # By which call?
    run "$@" -t
    cat "$log"
}

check() {
    program=$1
    [ -x "$program" ] || return 0
    backend=$("$program" -b)
    always=$(table "$backend" always)
    instead=$(table "$backend" instead)
    rare=$(table "$backend" rare)
    all=$(printf '%s\n%s\n%s\n' "$always" "$instead" "$rare")
    denials=
    for call in $newer; do
        # Where there is no other way.
        case $call in
        ppoll*) "$program" -n poll || continue ;;
        esac
        case "/$(echo "$always" | tr '\n' /)/" in
        */$call/*) denials="$denials -e $call" ;;
        esac
    done
    if [ -z "$always" ] || [ -z "$instead" ] || [ -z "$denials" ]; then
        fail "HACKING has no list for $backend"
        return
    fi
    most=$(printf '%s\n%s\n' "$always" "$rare")
    try "$program" "$most"
    for line in $always; do
        expect_death "$program" "$line" "$most"
    done
    # shellcheck disable=SC2086 # a list
    try "$program" "$all" $denials
    for line in $instead; do
        # shellcheck disable=SC2086 # a list
        expect_death "$program" "$line" "$all" $denials
    done
}

check ./tests/allowed
check ./tests/allowed-poll
exit "$failed"
