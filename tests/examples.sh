#!/bin/sh
# SPDX-License-Identifier: MIT
#
# examples.sh - the small examples, each run as a user would run it.
#
# EXAMPLES and TOOLS are the folders of the examples and of http-raw and
# http-cut; WRAPPER, for instance "valgrind -q --error-exitcode=9", is put
# before each example. CONNECTIONS (30) are made through tcp-proxy that must be
# right, and as many at a time that are broken off. It uses the loopback
# interface only and ends after two minutes at the latest.

set -u
LC_ALL=C
export LC_ALL
unset CDPATH

EXAMPLES=${EXAMPLES:-./doc/examples}
TOOLS=${TOOLS:-./tests}
WRAPPER=${WRAPPER:-}
CONNECTIONS=${CONNECTIONS:-30}

if [ ! -x "$EXAMPLES/run-children" ]; then
    echo "skipped: there is no $EXAMPLES/run-children here"
    exit 77
fi

processes=
folder=$(mktemp -d) || exit 1

finish() {
    trap - EXIT HUP INT TERM
    for process in $processes; do
        kill "$process" 2>/dev/null
        wait "$process" 2>/dev/null
    done
    rm -rf "$folder"
}
trap finish EXIT
trap 'echo "stopped by a signal, or after two minutes"; exit 1' HUP INT TERM

# The sleep is a child of the watchdog and must not outlive it.
(
    trap 'kill $! 2>/dev/null; exit 0' TERM
    sleep 120 &
    wait $!
    kill -TERM $$
) &
processes=$!

checks=0
failures=0

# check WHAT GOT EXPECTED
check() {
    checks=$((checks + 1))
    if [ "$2" != "$3" ]; then
        failures=$((failures + 1))
        printf '%s: expected "%s", got "%s"\n' "$1" "$3" "$2"
    fi
}

# example NAME ARGUMENT...
example() {
    name=$1
    shift
    # shellcheck disable=SC2086 # the wrapper is a command with arguments
    $WRAPPER "$EXAMPLES/$name" "$@"
}

# start OUTPUT NAME ARGUMENT...: in the background; sets process.
start() {
    output=$folder/$1
    shift
    : >"$output"
    name=$1
    shift
    # shellcheck disable=SC2086 # the same
    exec_in_background $WRAPPER "$EXAMPLES/$name" "$@"
}

# Of a function in the background the shell would wait for, not the program.
exec_in_background() {
    "$@" >"$output" &
    process=$!
    processes="$processes $process"
}

# stop_by SIGNAL PROCESS: sets status.
stop_by() {
    kill -s "$1" "$2"
    ended "$2"
}

# ended PROCESS: waits for it and sets status.
ended() {
    wait "$1"
    status=$?
    rest=
    for other in $processes; do
        [ "$other" = "$1" ] || rest="$rest $other"
    done
    processes=$rest
}

# await COMMAND...: until it succeeds, but no longer than ten seconds.
await() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -le 200 ] || return 1
        sleep 0.05
    done
}

# has COUNT TEXT FILE: whether so many lines, or more, have the text.
has() {
    [ "$(grep -c -- "$2" "$3")" -ge "$1" ]
}

timers() {
    example timers >"$folder/timers"
    check 'status of timers' $? 0
    # What is due must not be early, nor missing, nor what was deleted there.
    check 'timers' "$(awk '
        / once$/ { once = $1 }
        / tick, / { last = $1; count = $4; if ($1 < 50 * count) early = 1 }
        / watchdog: / { watchdog = $1 }
        /deleted|still there/ { early = 1 }
        / the end$/ { end = 1 }
        END { print early + 0, (once >= 120), count, (watchdog >= last + 199),
                end }' "$folder/timers")" '0 1 10 1 1'
    [ $failures -eq 0 ] || cat "$folder/timers"
}

wait_signal() {
    start signals wait-signal
    await has 1 waits "$folder/signals"
    for i in 1 2 3; do
        kill -s HUP "$process"
        await has $i SIGHUP "$folder/signals"
    done
    stop_by INT "$process"
    check 'status of wait-signal' $status 0
    check 'wait-signal' "$(grep 'in all' "$folder/signals" | tr '\n' ' ')" \
        'SIGINT: 1 in all SIGTERM: 0 in all SIGHUP: 3 in all '
}

