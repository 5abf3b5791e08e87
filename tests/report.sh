#!/bin/sh
# SPDX-License-Identifier: MIT
#
# report.sh - how libpolling does on this machine, as a page of plain text.
#
#   sh tests/report.sh [-k] [OPTION or VARIABLE for configure]... >report.txt
#
# Builds the library in a temporary folder, runs its tests and writes a report
# that the project likes to get, above all from systems that README's table
# does not call tested. It tells what it is doing on the standard error.
# Nothing is sent, nothing is installed, and the source is left as it is.
# Names of the host and of the user and the paths of folders are masked; read
# it all the same before you send it.
#
#   -k    keep the temporary folder, and say where it is
#
# TESTS in the environment names the tests to run instead of all. An interrupt
# (Ctrl-C) while they run ends them, and the report tells how far they came.
# Exits with 0 if all passed, 1 if tests failed or did not run, 2 if it could
# not build or was misused.

# The /bin/sh of Solaris 10 is older than POSIX. It reads no further than here.
if test -x /usr/xpg4/bin/sh && test "$REPORT_SHELL" != xpg4; then
    REPORT_SHELL=xpg4
    export REPORT_SHELL
    exec /usr/xpg4/bin/sh "$0" ${1+"$@"}
fi

set -u
LC_ALL=C
export LC_ALL
unset CDPATH

# The utilities of POSIX where others come first, as on Solaris; configure and
# make get the caller's.
callers_path=$PATH
posix_path=$(getconf PATH 2>/dev/null) && PATH=$posix_path:$PATH

say() {
    printf 'report: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 2
}

# have PROGRAM: in the caller's path.
have() {
    (
        PATH=$callers_path
        command -v "$1" >/dev/null 2>&1
    )
}

# run PROGRAM ARGUMENT...: with the caller's path.
run() {
    env PATH="$callers_path" "$@" </dev/null
}

usage() {
    sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
}

keep=no
options=
for argument; do
    shift
    case $argument in
    -k) keep=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    -?* | *=*)
        set -- "$@" "$argument"
        options="$options $argument"
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done

source=$(cd "$(dirname "$0")/.." && pwd) || die 'where is the source?'
for file in include/polling.h configure.ac; do
    [ -f "$source/$file" ] ||
        die 'this script belongs into the folder tests of the source'
done

### The temporary folder

make_folder() {
    parent=$(cd "${TMPDIR:-/tmp}" && pwd) || return 1
    mask=$(umask)
    umask 077
    # It is missing on some systems.
    work=$(mktemp -d "$parent/libpolling.XXXXXX" 2>/dev/null) || {
        attempt=0
        until work=$parent/libpolling.$$.$attempt &&
            mkdir "$work" 2>/dev/null; do
            attempt=$((attempt + 1))
            [ "$attempt" -lt 20 ] || return 1
        done
    }
    umask "$mask"
}

finish() {
    status=$?
    trap - EXIT HUP INT TERM
    cd /
    if [ "$keep" = yes ]; then
        say "kept: $work"
    else
        rm -rf "$work"
    fi
    exit "$status"
}

make_folder || die "cannot make a folder in ${TMPDIR:-/tmp}"
trap finish EXIT
trap 'exit 2' HUP INT TERM
mkdir "$work/src" "$work/build" "$work/tmp" || exit 2
report=$work/report
started=$(date -u '+%Y-%m-%d %H:%M')

### The source

# sources: the names of all that the build may need, but nothing that an
# earlier build left in the same folders: make would take that for up to date.
sources() {
    for file in AUTHORS COPYING ChangeLog HACKING Makefile.am Makefile.in \
        NEWS README aclocal.m4 bootstrap config.h.in configure configure.ac \
        libpolling.pc.in; do
        [ ! -f "$file" ] || echo "$file"
    done
    [ ! -d build-aux ] || find build-aux -type f
    find doc include lib m4 tests -type f \( -name '*.[ch1-9]' -o \
        -name '*.sh' -o -name '*.m4' -o -name '*.map' -o -name '*.supp' \)
}

copy_source() {
    cd "$source" && sources >"$work/files" || return 1
    while IFS= read -r file; do
        folder=$(dirname "$file")
        [ -d "$work/src/$folder" ] || mkdir -p "$work/src/$folder" || return 1
        # With its time, so that what is newer stays newer.
        cp -p "$file" "$work/src/$file" || return 1
    done <"$work/files"
    chmod -R u+w "$work/src"
}

