#!/bin/sh
# SPDX-License-Identifier: MIT
#
# denied.sh - the suites pass where eventfd and epoll_pwait2 are denied, as on
# old kernels (ENOSYS) and in some containers (EPERM). (Conformance 66.)

set -eu
deny=./tests/deny
for program in "$deny" ./tests/suites; do
    if [ ! -x "$program" ]; then
        echo "SKIP $program was not built here"
        exit 77
    fi
done

# The filter itself is tried first: a test without denial would prove nothing.
"$deny" eventfd2=EPERM epoll_pwait2=ENOSYS --probe || {
    status=$?
    echo "SKIP this system denies no system calls (status $status)"
    exit 77
}
if "$deny" eventfd2=EPERM -- sh -c 'exit 3'; then
    echo 'deny does not pass on the exit status'
    exit 1
fi

# run DENIALS SUITE...: with the main library and with its twin over poll.
run() {
    denials=$1
    shift
    for program in ./tests/suites ./tests/suites-poll; do
        [ -x "$program" ] || continue
        echo "== $denials: $program $*"
        # The denials are a list, so they are to be split.
        # shellcheck disable=SC2086
        "$deny" $denials -- "$program" "$@" || exit 1
    done
}

run 'epoll_pwait2=EPERM' modes
run 'epoll_pwait2=ENOSYS' waiting
run 'eventfd2=ENOSYS' notify
run 'eventfd2=EACCES' lifetime
run 'eventfd2=EPERM epoll_pwait2=EPERM' \
    registration modes waiting notify threads lifetime files
