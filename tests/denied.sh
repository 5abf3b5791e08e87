#!/bin/sh
# SPDX-License-Identifier: MIT
#
# denied.sh - the suites pass where eventfd, epoll_pwait2, ppoll, pidfd_open and
# timerfd_create are denied, as on old kernels (ENOSYS) and in some containers
# (EPERM). (Conformance 66.)

set -u
LC_ALL=C # for ranges of letters
export LC_ALL
deny=./tests/deny
for program in "$deny" ./tests/suites; do
    if [ ! -x "$program" ]; then
        echo "SKIP $program was not built here"
        exit 77
    fi
done
TEST_SCALE=${TEST_SCALE:-10}
export TEST_SCALE

log=$(mktemp) || exit 1
trap 'rm -f "$log" "$log".*' EXIT
failed=0

# First the denials are tried: a test without them would prove nothing. One
# denies the call to the other, which makes it. calls is what can be denied.
calls=
for call in eventfd2 epoll_pwait2 ppoll pidfd_open timerfd_create; do
    status=0
    for error in EPERM ENOSYS EACCES; do
        "$deny" "$call=$error" -- "$deny" "$call=$error" --probe || status=$?
    done
    case $status in
    0) calls="$calls $call" ;;
    77) echo "SKIP $call: it is not there or cannot be denied" ;;
    *)
        echo "FAIL $call was not denied"
        exit 1
        ;;
    esac
done
if [ -z "$calls" ]; then
    echo 'SKIP no system call can be denied here'
    exit 77
fi
if "$deny" eventfd2=EPERM -- sh -c 'exit 0' &&
    ! "$deny" eventfd2=EPERM -- sh -c 'exit 1'; then
    :
else
    echo 'FAIL deny does not pass on the exit status'
    exit 1
fi

# denials ERROR CALL...: the calls that can be denied, as arguments for deny.
denials() {
    error=$1
    shift
    for call in "$@"; do
        case "$calls " in
        *" $call "*) printf '%s=%s ' "$call" "$error" ;;
        esac
    done
}

# suites PROGRAM DENIALS SUITE...: prints what it runs, and the results.
suites() {
    program=$1 denials=$2
    shift 2
    [ -n "$denials" ] || return 0
    echo "== $denials: $program $*"
    # The denials are a list, so they are to be split.
    # shellcheck disable=SC2086
    "$deny" $denials -- "$program" "$@"
}

# finer_waits PROGRAM CALL: without the call, and only then, the library must
# not promise waits that are finer than a millisecond.
finer_waits() {
    status=0
    [ -x "$1" ] || return 0
    case "$calls " in
    *" $2 "*)
        if ! "$1" registration/destroying_nothing_is_allowed |
            grep -q 'backend [a-z]*:.* nanosecond'; then
            echo "FAIL the library has not noticed that there is $2"
            status=1
        fi
        ;;
    esac
    suites "$1" "$(denials ENOSYS "$2")" waiting || status=1
    for error in EPERM EACCES; do
        suites "$1" "$(denials "$error" "$2")" files >"$log.$2" || status=1
        cat "$log.$2"
        if grep -q 'backend [a-z]*:.* nanosecond' "$log.$2"; then
            echo "FAIL the library has not noticed that $2 is denied"
            status=1
        fi
    done
    return "$status"
}

own_backend() {
    status=0
    suites ./tests/suites "$(denials ENOSYS eventfd2)" notify || status=1
    suites ./tests/suites "$(denials EPERM eventfd2 epoll_pwait2)" \
        registration modes notify threads lifetime files || status=1
    suites ./tests/suites "$(denials ENOSYS eventfd2 epoll_pwait2)" \
        registration notify || status=1
    # Without it SIGCHLD tells of processes.
    suites ./tests/suites "$(denials ENOSYS pidfd_open)" processes || status=1
    suites ./tests/suites "$(denials EPERM pidfd_open)" \
        processes signals lifetime || status=1
    # Without it there is no descriptor to nest.
    for denied in EPERM:lifetime ENOSYS:files; do
        suites ./tests/suites "$(denials "${denied%:*}" timerfd_create)" \
            "${denied#*:}" >"$log.timerfd" || status=1
        cat "$log.timerfd"
        if grep -q 'backend epoll:.* fd' "$log.timerfd"; then
            echo 'FAIL the library has not noticed that timerfd_create is' \
                'denied'
            status=1
        fi
    done
    return "$status"
}

# The twin over poll can do without eventfd.
poll_backend() {
    status=0
    [ -x ./tests/suites-poll ] || return 0
    finer_waits ./tests/suites-poll ppoll || status=1
    suites ./tests/suites-poll "$(denials ENOSYS eventfd2)" notify || status=1
    suites ./tests/suites-poll "$(denials EPERM eventfd2)" \
        registration modes notify threads lifetime files || status=1
    suites ./tests/suites-poll "$(denials EPERM pidfd_open)" \
        processes signals || status=1
    return "$status"
}

# As is illumos: no descriptors of processes at all.
port_backend() {
    [ -x ./tests/suites-port ] || return 0
    POLLING_EMULATION=illumos \
        suites ./tests/suites-port "$(denials ENOSYS pidfd_open)" processes
}

# All at the same time: they sleep more than they work.
case ${BACKEND:-epoll} in
poll) finer=ppoll ;;
*) finer=epoll_pwait2 ;;
esac
finer_waits ./tests/suites "$finer" >"$log.1" 2>&1 &
waits=$!
poll_backend >"$log.2" 2>&1 &
poll=$!
port_backend >"$log.3" 2>&1 &
port=$!
own_backend || failed=1
wait "$waits" || failed=1
cat "$log.1"
wait "$poll" || failed=1
cat "$log.2"
wait "$port" || failed=1
cat "$log.3"
exit "$failed"