is_generated() {
    [ -f configure ] && [ -f Makefile.in ] && [ -z "$(
        find configure.ac Makefile.am m4 -type f -newer configure
    )" ]
}

# Where the source is from, in a word or two.
origin() {
    if [ ! -e "$source/.git" ]; then
        echo 'a release archive'
    elif commit=$(run git -C "$source" rev-parse --short HEAD 2>/dev/null); then
        changes=$(run env GIT_OPTIONAL_LOCKS=0 \
            git -C "$source" status --porcelain 2>/dev/null)
        echo "commit $commit${changes:+, with changes}"
    else
        echo 'a clone'
    fi
}

### The report

# line TITLE TEXT...
line() {
    title=$1
    shift
    text=$*
    printf '%-11s%s\n' "$title" "${text# }"
}

# bounded LINES: no more than so many lines of the input, shortened.
bounded() {
    awk -v most="$1" '
        NR <= most { print "  " substr($0, 1, 200) }
        END {
            if (NR > most)
                print "  ... and " NR - most " more"
        }'
}

# section TITLE LINES FILE: unless that is empty.
section() {
    [ -s "$3" ] || return 0
    printf '\n-- %s\n' "$1"
    bounded "$2" <"$3"
}

# last LINES FILE: its last lines but empty ones.
last() {
    sed '/^[ 	]*$/d' "$2" | tail -n "$1" | bounded "$1"
}

