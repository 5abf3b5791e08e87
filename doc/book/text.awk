# SPDX-License-Identifier: MIT
#
# text.awk - makes HTML of the plain text that README, HACKING and their like
# are: headings with a line below, paragraphs, items, names with a text beside
# or below them, and what is to stay as it is. Goes after links.awk.
#
# The variables: only, a regular expression, chooses sections by their heading;
# news is 1 for NEWS, whose releases have no line below; images is a folder
# whose files NAME.svg are shown after the paragraph that names them, and the
# others at the end.
#
# The first heading is the title, which is the book's to print.

{
	sub(/[ \t\r]+$/, "")
	sub(/^\f/, "")
	while ((tab = index($0, "\t")) != 0)
		$0 = substr($0, 1, tab - 1) \
		    substr("        ", 1, 8 - (tab - 1) % 8) substr($0, tab + 1)
	line[NR] = $0
}

function indent(s) {
	match(s, /^ */)
	return RLENGTH
}

function is_heading(i) {
	return i < NR && line[i] ~ /^[^ ]/ && length(line[i + 1]) >= 3 && \
	    line[i + 1] ~ /^(==*|--*|~~*)$/
}

# The least indentation of some lines.
function base_of(i, j,    base) {
	base = indent(line[i])
	for (i++; i <= j; i++)
		if (indent(line[i]) < base)
			base = indent(line[i])
	return base
}

# A line that is no prose: it has columns.
function is_columns(s) {
	return s ~ /[^ ]   +[^ ]/
}

# Prose ends as sentences do; commands and tables do not.
function is_prose(i, j, base,    last) {
	for (; i <= j; i++)
		if (indent(line[i]) == base && !is_columns(line[i]))
			last = line[i]
	return last ~ /[.:;,?!]\)?$/
}

