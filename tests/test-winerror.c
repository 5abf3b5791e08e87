/* SPDX-License-Identifier: MIT */
#include "harness.h"
void
add_winerror(Suite *s)
{
	(void)s;
}