# masked: the input without the names and paths of this machine.
masked() {
    # Folders have two names where /tmp is a link.
    tr -cd '\011\012\040-\176' |
        REPORT_WORK=$work REPORT_WORK_P=$(cd "$work" && pwd -P) \
            REPORT_SOURCE=$source REPORT_SOURCE_P=$(cd "$source" && pwd -P) \
            REPORT_TMP=${TMPDIR:-} REPORT_HOME=${HOME:-} \
            REPORT_USER=$(id -un 2>/dev/null) REPORT_HOST=$(uname -n) \
            REPORT_SYSTEM=$(uname -s) awk '
        # Any "from" becomes "to"; as a word only if that is asked for.
        function change(from, to, word, done, rest, at, before, after) {
            if (length(from) < 2)
                return
            done = ""
            rest = $0
            while ((at = index(tolower(rest), tolower(from))) != 0) {
                before = substr(done substr(rest, 1, at - 1), \
                    length(done) + at - 1, 1)
                after = substr(rest, at + length(from), 1)
                done = done substr(rest, 1, at - 1)
                if (word && (after ~ /[A-Za-z0-9_-]/ || \
                    (from !~ /^\// && before ~ /[A-Za-z0-9_-]/)))
                    done = done substr(rest, at, length(from))
                else
                    done = done to
                rest = substr(rest, at + length(from))
            }
            $0 = done rest
        }
        BEGIN {
            host = ENVIRON["REPORT_HOST"]
            short = host
            sub(/\..*/, "", short)
            # Names that tell nothing, and would garble the report.
            common = " localhost poll epoll kqueue port iocp suites tests " \
                "test check build make level edge fd file files modes " \
                "notify threads waiting lifetime conditions cc gcc clang " \
                tolower(ENVIRON["REPORT_SYSTEM"]) " "
        }
        {
            change(ENVIRON["REPORT_WORK_P"] "/build", "BUILD")
            change(ENVIRON["REPORT_WORK_P"] "/src", "SRC")
            change(ENVIRON["REPORT_WORK_P"], "TMP")
            change(ENVIRON["REPORT_WORK"] "/build", "BUILD")
            change(ENVIRON["REPORT_WORK"] "/src", "SRC")
            change(ENVIRON["REPORT_WORK"], "TMP")
            change("../src/", "SRC/")
            change(ENVIRON["REPORT_SOURCE_P"], "SRC")
            change(ENVIRON["REPORT_SOURCE"], "SRC")
            if (length(ENVIRON["REPORT_TMP"]) > 4)
                change(ENVIRON["REPORT_TMP"], "TMP")
            change(ENVIRON["REPORT_HOME"], "HOME", 1)
            gsub(/\/(home|Users)\/[^\/ :]+/, "HOME")
            # Those that built the kernel.
            gsub(/[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+/, "USER@HOST")
            change("/" ENVIRON["REPORT_USER"], "/USER", 1)
            if (host != short)
                change(host, "HOST", 1)
            if (!index(common, " " tolower(short) " "))
                change(short, "HOST", 1)
            sub(/ +$/, "")
            print
        }'
}

system_release() {
    if [ -r /etc/os-release ]; then
        sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release
    elif [ -r /etc/release ]; then
        sed -n '/[^ ]/{
            s/^ *//p
            q
        }' /etc/release
    fi
    ! have freebsd-version || run freebsd-version -ku
    ! have sw_vers || run sw_vers
    ! have oslevel || run oslevel -s
    getconf GNU_LIBC_VERSION ||
        # That of musl writes to the standard error, and fails.
        run ldd --version 2>&1 | sed -n '/^musl/p;/^Version/p'
}

# The first line that the compiler has about itself.
compiler() {
    cc=$(sed -n 's/^CC = //p' Makefile 2>/dev/null)
    cc=${cc:-${CC:-cc}}
    for option in --version -V -v; do
        # shellcheck disable=SC2086 # a command with arguments
        if run $cc "$option" >"$work/compiler" 2>&1 &&
            [ -s "$work/compiler" ]; then
            break
        fi
    done
    echo "$cc: $(grep '[0-9]\.[0-9]' "$work/compiler" | head -n 1)"
}

tell_machine() {
    line date "$started to $(date -u '+%H:%M') UTC"
    line system "$(uname -srvm)"
    line release "$(system_release 2>/dev/null | tr '\n' ' ')"
    line compiler "$(compiler)"
    line source "$(origin)"
    line options "${options:- none}"
    [ -z "$changed" ] || line variables "$changed"
    tried=$make$refused_makes
    line make "${tried#, }"
}

# What configure found out; no more than a few lines.
tell_probes() {
    # Without what every system has, which autoconf asks for by itself.
    sed -n 's/^#define HAVE_\([A-Z0-9_]*\) 1$/+\1/p
        s/^\/\* #undef HAVE_\([A-Z0-9_]*\) \*\/$/-\1/p' config.h |
        grep -v -E -e '^.(DLFCN|INTTYPES|MEMORY|STDINT|STDIO|STDLIB)_H$' \
            -e '^.(STRINGS?|SYS_STAT|SYS_TYPES|UNISTD|WCHAR)_H$' \
            -e '^.MINIX_CONFIG_H$'
    sed -n '/^polling_cv_flag/d
        s/^polling_cv_\([a-z0-9_]*\)=\(.*\)$/\1=\2/p' config.log
}

tell_configure() {
    [ -f config.h ] || return 0
    printf '\n-- configure\n'
    sed -n '/^ *libpolling [0-9.]* for /,$s/^  *\([^ ]\)/\1/p' \
        "$work/configure.out" | sed '/^prefix/d' | bounded 8
    tell_probes 2>/dev/null | tr '\n' ' ' |
        fold -s -w 76 | bounded 8
}

### The build

# The command that failed last in configure, and what it printed.
failed_probe() {
    awk '
        /^configure:[0-9]+: .*>&5$/ { text = ""; lines = 0 }
        /^configure:[0-9]+: \$\? = [1-9]/ { found = text }
        lines++ < 6 { text = text $0 "\n" }
        END { printf "%s", found }' config.log 2>/dev/null
}

# unbuilt WHAT FILE LINES: the end of a report without tests.
unbuilt() {
    say "$1"
    {
        echo "libpolling: $1"
        tell_machine
        if [ -f config.log ] && [ ! -f config.h ]; then
            printf '\n-- the last probe that failed\n'
            failed_probe | bounded 8
        fi
        tell_configure
        printf '\n-- %s: the last lines\n' "$1"
        last "$3" "$2"
    } >"$report"
    masked <"$report"
    exit 2
}

generate() {
    say 'generating the build system in the copy'
    have autoreconf || die 'there is no configure here, or an old one; to' \
        'generate it, autoconf, automake, libtool and pkg-config are needed.' \
        'An unpacked release archive needs none of them'
    run sh ./bootstrap >"$work/bootstrap.out" 2>&1 ||
        unbuilt 'the build system was not generated' "$work/bootstrap.out" 20
}

# Builds the library with the first make that can.
build() {
    for candidate in ${MAKE:-make gmake}; do
        have "$candidate" || continue
        say "building ($candidate)"
        if run "$candidate" >"$work/build.out" 2>&1; then
            make=$candidate
            return 0
        fi
        refused_makes="$refused_makes, $candidate failed"
    done
    return 1
}

tell_warnings() {
    grep -i 'warning' "$work/build.out" >"$work/warnings"
    section 'warnings of the compiler' 4 "$work/warnings"
}

### The tests

# How to get what the suites need.
tell_check() {
    cat <<'END'

-- the suites were not built: configure did not find Check (>= 0.10)
  It asks pkg-config. Please install both, if you can, and run this again:
    FreeBSD, DragonFly      pkg install check pkgconf
    NetBSD                  pkgin install check pkgconf
    OpenBSD                 pkg_add check
    macOS                   brew install check pkg-config
    illumos, Solaris        pkg install developer/check
    Linux                   ./bootstrap check
  or from source, https://libcheck.github.io/check, with PKG_CONFIG_PATH set to
  the folder of the check.pc that it installs.
END
}

# The names of the files with the tests' output, of those that did not run too.
logs() {
    # shellcheck disable=SC2016 # make's
    printf '%s\n' 'include Makefile' 'report-logs:' \
        '	@for log in $(TEST_LOGS); do echo "log $$log"; done' \
        >"$work/logs.mk"
    if [ -n "${TESTS-}" ]; then
        run "$make" -f "$work/logs.mk" report-logs TESTS="$TESTS"
    else
        run "$make" -f "$work/logs.mk" report-logs
    fi 2>/dev/null | sed -n 's/^log //p' >"$work/logs"
}

# make_check GOAL...: tells each result on the standard error as it comes.
make_check() {
    if [ -n "${TESTS-}" ]; then
        run "$make" -k "$@" TESTS="$TESTS" 2>&1
    else
        run "$make" -k "$@" 2>&1
    fi | while IFS= read -r text; do
        printf '%s\n' "$text"
        case $text in
        PASS:* | FAIL:* | SKIP:* | ERROR:* | XPASS:* | XFAIL:*)
            say "$text"
            ;;
        esac
    done >>"$work/check.out"
}

run_tests() {
    say 'building and running the tests, which takes some minutes'
    : >"$work/check.out"
    logs
    TMPDIR=$work/tmp
    export TMPDIR
    make_check check
    # If only one test program could not be built, no test was run. Asked for
    # one by one, all run that do not need it.
    if [ "$interrupted" = no ] && ! ls tests/*.trs >/dev/null 2>&1; then
        say 'not all could be built; running those that were'
        # shellcheck disable=SC2046 # a list, empty if make cannot tell
        make_check $(cat "$work/logs")
    fi
    if [ ! -s "$work/logs" ]; then
        for log in tests/*.trs; do
            [ ! -f "$log" ] || echo "${log%.trs}.log"
        done >"$work/logs"
    fi
}

# result LOG
result() {
    text=$(sed -n 's/^:test-result: \([A-Z]*\).*/\1/p' \
        "${1%.log}.trs" 2>/dev/null)
    echo "${text:-NOT RUN}"
}

# figures LOG: Check's own, which count a skipped check as one that passed;
# else the last line.
figures() {
    [ -f "$1" ] || return 0
    awk '
        /^[0-9]+%: Checks: / {
            gsub(/[^0-9 ]/, "")
            checks += $2
            failed += $3 + $4
            figures = 1
            next
        }
        /^[0-9]+ skipped$/ { skipped += $1; next }
        /^[A-Z]+ [^ ]+ \(exit status: / {
            if ($1 != "PASS" && $1 != "SKIP")
                end = " " $3 " " $4 " " $5
            next
        }
        NF > 0 { text = $0 }
        END {
            if (figures)
                text = sprintf("%d passed, %d failed, %d skipped", \
                    checks - failed - skipped, failed, skipped)
            print substr(text, 1, 120) end
        }' "$1"
}

# failures LOG: those of Check, or the end of the log.
failures() {
    if grep ':[0-9][0-9]*:[FE]:' "$1"; then
        return 0
    fi
    sed -e '/^[A-Z]* [^ ]* (exit status: /d' -e '/^[ 	]*$/d' "$1" | tail -n 6
}

# tell_tests: and counts those that failed.
tell_tests() {
    printf '\n-- tests\n'
    while IFS= read -r log; do
        outcome=$(result "$log")
        tests=$((tests + 1))
        case $outcome in
        PASS | XFAIL) ;;
        SKIP) skipped=$((skipped + 1)) ;;
        *) failed="$failed $log" ;;
        esac
        name=${log#tests/}
        printf '  %-8s%-16s%s\n' "$outcome" "${name%.log}" "$(figures "$log")"
    done <"$work/logs"
}

tell_failures() {
    for log in $failed; do
        [ -f "$log" ] || continue
        printf '\n-- failures of %s\n' "${log%.log}"
        failures "$log" | bounded "$((most_failures / $# + 1))"
    done
}

# of_suites PROGRAM_IN_AWK: over all logs, with the name of the test in "test".
of_suites() {
    while IFS= read -r log; do
        [ ! -f "$log" ] || awk -v test="$(basename "$log" .log)" "$1" "$log"
    done <"$work/logs"
}

# shellcheck disable=SC2016 # awk's
tell_suites() {
    of_suites '/^libpolling .* backend .*:/ && !seen[$0]++ {
        print test ": " $0
    }
    /^without the edge modes/ && !seen[$0]++ { print test ": " $0 }' \
        >"$work/backends"
    of_suites '/^note .*: median overshoot / {
        sub(/^note [^:]*: /, "")
        if ($1 != wait) {
            line = line (wait == "" ? "" : " us, ") $1 " ms: " $(NF - 1)
            wait = $1
        } else {
            line = line "/" $(NF - 1)
        }
    }
    END {
        if (line != "")
            print test ": " line " us"
    }' >"$work/overshoots"
    of_suites '/^SKIP [^ ]*: / && !/^SKIP [^ ]* \(exit status: / {
        sub(/^SKIP [^ ]*: /, "")
        count[$0]++
    }
    END {
        for (reason in count)
            print count[reason] " in " test ": " reason
    }' | sort -rn >"$work/skips"
    section 'backends and their features' 8 "$work/backends"
    section 'median overshoot of waits, by timeout/by deadline' 7 \
        "$work/overshoots"
    section 'skipped checks, by reason' 8 "$work/skips"
}

