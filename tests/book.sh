#!/bin/sh
# SPDX-License-Identifier: MIT
#
# book.sh - the manual as a book of HTML: make install-html makes and installs
# it; its pages hold together, which book.awk looks at; every public function,
# manual page and example is in it; texts and examples are in it to the last
# character; the page about performance has the plots that are there; make
# uninstall takes it away; and without mandoc make html fails and says why.
#
# From the environment: srcdir, MAKE, AWK, MANDOC. Exit status: 0, 1, or 77
# without mandoc, so that only the last was tried.

set -eu
LC_ALL=C # for ranges of letters
export LC_ALL
srcdir=${srcdir:-.}
MAKE=${MAKE:-make}
AWK=${AWK:-awk}
MANDOC=${MANDOC-mandoc}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/book.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
# The flags of the outer make would reach this one.
unset MAKEFLAGS MFLAGS MAKELEVEL

failures=0
fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

if $MAKE html MANDOC= >"$scratch/log" 2>&1; then
    fail "without mandoc make html says that all is well"
elif ! grep -q 'needs mandoc' "$scratch/log"; then
    cat "$scratch/log"
    fail "without mandoc make html does not say what it needs"
fi
if [ -z "$MANDOC" ]; then
    [ "$failures" = 0 ] || exit 1
    echo "SKIP: configure found no mandoc (1.14.6 or later)"
    exit 77
fi

# consistent FOLDER: whether the pages hold together.
consistent() {
    others=$(cd "$1" && ls -- *.css *.svg 2>/dev/null) || :
    "$AWK" -v FILES="$(echo "$others" | tr '\n' ' ')" \
        -f "$srcdir/tests/book.awk" "$1"/*.html ||
        fail "the book's pages do not hold together"
    if grep -qE 'https?:|url\(|@import' "$1/book.css" "$1/index.html"; then
        fail "the book fetches something"
    fi
}

# text PAGE: what can be read there, between its heading and what follows.
text() {
    awk '/<main/ { inside = 1 }
        /<nav class="steps"/ { exit }
        /<details/ { skip = 1 }
        inside && !skip { gsub(/.*<h1>.*<\/h1>|<p class="subtitle">.*/, "")
            print }
        /<\/details>/ { skip = 0 }' "$1" | plain
}
plain() {
    sed 's/<[^>]*>//g; s/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&amp;/\&/g'
}
# What text.awk leaves out: white space, lines below headings, signs of items.
squeezed() {
    tr -d ' \t\n*=~.0-9-'
}

$MAKE install-html DESTDIR="$scratch/root" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    fail "make install-html"
    exit 1
}
index=$(find "$scratch/root" -name index.html)
if [ ! -f "$index" ]; then
    fail "no start page was installed"
    exit 1
fi
folder=${index%/*}
consistent "$folder"

for file in "$srcdir"/doc/*.[1-9]; do
    name=${file##*/}
    page=$folder/$name.html
    grep -q '^\.so ' "$file" && continue
    if [ ! -f "$page" ]; then
        fail "$name is not in the book"
        continue
    fi
    grep -q "href=\"$name.html\"" "$index" || fail "the start page lacks $name"
    # Its sections, which may be on two lines there.
    tr '\n' ' ' <"$page" | plain | tr -s ' ' >"$scratch/plain"
    sed -n 's/^\.S[hs] //p' "$file" >"$scratch/sections"
    while read -r section; do
        grep -qF "$section" "$scratch/plain" || fail "$name lacks $section"
    done <"$scratch/sections"
done

# As the header of a system sees it; Windows has some more.
{
    sed -n 's/.*POLLING_API.*[ *]\(polling_[a-z_]*\)(.*/\1/p' \
        "$srcdir/include/polling.h"
    sed -n 's/^[	 ]*\(polling_[a-z_]*\);.*/\1/p' "$srcdir"/lib/*.map
} | sort -u >"$scratch/functions"
count=0
while read -r name; do
    count=$((count + 1))
    places=$(cat "$folder"/*.html | grep -c "id=\"f.$name\"") || :
    [ "$places" = 1 ] || fail "$name is described $places times"
    grep -q "<code>$name</code></a>" "$index" ||
        fail "the start page lacks $name"
done <"$scratch/functions"
[ "$count" -ge 20 ] || fail "only $count functions were found"

for file in "$srcdir"/doc/examples/*.*; do
    case $file in
    *.c | *.cc | *.h | *.sh) ;;
    *) continue ;; # of a build in the tree
    esac
    page=$folder/${file##*/}.html
    if [ ! -f "$page" ]; then
        fail "${file##*/} is not in the book"
        continue
    fi
    awk '/<main/ { inside = 1 }
        /^<\/pre>/ { exit }
        inside && sub(/.*<pre>/, "") { begun = 1 }
        begun { print }' "$page" | plain | cmp -s - "$file" ||
        fail "${file##*/} is not in the book as it is"
