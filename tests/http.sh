#!/bin/sh
# SPDX-License-Identifier: MIT
#
# http.sh - the HTTP server of the examples against right and wrong clients.
#
# HTTP_SERVER, HTTP_LOAD and HTTP_RAW name the programs; WRAPPER, for instance
# "valgrind -q --error-exitcode=9", is put before the server. It uses the
# loopback interface only and ends after six minutes at the latest.
#
# A server for Windows that Wine runs (WINE_RUNS=yes, see tests/wine.sh) has the
# programs of this system for clients, from the build folder NATIVE_BUILD, which
# is build in the source folder unless told otherwise.

set -u
LC_ALL=C
export LC_ALL
unset CDPATH

EXEEXT=${EXEEXT:-}
clients=.
clients_suffix=$EXEEXT
stop=TERM
if [ "${WINE_RUNS:-native}" = no ]; then
    echo "skipped: configure found no Wine that runs programs"
    exit 77
elif [ "${WINE_RUNS:-native}" = yes ]; then
    WRAPPER="sh ${srcdir:-.}/tests/wine.sh"
    clients_suffix=
    clients=${NATIVE_BUILD:-${srcdir:-.}/build}
    if [ ! -x "$clients/tests/http-raw" ]; then
        echo "skipped: there are no clients for this system in $clients;" \
            "NATIVE_BUILD=FOLDER says where it is built"
        exit 77
    fi
    stop=INT # Wine makes Ctrl-C of it; of SIGTERM it makes nothing
fi
HTTP_SERVER=${HTTP_SERVER:-./doc/examples/http-server$EXEEXT}
HTTP_LOAD=${HTTP_LOAD:-$clients/doc/examples/http-load$clients_suffix}
HTTP_RAW=${HTTP_RAW:-$clients/tests/http-raw$clients_suffix}
WRAPPER=${WRAPPER:-}

for program in "$HTTP_SERVER" "$HTTP_LOAD" "$HTTP_RAW"; do
    if [ ! -x "$program" ]; then
        echo "skipped: there is no $program here"
        exit 77
    fi
done

server=
watchdog=
folder=$(mktemp -d) || exit 1

finish() {
    trap - EXIT HUP INT TERM
    for process in $server $watchdog; do
        kill "$process" 2>/dev/null
        wait "$process" 2>/dev/null
    done
    rm -rf "$folder"
}
trap finish EXIT
trap 'echo "stopped by a signal, or after six minutes"; exit 1' HUP INT TERM

# The sleep is a child of the watchdog and must not outlive it.
(
    trap 'kill $! 2>/dev/null; exit 0' TERM
    sleep 360 &
    wait $!
    kill -TERM $$
) &
watchdog=$!

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

# start_server OPTION...: sets server and port. If descriptors is set, the
# server has no more than so many.
descriptors=
start_server() {
    : >"$folder/output"
    (
        # shellcheck disable=SC3045 # where it is unknown nothing is limited
        [ -z "$descriptors" ] || ulimit -n "$descriptors"
        # shellcheck disable=SC2086 # the wrapper is a command with arguments
        exec $WRAPPER "$HTTP_SERVER" "$@" "$folder/www" >"$folder/output"
    ) &
    server=$!
    tries=0
    until port=$(tr -d '\r' <"$folder/output" |
        sed -n 's/^listening on 127\.0\.0\.1://p') && [ -n "$port" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "the server does not start"
            exit 1
        fi
        sleep 0.1
    done
}

# stop_server SIGNAL: it must end with status 0.
stop_server() {
    kill -s "$1" "$server"
    wait "$server"
    check "exit status after $1" $? 0
    server=
}

# raw FORMAT OPTION...: sends a request that is given in printf's words, keeps
# what the server answers in a file and prints the status codes.
raw() {
    format=$1
    shift
    # shellcheck disable=SC2059 # that is what it is for
    printf "$format" | "$HTTP_RAW" "$@" "$port" >"$folder/answer"
    sed -n 's/^HTTP\/1\.1 \([0-9]*\) .*/\1/p' "$folder/answer" |
        tr '\n' ' '
}

# status WHAT EXPECTED FORMAT OPTION...: the status code of each response.
status() {
    what=$1
    codes=$2
    shift 2
    check "$what" "$(raw "$@")" "$codes${codes:+ }"
}

# The last answer without the first header.
body() {
    sed '1,/^.$/d' "$folder/answer"
}

# repeat N TEXT, whose escapes are left to printf
repeat() {
    n=$1 text=$2 awk 'BEGIN {
        for (i = 0; i < ENVIRON["n"]; i++) printf "%s", ENVIRON["text"] }'
}