# Of programs that were not built, the compiler's and the linker's words.
tell_unbuilt() {
    grep -i -e 'error[: ]' -e 'undefined' -e 'cannot find' -e 'fatal' \
        "$work/check.out" | grep -v '^ERROR: ' | awk '!seen[$0]++' \
        >"$work/errors"
    section 'errors of the build of the tests' 10 "$work/errors"
}

### All of it

make='' refused_makes='' failed='' interrupted=no
tests=0 skipped=0
most_failures=16
# What changes the tests behind their back is told.
changed=
for variable in TESTS TEST_SCALE CK_TIMEOUT_MULTIPLIER CK_FORK CK_RUN_SUITE \
    CK_RUN_CASE MAKEFLAGS; do
    eval "value=\${$variable-}"
    # shellcheck disable=SC2154 # by eval
    [ -z "$value" ] || changed="$changed $variable='$value'"
done

say "working in $work"
copy_source || die 'the source could not be copied'
cd "$work/src" || exit 2
is_generated || generate

cd "$work/build" || exit 2
say 'configuring'
run ../src/configure "$@" >"$work/configure.out" 2>&1 ||
    unbuilt 'configure failed' "$work/configure.out" 10
if ! build; then
    [ -n "$refused_makes" ] || die 'neither make nor gmake is here'
    unbuilt 'the library was not built' "$work/build.out" 24
