# SPDX-License-Identifier: MIT
#
# code.awk - C as HTML, its calls of the library leading to their pages. Goes
# after links.awk.

{
	print linked_code($0)
}
