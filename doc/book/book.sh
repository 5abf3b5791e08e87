#!/bin/sh
# SPDX-License-Identifier: MIT
#
# book.sh - makes one HTML book of the manual pages, the texts and the examples,
# for make html. The folder must be new or one that it has made.
#
#     srcdir=... MANDOC=mandoc AWK=awk VERSION=1.0.0 sh book.sh FOLDER
#
# A page of the book is a page of the manual, a text or part of one, or an
# example. They are listed once, below, in the order of the book. Everything is
# derived from files that have another use, but for `start', so that nothing can
# become stale: contents and texts are those of the tree.

set -eu
LC_ALL=C # for the order of names
export LC_ALL
srcdir=${srcdir:-.}
MANDOC=${MANDOC:-mandoc}
AWK=${AWK:-awk}
version=${VERSION:-}
folder=${1:?FOLDER}
doc=$srcdir/doc
book=$doc/book

if [ -e "$folder" ] && ! [ -f "$folder/book.css" ]; then
    echo "book.sh: $folder is there and is no book" >&2
    exit 1
fi
# Beside the folder, so that it can be moved there when it is whole.
new=$folder.new
work=$folder.tmp
rm -rf "$new" "$work"
mkdir -p "$new" "$work"
trap 'rm -rf "$new" "$work"' EXIT
trap 'exit 1' HUP INT TERM

# page GROUP FILE TITLE [SUBTITLE]: the next page.
: >"$work/contents"
page() {
    echo "$1|$2|$3|${4-}" >>"$work/contents"
}

# manual GROUP NAME.SECTION...
manual() {
    group=$1
    shift
    for name in "$@"; do
        page "$group" "$name.html" "${name%.*}(${name##*.})" \
            "$(sed -n 's/^\.Nd //p' "$doc/$name")"
    done
}

# What a stub leads to.
leads_to() {
    sed -n 's|^\.so man[1-9]/||p' "$1"
}

page Start index.html libpolling
page Start building.html 'Building it' \
    'From a clone or an archive, and for Windows'
for file in "$doc"/*.7; do
    manual Concepts "${file##*/}"
done
: >"$work/pages"
for file in "$doc"/*.3; do
    [ -n "$(leads_to "$file")" ] || echo "${file##*/}" >>"$work/pages"
done
# In the order of use; a page that is new comes after them.
ordered='polling_create.3 polling_add.3 polling_wait.3 polling_notify.3
polling_post.3 polling_add_timer.3 polling_add_signal.3 polling_add_process.3
polling_get_fd.3 polling_reinit.3 polling_supports.3 polling_add_waitable.3
polling_get_handle.3'
for name in $ordered $(cat "$work/pages"); do
    grep -qx "$name" "$work/pages" || continue
    manual Functions "$name"
    grep -vx "$name" "$work/pages" >"$work/rest" || :
    mv "$work/rest" "$work/pages"
done
page Examples examples.html Examples 'Small complete programs'
# Not what a build has left beside them.
examples=$(cd "$doc/examples" && for source in *.*; do
    case $source in
    *.c | *.cc | *.h | *.sh) echo "$source" ;;
    esac
done)
for name in $examples; do
    page Examples "$name.html" "$name"
done
page 'The library' systems.html Systems 'Where it was compiled, linked and run'
page 'The library' performance.html Performance 'What an event costs'
page 'The library' security.html Security \
    'What is promised where input is hostile'
page 'The library' hacking.html 'A tour of the source' \
    'How it keeps its promises, and how to change it'
page 'The library' news.html News 'What changed, for users'

# Where names lead: the first line of a name counts, and each page leads to
# itself.
{
    for file in "$doc"/*.[37]; do
        name=${file##*/}
        title="${name%.*}(${name##*.})"
        target=$(leads_to "$file")
        if [ -z "$target" ]; then
            echo "$title $name.html"
        else
            echo "$title $target.html#f.${name%.*}"
        fi
        case $name in
        *.3) echo "${name%.*}() ${target:-$name}.html#f.${name%.*}" ;;
        esac
    done
} >"$work/targets"

# part SCRIPT [NAME=VALUE...] FILE: what the script makes of it.
part() {
    script=$1
    shift
    "$AWK" -v targets="$work/targets" -f "$book/links.awk" -f "$book/$script" \
        "$@"
}

