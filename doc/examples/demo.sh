#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - the examples' web server at work: serves real files over loopback
# to fifty connections at once and checks every byte of every answer.
#
# HTTP_SERVER and HTTP_LOAD name the programs, DEMO_SECONDS says how long (5).
# The exit status is 0 only if everything was right.
#
# Programs for Windows that Wine runs (WINE_RUNS=yes, see tests/wine.sh) meet
# those of this system, first as the server and then as the clients. The latter
# are looked for in the build folder NATIVE_BUILD, which is build in the source
# folder unless told otherwise; without them Windows meets Windows.

set -eu
LC_ALL=C
export LC_ALL
unset CDPATH

sources=$(cd "$(dirname "$0")" && pwd)
HTTP_SERVER=${HTTP_SERVER:-./doc/examples/http-server}
HTTP_LOAD=${HTTP_LOAD:-./doc/examples/http-load}
DEMO_SECONDS=${DEMO_SECONDS:-5}
NATIVE_BUILD=${NATIVE_BUILD:-$sources/../../build}
native=$NATIVE_BUILD/doc/examples

server=
load=
watchdog=
folder=$(mktemp -d)

# A program that Wine runs knows of SIGTERM only that it ends at once.
finish() {
    trap - EXIT HUP INT TERM
    for process in $server $load $watchdog; do
        kill "$process" 2>/dev/null || :
        wait "$process" 2>/dev/null || :
    done
    rm -rf "$folder"
}
trap finish EXIT
trap 'echo "demo: stopped by a signal, or it took too long" >&2; exit 1' \
    HUP INT TERM

# Twice the demo, and time for all that may be slow. The sleep is a child of
# the watchdog and must not outlive it.
(
    trap 'kill $! 2>/dev/null; exit 0' TERM
    sleep $((DEMO_SECONDS * 2 + 180)) &
    wait $!
    kill -TERM $$
) &
watchdog=$!

fail() {
    echo "demo: $*" >&2
    exit 1
}

# A web page of 10 kB and files of other sizes, all made of the sources here.
make_files() {
    mkdir "$folder/www" "$folder/www/files"
    {
        echo '<!DOCTYPE html><title>http-server.c</title><pre>'
        sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' "$sources/http-server.c"
    } >"$folder/page"
    while :; do
        cat "$sources"/*.c >>"$folder/text"
        [ $(($(wc -c <"$folder/text"))) -lt 5000000 ] || break
    done
    cut_file page 10000 1 index.html
    cut_file text 1 0 files/empty.txt
    cut_file text 1 1 files/byte.txt
    cut_file text 300 1 files/small.txt
    cut_file text 1000 1000 files/medium.txt
    cut_file text 1000 5000 files/large.txt
}

# cut_file FROM BYTES TIMES TO
cut_file() {
    dd if="$folder/$1" bs="$2" count="$3" of="$folder/www/$4" 2>/dev/null
}

# start_server PROGRAM...
start_server() {
    : >"$folder/output"
    "$@" -p 0 "$folder/www" >"$folder/output" &
    server=$!
    tries=0
    while [ $tries -lt 300 ]; do
        address=$(tr -d '\r' <"$folder/output" |
            sed -n 's/^listening on //p')
        [ -z "$address" ] || return 0
        kill -0 "$server" 2>/dev/null || fail "the server has not started"
        sleep 0.2
        tries=$((tries + 1))
    done
    fail "the server does not say where it listens"
}

# ask PROGRAM...: a page is asked for more often than the large files.
ask() {
    url=http://$address
    small="$url/ $url/files/small.txt $url/files/byte.txt $url/files/empty.txt"
    # In the background, so that the watchdog's signal is not kept waiting.
    # shellcheck disable=SC2086 # they are words
    "$@" -c 50 -s "$DEMO_SECONDS" -r "$folder/www" \
        $small $small $small $small $small $small $small $small \
        "$url/files/medium.txt" \
        $small $small $small $small $small $small $small $small \
        "$url/files/large.txt" &
    load=$!
    status=0
    wait "$load" || status=$?
    load=
    [ $status -eq 0 ] || fail "not all of it was right"
}

# stop_server SIGNAL
stop_server() {
    kill -s "$1" "$server"
    status=0
    wait "$server" || status=$?
    server=
    [ $status -eq 0 ] || fail "the server ended with status $status"
}

on_wine() {
    exec "${SHELL:-sh}" "$sources/../../tests/wine.sh" "$@"
}

make_files
echo 'serving these files to 50 connections:'
(cd "$folder/www" && wc -c index.html files/*)
case ${WINE_RUNS:-native} in
native)
    start_server "$HTTP_SERVER"
    ask "$HTTP_LOAD"
    stop_server TERM
    ;;
no)
    fail "the programs are for Windows, and configure found no Wine to run them"
    ;;
*)
    if [ ! -x "$native/http-server" ] || [ ! -x "$native/http-load" ]; then
        echo "there are no programs for this system in $native," \
            "so Windows meets Windows; NATIVE_BUILD=FOLDER says where they are"
        start_server on_wine "$HTTP_SERVER"
        ask on_wine "$HTTP_LOAD"
        stop_server INT
    else
        echo 'the server for Windows, run by Wine, and clients of this system:'
        start_server on_wine "$HTTP_SERVER"
        ask "$native/http-load"
        stop_server INT # Wine makes Ctrl-C of it
        echo 'clients for Windows, run by Wine, and the server of this system:'
        start_server "$native/http-server"
        ask on_wine "$HTTP_LOAD"
        stop_server TERM
    fi
    ;;
esac
echo "demo: every byte was right, and the server stopped as it was told to"
