#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coverage.sh - which lines of lib/ the tests execute, for each backend.
#
#     make coverage            prints a table
#     make coverage LINES=1    and the lines that were not executed
#     make coverage LINES=FILE writes them to a file instead
#
# For the build folder. It makes a build of its own in coverage/, runs the
# suites over each backend and tests/faults and denied.sh besides, and lets gcov
# count. It fails if a test does, if less than PERCENT (95) of what is linked
# over a backend, and has a use there, was executed, or if a line was not
# executed in a function that tests/coverage.txt, which has the reasons, does
# not name. In a build folder for Windows it does the same by Wine, for iocp.
#
# From the environment: srcdir, CC, GCOV, MAKE, COVERAGE_LINES for LINES, and
# for Windows HOST, CHECK_CFLAGS, CHECK_LIBS and what tests/wine.sh asks for.

set -eu
LC_ALL=C # for ranges of letters
export LC_ALL
srcdir=$(cd "${srcdir:-.}" && pwd)
CC=${CC:-gcc} # it may hold flags
# Of gcc-12 it is gcov-12, and so on.
case ${CC%% *} in
*gcc*) own_gcov=$(echo "${CC%% *}" | sed 's/\(.*\)gcc/\1gcov/') ;;
*) own_gcov=gcov ;;
esac
GCOV=${GCOV:-$own_gcov}
MAKE=${MAKE:-make}
PERCENT=${PERCENT:-95}
lines=${COVERAGE_LINES:-}
# The tests of what is so often repeated that it happens by chance are short.
TEST_SCALE=${TEST_SCALE:-20}
# Without optimization and beside others all is slower.
CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-4}
export TEST_SCALE CK_TIMEOUT_MULTIPLIER
unset POLLING_EMULATION CK_FORK CK_RUN_SUITE CK_RUN_CASE MAKEFLAGS MAKELEVEL

die() {
    echo "coverage.sh: $*" >&2
    exit 1
}

# quietly COMMAND...: shows what it prints only if it fails.
quietly() {
    "$@" >"$work/quiet.log" 2>&1 </dev/null || {
        tail -n 60 "$work/quiet.log"
        die "failed: $*"
    }
}

mkdir -p coverage
work=$(cd coverage && pwd)
build=$work/build
$GCOV --version >/dev/null 2>&1 || die "there is no $GCOV, which is GCC's"
if echo __clang__ | $CC -E -P - 2>/dev/null | grep -q '^1$'; then
    die "$GCOV goes with GCC: make coverage CC=gcc"
fi

### The programs: only the library is measured

mkdir -p "$build"
cd "$build"
[ -f config.status ] || quietly "$srcdir/configure" --disable-shared \
    ${HOST:+"--host=$HOST"} "CC=$CC" CFLAGS='-O0 -g'
idmap=lib/tests_libsuites_a-idmap.o
case $(sed -n 's/^BACKEND = //p' Makefile) in
epoll)
    backends='epoll poll kqueue port'
    libraries="lib/libpolling.la tests/libpolling-poll.la
        tests/libpolling-kqueue.la tests/libpolling-port.la $idmap"
    programs='tests/suites tests/suites-poll tests/suites-kqueue
        tests/suites-port tests/faults tests/faults-poll tests/kqueue-faults
        tests/port-faults tests/deny'
    ends=coverage.c
    ;;
iocp)
    backends=iocp
    [ "${WINE_RUNS-}" != no ] || die 'there is no Wine that runs programs'
    libraries="lib/libpolling.la $idmap lib/tests_libsuites_a-winerror.o"
    programs='tests/suites.exe tests/faults-windows.exe'
    ends=coverage-windows.c
    ;;
*) die 'the other kernels are emulated on Linux only' ;;
esac
# shellcheck disable=SC2086 # lists
{
    # Of counts that threads lose, others that follow from them become wrong.
    quietly "$MAKE" $libraries \
        CFLAGS='-O0 -g --coverage -fprofile-update=atomic'
    quietly $CC -O1 -c "$srcdir/tests/$ends" -o coverage.o
    quietly "$MAKE" $programs LDFLAGS="--coverage $build/coverage.o"
}

### The runs: the counts of each backend in a folder of its own