done
for name in HACKING SECURITY; do
    page=$folder/$(echo $name | tr '[:upper:]' '[:lower:]').html
    text "$page" | squeezed >"$scratch/got"
    tail -n +3 "$srcdir/$name" | squeezed >"$scratch/expected"
    cmp "$scratch/got" "$scratch/expected" ||
        fail "$name is not in the book as it is"
done
text "$folder/news.html" | squeezed >"$scratch/got"
tail -n +2 "$srcdir/NEWS" | squeezed | cmp "$scratch/got" - ||
    fail "NEWS is not in the book as it is"
rows=$(grep -c '<tr>' "$folder/systems.html") || :
[ "$rows" -ge 15 ] || fail "the table of systems has $rows lines"

# The page about performance, with and without what it is made of.
for part in doc doc/book doc/examples; do
    mkdir -p "$scratch/source/$part"
done
(
    cd "$srcdir"
    cp README HACKING SECURITY NEWS "$scratch/source"
    cp doc/*.[1-9] "$scratch/source/doc"
    cp doc/book/* "$scratch/source/doc/book"
    cp doc/examples/*.c doc/examples/*.cc doc/examples/*.h doc/examples/*.sh \
        "$scratch/source/doc/examples"
)
# make distcheck has a source that is not to be written to.
chmod -R u+w "$scratch/source"
# As after a build in the tree.
for left in timers timers.o timers.exe; do
    echo '<binary>' >"$scratch/source/doc/examples/$left"
done
export MANDOC AWK
# book FOLDER
book() {
    (cd "$scratch/source" && srcdir=. VERSION=1 sh doc/book/book.sh "$1")
}
book "$scratch/book"
for left in timers.o timers.exe; do
    [ ! -e "$scratch/book/$left.html" ] ||
        fail "$left, which is no source, has a page"
done
grep -q 'make bench' "$scratch/book/performance.html" ||
    fail "without measurements the book does not tell how to make some"
mkdir "$scratch/source/doc/performance"
cat >"$scratch/source/doc/performance/README" <<'END'
Performance
===========

Some < words & more.

What it costs
-------------

The first plot, chain.svg, is here.

chain, of one: time
                                 1/1      2/1
  epoll      level             1.00     1.00
  libpolling level   timeout   1.05     1.01
END
for plot in chain left-over; do
    echo '<svg xmlns="http://www.w3.org/2000/svg"/>' \
        >"$scratch/source/doc/performance/$plot.svg"
done
printf 'a < b\n  1.00\n' >"$scratch/source/doc/performance/tables.txt"
book "$scratch/book"
consistent "$scratch/book"
page=$scratch/book/performance.html
named='chain.svg, is here.|</p>|<figure><img src="chain.svg"'
tr '\n' '|' <"$page" | grep -q "$named" ||
    fail "a plot is not where it is named"
grep -q '<img src="left-over.svg" alt="Plot: left over"/>' "$page" ||
    fail "a plot that nothing names is not shown"
grep -q '^libpolling level   timeout   1.05     1.01$' "$page" ||
    fail "a table is not as it was"
tr '\n' '|' <"$page" |
    grep -q '>tables.txt</h2>|<pre>a &lt; b|  1.00|</pre>' ||
    fail "the tables beside the text are not there"
grep -q 'Some &lt; words &amp; more' "$page" || fail "the text is not there"

# What is no book stays.
mkdir "$scratch/other"
echo keep >"$scratch/other/file"
book "$scratch/other" 2>/dev/null && fail "another folder became a book"
[ -f "$scratch/other/file" ] || fail "another folder was replaced"

pages=$(find "$folder" -name '*.html' | grep -c .)
$MAKE uninstall DESTDIR="$scratch/root" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    fail "make uninstall"
}
left=$(find "$scratch/root" ! -type d)
[ -z "$left" ] || fail "make uninstall leaves of the book: $left"

if [ "$failures" -ne 0 ]; then
    echo "$failures failures"
    exit 1
fi
echo "$count functions, $pages pages"