# The lines of run-children, in the order of the commands.
sorted() {
    sort -n "$folder/children" | sed 's/: [^:]*$//' | tr '\n' ' '
}

children() {
    log=$folder/log
    example run-children -j 3 'exit 0' 'exit 7' "kill -KILL \$\$" \
        >"$folder/children"
    check 'status if some fail' $? 1
    check 'exit codes' "$(sed '$d' "$folder/children" | sort -n | tr '\n' ' ')" \
        "1: exit code 0: exit 0 2: exit code 7: exit 7 3: signal 9: kill -KILL \$\$ "
    check 'summary' "$(tail -n 1 "$folder/children")" \
        '3 commands: 1 succeeded, 2 failed, 0 not started'

    : >"$log"
    for i in 1 2 3 4 5 6 7; do
        echo "echo + >>$log; sleep 0.2; echo - >>$log"
    done | example run-children -j 3 >"$folder/children"
    check 'status if none fails' $? 0
    check 'how many at a time' "$(awk '
        /\+/ { n++; all++ }
        /-/ { n-- }
        n > most { most = n }
        END { print most, all, n }' "$log")" '3 7 0'

    example run-children -j 2 -t 0.3 'sleep 60' 'trap "" TERM; sleep 61' \
        'sleep 0.01' >"$folder/children"
    check 'status after time-outs' $? 1
    check 'time-outs' "$(sed '$d' "$folder/children" | sort -n |
        sed 's/: [^:]*$//' | tr '\n' ' ')" \
        '1: signal 15, timed out 2: signal 9, timed out 3: exit code 0 '
    many_children
    end_children
}

# So short that some have ended before they are watched.
many_children() {
    i=0
    while [ $i -lt 200 ]; do
        echo "exit $((i % 2))"
        i=$((i + 1))
    done | example run-children -j 20 >"$folder/children"
    check 'many children' "$(tail -n 1 "$folder/children")" \
        '200 commands: 100 succeeded, 100 failed, 0 not started'
}

end_children() {
    : >"$log"
    line="echo \$\$ >>$log; exec sleep 62"
    start children run-children -j 2 "$line" "sleep 63 & $line" "$line"
    await has 2 '' "$log"
    stop_by INT "$process"
    check 'status after Ctrl-C' $status 130
    check 'what Ctrl-C leaves' "$(tail -n 1 "$folder/children")" \
        '3 commands: 0 succeeded, 2 failed, 1 not started'
    while read -r pid; do
        await gone "-$pid"
        check "whether the group of $pid is gone" $? 0
    done <"$log"
}

gone() {
    ! kill -s 0 -- "$1"
}

# nested NAME TICKS OTHER-LINES
nested() {
    if [ ! -x "$EXAMPLES/$1" ]; then
        echo "$1 was not run: it was not built"
        return
    fi
    printf 'one\ntwo\n' | example "$1" "$2" >"$folder/nested" 2>&1
    result=$?
    if grep -q polling_get_fd "$folder/nested"; then
        echo "$1 was not run: this backend has no descriptor"
        return
    fi
    check "status of $1" $result 0
    check "end of $1" "$(tail -n 2 "$folder/nested" | tr '\n' ' ')" \
        'tick, 0 left the end '
    has "$3" post "$folder/nested"
    check "posts to $1" $? 0
    start nested "$1" 1000000
    await has 1 tick "$folder/nested"
    stop_by TERM "$process"
    check "status of $1 after SIGTERM" $status 0
    has 1 'a signal' "$folder/nested"
    check "signal in $1" $? 0
}

# address FILE: waits for a server that has started and sets port.
address() {
    await has 1 'listening on' "$1"
    port=$(sed -n 's/^listening on 127\.0\.0\.1://p' "$1")
    if [ -z "$port" ]; then
        echo 'a server does not start'
        exit 1
    fi
}

