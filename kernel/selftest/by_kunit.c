// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs and reports the cases by KUnit. Built where the kernel has it, see Kbuild.
 */
#include <kunit/test.h>

#include "selftest.h"

/**
 * selftest_failed() - report a check that does not hold
 * @t: the test
 * @what: the check
 * @file: its source file
 * @line: its line
 */
void selftest_failed(struct selftest *t, const char *what, const char *file,
		     int line)
{
	struct kunit *kunit = t->report;

	KUNIT_FAIL(kunit, "%s: %s (%s:%d)\n", selftest_ring_name(t), what,
		   kbasename(file), line);
}

/**
 * selftest_skip() - report that a case cannot be run
 * @t: the test
 * @why: what is missing
 */
void selftest_skip(struct selftest *t, const char *why)
{
	struct kunit *kunit = t->report;

	kunit_mark_skipped(kunit, "%s", why);
}

/* The name of a case in KUnit's report. */
static void selftest_describe(const struct selftest_case *what, char *to)
{
	strscpy(to, what->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(cases, selftest_cases, selftest_describe);

static void selftest_every_ring(struct kunit *kunit)
{
	if (selftest_wanted)
		selftest_run_case(kunit, kunit->param_value);
	else
		kunit_mark_skipped(kunit, "not asked for");
}

static struct kunit_case kunit_cases[] = {
	KUNIT_CASE_PARAM(selftest_every_ring, cases_gen_params),
	{ }
};

static struct kunit_suite suite = {
	.name = SELFTEST_SUITE,
	.test_cases = kunit_cases,
};

/* KUnit runs it as soon as the module is there. */
kunit_test_suite(suite);

/**
 * selftest_run_all() - KUnit has run the cases already
 */
void selftest_run_all(void)
{
}
