#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - the examples' web server at work: serves real files over loopback
# to fifty connections at once and checks every byte of every answer.
#
# HTTP_SERVER and HTTP_LOAD name the programs, DEMO_SECONDS says how long (5).
# The exit status is 0 only if everything was right.

set -eu
LC_ALL=C
export LC_ALL
unset CDPATH

HTTP_SERVER=${HTTP_SERVER:-./doc/examples/http-server}
HTTP_LOAD=${HTTP_LOAD:-./doc/examples/http-load}
DEMO_SECONDS=${DEMO_SECONDS:-5}

sources=$(cd "$(dirname "$0")" && pwd)
server=
folder=$(mktemp -d)

finish() {
    trap - EXIT HUP INT TERM
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || :
        wait "$server" 2>/dev/null || :
    fi
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

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

start_server() {
    : >"$folder/output"
    "$HTTP_SERVER" -p 0 "$folder/www" >"$folder/output" &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        address=$(sed -n 's/^listening on //p' "$folder/output")
        [ -z "$address" ] || return 0
        kill -0 "$server" 2>/dev/null || fail "the server has not started"
        sleep 0.2
    done
    fail "the server does not say where it listens"
}

# A page is asked for more often than the large files.
ask() {
    url=http://$address
    small="$url/ $url/files/small.txt $url/files/byte.txt $url/files/empty.txt"
    # shellcheck disable=SC2086 # they are words
    "$HTTP_LOAD" -c 50 -s "$DEMO_SECONDS" -r "$folder/www" \
        $small $small $small $small $small $small $small $small \
        "$url/files/medium.txt" \
        $small $small $small $small $small $small $small $small \
        "$url/files/large.txt" || fail "not all of it was right"
}

stop_server() {
    kill "$server"
    status=0
    wait "$server" || status=$?
    server=
    [ $status -eq 0 ] || fail "the server ended with status $status"
}

make_files
start_server
echo "serving these files at http://$address/ to 50 connections:"
(cd "$folder/www" && wc -c index.html files/*)
ask
stop_server
echo "demo: every byte was right, and the server stopped as it was told to"
