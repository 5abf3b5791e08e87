/* SPDX-License-Identifier: MIT */
/*
 * Scenes whose cost is looked at: in system calls by cost-calls.c, and in
 * instructions by cost-run.c and cost-instructions.sh.
 */
#ifndef TESTS_COST_H
#define TESTS_COST_H

struct scene {
	const char *name;
	void (*open)(void);
	void (*round)(void); /* again and again the same */
	int events;          /* that a round brings, or what else is counted */
	int own_calls;       /* system calls of a round that are not the
			      * library's */
};

/* All of them; one without a name is the last. */
extern const struct scene scenes[];

/* NULL if there is none of this name. */
const struct scene *find_scene(const char *name);

void close_scene(void);

#endif /* TESTS_COST_H */