# How many descriptors a process has; nothing where that is not to be seen.
descriptors() {
    [ ! -d "/proc/$1/fd" ] || echo "/proc/$1/fd"/* | wc -w
}

back_to() {
    [ "$(descriptors "$1")" = "$2" ]
}

# raw FORMAT OPTION...: sends what is in printf's words; sets status.
raw() {
    format=$1
    shift
    # shellcheck disable=SC2059 # that is what it is for
    printf "$format" | "$TOOLS/http-raw" "$@" "$port" >"$folder/answer" \
        2>/dev/null
    status=$?
}

body() {
    sed '1,/^.$/d' "$folder/answer"
}

LARGE='GET /large HTTP/1.1\r\nHost: localhost\r\n'

proxy() {
    www=$folder/www
    mkdir "$www"
    echo small >"$www/small"
    awk 'BEGIN { for (i = 0; i < 100000; i++) print "line", i, i * i }' \
        >"$www/large"
    start server http-server "$www"
    server=$process
    address "$folder/server"
    server_port=$port
    start proxy tcp-proxy 0 127.0.0.1 "$server_port"
    proxy=$process
    address "$folder/proxy"
    raw "$LARGE\r\n" -h
    check 'a half-closed connection' "$(body | cmp - "$www/large" 2>&1)" ''
    proxy_has=$(descriptors "$proxy")
    server_has=$(descriptors "$server")
    raw "${LARGE}Connection: close\r\n\r\n" -p 500
    check 'a client that reads late' "$(body | cmp - "$www/large" 2>&1)" ''
    raw "$LARGE\r\n" -r -p 100
    for i in 1 2; do
        proxy_load $i
    done
    await back_to "$proxy" "$proxy_has"
    check 'descriptors of the proxy' "$(descriptors "$proxy")" "$proxy_has"
    await back_to "$server" "$server_has"
    check 'descriptors of the server' "$(descriptors "$server")" "$server_has"
    proxy_end
    proxy_faults
    stop_by TERM "$server"
    check 'status of the server' $status 0
}

# Connections that must be right, and as many that are broken off.
proxy_load() {
    url=http://127.0.0.1:$port
    "$TOOLS/http-cut" -c "$CONNECTIONS" -n $((CONNECTIONS * 10)) -s "$1" \
        "$port" /large >"$folder/cut" 2>&1 &
    cut=$!
    if command -v curl >/dev/null; then
        curl -s -o "$folder/curl" "$url/large"
        check 'status of curl' $? 0
        check 'what curl got' "$(cmp "$folder/curl" "$www/large" 2>&1)" ''
    fi
    "$EXAMPLES/http-load" -c "$CONNECTIONS" -s 1 -r "$www" "$url/large" \
        "$url/small" >"$folder/load" 2>&1
    check 'connections that were not cut' "$?$(sed '$!d' "$folder/load")" \
        '00 errors'
    wait $cut
    check 'connections that were cut' "$?$(cat "$folder/cut")" \
        "0$((CONNECTIONS * 10)) connections were broken off"
}

# The proxy ends while a client is in the middle of something.
proxy_end() {
    (raw "$LARGE\r\n" -p 700) &
    client=$!
    sleep 0.2
    stop_by TERM "$proxy"
    check 'status of the proxy' $status 0
    check 'the open connection' "$(sed -n \
        's/.*, \([0-9]* open\); .*/\1/p' "$folder/proxy")" '1 open'
    check 'connections reset' "$(sed -n \
        's/.* [1-9][0-9]* reset, .*/some/p' "$folder/proxy")" some
    wait "$client"
}

# A silent client, and a server that is not there.
proxy_faults() {
    start proxy tcp-proxy -i 1 0 127.0.0.1 "$server_port"
    address "$folder/proxy"
    raw 'GET / HT'
    check 'status of a silent client' $status 3
    raw "$LARGE\r\n" -p 1500
    check 'status of a client that does not read' $status 3
    stop_by INT "$process"
    check 'idle connections' "$(sed -n \
        's/.*, \([0-9]* idle\), .*/\1/p' "$folder/proxy")" '2 idle'
    # This port is free now, and nobody is there.
    start second tcp-proxy 0 127.0.0.1 "$port"
    address "$folder/second"
    raw "$LARGE\r\n"
    check 'status of a refused client' $status 3
    stop_by INT "$process"
    check 'status of the second proxy' $status 0
    check 'refused connections' "$(sed -n \
        's/.*: \([0-9]* failed\), .*/\1/p' "$folder/second")" '1 failed'
}

timers
wait_signal
children
nested nested-poll 3 2
nested nested-glib 4 1
nested nested-libuv 4 1
proxy

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
