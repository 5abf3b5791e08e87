#!/bin/sh
# SPDX-License-Identifier: MIT
#
# manual.sh - whether the manual pages tell the truth.
#
# Every public function has a page, every page the sections that the house
# style asks for, and every SYNOPSIS agrees with the header: its declarations
# are compiled after it. Every program in EXAMPLES, and the one in README,
# compiles as C99, links against the library and runs. Lines of this form
# before a program say how:
#
#     .\" input: what it reads from standard input
#     .\" output: one line of what it must print; none: anything will do
#     .\" system: windows, if it is for that alone; compiled where MinGW is here
#     .\" needs: a header and libraries of others, if it is about these: where
#         the header is not here, the program is left out or, if tests/emulation
#         has the header, compiled
#
# Where the compiler is one for Windows, those are linked and run, by Wine if it
# runs programs, and those that are made of POSIX are left out.
#
# From the environment: srcdir, builddir, CC, CFLAGS, CPPFLAGS, LDFLAGS,
# LIBTOOL; each has a default; and what tests/wine.sh looks at. Exit status: 0,
# 1, or 77 if the library is not built, so that only a part could be checked.

LC_ALL=C # for ranges of letters
export LC_ALL
srcdir=${srcdir:-.}
builddir=${builddir:-.}
LIBTOOL=${LIBTOOL:-"${SHELL:-/bin/sh} $builddir/libtool"}

# What configure found, where the environment does not say.
from_makefile()
{
    sed -n "s/^$1 = //p" "$builddir/Makefile" 2>/dev/null
}
CC=${CC:-$(from_makefile CC)}
CC=${CC:-cc}
EXEEXT=${EXEEXT-}
CPPFLAGS=${CPPFLAGS-}
LDFLAGS=${LDFLAGS-}
CFLAGS=${CFLAGS-$(from_makefile CFLAGS)}
strict="-std=c99 -D_POSIX_C_SOURCE=200809L -pthread"
strict="$strict -Wall -Wextra -Werror -pedantic"

header=$srcdir/include/polling.h
doc=$srcdir/doc
seconds=30 # what one example may take

system=another
# shellcheck disable=SC2086
! echo | $CC -dM -E - 2>/dev/null | grep -q ' _WIN32 ' || system=windows

failures=0
programs=0
left_out=0
fail()
{
    echo "FAIL: $*"
    failures=$((failures + 1))
}

if [ ! -f "$header" ] || [ ! -d "$doc" ]; then
    echo "FAIL: no header or no pages in $srcdir"
    exit 1
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/manual.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Prints the names of the functions that the header declares.
header_functions()
{
    awk '
        { text = text $0 "\n" }
        END {
            while ((i = index(text, "/*")) != 0) {
                rest = substr(text, i + 2)
                text = substr(text, 1, i - 1) " " \
                    substr(rest, index(rest, "*/") + 2)
            }
            n = split(text, parts, ";")
            for (i = 1; i <= n; i++)
                if (parts[i] ~ /POLLING_API/ &&
                    match(parts[i], /polling_[a-z0-9_]+[ \t\n]*\(/)) {
                    name = substr(parts[i], RSTART, RLENGTH - 1)
                    gsub(/[ \t\n]/, "", name)
                    print name
                }
        }' "$header" | sort
}

# Prints the declarations of a SYNOPSIS as C, one a line.
synopsis()
{
    awk '
        # Splits the arguments of a macro, which may be quoted.
        function arguments(s,    n) {
            n = 0
            while (match(s, /"[^"]*"|[^ "]+/)) {
                n++
                word[n] = substr(s, RSTART, RLENGTH)
                gsub(/"/, "", word[n])
                s = substr(s, RSTART + RLENGTH)
            }
            return n
        }
        function declare(name, list) {
            print type " " name "(" list ");"
        }
        /^\.Sh / { inside = ($2 == "SYNOPSIS") }
        !inside { next }
        /^\.Ft / { arguments(substr($0, 5)); type = word[1] }
        /^\.Fn / {
            n = arguments(substr($0, 5))
            list = ""
            for (i = 2; i <= n; i++)
                list = list (i > 2 ? ", " : "") word[i]
            declare(word[1], list)
        }
        /^\.Fo / { name = $2; list = "" }
        /^\.Fa / {
            arguments(substr($0, 5))
            list = list (list != "" ? ", " : "") word[1]
        }
        /^\.Fc/ { declare(name, list) }' "$1"
}