# Where the texts begin beside their names, or 0.
function text_column(i, j, base,    c, s, rest) {
	s = line[i]
	if (indent(s) != base || !match(substr(s, base + 1), /  +[^ ]/))
		return 0
	c = base + RSTART + RLENGTH - 1
	if (j == i)
		return 0
	for (; i <= j; i++) {
		s = line[i]
		rest = substr(s, c)
		if (rest ~ /^[^ #]/ && rest !~ /  / && \
		    (indent(s) == base || indent(s) == c - 1) && \
		    substr(s, c - 2, 2) ~ /^  $/)
			continue
		# The last one may be a row of names.
		if (i == j && indent(s) == base)
			continue
		return 0
	}
	return c
}

function names(i, j, c,    s, open) {
	print "<dl class=\"names\">"
	open = 0
	for (; i <= j; i++) {
		s = line[i]
		if (indent(s) < c - 1) {
			if (open)
				print "</dd>"
			open = substr(s, c - 1, 1) == " " && substr(s, c) ~ /^[^ ]/
			name = open ? substr(s, 1, c - 1) : s
			gsub(/^ +| +$/, "", name)
			print "<dt>" linked(name) "</dt>"
			if (!open)
				continue
			printf "<dd>"
		}
		print linked(substr(s, c))
	}
	if (open)
		print "</dd>"
	print "</dl>"
}

function preformatted(i, j,    base, k) {
	base = base_of(i, j)
	printf "<pre>"
	for (k = i; k <= j; k++)
		print linked_code(substr(line[k], base + 1))
	print "</pre>"
}

function paragraph(i, j) {
	print "<p>"
	for (; i <= j; i++)
		print linked(substr(line[i], indent(line[i]) + 1))
	print "</p>"
	return ""
}

# Prose with lines in it that are deeper, or have columns.
function prose(i, j, base,    k, literal) {
	while (i <= j) {
		literal = indent(line[i]) > base || is_columns(line[i])
		for (k = i; k < j && (indent(line[k + 1]) > base || \
		    is_columns(line[k + 1])) == literal; k++)
			;
		if (literal)
			preformatted(i, k)
		else
			paragraph(i, k)
		i = k + 1
	}
}

function is_item(s) {
	return s ~ /^ *([*-]|\([0-9]+\)|[0-9]+\.) +[^ ]/
}

function items(i, j,    base, tag, s) {
	base = indent(line[i])
	tag = line[i] ~ /^ *[0-9]/ ? "ol" : "ul"
	print "<" tag (line[i] ~ /^ *\(/ ? " class=\"notes\"" : "") ">"
	for (start = i; i <= j; i++) {
		s = line[i]
		if (indent(s) == base && is_item(s)) {
			if (i > start)
				print "</li>"
			printf "<li>"
			if (s !~ /^ *\(/)
				sub(/^ *([*-]|[0-9]+\.) +/, "", s)
		}
		sub(/^ */, "", s)
		print linked(s)
	}
	print "</li>\n</" tag ">"
}

# A table whose columns begin where those of its first line do. What is
# indented in the first column continues the row above.
function is_table(s) {
	return s ~ /^ *System +Backend +Compiled/
}
function table(i, j,    base, s, columns, from, c, cell, rows, r, at) {
	base = base_of(i, j)
	s = substr(line[i], base + 1)
	columns = 0
	at = 1
	while (match(s, /[^ ]+( [^ ]+)*/)) {
		from[++columns] = at + RSTART - 1
		at += RSTART + RLENGTH - 1
		s = substr(s, RSTART + RLENGTH)
	}
	rows = 0
	for (; i <= j; i++) {
		s = substr(line[i], base + 1)
		# A continuation keeps to its column, or has the line to itself.
		if (s ~ /^ / && substr(s, 1, from[2] - 1) ~ /[^ ]/) {
			gsub(/^ +/, "", s)
			cell[rows, 1] = cell[rows, 1] " " s
			continue
		}
		rows++
		for (c = 1; c <= columns; c++) {
			r = c < columns \
			    ? substr(s, from[c], from[c + 1] - from[c]) \
			    : substr(s, from[c])
			gsub(/^ +| +$/, "", r)
			cell[rows, c] = r
		}
	}
	print "<div class=\"scroll\"><table>"
	for (r = 1; r <= rows; r++) {
		printf "<tr>"
		for (c = 1; c <= columns; c++) {
			tag = r == 1 || (c == 1 && cell[r, c] != "") \
			    ? "th" : "td"
			printf "<%s>%s</%s>", tag, linked(cell[r, c]), tag
		}
		print "</tr>"
	}
	print "</table></div>"
}

function close_names() {
	if (in_names)
		print "</dd>\n</dl>"
	in_names = 0
}

function body(i, j,    base, c) {
	base = base_of(i, j)
	if (is_item(line[i]))
		items(i, j)
	else if ((c = text_column(i, j, base)) != 0)
		names(i, j, c)
	else if (is_prose(i, j, base))
		prose(i, j, base)
	else
		preformatted(i, j)
}

function block(i, j,    base, k) {
	base = base_of(i, j)
	if (base > 0 && in_names) {
		body(i, j)
		return
	}
	if (is_table(line[i])) {
		close_names()
		table(i, j)
	} else if (base > 0 || is_item(line[i])) {
		close_names()
		body(i, j)
	} else if (j > i && base_of(i + 1, j) > 0) {
		# A name or a title, and what belongs to it.
		base = base_of(i + 1, j)
		if (base >= 4) {
			if (in_names)
				print "</dd>"
			else
				print "<dl>"
			in_names = 1
			print "<dt>" linked(line[i]) "</dt>\n<dd>"
		} else {
			close_names()
			paragraph(i, i)
		}
		body(i + 1, j)
	} else {
		close_names()
		paragraph(i, j)
	}
}

# The plots that these lines name.
function plots(i, j,    k) {
	for (; i <= j; i++)
		for (k = 1; k <= image_count; k++)
			if (!shown[k] && index(line[i], image[k]) != 0)
				show(k)
}
function show(k,    name) {
	shown[k] = 1
	name = image[k]
	sub(/\.svg$/, "", name)
	gsub(/[-_]/, " ", name)
	print "<figure><img src=\"" image[k] "\" alt=\"Plot: " \
	    escaped(name) "\"/></figure>"
}

function heading(i,    mark, level) {
	mark = substr(line[i + 1], 1, 1)
	close_names()
	if (!titled++)
		return
	level = mark == "=" ? 2 : mark == "~" || deep ? 3 : 2
	deep = deep || mark == "="
	if (only != "")
		chosen = line[i] ~ ("^(" only ")$")
	# A section by itself is a page, which has its heading.
	if (chosen && (only == "" || index(only, "|")))
		printf "<h%d id=\"%s\">%s</h%d>\n", level, anchor(line[i]), \
		    linked(line[i]), level
}

END {
	image_count = 0
	if (images != "") {
		while ((("ls '" images "'") | getline name) > 0)
			if (name ~ /^[A-Za-z0-9._-]+\.svg$/)
				image[++image_count] = name
	}
	chosen = only == ""
	for (i = 1; i <= NR; i = j + 1) {
		j = i
		if (line[i] == "")
			continue
		if (is_heading(i)) {
			heading(i)
			j = i + 1
			continue
		}
		if (news && line[i] !~ /^ /) {
			close_names()
			if (line[i] ~ /^[0-9]/)
				print "<h2 id=\"" anchor(line[i]) "\">" \
				    escaped(line[i]) "</h2>"
			continue
		}
		while (j < NR && line[j + 1] != "" && !is_heading(j + 1))
			j++
		if (!chosen)
			continue
		block(i, j)
		plots(i, j)
	}
	close_names()
	for (i = 1; i <= image_count; i++)
		if (!shown[i])
			show(i)
}
