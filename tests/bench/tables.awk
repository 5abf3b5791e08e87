# SPDX-License-Identifier: MIT
#
# tables.awk - makes tables of what suite.c and timers.c have written: a table
# for each workload and kind of it, a line for each variant, a column for each
# figure and number of sources.
#
#     awk -F, -f tables.awk FILE.csv...
#
# They hold ratios to the first variant, which mean something on other machines
# too; of memory bytes.

FNR == 1 { next }

{
	table = $1 ($2 == "" ? "" : ", " $2)
	column = table SUBSEP $3 SUBSEP $5 SUBSEP $6
	line = table SUBSEP $7 SUBSEP $8 SUBSEP $9
	if (!(table in columns))
		tables[++table_count] = table
	if (!(column in number)) {
		number[column] = ++columns[table]
		figure[table, number[column]] = $3
		count[table, number[column]] = \
		    $5 == 0 ? "" : $6 == 0 ? $5 : $5 "/" $6
		if (columns[table] > 1 && $3 != figure[table, 1])
			several[table] = 1
	}
	if (!(line in seen)) {
		seen[line] = ++lines[table]
		name[table, lines[table]] = \
		    sprintf("%-10s %-7s %-7s", $7, $8, $9 ? "timeout" : "")
	}
	value[table, seen[line], number[column]] = \
	    $4 == "B" ? sprintf("%.1f", $10) : sprintf("%.2f", $13)
}

# Columns of several figures are numbered, and named above the table.
function head(table, i, text) {
	print ""
	print table ":" (several[table] ? "" : " " figure[table, 1])
	if (several[table])
		for (i = 1; i <= columns[table]; i++)
			print "  (" i ") " figure[table, i] \
			    (count[table, i] == "" ? "" : ", " count[table, i])
	text = sprintf("  %-26s", "")
	for (i = 1; i <= columns[table]; i++)
		text = text sprintf(" %8s", \
		    several[table] ? "(" i ")" : count[table, i])
	sub(/ +$/, "", text)
	if (text != "")
		print text
}

END {
	for (t = 1; t <= table_count; t++) {
		table = tables[t]
		head(table)
		for (l = 1; l <= lines[table]; l++) {
			text = "  " name[table, l]
			for (c = 1; c <= columns[table]; c++)
				text = text sprintf(" %8s", \
				    (table, l, c) in value \
				    ? value[table, l, c] : "")
			sub(/ +$/, "", text)
			print text
		}
	}
}