has_field() {
    if tr -d '\r' <"$folder/answer" | grep -qi "^$1\$"; then
        echo yes
    else
        echo no
    fi
}

# What nearly every request below has: a host, the end after it.
H='Host: localhost\r\n'
C='Connection: close\r\n'
INDEX="GET / HTTP/1.1\r\n$H"
LARGE="GET /large.txt HTTP/1.1\r\n$H"

make_folder() {
    www=$folder/www
    mkdir "$www" "$www/sub" "$www/bare" "$folder/secret" || exit 1
    echo 'secret' >"$folder/secret/file"
    printf '<p>index\n' >"$www/index.html"
    printf '<p>sub\n' >"$www/sub/index.html"
    printf 'a text\n' >"$www/a b.txt"
    : >"$www/empty"
    awk 'BEGIN { for (i = 0; i < 250000; i++) print "line", i, i * i }' \
        >"$www/large.txt"
    ln -s ../secret "$www/out"
    ln -s ../secret/file "$www/outfile"
    mkfifo "$www/fifo"
    size=$(($(wc -c <"$www/large.txt")))
}

good_requests() {
    status 'GET /' 200 "$INDEX$C\r\n"
    check 'body of /' "$(tail -n 1 "$folder/answer")" '<p>index'
    check 'type of /' "$(has_field 'Content-Type: text/html.*')" yes
    check 'length of /' "$(has_field 'Content-Length: 9')" yes
    check 'date' "$(has_field 'Date: ..., .. ... .... ..:..:.. GMT')" yes
    check 'Connection: close' "$(has_field 'Connection: close')" yes
    status 'GET /sub' 200 "GET /sub HTTP/1.1\r\n$H$C\r\n"
    check 'body of /sub' "$(tail -n 1 "$folder/answer")" '<p>sub'
    status 'GET /sub/' 200 "GET /sub/ HTTP/1.1\r\n$H$C\r\n"
    status 'an escape, a query' 200 \
        "GET /a%%20b.txt?x=/../y HTTP/1.1\r\n$H$C\r\n"
    check 'type of .txt' "$(has_field 'Content-Type: text/plain.*')" yes
    status 'an absolute target' 200 \
        "GET http://localhost/empty HTTP/1.1\r\n$H$C\r\n"
    check 'length of /empty' "$(has_field 'Content-Length: 0')" yes
    status 'bare line feeds' 200 \
        'GET / HTTP/1.1\nHost: x\nConnection: close\n\n'
    status 'empty lines first' 200 "\r\n\r\n$INDEX$C\r\n"
    status 'HEAD' 200 "HEAD /large.txt HTTP/1.1\r\n$H$C\r\n"
    check 'length for HEAD' "$(has_field "Content-Length: $size")" yes
    check 'nothing after HEAD' "$(body)" ''
    status 'HEAD of nothing' 404 "HEAD /none HTTP/1.1\r\n$H$C\r\n"
    check 'nothing after that' "$(body)" ''
}

