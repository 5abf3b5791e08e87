/* SPDX-License-Identifier: MIT */
/*
 * cost-run.c - runs one scene of cost.c, for tools that count.
 *
 *     cost-run SCENE ROUNDS
 */
#include "cost.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	const struct scene *s = argc == 3 ? find_scene(argv[1]) : NULL;

	if (s == NULL) {
		fprintf(stderr, "usage: cost-run SCENE ROUNDS\n");
		return 2;
	}
	s->open();
	for (long i = strtol(argv[2], NULL, 10); i > 0; i--)
		s->round();
	close_scene();
	return 0;
}
