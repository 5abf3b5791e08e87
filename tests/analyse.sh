#!/bin/sh
# SPDX-License-Identifier: MIT
#
# analyse.sh - what tools find that look at the sources, or watch threads.
#
#     analyse.sh [TOOL]...
#
# For make analyse, in a build folder on Linux whose backend is epoll; TOOLS
# names some of the tools instead of all. It takes minutes and is no part of
# make check. Each tool that is here is first given faults to find
# (analyse-faults.c), then the library, with every backend that compiles here:
# those of other systems over the emulations, that of Windows through MinGW.
# Most look at the examples too, the compilers and clang-tidy at the tests. Not
# cppcheck: it reads no headers of the system, so that it does not know Check or
# LIST_FIRST().
#
# What a tool says is in analysis/TOOL.log. Exit status: 1 if one has found
# something, or does not find what is planted; else 0. What is not here is
# skipped, and said to be.
#
# Nothing is left unsaid without a reason: see .clang-tidy, analyse.cppcheck,
# analyse.supp, NOLINT in the sources, and what is said of warnings below.
#
# From the environment: srcdir, COMMON, POSIX and WINDOWS (lists of sources),
# CHECK_CFLAGS; JOBS, how many sources are looked at beside each other, as many
# as there are processors if unset; and for helgrind and drd CASES, SCALE
# (TEST_SCALE, 2 if unset: they tell what nothing orders, whether it went wrong
# or not), and SOAK_SECONDS for helgrind.

# Lists of words are meant, and functions are called by way of their names.
# shellcheck disable=SC2086,SC2317

set -u
LC_ALL=C
export LC_ALL
srcdir=${srcdir:-.}
SCALE=${SCALE:-2}
SOAK_SECONDS=${SOAK_SECONDS:-20}
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
top=$(cd "$srcdir" && pwd)
out=analysis
faults=$srcdir/tests/analyse-faults.c
flags="-DHAVE_CONFIG_H -I. -I$srcdir/include"
kqueue="-I$srcdir/tests/emulation/kqueue -DHAVE_KQUEUE1=1"
port="-I$srcdir/tests/emulation/port"
mingw=x86_64-w64-mingw32
status=0

die() {
    echo "analyse.sh: $*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

[ -n "${COMMON-}" ] || die 'run it by make analyse'
grep -q '^BACKEND = epoll$' Makefile ||
    die 'it takes a build folder whose backend is epoll'
mkdir -p "$out"
: >"$out/table"

### What is looked at

# sources LIST...: those that are compiled.
sources() {
    for file; do
        case $file in
        *.c) echo "$srcdir/$file" ;;
        esac
    done
}

# Each of the functions takes a COMMAND, and calls it with the source last.

library() {
    for file in $(sources $COMMON $POSIX lib/epoll.c lib/poll.c); do
        "$@" $flags "$file"
    done
    "$@" $flags $kqueue "$srcdir/lib/kqueue.c"
    "$@" $flags $port "$srcdir/lib/port.c"
}

