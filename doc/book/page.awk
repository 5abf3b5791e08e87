# SPDX-License-Identifier: MIT
#
# page.awk - puts a page of the book together: head, what is on the page, the
# page itself, the pages before and after it, and the contents of the book.
#
# The variables: contents, a file with a line "GROUP|FILE|TITLE|SUBTITLE" for
# each page, in order; page, the FILE of this one; version.

{
	text = text $0 "\n"
}

function plain(s) {
	gsub(/<[^>]*>/, "", s)
	gsub(/[ \n]+/, " ", s)
	return s
}

# The headings of the page, but for those that every manual page has.
function headings(s,    tag, id, name, list, count, level) {
	while (match(s, /<h[23][^>]* id="[^"]*">/)) {
		tag = substr(s, RSTART, RLENGTH)
		s = substr(s, RSTART + RLENGTH)
		level = substr(tag, 3, 1)
		id = tag
		sub(/.* id="/, "", id)
		sub(/".*/, "", id)
		name = plain(substr(s, 1, index(s, "</h") - 1))
		list = list "<li class=\"l" level "\"><a href=\"#" id "\">" \
		    name "</a></li>\n"
		count++
	}
	return count < 4 ? "" : "<details class=\"toc\">\n" \
	    "<summary>On this page</summary>\n<ul>\n" list "</ul>\n</details>\n"
}

function step(i, relation, word) {
	return i < 1 || i > count ? "<span></span>" : \
	    "<a rel=\"" relation "\" href=\"" file[i] "\">" word title[i] "</a>"
}

END {
	count = 0
	while ((getline line < contents) > 0) {
		split(line, word, "|")
		group[++count] = word[1]
		file[count] = word[2]
		title[count] = word[3]
		subtitle[count] = word[4]
		if (file[count] == page)
			here = count
	}
	name = title[here]
	print "<!DOCTYPE html>"
	print "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>"
	print "<meta name=\"viewport\"" \
	    " content=\"width=device-width, initial-scale=1\"/>"
	print "<meta name=\"color-scheme\" content=\"light dark\"/>"
	print "<title>" name (here == 1 ? " " version : " - libpolling") \
	    "</title>"
	print "<link rel=\"stylesheet\" href=\"book.css\"/>\n</head>\n<body>"
	print "<header><a class=\"title\" href=\"index.html\">libpolling " \
	    version "</a> <a class=\"jump\" href=\"#contents\">Contents</a>" \
	    "</header>"
	print "<main id=\"top\">\n<h1>" \
	    (here == 1 ? "libpolling" : name) "</h1>"
	if (subtitle[here] != "")
		print "<p class=\"subtitle\">" subtitle[here] "</p>"
	printf "%s%s", headings(text), text
	print "<nav class=\"steps\">" step(here - 1, "prev", "&#8592; ") " " \
	    step(here + 1, "next", "&#8594; ") "</nav>\n</main>"
	print "<nav class=\"contents\" id=\"contents\" aria-label=\"Contents\">"
	for (i = 1; i <= count; i++) {
		if (i == 1 || group[i] != group[i - 1])
			print (i == 1 ? "" : "</ul>\n") \
			    "<p>" group[i] "</p>\n<ul>"
		print "<li><a href=\"" file[i] "\"" \
		    (i == here ? " aria-current=\"page\"" : "") ">" title[i] \
		    "</a></li>"
	}
	print "</ul>\n</nav>\n</body>\n</html>"
}
