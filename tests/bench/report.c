/* SPDX-License-Identifier: MIT */
/*
 * report.c - medians and ratios, as a table and as CSV.
 */
#include "report.h"

#include "measure.h"

#include <stdio.h>
#include <string.h>

static FILE *csv;

static const char header[] =
    "workload,detail,figure,unit,sources,active,variant,mode,timeout,"
    "median,low,high,ratio,mode_ratio,rounds\n";

void
report_open(const char *path, bool append)
{
	if (path == NULL)
		return;
	csv = fopen(path, append ? "ae" : "we");
	if (csv == NULL)
		die(path);
	if (!append)
		fputs(header, csv);
}

void
report_close(void)
{
	if (csv != NULL && fclose(csv) != 0)
		die("the file of results");
	csv = NULL;
}

static double
quantile_of(const struct series *s, int rounds, double share)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, s->values, (size_t)rounds * sizeof *sorted);
	return quantile(sorted, (size_t)rounds, share);
}

/* Zero if there is nothing to compare with: a loop written by hand takes no
 * memory, or a few bytes for all sources. */
static double
ratio(const struct series *s, const struct series *base, int rounds)
{
	double quotients[ROUNDS_MAX];

	for (int r = 0; r < rounds; r++) {
		if (base->values[r] < 1)
			return 0;
		quotients[r] = s->values[r] / base->values[r];
	}
	return quantile(quotients, (size_t)rounds, .5);
}

static void
print_ratio(double value)
{
	if (value == 0)
		printf(" %8s", "-");
	else
		printf(" %8.3f", value);
}

static void
print_head(const struct figure *f, const struct series *s)
{
	printf("\n%s", f->workload);
	if (*f->detail != '\0')
		printf(", %s", f->detail);
	if (f->sources != 0)
		printf(", %zu sources", f->sources);
	if (f->active != 0)
		printf(", %zu active", f->active);
	printf(": %s\n", f->name);
	printf("  %-12s %-8s %-8s %11s %-5s %8s %8s\n", "", "", "", "median",
	    "", s->name, "its mode");
}

double
series_median(const struct series *s, int rounds)
{
	return quantile_of(s, rounds, .5);
}

void
report_write(
    const struct figure *f, const struct series *s, size_t count, int rounds)
{
	if (csv == NULL)
		return;
	for (size_t v = 0; v < count; v++) {
		fprintf(csv, "%s,%s,%s,%s,%zu,%zu,", f->workload, f->detail,
		    f->name, f->unit, f->sources, f->active);
		fprintf(csv, "%s,%s,%d,%g,%g,%g,%.4f,%.4f,%d\n", s[v].name,
		    s[v].mode, s[v].timeout, series_median(&s[v], rounds),
		    quantile_of(&s[v], rounds, .25),
		    quantile_of(&s[v], rounds, .75),
		    ratio(&s[v], &s[0], rounds),
		    ratio(&s[v], &s[s[v].base], rounds), rounds);
	}
	fflush(csv);
}

void
report_figure(
    const struct figure *f, const struct series *s, size_t count, int rounds)
{
	print_head(f, s);
	for (size_t v = 0; v < count; v++) {
		printf("  %-12s %-8s %-8s %11.1f %-5s", s[v].name, s[v].mode,
		    s[v].timeout ? "timeout" : "", series_median(&s[v], rounds),
		    f->unit);
		print_ratio(ratio(&s[v], &s[0], rounds));
		print_ratio(ratio(&s[v], &s[s[v].base], rounds));
		printf("\n");
	}
	fflush(stdout);
	report_write(f, s, count, rounds);
}

void
take_turns(size_t variants, int rounds, void (*measure)(size_t v, int r))
{
	for (int r = 0; r < rounds; r++)
		for (size_t i = 0; i < variants; i++)
			measure((i + (size_t)r) % variants, r);
}