connections() {
    status 'HTTP/1.0 closes' 200 'GET / HTTP/1.0\r\n\r\n'
    status 'HTTP/1.0 with keep-alive' '200 200' \
        'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n'
    check 'which is confirmed' "$(has_field 'Connection: keep-alive')" yes
    status 'close among other words' 200 \
        "${INDEX}Connection: x, Close\r\n\r\n$INDEX\r\n"
    put="PUT / HTTP/1.1\r\n$H\r\n"
    status 'pipelining' '200 405 200 405 200' \
        "$INDEX\r\n$put$LARGE\r\n$put$INDEX$C\r\n"
    # So many that they fill the server's buffer several times.
    check 'a thousand pipelined requests' "$(raw \
        "$(repeat 999 "$INDEX\r\n")$INDEX$C\r\n" | wc -w | tr -d ' ')" 1000
    status 'byte by byte' '200 200' "$INDEX\r\n$INDEX$C\r\n" -b 2
    status 'half-closed at once' 200 "$LARGE\r\n" -h
    check 'all of it came' "$(body | cmp - "$www/large.txt" 2>&1)" ''
    status 'half-closed in the middle' '' 'GET / HT' -h
    status 'a client that reads late' 200 "$LARGE$C\r\n" -p 700
    check 'all of it came too' "$(body | cmp - "$www/large.txt" 2>&1)" ''
    for pause in 0 50; do
        status 'a client that vanishes' '' "$LARGE\r\n" -r -p $pause
        status 'a client that vanishes early' '' 'GET / HT' -r -p $pause
    done
}

wrong_requests() {
    status 'no version' 400 'GET /\r\n\r\n'
    status 'no target' 400 'GET HTTP/1.1\r\n\r\n'
    status 'two blanks' 400 "GET  / HTTP/1.1\r\n$H\r\n"
    status 'a blank in the target' 400 "GET /a b.txt HTTP/1.1\r\n$H\r\n"
    status 'a relative target' 400 "GET index.html HTTP/1.1\r\n$H$C\r\n"
    status 'a fragment' 400 "GET /#x HTTP/1.1\r\n$H$C\r\n"
    status 'a method that is no token' 400 "G@T / HTTP/1.1\r\n$H\r\n"
    status 'a version that is none' 400 "GET / HTTP/1.x\r\n$H\r\n"
    status 'no host' 400 'GET / HTTP/1.1\r\n\r\n'
    status 'two hosts' 400 "$INDEX$H\r\n"
    status 'a field without a colon' 400 "${INDEX}abc\r\n\r\n"
    status 'a field without a name' 400 "${INDEX}: abc\r\n\r\n"
    status 'a blank before the colon' 400 "${INDEX}A : b\r\n\r\n"
    status 'a folded field' 400 "${INDEX}A: b\r\n c\r\n\r\n"
    status 'a bare carriage return' 400 "${INDEX}A: b\rc\r\n\r\n"
    status 'a line that begins with one' 400 "$INDEX\rA: b\r\n\r\n"
    status 'a null byte' 400 "${INDEX}A: b\0c\r\n\r\n"
    status 'an escape that is none' 400 "GET /%%g0 HTTP/1.1\r\n$H$C\r\n"
    status 'half an escape' 400 "GET /%%2 HTTP/1.1\r\n$H$C\r\n"
    status 'an escaped null byte' 400 "GET /index.html%%00 HTTP/1.1\r\n$H$C\r\n"
    status 'after an error nothing more' 400 \
        "GET / HTTP/1.1\r\n\r\n$INDEX\r\n"
    check 'and the end' "$(has_field 'Connection: close')" yes
    status 'nothing there' 404 "GET /none HTTP/1.1\r\n$H$C\r\n"
    status 'a folder without an index' 404 "GET /bare/ HTTP/1.1\r\n$H$C\r\n"
    status 'a file as a folder' 404 "GET /index.html/ HTTP/1.1\r\n$H$C\r\n"
    status 'a FIFO' 403 "GET /fifo HTTP/1.1\r\n$H$C\r\n"
    status 'POST' 405 "POST / HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc"
    check 'Allow' "$(has_field 'Allow: GET, HEAD')" yes
    status 'OPTIONS' 405 "OPTIONS * HTTP/1.1\r\n$H$C\r\n"
    status 'an unknown method' 501 "BREW / HTTP/1.1\r\n$H$C\r\n"
    status 'a method in lower case' 501 "get / HTTP/1.1\r\n$H$C\r\n"
    status 'HTTP/2' 505 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
}