# finish FILE: puts the page from standard input together.
finish() {
    "$AWK" -v contents="$work/contents" -v page="$1" -v version="$version" \
        -f "$book/page.awk" >"$new/$1"
}

# section NAME: of README.
section() {
    part text.awk only="$1" "$srcdir/README"
}

# The functions and what each page says that they do.
list_functions() {
    echo '<h2 id="functions">All functions</h2>'
    echo '<ul class="functions">'
    sed -n 's/^\(polling[a-z_]*\)() \(.*\)/\1 \2/p' "$work/targets" |
        while read -r function target; do
            echo "<li><a href=\"$target\"><code>$function</code></a></li>"
        done
    echo '</ul>'
}

# The book's own contents, with what each page is about.
table_of_contents() {
    echo '<h2 id="book">In this book</h2>'
    # shellcheck disable=SC2016 # awk's
    "$AWK" -F'|' '
        NR == 1 || ($1 == "Examples" && $2 != "examples.html") { next }
        $1 != group {
            print (group == "" ? "" : "</ul>") "<h3>" $1 "</h3>\n<ul>"
            group = $1
        }
        { print "<li><a href=\"" $2 "\">" $3 "</a>" \
            ($4 == "" ? "" : ": " $4) "</li>" }
        END { print "</ul>" }' "$work/contents"
}

start() {
    part text.awk "$book/start"
    # README's program, which tests/manual.sh compiles and runs.
    "$AWK" '/^    #include/ { inside = 1 }
        inside { print }
        inside && /^    }/ { exit }' "$srcdir/README" >"$work/program.c"
    sed 's/^    //' "$work/program.c" | example_source
    echo '<p>The event has disarmed the source; <a'
    echo 'href="polling_add.3.html#f.polling_modify">polling_modify()</a>'
    echo 'would arm it again.</p>'
    table_of_contents
    list_functions
}

# C as it is, with links.
example_source() {
    printf '<pre>'
    part code.awk
    echo '</pre>'
}

performance() {
    if [ -f "$doc/performance/README" ]; then
        for plot in "$doc"/performance/*.svg; do
            [ ! -f "$plot" ] || cp "$plot" "$new"
        done
        part text.awk images="$doc/performance" "$doc/performance/README"
        for table in "$doc"/performance/*.txt; do
            [ -f "$table" ] || continue
            printf '<h2 id="%s">%s</h2>\n<pre>' "${table##*/}" "${table##*/}"
            part code.awk "$table"
            echo '</pre>'
        done
    else
        echo '<p>This release brings no measurements along. On Linux'
        echo '<code>make bench</code> in the build folder makes them, beside'
        echo 'a loop written by hand over epoll and the other libraries that'
        echo 'configure has found; see <a href="hacking.html#how-to">A tour of'
        echo 'the source</a>.</p>'
    fi
}

# One page, by its name.
write() {
    case $1 in
    index.html) start ;;
    building.html) section 'Try it, build it|Windows|Licence' ;;
    systems.html) section Systems ;;
    examples.html)
        section Examples >"$work/list"
        # Each file there is a page here.
        file='[a-z-]*\.[a-z]*'
        sed "s|<dt>\($file\)</dt>|<dt><a href=\"\1.html\">\1</a></dt>|" \
            "$work/list"
        echo '<p>Beside them:'
        for source in $examples; do
            grep -q "<dt>$source</dt>" "$work/list" ||
                echo "<a href=\"$source.html\">$source</a>"
        done
        echo '</p>'
        ;;
    performance.html) performance ;;
    security.html) part text.awk "$srcdir/SECURITY" ;;
    hacking.html) part text.awk "$srcdir/HACKING" ;;
    news.html) part text.awk news=1 "$srcdir/NEWS" ;;
    polling*.[37].html)
        "$MANDOC" -T html -O fragment,man=%N.%S.html "$doc/${1%.html}" \
            >"$work/mandoc"
        part manual.awk "$work/mandoc"
        ;;
    *) example_source <"$doc/examples/${1%.html}" ;;
    esac
}

while IFS='|' read -r group name rest; do
    write "$name" >"$work/part" </dev/null
    finish "$name" <"$work/part"
done <"$work/contents"
cp "$book/book.css" "$new"
# Gone only now, so that a book that fails leaves the last one.
rm -rf "$folder"
mv "$new" "$folder"
