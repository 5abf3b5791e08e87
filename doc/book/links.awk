# SPDX-License-Identifier: MIT
#
# links.awk - what the other files of the book share: text into HTML, and names
# of pages and functions into links. The variable targets names a file with a
# line "NAME TARGET" for each; a NAME is polling_add(3) or polling_add().

BEGIN {
	while ((getline entry < targets) > 0) {
		split(entry, word, " ")
		target[word[1]] = word[2]
	}
	close(targets)
}

function escaped(s) {
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	gsub(/>/, "\\&gt;", s)
	return s
}

# Of running text: polling_add(3) and polling_add().
function linked(s,    out, name) {
	s = escaped(s)
	out = ""
	while (match(s, /polling[a-z_]*\([37]?\)/)) {
		name = substr(s, RSTART, RLENGTH)
		out = out substr(s, 1, RSTART - 1)
		out = out (name in target \
		    ? "<a href=\"" target[name] "\">" name "</a>" : name)
		s = substr(s, RSTART + RLENGTH)
	}
	return out s
}

# Of C: the calls.
function linked_code(s,    out, name) {
	s = escaped(s)
	out = ""
	while (match(s, /polling_[a-z_]*\(/)) {
		name = substr(s, RSTART, RLENGTH - 1)
		out = out substr(s, 1, RSTART - 1)
		out = out (name "()" in target \
		    ? "<a href=\"" target[name "()"] "\">" name "</a>" : name)
		out = out "("
		s = substr(s, RSTART + RLENGTH)
	}
	return out s
}

# An anchor for a heading, which no other on the page has.
function anchor(s,    id) {
	id = tolower(s)
	gsub(/[^a-z0-9]+/, "-", id)
	sub(/^-/, "", id)
	sub(/-$/, "", id)
	if (id == "" || id ~ /^[0-9]/)
		id = "s-" id
	if (id in anchors)
		return id "-" ++anchors[id]
	anchors[id] = 1
	return id
}
