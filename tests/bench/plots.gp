# SPDX-License-Identifier: MIT
#
# plots.gp - draws what suite.c and timers.c have written, as SVG and PNG.
#
#     gnuplot -e "results='FILE.csv'; folder='FOLDER'" plots.gp
#
# Ratios, not times, wherever a hand-written loop was measured beside: they
# mean something on other machines too.

peers = "libpolling libev libevent libuv ivykis"
with_timers = "libpolling libev libevent libuv" # in timers.c

# What awk is to print of the results: the columns of report.c by their names.
columns = "w=$1; d=$2; f=$3; n=$5; a=$6; v=$7; m=$8; t=$9; median=$10; ratio=$13;"
rows(condition, what) = \
    sprintf("< awk -F, 'NR > 1 { %s } NR > 1 && %s { print %s }' '%s'", \
	columns, condition, what, results)
is(name, value) = sprintf("%s == \"%s\"", name, value)
both(a, b) = a . " && " . b

# There may be nothing to draw: an empty plot is no error then.
set datafile missing NaN
set style data linespoints
set style fill solid 0.6
set grid ytics
set key outside right

chain(kind, condition, peer, mode, across) = \
    rows(sprintf("w == \"chain\" && d == \"%s\" && %s && v == \"%s\" && m == \"%s\" && t == 0", \
	kind, condition, peer, mode), across . ", ratio")

do for [type in "svg png"] {
	if (type eq "svg") {
		set terminal svg size 1000,480 dynamic font "sans-serif,12" \
		    background "white"
	} else {
		set terminal pngcairo size 1000,480 font "sans,10"
	}

	# Cost per event.
	do for [over in "sources active"] {
		by_sources = over eq "sources"
		across = by_sources ? "n" : "a"
		fixed = by_sources ? "a == 100" : "n == 1000"
		set output sprintf("%s/chain-%s.%s", folder, over, type)
		set multiplot layout 1,2 title (by_sources ? \
		    "Cost of an event, 100 active sources" : \
		    "Cost of an event, 1,000 sources")
		set logscale x
		set xlabel (by_sources ? "sources" : "active sources")
		set ylabel "ratio to a level-triggered epoll loop by hand"
		do for [kind in "eventfd socket"] {
			set title kind . "s"
			if (kind eq "eventfd") { unset key } \
			else { set key outside right }
			set yrange [0:*]
			plot for [mode in "level edge oneshot"] \
				chain(kind, fixed, "epoll", mode, across) \
				title "epoll, " . mode dashtype 2, \
			    for [mode in "level edge oneshot"] \
				chain(kind, fixed, "libpolling", mode, across) \
				title "libpolling, " . mode linewidth 2, \
			    for [peer in "libev libevent libuv ivykis"] \
				chain(kind, fixed, peer, "level", across) \
				title peer
		}
		unset multiplot
		unset logscale
	}

	# Wake-ups.
	set output sprintf("%s/wake-up.%s", folder, type)
	set title "Wake-up by a thread on another processor"
	set xlabel ""
	set ylabel "us"
	set yrange [0:*]
	set style data histogram
	set style histogram clustered gap 1
	plot for [share in "median 90 99"] \
	    rows(both("w == \"notify\" && d == \"other processor\"", \
		sprintf("f ~ /wake-up %s/", share)), "v, median") \
	    using 2:xtic(1) title share . (share eq "median" ? "" : " %")

	# Waits that end by their time.
	set output sprintf("%s/overshoot.%s", folder, type)
	set multiplot layout 1,3 title "Lateness of a timed wait"
	set key inside top left
	set logscale y
	set yrange [1:*]
	set xtics rotate by -45
	do for [length in "'50 us' '1 ms' '10 ms'"] {
		set title length
		plot for [share in "median 99"] \
		    rows(both(both("w == \"wait\"", is("d", length)), \
			sprintf("f ~ /overshoot %s/", share)), "v, median") \
		    using 2:xtic(1) title share . (share eq "median" ? "" : " %")
	}
	unset multiplot
	set xtics norotate
	set key outside right
	set style data linespoints

	# Timers.
	set output sprintf("%s/timers.%s", folder, type)
	set multiplot layout 1,5 title "Cost of a timer"
	set logscale xy
	set yrange [*:*]
	set xlabel "timers"
	set ylabel "ns"
	set format x "10^%T"
	do for [operation in "add move re-arm delete expire"] {
		set title operation
		if (operation eq "re-arm") { set key inside bottom right samplen 1 } \
		else { unset key }
		plot for [peer in with_timers] \
		    rows(both(both("w == \"timers\"", is("d", operation)), \
			is("v", peer)), "n, median") title peer
		set ylabel ""
	}
	unset multiplot
	set key outside right samplen 4

	# Memory.
	set output sprintf("%s/memory.%s", folder, type)
	set title "Memory for a source, with what the program keeps"
	set xlabel "sources"
	set ylabel "bytes"
	plot for [peer in peers] \
	    rows(both("w == \"memory\" && f == \"allocated\"", is("v", peer)), \
		"n, median") title peer
	unset logscale
	set format x
	set output
}
