# SPDX-License-Identifier: MIT
#
# manual.awk - makes what mandoc -T html -O fragment,man=%N.%S.html writes of
# one manual page a part of a page of the book: references lead to pages of the
# book or nowhere, headings are one level lower, and each function of SYNOPSIS
# has an anchor. Goes after links.awk.

{
	text = text $0 "\n"
}

# Opening tags are on one line or two.
function references(s,    out, tag, name) {
	out = ""
	while (match(s, /<a class="Xr"[^>]*>[^<]*<\/a>/)) {
		out = out substr(s, 1, RSTART - 1)
		tag = substr(s, RSTART, RLENGTH)
		s = substr(s, RSTART + RLENGTH)
		name = tag
		sub(/^<[^>]*>/, "", name)
		sub(/<.*/, "", name)
		out = out (name in target \
		    ? "<a class=\"Xr\" href=\"" target[name] "\">" name "</a>" \
		    : "<span class=\"Xr\">" name "</span>")
	}
	return out s
}

# The anchors that targets leads to.
function anchored(s,    out, from, to, name, tag) {
	from = index(s, "id=\"SYNOPSIS\"")
	to = index(substr(s, from), "</section>")
	out = substr(s, 1, from - 1)
	tail = substr(s, from + to - 1)
	s = substr(s, from, to - 1)
	tag = "<code class=\"Fn\">"
	while (match(s, /<code class="Fn">polling_[a-z_]*/)) {
		name = substr(s, RSTART + length(tag), RLENGTH - length(tag))
		out = out substr(s, 1, RSTART - 1) \
		    "<code class=\"Fn\" id=\"f." name "\">" name
		s = substr(s, RSTART + RLENGTH)
	}
	return out s tail
}

END {
	# What mandoc puts around the sections is the book's to put.
	first = index(text, "<section")
	if (first == 0) {
		print "book: this mandoc makes no sections" > "/dev/stderr"
		exit 1
	}
	text = substr(text, first)
	last = 0
	while ((i = index(substr(text, last + 1), "</section>")) != 0)
		last += i
	text = substr(text, 1, last + length("</section>") - 1)

	gsub(/<h2 /, "<h3 ", text)
	gsub(/<\/h2>/, "</h3>", text)
	gsub(/<h1 /, "<h2 ", text)
	gsub(/<\/h1>/, "</h2>", text)
	# Lines may be longer than a phone is wide.
	gsub(/[ \n]*style="white-space:[ \n]*nowrap;"/, "", text)
	# It would lead to the header itself.
	gsub(/<a class="In">polling\.h<\/a>/, "polling.h", text)
	gsub(/<table /, "<div class=\"scroll\"><table ", text)
	gsub(/<\/table>/, "</table></div>", text)
	print anchored(references(text))
}
