#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - the library's main job: http-server under the load of http-load.
#
# Serves a folder with files from empty to 5 MB on a free loopback port, loads
# it for DEMO_SECONDS (5) over 50 connections, with every byte checked against
# the files, and stops both. make demo calls it; HTTP_SERVER and HTTP_LOAD are
# the programs.

set -eu
server=${HTTP_SERVER:-doc/examples/http-server}
load=${HTTP_LOAD:-doc/examples/http-load}
seconds=${DEMO_SECONDS:-5}
folder=$(mktemp -d)
pid=
finish() {
    status=$?
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || :
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

mkdir "$folder/www"
# numbers COUNT: lines of text that differ, so that a byte out of place shows.
numbers() {
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "%09d\n", i }'
}
: >"$folder/www/empty.txt"
printf x >"$folder/www/one.txt"
numbers 50 >"$folder/www/small.txt"
{
    echo '<!DOCTYPE html><title>libpolling</title><pre>'
    numbers 1000
    echo '</pre>'
} >"$folder/www/index.html"
numbers 100000 >"$folder/www/medium.txt"
numbers 500000 >"$folder/www/large.txt"

"$server" -t 2 -p 0 "$folder/www" >"$folder/said" &
pid=$!
tries=0
until grep -q '^listening on ' "$folder/said"; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then
        echo 'demo: the server did not start' >&2
        exit 1
    fi
    sleep 0.1
done
url=http://$(sed -n 's/^listening on //p' "$folder/said")
echo "demo: serving files of $(cd "$folder/www" && wc -c -- * |
    awk '$2 != "total" { printf "%s%s", sep, $1; sep = ", " }') bytes at $url"

# Small files often, large ones seldom, as it is on the web.
"$load" -c 50 -s "$seconds" -r "$folder/www" \
    "$url/small.txt" "$url/index.html" "$url/one.txt" "$url/empty.txt" \
    "$url/small.txt" "$url/index.html" "$url/small.txt" "$url/index.html" \
    "$url/medium.txt" "$url/large.txt"

kill -TERM "$pid"
wait "$pid" || {
    echo "demo: the server ended with status $?" >&2
    pid=
    exit 1
}
pid=
echo 'demo: every byte was right, and the server stopped cleanly'