contents() {
    status 'no contents' 200 "$INDEX${C}Content-Length: 0\r\n\r\n"
    status 'contents' 413 "${INDEX}Content-Length: 3\r\n\r\nabc"
    status 'very long contents' 413 \
        "${INDEX}Content-Length: 99999999999999999999\r\n\r\n"
    status 'chunks' 411 \
        "${INDEX}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    status 'another coding' 501 \
        "${INDEX}Transfer-Encoding: gzip\r\n\r\n"
    status 'a length and a coding' 400 \
        "${INDEX}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    status 'two lengths' 400 \
        "${INDEX}Content-Length: 0\r\nContent-Length: 0\r\n\r\n"
    status 'a negative length' 400 \
        "${INDEX}Content-Length: -1\r\n\r\n"
    status 'an empty length' 400 \
        "${INDEX}Content-Length:\r\n\r\n"
}

# A header may have 8192 bytes, and what is around "x" below has 62.
limits() {
    status 'a header that just fits' 200 \
        "$INDEX${C}A: $(repeat 8133 x)\r\n\r\n"
    status 'one byte more' 431 \
        "$INDEX${C}A: $(repeat 8134 x)\r\n\r\n"
    status 'many fields' 431 \
        "$INDEX$(repeat 3000 'A: b\r\n')\r\n"
    status 'a long target' 404 "GET /$(repeat 8000 x) HTTP/1.1\r\n$H$C\r\n"
    status 'a longer target' 414 "GET /$(repeat 9000 x) HTTP/1.1\r\n$H$C\r\n"
    status 'a target without an end' 414 "GET /$(repeat 100000 x)"
}

escapes() {
    # shellcheck disable=SC2016 # streams of Windows have a dollar sign
    for target in /../secret/file /sub/../../secret/file /.. \
        /%%2e%%2e/secret/file /sub/%%2E%%2e/..%%2fsecret/file \
        //../secret/file /./../secret/file /..%%5csecret/file \
        /out/file /outfile "$folder/secret/file" /%%252e%%252e/secret/file \
        http://localhost/../secret/file \
        '/..\\secret\\file' '/sub%%5cindex.html' '/sub/..%%5c..%%5csecret/file' \
        "/Z:$folder/secret/file" "/%%5c%%5c%%3f%%5cZ:$folder/secret/file" \
        /index.html. /index.html%%20 /index.html%%20. /sub./index.html \
        /.../secret/file '/.. /secret/file' '/..%%20/secret/file' \
        '/index.html::$DATA' /index.html:stream '/sub::$INDEX_ALLOCATION/' \
        /NUL /nul.txt /sub/con /aux.html /COM1 /lpt9.txt /com%%c2%%b9 \
        '/CONIN$' '/nul%%20.txt' /PRN:; do
        got=$(raw "GET $target HTTP/1.1\r\n$H$C\r\n")
        case $got in
        '400 ' | '403 ' | '404 ') got=refused ;;
        esac
        check "$target" "$got" refused
        check "what $target gives" "$(grep -c secret "$folder/answer")" 0
    done
}

# How many seconds the server gives its clients, if it may be too short for
# them in a busy machine.
patience=

# load OPTION... PATH...: every byte must be right. A load that was kept waiting
# for as long as the server has patience is cut off by right.
load() {
    options=
    while [ "${1#-}" != "$1" ]; do
        options="$options $1 $2"
        shift 2
    done
    for path; do
        shift
        set -- "$@" "http://127.0.0.1:$port$path"
    done
    code=0
    # shellcheck disable=SC2086 # options are words
    "$HTTP_LOAD" $options -r "$www" "$@" >"$folder/load" 2>&1 || code=$?
    waited=$(sed -n 's/^latency.* max \([0-9]*\)\..*/\1/p' "$folder/load")
    if [ "$code" = 1 ] && [ -n "$patience" ] &&
        [ "${waited:-0}" -ge "${patience}000" ]; then
        echo "SKIP http-load$options: kept waiting for $waited ms"
        return
    fi
    check "http-load$options" "$code" 0
    [ "$failures" -eq 0 ] || cat "$folder/load"
}

good_loads() {
    load -c 20 -s 1 -i 200 / /sub/ /empty /large.txt
    load -c 20 -s 1 -d 16 / /sub/ /empty
}