examples() {
    for file in "$srcdir"/doc/examples/*.c; do
        case $file in
        *-glib.c | *-libuv.c) ;; # take headers that may not be here
        *)
            "$@" $flags "$file"
            ;;
        esac
    done
}

# Without those for Windows, and those of the faults.
tests() {
    for file in "$srcdir"/tests/*.c; do
        case $file in
        *-windows.c | */test-console.c | */test-sockets.c | \
            */test-waitable.c | */test-winerror.c | */analyse-*.c) ;;
        */faults-kernels.c) # one for each emulation
            "$@" $flags $kqueue -DFAULTS_KQUEUE=1 "$file"
            "$@" $flags $port -DFAULTS_PORT=1 "$file"
            ;;
        *)
            "$@" $flags ${CHECK_CFLAGS-} "$file"
            ;;
        esac
    done
    for file in "$srcdir"/tests/emulation/*.c \
        "$srcdir"/tests/emulation/kqueue/*.c; do
        "$@" $flags $kqueue "$file"
    done
    for file in "$srcdir"/tests/emulation/port/*.c; do
        "$@" $flags $port "$file"
    done
}

# The library for Windows, with the configuration that MinGW gives.
windows() {
    for file in $(sources $COMMON $WINDOWS lib/iocp.c); do
        "$@" -DHAVE_CONFIG_H "-I$out/windows" "-I$srcdir/include" "$file"
    done
}

have_windows() {
    have "$mingw-gcc" || return 1
    [ -f "$out/windows/config.h" ] || {
        mkdir -p "$out/windows"
        (cd "$out/windows" && "$top/configure" -q "--host=$mingw") \
            >"$out/windows.log" 2>&1
    }
}

# beside COMMAND...: at most JOBS at the same time.
beside() {
    part=$((part + 1))
    "$@" >"$out/$tool.part$part" 2>&1 &
    running="$running $!"
    # Without the words that are the command.
    set -- $running
    [ $# -lt "$JOBS" ] || {
        wait "$1"
        shift
        running=$*
    }
}

# Waits for them and prints what they have printed.
together() {
    wait
    running=
    while [ "$part" -gt 0 ]; do
        cat "$out/$tool.part$part"
        rm "$out/$tool.part$part"
        part=$((part - 1))
    done
}
part=0
running=

### What comes of it

# row TOOL VERSION WHAT FINDINGS
row() {
    printf '%-14s %-10s %-40s %s\n' "$@" | tee -a "$out/table"
}

skip() {
    row "$1" - - "SKIP: $2"
}

# told PATTERN LOG: how many different lines are findings.
told() {
    grep -E "$1" "$2" | sort -u | wc -l | tr -d ' '
}

# verdict TOOL VERSION WHAT PATTERN: of the tool's log, and of what it said of
# the faults, in which the pattern must be and, if given, what $planted says.
verdict() {
    findings=$(told "$4" "$out/$1.log")
    if ! grep -qE "$planted" "$out/$1.faults"; then
        row "$1" "$2" "$3" 'DOES NOT FIND WHAT IS PLANTED'
        sed 's/^/    /' "$out/$1.faults"
        status=1
        return
    fi
    row "$1" "$2" "$3" "$findings"
    [ "$findings" = 0 ] && return
    grep -E "$4" "$out/$1.log" | sort -u | sed 's/^/    /'
    status=1
}

version() {
    "$@" --version 2>/dev/null | tr ' -' '[\n*]' |
        sed -n '/^[0-9][0-9.]*$/{p;q;}'
}

### Warnings

# Beyond what configure asks for. Not -Wnull-dereference, which takes each
# function that may return NULL for one that does (-fanalyzer looks at where it
# comes from), nor -Wcast-align=strict, which takes an address inside of a
# table, computed in bytes, for one of bytes. Not -Wswitch-enum: a default is
# meant. -Wundef is asked for and HAVE_ left out of it, since what a system does
# not have is not defined; that configure knows each of these is looked at
# below.
warnings='-Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Wstrict-prototypes
    -Wold-style-definition -Wmissing-prototypes -Wundef -Wpointer-arith
    -Wwrite-strings -Wformat=2 -Wvla -Wdouble-promotion -Wredundant-decls
    -Wunused-macros'
gcc_warnings="$warnings -Wduplicated-cond -Wduplicated-branches -Wlogical-op"
warned='(warning|error): '

# compile COMMAND... SOURCE
compile() {
    "$@" -c -o /dev/null 2>&1 |
        grep -v '"HAVE_[A-Z0-9_]*" is not defined' |
        grep -vE "'HAVE_[A-Z0-9_]*' is not defined"
}

# A misspelt HAVE_ is never true, and no compiler tells.
names() {
    # HAVE_CONFIG_H comes from the command line.
    grep -oh '\<HAVE_[A-Z0-9_]*' "$srcdir"/lib/*.[ch] | sort -u |
        while read -r name; do
            [ "$name" = HAVE_CONFIG_H ] ||
                grep -q "\<$name\>" "$srcdir/config.h.in" ||
                echo "lib: warning: configure does not know $name"
        done
}

# Of test programs and examples: not -Wmissing-prototypes, since they take the
# place of functions; nor -Wunused-macros, since some stand for what one system
# lacks; nor -Wlogical-op, since EAGAIN is EWOULDBLOCK here and elsewhere not;
# nor -Wwrite-strings, since execv() takes strings that it does not change; nor
# -Wformat-nonliteral, since some pass on a format that the compiler has seen.
lenient='-Wno-missing-prototypes -Wno-unused-macros -Wno-write-strings
    -Wno-format-nonliteral'
gcc_lenient="$lenient -Wno-logical-op"

# warn TOOL COMPILER OPTION...: at several levels of optimization, which see
# different things.
warn() {
    tool=$1
    shift
    "$@" -O2 -c -o /dev/null "$faults" >"$out/$tool.faults" 2>&1
    planted='\[-W(implicit-int-)?conversion\]'
    {
        names
        for level in -O1 -O3 -Os; do
            library beside compile "$@" "$level"
        done
        examples beside compile "$@" -O2 $without
        tests beside compile "$@" -O2 $without
        together
    } >"$out/$tool.log"
    verdict "$tool" "$(version "$1")" 'library -O1 -O3 -Os, examples, tests' \
        "$warned"
}

run_gcc() {
    have gcc || {
        skip gcc 'no gcc'
        return
    }
    without=$gcc_lenient
    warn gcc gcc $gcc_warnings
}

run_clang() {
    have clang || {
        skip clang 'no clang'
        return
    }
    without=$lenient
    warn clang clang $warnings
}

# By -m32, or by a compiler for it.
run_gcc_m32() {
    for compiler in 'gcc -m32' i686-linux-gnu-gcc ''; do
        echo '#include <stdlib.h>' |
            ${compiler:-false} -x c -c -o /dev/null - 2>/dev/null && break
    done
    [ -n "$compiler" ] || {
        skip gcc-m32 'no gcc for 32 bits (gcc-multilib)'
        return
    }
    tool=gcc-m32
    planted='\[-Wconversion\]'
    # The configuration is that of 64 bits, which needs no word for large files.
    {
        $compiler $gcc_warnings -c -o /dev/null "$faults" \
            >"$out/gcc-m32.faults" 2>&1
        for level in -O2 -O3; do
            library beside compile $compiler $gcc_warnings $level \
                -D_FILE_OFFSET_BITS=64
        done
        together
    } >"$out/gcc-m32.log"
    verdict gcc-m32 "$(version ${compiler%% *})" 'library -O2 -O3' "$warned"
}

run_mingw() {
    have_windows || {
        skip mingw 'no MinGW, or it cannot be configured for'
        return
    }
    tool=mingw
    planted='Wconversion.*|-Wanalyzer-null-dereference'
    {
        "$mingw-gcc" $gcc_warnings -fanalyzer -c -o /dev/null "$faults" \
            >"$out/mingw.faults" 2>&1
        for level in -O1 -O3; do
            # Functions are found by GetProcAddress(), and cast for that.
            windows beside compile "$mingw-gcc" $gcc_warnings \
                -fanalyzer $level
        done
        together
    } >"$out/mingw.log"
    verdict mingw "$(version "$mingw-gcc")" \
        'library, -fanalyzer too, -O1 -O3' "$warned"
}

### Analysers

run_gcc_analyzer() {
    have gcc || {
        skip gcc-analyzer 'no gcc'
        return
    }
    gcc -fanalyzer -c -o /dev/null "$faults" >"$out/gcc-analyzer.faults" 2>&1
    tool=gcc-analyzer
    planted='\[-Wanalyzer-null-dereference\]'
    {
        library beside compile gcc -fanalyzer -O1
        library beside compile gcc -fanalyzer -O2
        examples beside compile gcc -fanalyzer -O1
        together
    } >"$out/gcc-analyzer.log"
    verdict gcc-analyzer "$(version gcc)" 'library -O1 -O2, examples' "$warned"
}

# What a test keeps together need not be small.
padding=-clang-analyzer-optin.performance.Padding

# tidy FLAG... SOURCE
tidy() {
    for last; do :; done
    # The source comes first for it.
    count=$#
    while [ "$count" -gt 1 ]; do
        count=$((count - 1))
        set -- "$@" "$1"
        shift
    done
    shift
    clang-tidy -quiet "--config-file=$srcdir/.clang-tidy" $extra "$last" -- "$@" \
        2>/dev/null
}

run_clang_tidy() {
    have clang-tidy || {
        skip clang-tidy 'no clang-tidy'
        return
    }
    tool=clang-tidy
    extra=
    tidy "-I$srcdir/include" "$faults" >"$out/clang-tidy.faults"
    planted='\[clang-analyzer-core\.NullDereference\]'
    {
        library beside tidy
        ! have_windows || windows beside tidy "--target=$mingw"
        # Numbers of their command lines are checked for their ranges.
        extra='--checks=-cert-err34-c'
        examples beside tidy
        # The same; and what Check's macros make is not theirs.
        extra="$extra,-bugprone-*,-misc-*,$padding"
        tests beside tidy
        together
    } >"$out/clang-tidy.log"
    verdict clang-tidy "$(version clang-tidy)" \
        'library and for Windows, examples, tests' "$warned"
}

# check FLAG... SOURCE
check() {
    # One configuration, that of this build or of Windows: cppcheck would make
    # up others of which no system is.
    cppcheck --std=c11 --library=posix,gnu --quiet --template=gcc \
        --enable=warning,style,performance,portability --inline-suppr \
        "--suppressions-list=$out/cppcheck.list" -D__GNUC__=12 \
        -D__linux__=1 "$@" 2>&1
}

check_windows() {
    cppcheck --std=c11 --library=windows --platform=win64 --quiet \
        --template=gcc --enable=warning,style,performance,portability \
        --inline-suppr "--suppressions-list=$out/cppcheck.list" \
        -D__GNUC__=12 -D_WIN32=1 -D_WIN64=1 "$@" 2>&1
}

run_cppcheck() {
    have cppcheck || {
        skip cppcheck 'no cppcheck'
        return
    }
    # It takes no comments beside a line.
    grep -v '^#' "$srcdir/tests/analyse.cppcheck" >"$out/cppcheck.list"
    check "$faults" >"$out/cppcheck.faults"
    tool=cppcheck
    planted='\[nullPointer'
    {
        library beside check
        examples beside check
        ! have_windows || windows beside check_windows
        together
    } >"$out/cppcheck.log"
    verdict cppcheck "$(version cppcheck)" \
        'library and for Windows, examples' \
        '(warning|error|style|performance|portability): '
}

### Threads

# The cases in which several threads use a poller; where there is only one,
# these tools look at nothing: in the rest of the suites, model among them, and
# in tests/replaced. The soak goes last, for all that meets only there.
meetings='threads
    conditions/a_terminal_ends_a_blocked_wait
    files/arming_a_file_reaches_a_blocked_wait
    lifetime/a_fork_beside_blocked_waits
    lifetime/a_post_wakes_poll
    lifetime/a_signal_wakes_poll
    lifetime/a_source_closed_during_a_wait_is_silent
    lifetime/a_timer_wakes_poll
    lifetime/closed_sources_do_not_disturb_blocked_waits
    lifetime/forks_at_any_time_do_not_lock_up
    lifetime/the_descriptor_wakes_poll
    notify/a_handler_ends_the_wait_that_it_interrupts
    notify/a_notification_ends_a_blocked_wait
    notify/a_post_ends_a_blocked_wait
    notify/each_post_arrives_once_and_in_order
    notify/every_notification_ends_a_wait
    notify/handlers_notify_while_a_thread_is_inside_the_library
    notify/no_notification_strands_a_token
    notify/notifications_and_events_do_not_disturb_each_other
    processes/a_blocked_wait_learns_of_a_process
    processes/a_cancelled_thread_watches_to_the_end
    processes/an_exit_ends_a_wait
    processes/waiters_share_the_exits
    registration/a_crowd_can_be_looked_at_beside_a_wait
    registration/a_socket_connected_later_ends_a_blocked_wait
    signals/a_blocked_wait_learns_of_a_signal
    signals/a_signal_that_comes_as_it_is_added_is_not_lost
    signals/a_wait_tells_a_signal_once
    signals/another_signal_interrupts
    signals/another_thread_takes_the_signal
    signals/no_real_time_signal_is_lost
    signals/no_signal_is_lost_or_told_twice
    signals/registration_races_with_signals
    signals/the_waiting_thread_takes_the_signal
    timers/a_blocked_wait_follows_a_change
    timers/a_timer_follows_one_that_another_wait_missed
    timers/a_timer_follows_one_that_went
    timers/a_timer_is_deleted_or_comes
    timers/a_wait_with_a_limit_ends_sooner
    timers/each_waiter_gets_a_timer
    timers/four_waiters_share_the_timers
    timers/no_timer_is_left_unattended
    timers/the_first_timer_meets_a_thread_that_goes_to_sleep
    waiting/a_wait_cut_short_leaves_no_deadline
    waiting/very_long_waits_block_until_notified'
cases=${CASES:-$meetings}

# A build of its own, of which analyse-atomics.c tells.
have_threads() {
    have gcc && have valgrind || return 1
    [ -f "$out/threads/Makefile" ] || {
        mkdir -p "$out/threads"
        (
            cd "$out/threads" &&
                gcc -O1 -g -c -o atomics.o "$top/tests/analyse-atomics.c" &&
                "$top/configure" -q --disable-shared CC=gcc \
                    CFLAGS='-O1 -g -fno-inline-atomics' \
                    CPPFLAGS=-DMEMORY_TELLS=0 "LIBS=$PWD/atomics.o"
        ) >"$out/threads.log" 2>&1 || {
            rm -f "$out/threads/Makefile"
            return 1
        }
    }
    (
        cd "$out/threads" &&
            make tests/suites tests/suites-poll tests/soak tests/soak-poll &&
            gcc -O1 -g -fno-inline-atomics -o faults \
                "$top/tests/analyse-faults.c" atomics.o -pthread
    ) >>"$out/threads.log" 2>&1
}

# program COMMAND...: runs the program $program by it.
program() {
    case $program in
    soak*) cases= ;;
    esac
    TEST_SCALE=$SCALE SOAK_SECONDS=$SOAK_SECONDS \
        "$@" "$out/threads/tests/$program" $cases || echo "$program: failed"
}

# watch TOOL OPTION...
watch() {
    tool=$1
    shift
    [ "$threads" = yes ] || {
        skip "$tool" "no valgrind, or $out/threads.log tells why"
        return
    }
    set -- valgrind -q "--tool=$tool" --error-exitcode=9 --fair-sched=yes \
        "--suppressions=$srcdir/tests/analyse.supp" "$@"
    {
        "$@" "$out/threads/faults" atomic && echo 'atomics: nothing'
        "$@" "$out/threads/faults" race || echo 'race: found'
    } >"$out/$tool.faults" 2>&1
    grep -q '^atomics: nothing$' "$out/$tool.faults" ||
        echo 'atomics: not understood' >"$out/$tool.faults"
    planted='^race: found$'
    # No more than these tools need: it stretches what sleeps too.
    CK_TIMEOUT_MULTIPLIER=4
    export CK_TIMEOUT_MULTIPLIER
    {
        for program in $programs; do
            beside program "$@"
        done
        together
    } >"$out/$tool.log"
    verdict "$tool" "$(version valgrind)" \
        "where threads meet, $where" \
        '^==[0-9]+== (Possible|Conflicting|Thread #[0-9]+: |Mutex|The )|^[^ ]*:[0-9]+:[FE]:|: failed$'
}

run_helgrind() {
    programs='suites suites-poll soak soak-poll'
    where='epoll, poll; soaks'
    watch helgrind --history-level=approx
}

# It is far slower where many threads meet again and again: in a minute it does
# not come to the first lull of the soak, nor to the end of a case that a
# second is enough for with helgrind. It only looks at epoll, since the core is
# the same.
run_drd() {
    programs=suites
    where=epoll
    cases=$(echo $cases | sed 's,notify/no_notification_strands_a_token,,')
    # Its limit on how long a lock is held is off unless asked for.
    watch drd --check-stack-var=no
}

# Lanes, which run beside each other: what the last two run sleeps a lot.
lanes='gcc gcc_m32 clang mingw gcc_analyzer cppcheck:clang_tidy:helgrind:drd'

# lane NUMBER: those of its tools that are asked for.
lane() {
    for each in $(echo "$lanes" | cut -d: -f"$1"); do
        case " $chosen " in
        *" $each "*) "run_$each" ;;
        esac
    done
    exit "$status"
}

# What several lanes need is made first. All of this is read before it begins,
# so that it may be changed meanwhile.
main() {
    chosen=$(echo "${*:-$lanes}" | tr -- -: '_ ')
    threads=no
    for each in $chosen; do
        case $each in
        helgrind | drd) ! have_threads || threads=yes ;;
        mingw | clang_tidy | cppcheck) have_windows ;;
        esac
        case " $(echo "$lanes" | tr : ' ') " in
        *" $each "*) ;;
        *) die "no such tool: $each; there are $(echo "$lanes" | tr : ' ')" ;;
        esac
    done
    row TOOL VERSION 'LOOKED AT' FINDINGS
    lane 1 >"$out/lane-1" 2>&1 &
    first=$!
    lane 2 >"$out/lane-2" 2>&1 &
    second=$!
    lane 3 >"$out/lane-3" 2>&1 &
    third=$!
    lane 4 >"$out/lane-4" 2>&1 &
    for job in "$first" "$second" "$third" "$!"; do
        wait "$job" || status=1
    done
    cat "$out"/lane-[1-4]
    rm "$out"/lane-[1-4]
    exit "$status"
}

main "$@"