# Prints the names that a page gives itself in NAME.
page_names()
{
    awk '/^\.Sh / { inside = ($2 == "NAME") }
        inside && /^\.Nm / { print $2 }' "$1" | sort
}

# Writes the displays of EXAMPLES to files PREFIX-N.c, beside them what each
# is to read and to print.
extract()
{
    awk -v prefix="$2" '
        function plain(s) {
            gsub(/\\\(aq/, "\047", s)
            gsub(/\\\(ga/, "`", s)
            gsub(/\\\(ha/, "^", s)
            gsub(/\\\(ti/, "~", s)
            gsub(/\\\(dq/, "\"", s)
            gsub(/\\-/, "-", s)
            gsub(/\\&/, "", s)
            gsub(/\\e/, "\\", s)
            return s
        }
        /^\.Sh / { inside = ($2 == "EXAMPLES") }
        !inside { next }
        /^\.\\" input: / { input = input substr($0, 12) }
        /^\.\\" output: / { output = output substr($0, 13) "\n" }
        /^\.\\" system: / { target = substr($0, 13) }
        /^\.\\" needs: / { needs = substr($0, 12) }
        /^\.Ed/ && file != "" { close(file); file = "" }
        file != "" { print plain($0) > file }
        /^\.Bd/ {
            base = prefix "-" ++n
            file = base ".c"
            printf "%s", input > (base ".in")
            printf "%s", output > (base ".out")
            close(base ".in")
            close(base ".out")
            printf "%s", target > (base ".system")
            close(base ".system")
            printf "%s", needs > (base ".needs")
            close(base ".needs")
            input = output = target = needs = ""
        }' "$1"
}

# Runs a program for no longer than it may take. Standard input and output
# are the two files given.
run_limited()
{
    program=$1
    if [ "$system" = windows ]; then
        # It has a limit of its own.
        WINE_SECONDS=$seconds sh "$srcdir/tests/wine.sh" "$program" \
            >"$3.lines" 2>"$3.err"
        ended=$?
        tr -d '\r' <"$3.lines" >"$3"
        return "$ended"
    fi
    # libtool's path to the library ends at the first space in it.
    LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
        "$program" <"$2" >"$3" 2>"$3.err" &
    pid=$!
    (
        left=$seconds
        while kill -0 "$pid"; do
            [ "$left" -gt 0 ] || kill -9 "$pid"
            sleep 1
            left=$((left - 1))
        done
    ) >/dev/null 2>&1 &
    wait "$pid"
}

# Every page: sections, names, declarations, references.
check_page()
{
    page=$1
    name=${page##*/}
    sections="NAME SYNOPSIS DESCRIPTION EXAMPLES SEE HISTORY"
    case $name in
    *.3) sections="$sections LIBRARY RETURN ERRORS" ;;
    esac
    for section in $sections; do
        grep -q "^\.Sh $section" "$page" ||
            fail "$name has no section $section"
    done
    synopsis "$page" >"$work/synopsis"
    cat "$work/synopsis" >>"$work/declarations"
    sed 's/.*\(polling_[a-z0-9_]*\)(.*/\1/' "$work/synopsis" | sort \
        >"$work/declared"
    sed "s|\$| $name|" "$work/declared" >>"$work/documented"
    page_names "$page" >"$work/names"
    case $name in
    *.3)
        cmp -s "$work/names" "$work/declared" ||
            fail "$name: NAME and SYNOPSIS do not name the same functions"
        ;;
    esac
    awk '/^\./ {
            for (i = 1; i < NF; i++)
                if ($i ~ /^\.?Xr$/ && $(i + 1) ~ /^polling/)
                    print $(i + 1) "." $(i + 2)
        }' "$page" | sort -u >"$work/references"
    while read -r reference; do
        [ -f "$doc/$reference" ] ||
            fail "$name refers to $reference, which does not exist"
    done <"$work/references"
}

check_pages()
{
    : >"$work/declarations"
    : >"$work/documented"
    for page in "$doc"/*.[1-9]; do
        if grep -q '^\.so ' "$page"; then
            target=$(sed -n 's/^\.so man[1-9]\///p' "$page")
            [ -f "$doc/$target" ] && ! grep -q '^\.so ' "$doc/$target" ||
                fail "${page##*/} stands for $target, which is no page"
        else
            check_page "$page"
        fi
    done
    header_functions >"$work/functions"
    [ -s "$work/functions" ] || fail "no functions found in the header"
    while read -r function; do
        page=$(sed -n "s/^$function //p" "$work/documented")
        if [ -z "$page" ]; then
            fail "$function is on no page"
        elif [ ! -f "$doc/$function.3" ]; then
            fail "there is no $function.3 that leads to $page"
        elif [ "$function.3" != "$page" ] &&
            [ "$(cat "$doc/$function.3")" != ".so man3/$page" ]; then
            fail "$function.3 does not lead to $page"
        fi
    done <"$work/functions"
    while read -r function page; do
        grep -q "^$function\$" "$work/functions" ||
            fail "$page documents $function, which the header has not"
    done <"$work/documented"
    {
        printf '#include <polling.h>\n'
        cat "$work/declarations"
        printf 'extern int nothing;\n'
    } >"$work/synopsis.c"
    compile "$work/synopsis" ||
        fail "the declarations in the pages are not those of the header"
}

# compile PROGRAM [FLAG...]: the flags are instead of the strict ones.
compile()
{
    program=$1
    shift
    # Unquoted on purpose: CC and the flags are lists of words.
    # shellcheck disable=SC2086
    [ $# -ne 0 ] || set -- $strict
    # shellcheck disable=SC2086
    $CC $CPPFLAGS $CFLAGS "$@" -I"$srcdir/include" -c "$program.c" \
        -o "$program.o" 2>"$program.log" || {
        cat "$program.log"
        return 1
    }
}

# link PROGRAM [LIBRARY...]
link()
{
    program=$1
    shift
    $LIBTOOL --tag=CC --mode=link $CC $CFLAGS $LDFLAGS -pthread -no-install \
        -o "$program$EXEEXT" "$program.o" "$library" "$@" \
        >"$program.log" 2>&1 || {
        cat "$program.log"
        return 1
    }
}

# has_header NAME
has_header()
{
    printf '#include <%s>\n' "$1" | $CC $CPPFLAGS -E - >/dev/null 2>&1
}

# Where tests/emulation has a header.
emulated()
{
    for kernel in kqueue port; do
        [ ! -f "$srcdir/tests/emulation/$kernel/$1" ] ||
            echo "$srcdir/tests/emulation/$kernel"
    done
}

compile_for_windows()
{
    windows_cc=
    for candidate in x86_64-w64-mingw32-gcc i686-w64-mingw32-gcc; do
        command -v "$candidate" >/dev/null 2>&1 && windows_cc=$candidate
    done
    if [ -z "$windows_cc" ]; then
        echo "note: without MinGW $1 is not compiled"
    elif ! "$windows_cc" -std=c99 -Wall -Wextra -Werror -pedantic \
        -I"$srcdir/include" -c "$2.c" -o "$2.o" 2>"$2.log"; then
        cat "$2.log"
        fail "$1 does not compile"
    fi
}

headers='unistd|poll|signal|pthread|fcntl|(sys|arpa|net[a-z]*)/[a-z]*'
posix_headers="^#include <($headers)\.h>"

# One program: the name to report, and the path without its suffix.
check_program()
{
    programs=$((programs + 1))
    if ! grep -q 'main(' "$2.c"; then
        fail "$1 is no complete program"
        return
    fi
    if [ -s "$2.system" ] && [ "$system" != windows ]; then
        compile_for_windows "$1" "$2"
        return
    fi
    if [ "$system" = windows ] && grep -qE "$posix_headers" "$2.c"; then
        echo "note: $1 is made of POSIX and left out"
        left_out=$((left_out + 1))
        return
    fi
    program_needs=
    [ ! -f "$2.needs" ] || program_needs=$(cat "$2.needs")
    other_header=${program_needs%% *}
    other_libraries=
    set -- "$1" "$2"
    if [ -n "$other_header" ]; then
        other_libraries=${program_needs#"$other_header"}
        # The headers of others know more than the standards.
        set -- "$1" "$2" -std=gnu99 -pthread -Wall -Wextra -Werror
        if ! has_header "$other_header"; then
            folder=$(emulated "$other_header")
            if [ "$system" = windows ] || [ -z "$folder" ]; then
                echo "note: $1 is left out: there is no <$other_header>"
                left_out=$((left_out + 1))
                return
            fi
            echo "note: $1 is compiled only, with an emulated <$other_header>"
            set -- "$@" -I"$folder"
            other_header=
        fi
    fi
    said=$1
    stem=$2
    shift 2
    if ! compile "$stem" "$@"; then
        fail "$said does not compile"
        return
    fi
    set -- "$said" "$stem"
    [ -n "$library" ] || return
    [ -n "$other_header" ] || [ -z "$program_needs" ] || return
    # shellcheck disable=SC2086 # a list
    if ! link "$2" $other_libraries; then
        fail "$1 does not link"
        return
    fi
    [ "$runs" = yes ] || return
    run_limited "$2$EXEEXT" "$2.in" "$2.got"
    status=$?
    if [ "$status" -ne 0 ]; then
        cat "$2.got" "$2.got.err"
        fail "$1 ends with status $status"
    elif [ -s "$2.out" ] && ! cmp -s "$2.out" "$2.got"; then
        diff "$2.out" "$2.got"
        fail "$1 does not print what its page says"
    fi
}

check_programs()
{
    for page in "$doc"/*.[1-9]; do
        grep -q '^\.so ' "$page" && continue
        name=${page##*/}
        extract "$page" "$work/$name"
        if [ ! -f "$work/$name-1.c" ]; then
            fail "$name has no program in EXAMPLES"
            continue
        fi
        for file in "$work/$name"-*.c; do
            check_program "$name, example ${file##*-}" "${file%.c}"
        done
    done
    # The first indented program of README, up to its closing brace.
    if [ -f "$srcdir/README" ]; then
        awk '/^    #include/ { inside = 1 }
            inside { sub(/^    /, ""); print }
            inside && /^}/ { exit }' "$srcdir/README" >"$work/readme.c"
        printf 'x' >"$work/readme.in"
        : >"$work/readme.out"
        check_program "README's program" "$work/readme"
    fi
}

check_lint()
{
    if ! command -v mandoc >/dev/null 2>&1; then
        echo "note: mandoc is not installed: the pages are not linted"
        return
    fi
    for page in "$doc"/*.[1-9]; do
        grep -q '^\.so ' "$page" && continue
        mandoc -Tlint -W warning "$page" >"$work/lint" 2>&1 || {
            cat "$work/lint"
            fail "${page##*/} is not clean for mandoc -Tlint"
        }
    done
}

libraries=$(cd "$builddir" && pwd)/lib/.libs
library=
for candidate in lib/libpolling.la libpolling.la; do
    [ -f "$builddir/$candidate" ] && library=$builddir/$candidate
done
runs=no
printf 'int main(void)\n{\n\treturn 42;\n}\n' >"$work/probe.c"
if compile "$work/probe" && $CC $CFLAGS $LDFLAGS -o "$work/probe$EXEEXT" \
    "$work/probe.o" 2>/dev/null; then
    run_limited "$work/probe$EXEEXT" /dev/null "$work/probe.got"
    [ $? -eq 42 ] && runs=yes
fi
[ "$runs" = yes ] ||
    echo "note: programs of $CC do not run here: the examples are not run"

check_pages
check_programs
check_lint

if [ "$failures" -ne 0 ]; then
    echo "$failures failures"
    exit 1
fi
if [ -z "$library" ]; then
    echo "SKIP: no libpolling.la in $builddir: $programs programs were" \
        "compiled, but neither linked nor run"
    exit 77
fi
[ "$left_out" -lt "$programs" ] || {
    echo "no program is left"
    exit 1
}
echo "$((programs - left_out)) of $programs programs, $(grep -c . "$work/functions") functions"
exit 0
