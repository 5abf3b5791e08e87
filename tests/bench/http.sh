#!/bin/sh
# SPDX-License-Identifier: MIT
#
# http.sh - the example http-server beside lighttpd, both with one thread and
# under the load of wrk. They take turns; what counts is the processor time of
# the whole process for a request, which is the server's own and not that of
# the load beside it.
#
#     http.sh [-q] [FILE]       adds to FILE, which is as suite.c writes it
#
# lighttpd looks for more in a request, and the file is a small one, so this
# tells of servers more than of pollers.

set -eu
seconds=5 rounds=9
if [ "${1-}" = -q ]; then
    seconds=1 rounds=3
    shift
fi
results=${1-}
connections=100
server=doc/examples/http-server

for tool in wrk lighttpd; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "http: not measured: there is no $tool here"
        exit 0
    }
done
folder=$(mktemp -d)
ours='' theirs=''
finish() {
    # shellcheck disable=SC2086 # those that were started
    [ -z "$ours$theirs" ] || kill $ours $theirs 2>/dev/null || :
    wait
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$folder/www"
head -c 1000 /dev/zero | tr '\0' x >"$folder/www/index.html"

# Ours finds a free port and prints it; the next one is most likely free too.
# By libtool, since the program itself is what is to be looked at.
./libtool --mode=execute "$server" -t 1 "$folder/www" >"$folder/ours" &
ours=$!
while ! grep -q : "$folder/ours"; do
    kill -0 "$ours"
    sleep 0.1
done
port=$(sed -n 's/.*:\([0-9][0-9]*\).*/\1/p' "$folder/ours" | head -n 1)
cat >"$folder/lighttpd.conf" <<CONF
server.document-root = "$folder/www"
server.port = $((port + 1))
server.bind = "127.0.0.1"
server.max-keep-alive-requests = 1000000000
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html")
CONF
lighttpd -D -f "$folder/lighttpd.conf" >"$folder/theirs" 2>&1 &
theirs=$!
sleep 1
kill -0 "$theirs"

# Processor time of a process, in ticks.
ticks() {
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# measure NAME PROCESS PORT: microseconds for a request, to a file.
measure() {
    before=$(ticks "$2")
    wrk -t 1 -c "$connections" -d "$seconds" \
        "http://127.0.0.1:$3/index.html" >"$folder/wrk"
    requests=$(awk '/ requests in / { print $1 }' "$folder/wrk")
    if grep -q 'Non-2xx\|Socket errors' "$folder/wrk"; then
        cat "$folder/wrk"
        exit 1
    fi
    after=$(ticks "$2")
    echo "$before $after $requests $(getconf CLK_TCK)" |
        awk '{ print ($2 - $1) / $4 / $3 * 1e6 }' >>"$folder/$1.us"
}

round=0
while [ "$round" -lt "$rounds" ]; do
    measure lighttpd "$theirs" $((port + 1))
    measure libpolling "$ours" "$port"
    round=$((round + 1))
done

# The value below which the share $1 of the numbers is.
quantile() {
    sort -n | awk -v share="$1" '
        { value[NR] = $1 }
        END { print value[int((NR - 1) * share) + 1] }'
}
paste "$folder/libpolling.us" "$folder/lighttpd.us" |
    awk '{ print $1 / $2 }' >"$folder/ratios"
ratio=$(quantile .5 <"$folder/ratios")
echo "http, $connections connections: processor time for a request"
for name in lighttpd libpolling; do
    [ "$name" = lighttpd ] && of=1 || of=$ratio
    median=$(quantile .5 <"$folder/$name.us")
    printf '  %-12s %8.2f us %8.3f\n' "$name" "$median" "$of"
    [ -n "$results" ] || continue
    echo "http,lighttpd,cpu per request,us,$connections,0,$name,,0,$median,$(
        quantile .25 <"$folder/$name.us"),$(
        quantile .75 <"$folder/$name.us"),$of,$of,$rounds" >>"$results"
done
