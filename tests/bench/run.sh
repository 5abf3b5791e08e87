#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh - runs all benchmarks in the build folder, for make bench and, with -q,
# for make bench-quick. Results and plots go to bench-results/.

set -eu
srcdir=${srcdir:-.}
quick=${1-}
folder=bench-results
results=$folder/results.csv
timer_counts='1000 100000 1000000'
timer_rounds=9
if [ -n "$quick" ]; then
    timer_counts='1000 100000'
    timer_rounds=3
fi

# tables FILE: of the results in it.
tables() {
    awk -F, -f "$srcdir/tests/bench/tables.awk" "$1" >>"$folder/tables.txt"
}

mkdir -p "$folder"
rm -f "$folder"/*
# shellcheck disable=SC2086 # nothing or -q
tests/bench/suite $quick -o "$results"
for count in $timer_counts; do
    echo
    tests/bench/timers -o "$results" "$count" "$timer_rounds"
done
echo
# shellcheck disable=SC2086 # as above
sh "$srcdir/tests/bench/http.sh" $quick "$results"
tables "$results"
if [ -x tests/bench/suite-poll ]; then
    echo
    echo 'Over poll:'
    # shellcheck disable=SC2086 # as above
    tests/bench/suite-poll $quick -o "$folder/results-poll.csv"
    printf '\nOver poll:\n' >>"$folder/tables.txt"
    tables "$folder/results-poll.csv"
fi
echo
echo "Results are in $results, and as tables in $folder/tables.txt"
if [ -n "${GNUPLOT-}" ]; then
    "$GNUPLOT" -e "results='$results'; folder='$folder'" \
        "$srcdir/tests/bench/plots.gp"
    # gnuplot leaves spaces and empty lines at ends, which git complains of
    # where plots are kept.
    for plot in "$folder"/*.svg; do
        sed -e 's/[[:space:]]*$//' -e '/^$/d' "$plot" >"$plot.new"
        mv "$plot.new" "$plot"
    done
    echo "Plots are in $folder"
else
    echo 'No plots: configure did not find gnuplot.'
fi
