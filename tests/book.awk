# SPDX-License-Identifier: MIT
#
# book.awk - whether the pages of a book hold together: elements are nested and
# closed, anchors are there once, every link leads to a page and an anchor that
# are there, nothing is fetched or run, and no markup of what they were made of
# is left in them.
#
#     awk -f book.awk FOLDER/*.html
#
# Prints what is wrong and, last, how much it has looked at. FILES, separated
# by spaces, are what a page may refer to beside the pages: style sheet, plots.

function complain(what) {
	print name ": " what
	wrong++
}

function base(path) {
	sub(/.*\//, "", path)
	return path
}

# The value of an attribute in a tag, or "" without it.
function attribute(tag, which,    s) {
	if (!match(tag, "[ \n]" which "=\"[^\"]*\""))
		return ""
	s = substr(tag, RSTART, RLENGTH)
	sub(/^[^"]*"/, "", s)
	sub(/"$/, "", s)
	return s
}

# What is between two tags.
function look_at_text(s,    plain) {
	plain = s
	gsub(/&(amp|lt|gt|quot|#[0-9]+|#x[0-9A-Fa-f]+);/, "", plain)
	if (index(plain, "&"))
		complain("a bare &: " s)
	if (index(plain, ">"))
		complain("a bare >: " s)
	if (inside["pre"] || inside["code"] || inside["style"])
		return
	# roff: macros, escapes; of plain text: lines below headings, items.
	if (plain ~ /(^|\n)\.[A-Z][a-z]( |\n|$)/ || plain ~ /\\[-&(\[efq]/)
		complain("markup of a manual page: " s)
	if (plain ~ /(===|~~~|----)/ || plain ~ /``/ || plain ~ /\*\*/ || \
	    plain ~ /(^|\n) *\.\. [a-z]/)
		complain("markup of a text: " s)
}

function look_at_tag(tag,    element, id, link) {
	if (tag ~ /^<!/)
		return
	element = tag
	sub(/^<\/?/, "", element)
	sub(/[^a-z0-9].*/, "", element)
	if (tag ~ /^<\//) {
		if (depth == 0 || stack[depth] != element)
			complain("</" element "> closes <" stack[depth] ">")
		if (depth > 0)
			inside[stack[depth--]]--
		return
	}
	elements[element]++
	tags++
	if (tag !~ /\/>$/) {
		stack[++depth] = element
		inside[element]++
	} else if (element !~ /^(br|meta|link|img|hr)$/)
		complain("a " element " that closes itself")
	if (element ~ /^(script|iframe|object|embed|base|form|font)$/)
		complain("<" element ">")
	if (tag ~ /[ \n]on[a-z]+=/ || tag ~ /[ \n]style=/)
		complain("a script or a style in " tag)
	id = attribute(tag, "id")
	if (id != "") {
		if ((name, id) in anchor)
			complain("anchor " id " is there twice")
		anchor[name, id] = 1
	}
	link = attribute(tag, "href")
	if (link == "")
		link = attribute(tag, "src")
	if (link != "") {
		links++
		from[links] = name
		to[links] = link
	} else if (element == "a" || element == "img")
		complain("it leads nowhere: " tag)
}

function look_at(page,    s, i, k) {
	s = page
	depth = 0
	split("", inside)
	split("", elements)
	pages++
	if (s !~ /^<!DOCTYPE html>/)
		complain("no document type")
	while ((i = index(s, "<")) != 0) {
		look_at_text(substr(s, 1, i - 1))
		s = substr(s, i)
		k = index(s, ">")
		if (k == 0 || s !~ /^<[\/!a-z]/) {
			complain("a bare <: " substr(s, 1, 40))
			return
		}
		look_at_tag(substr(s, 1, k - 1) ">")
		s = substr(s, k + 1)
	}
	if (depth > 0)
		complain("<" stack[depth] "> is not closed")
	if (elements["h1"] != 1)
		complain(elements["h1"] + 0 " headings of the page")
	if (elements["title"] != 1)
		complain("no title")
	if (page !~ /name="viewport"/)
		complain("no viewport, for phones")
}

FNR == 1 && NR > 1 {
	look_at(text)
	text = ""
}
FNR == 1 {
	name = base(FILENAME)
	exists[name] = 1
}
{
	text = text $0 "\n"
}

END {
	look_at(text)
	count = split(FILES, file, " ")
	for (i = 1; i <= count; i++)
		exists[file[i]] = 1
	for (i = 1; i <= links; i++) {
		name = from[i]
		page = to[i]
		id = ""
		if ((k = index(page, "#")) != 0) {
			id = substr(page, k + 1)
			page = substr(page, 1, k - 1)
		}
		if (page == "")
			page = name
		if (!(page in exists))
			complain("a dead link: " to[i])
		else if (id != "" && !((page, id) in anchor))
			complain("a dead anchor: " to[i])
		if (page != name)
			reached[page] = 1
	}
	for (page in exists)
		if (!(page in reached)) {
			name = page
			complain("nothing leads to it")
		}
	print pages " pages, " tags " elements, " links " links, " \
	    wrong + 0 " faults"
	exit wrong != 0
}
