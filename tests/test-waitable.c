/* SPDX-License-Identifier: MIT */
#include "harness.h"
void
add_waitable(Suite *s)
{
	(void)s;
}