rm -rf "$work/data" "$work"/*.log
mkdir -p "$work/data"

# run BACKEND LOG COMMAND...: what is skipped is said.
run() {
    backend=$1 log=$work/$2.log
    shift 2
    status=0
    GCOV_PREFIX=$work/data/$backend "$@" >"$log" 2>&1 </dev/null || status=$?
    case $status in
    0) ;;
    77) echo "coverage.sh: skipped: $*" && tail -n 1 "$log" ;;
    *)
        grep -E '^FAIL|:[FE]:|Checks:' "$log" || tail -n 20 "$log"
        echo "coverage.sh: failed ($status): $*"
        return 1
        ;;
    esac
}

# kqueue SYSTEM LOG COMMAND...
kqueue() {
    system=$1
    shift
    POLLING_EMULATION=$system run kqueue "$@"
}

# Three at a time, which sleep for the most part.
first() {
    kqueue freebsd kqueue-freebsd tests/suites-kqueue || return 1
    run epoll suites tests/suites || return 1
    run epoll faults tests/faults || return 1
    run poll faults-poll tests/faults-poll || return 1
}

second() {
    kqueue macos kqueue-macos tests/suites-kqueue || return 1
    POLLING_EMULATION=illumos run port port tests/suites-port || return 1
    run port faults-port tests/port-faults || return 1
    kqueue freebsd faults-freebsd tests/kqueue-faults || return 1
    # It has no EVFILT_USER.
    kqueue openbsd faults-openbsd tests/kqueue-faults || return 1
    kqueue openbsd kqueue-openbsd tests/suites-kqueue notify
}

third() {
    kqueue netbsd kqueue-netbsd tests/suites-kqueue || return 1
    run poll suites-poll tests/suites-poll || return 1
    cd "$work/denied" || return 1
    run epoll denied sh "$srcdir/tests/denied.sh"
}

# denied.sh runs these, each for its backend.
prepare_denied() {
    rm -rf "$work/denied"
    mkdir -p "$work/denied/tests"
    for name in suites suites-poll suites-port; do
        case $name in
        suites) backend=epoll ;;
        *) backend=${name#suites-} ;;
        esac
        printf '#!/bin/sh\nGCOV_PREFIX="%s" exec "%s" "$@"\n' \
            "$work/data/$backend" "$build/tests/$name" \
            >"$work/denied/tests/$name"
        chmod +x "$work/denied/tests/$name"
    done
    ln -s "$build/tests/deny" "$work/denied/tests/deny"
}

run_on_linux() {
    prepare_denied
    failed=
    first &
    one=$!
    second &
    two=$!
    (third) || failed=yes
    wait "$one" || failed=yes
    wait "$two" || failed=yes
    [ -z "$failed" ]
}

# One after the other: all that they do goes through the one server of Wine.
run_on_windows() {
    run iocp faults sh "$srcdir/tests/wine.sh" tests/faults-windows.exe ||
        return 1
    POLLING_EMULATION=packets run iocp packets \
        sh "$srcdir/tests/wine.sh" tests/suites.exe waitable processes ||
        return 1
    run iocp suites sh "$srcdir/tests/wine.sh" tests/suites.exe
}

case $backends in
iocp) run_on_windows ;;
*) run_on_linux ;;
esac || die 'tests failed; see coverage/*.log'

### The count

# count BACKEND: "BACKEND FILE LINE EXECUTED FUNCTION" for each line with code.
# One that several objects have was executed if it was in any of them. Where a
# function begins is seen by the style: its name is in the first column.
count() {
    for data in "$work/data/$1$build"/lib/*.gcda \
        "$work/data/$1$build"/lib/.libs/*.gcda; do
        [ -f "$data" ] || continue
        object=${data#"$work/data/$1"}
        cp "${object%.gcda}.gcno" "${data%.gcda}.gcno"
        $GCOV -t "$data" 2>/dev/null
    done | awk -v backend="$1" '
        {
            executed = $0
            sub(/:.*/, "", executed)
            gsub(/ /, "", executed)
            text = $0
            sub(/^[^:]*:/, "", text)
            line = text + 0
            sub(/^[^:]*:/, "", text)
        }
        line == 0 && text ~ /^Source:/ {
            file = ""
            if (text ~ /\/lib\/[^\/]*$/) {
                file = text
                sub(/.*\//, "", file)
            }
            name = "-"
        }
        file == "" || line == 0 { next }
        text ~ /^[a-z_][a-z_0-9]*\(/ {
            name = text
            sub(/\(.*/, "", name)
        }
        executed != "-" {
            at = file " " line
            if (!(at in hits))
                hits[at] = 0
            if (executed !~ /^[#=]/)
                hits[at] = 1
            names[at] = name
        }
        END {
            for (at in hits)
                print backend, at, hits[at], names[at]
        }' | sort -k2,2 -k3,3n
}

counts=
cd "$work"
for backend in $backends; do
    (cd "$build" && count "$backend") >"$backend.counts"
    [ -s "$backend.counts" ] || die "gcov has counted nothing: $backend"
    counts="$counts $backend.counts"
done

### The table, and the judgement

# Lines in a row are told as one.
# shellcheck disable=SC2086 # lists
awk '
    $4 == 1 { start = 0; next }
    {
        at = $1 " " $2 " " $5
        if (!(at in lines))
            order[++n] = at
        if (start && at == last)
            sub(/(-[0-9]+)?$/, "-" $3, lines[at])
        else
            lines[at] = lines[at] " " $3
        start = 1
        last = at
    }
    END {
        for (i = 1; i <= n; i++)
            print order[i] lines[order[i]]
    }' $counts >"$work/lines.txt"

# Some other number is that of a terminal.
case $lines in
1) cat lines.txt ;;
*[!0-9]*) (cd .. && cat coverage/lines.txt >"$lines") ;;
esac

# A function that a backend has no use for is not counted there, as long as no
# line of it is executed.
# shellcheck disable=SC2086 # lists
awk -v percent="$PERCENT" '
    function tell(backend, file, all, unused, hit) {
        printf "%-8s %-12s %6d %6d %8d", backend, file, all, unused, hit
        if (all > unused)
            printf " %7.1f %%\n", 100 * hit / (all - unused)
        else
            printf " %9s\n", "-"
    }
    # Whether a reason is one for a backend that is measured. One without a
    # name is for those that have no section.
    function is_measured(at, part) {
        if (split(at, part, " ") == 3)
            return part[1] in all
        return !(order[1] in sections)
    }
    # The reasons.
    FILENAME ~ /coverage\.txt$/ {
        if ($0 ~ /^\[[a-z]*\]$/) {
            section = $0
            gsub(/[^a-z]/, "", section)
            sections[section] = 1
        }
        if ($0 !~ /^[a-z]/)
            next
        at = $1 " " $2
        if (section != "") {
            reasons[section " " at] = 1
        } else if ($3 ~ /^\[/) {
            for (i = 3; i <= NF; i++) {
                name = $i
                gsub(/[^a-z]/, "", name)
                useless[name " " at] = 1
                if ($i ~ /\]/)
                    break
            }
        } else {
            reasons[at] = 1
        }
        next
    }
    {
        if (!($1 in all))
            order[++n] = $1
        file = $1 " " $2
        at = file " " $5
        if (!(file in file_all))
            list[$1] = list[$1] " " $2
        if (!(at in function_all))
            functions[++m] = at
        all[$1]++
        hit[$1] += $4
        file_all[file]++
        file_hit[file] += $4
        function_all[at]++
        function_hit[at] += $4
    }
    END {
        for (i = 1; i <= m; i++) {
            at = functions[i]
            split(at, part, " ")
            if (function_hit[at] == function_all[at])
                continue
            if (at in useless && function_hit[at] == 0) {
                unused[part[1]] += function_all[at]
                file_unused[part[1] " " part[2]] += function_all[at]
                used[at] = 1
            } else if (at in reasons) {
                used[at] = 1
            } else if ((part[2] " " part[3]) in reasons) {
                used[part[2] " " part[3]] = 1
            } else {
                bad = bad "\n  " part[1] ": " part[2] ", " part[3] "(): " \
                    function_all[at] - function_hit[at] " lines"
            }
        }
        printf "%-8s %-12s %6s %6s %8s\n", "backend", "file", "lines", \
            "unused", "executed"
        for (i = 1; i <= n; i++) {
            count = split(list[order[i]], names, " ")
            for (j = 1; j <= count; j++) {
                file = order[i] " " names[j]
                tell(order[i], names[j], file_all[file], file_unused[file],
                    file_hit[file])
            }
        }
        print ""
        for (i = 1; i <= n; i++) {
            b = order[i]
            tell(b, "all", all[b], unused[b], hit[b])
            if (100 * hit[b] < percent * (all[b] - unused[b]))
                low = low " " b
        }
        for (at in reasons)
            if (!(at in used) && is_measured(at))
                print "executed this time, though explained: " at "()"
        for (at in useless)
            if (!(at in used) && is_measured(at))
                print "tests/coverage.txt says that there is no use for" \
                    " what was executed, or is not there: " at "()"
        if (bad != "")
            print "Not executed, and not in tests/coverage.txt:" bad
        if (low != "")
            print "Less than " percent " %:" low
        exit bad != "" || low != ""
    }' "$srcdir/tests/coverage.txt" $counts