# The checks find what is wrong: a load client that never fails is no check.
bad_loads() {
    url=http://127.0.0.1:$port
    mkdir "$folder/other"
    printf '<p>inDex\n' >"$folder/other/index.html"
    "$HTTP_LOAD" -s 1 -r "$folder/other" "$url/" >/dev/null 2>&1
    check 'status after a wrong byte' $? 1
    "$HTTP_LOAD" -s 1 "$url/none" >/dev/null 2>&1
    check 'status after a wrong status' $? 1
    rm -r "$folder/other"
}

# How many descriptors the server has; nothing where that is not to be seen.
descriptors_of_server() {
    [ ! -d "/proc/$server/fd" ] || echo "/proc/$server/fd"/* | wc -w
}

# The same once nothing more is closed: that of a client that has gone is closed
# a little after the client has seen its end.
idle_descriptors_of_server() {
    least=$(descriptors_of_server)
    for _ in 1 2 3 4 5 6 7 8; do
        sleep 0.1
        now=$(descriptors_of_server)
        [ "${now:-0}" -ge "${least:-0}" ] || least=$now
    done
    echo "$least"
}

# Clients of a server with patience for one second, or longer where all takes
# longer: it is not to be lost with clients that wait for a processor.
impatient_server() {
    patience=$(printf '%.0f' "${CK_TIMEOUT_MULTIPLIER:-1}")
    start_server -i "$patience" "$@"
    raw "$INDEX$C\r\n" >/dev/null
    before=$(idle_descriptors_of_server)
    status 'half a request, then nothing' '' 'GET / HT'
    status 'nothing after a request' 200 "$INDEX\r\n"
    raw "$LARGE$C\r\n" -p "${patience}800" -t 60 >/dev/null
    check 'a client that does not read' \
        "$(body | cmp -s - "$www/large.txt" || echo dropped)" dropped
    status 'a slow client' 200 "$INDEX$C\r\n" -b 40
    load -c 20 -s 2 / /sub/ /empty /large.txt
    "$HTTP_LOAD" -c 1 -i 20 -s $((patience + 2)) "http://127.0.0.1:$port/" \
        >"$folder/idle" 2>&1
    check 'status of a load with idle connections' $? 1
    tries=0
    until after=$(descriptors_of_server) && [ "$after" = "$before" ]; do
        tries=$((tries + 1))
        [ $tries -le 20 ] || break
        sleep 0.1
    done
    check 'descriptors after dropped connections' "$after" "$before"
    patience=
}

# full_server DESCRIPTORS IDLE CONNECTIONS: clients that a server has no room
# for are served when others have gone.
full_server() {
    descriptors=$1
    start_server
    descriptors=
    : >"$folder/first"
    "$HTTP_LOAD" -c 1 -i "$2" -s 2 "http://127.0.0.1:$port/" \
        >"$folder/first" 2>&1 &
    others=$!
    tries=0
    until grep -q holding "$folder/first" || [ $tries -gt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    load -c "$3" -s 2 /
    wait "$others"
    check 'status of the first load' $? 0
    stop_server TERM
}

make_folder
start_server
good_requests
connections
wrong_requests
contents
limits
escapes
good_loads
bad_loads
# A connection with a response under way does not hold up the end.
raw "$LARGE\r\n" -p 1000 >/dev/null &
busy=$!
sleep 0.3
stop_server "$stop"
wait "$busy"
"$HTTP_LOAD" -s 1 "http://127.0.0.1:$port/" >/dev/null 2>&1
check 'status of a refused load' $? 1

start_server -t 4
connections
good_loads
# In the middle of many requests: their clients must fail, and it must not.
"$HTTP_LOAD" -c 50 -i 50 -s 30 "http://127.0.0.1:$port/" \
    "http://127.0.0.1:$port/large.txt" >"$folder/load" 2>&1 &
busy=$!
sleep 1
stop_server INT
wait "$busy"
check 'status of an interrupted load' $? 1

impatient_server
stop_server "$stop"
impatient_server -t 4
stop_server "$stop"

# Windows has no limit on descriptors that could be set.
if [ "$EXEEXT" != .exe ]; then
    full_server 160 39 70
    full_server 60 9 20
fi

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