fi

grep "^HAVE_CHECK_TRUE='#'" config.log >/dev/null &&
    have_check=no || have_check=yes

trap 'interrupted=yes' INT
run_tests
trap 'exit 2' INT

{
    tell_machine
    tell_configure
    tell_warnings
} >"$work/head"
tell_tests >"$work/tests"
{
    # shellcheck disable=SC2086 # a list
    tell_failures $failed
    [ "$interrupted" = yes ] || [ -z "$failed" ] || tell_unbuilt
    [ "$have_check" = yes ] || tell_check
    tell_suites
} >"$work/tail"

# shellcheck disable=SC2086 # a list
count=$(set -- $failed && echo $#)
verdict="all $tests test programs passed"
[ "$skipped" = 0 ] || verdict="none of $tests test programs failed, \
$skipped skipped"
[ "$count" = 0 ] || verdict="$count of $tests test programs did not pass"
[ "$have_check" = yes ] || verdict="$verdict, but the suites were not built"
[ "$interrupted" = no ] || verdict="$verdict (interrupted)"
{
    echo "libpolling: $verdict"
    cat "$work/head" "$work/tests" "$work/tail"
} >"$report"
masked <"$report"
say "$verdict"
[ "$count" = 0 ] && [ "$tests" != 0 ] && [ "$interrupted" = no ]
