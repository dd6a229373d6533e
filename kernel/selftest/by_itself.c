// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the cases and reports them in KTAP, as KUnit would, in a kernel without it.
 */
#include <linux/printk.h>
#include <linux/string.h>

#include "selftest.h"

struct selftest_report {
	bool failed;
	const char *skipped;
};

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
	struct selftest_report *report = t->report;

	report->failed = true;
	pr_info("    # %s: %s (%s:%d)\n", selftest_ring_name(t), what, kbasename(file),
		line);
}

/**
 * selftest_skip() - report that a case cannot be run
 * @t: the test
 * @why: what is missing
 */
void selftest_skip(struct selftest *t, const char *why)
{
	((struct selftest_report *)t->report)->skipped = why;
}

/**
 * selftest_run_all() - run the cases, and print the report that KUnit would print
 */
void selftest_run_all(void)
{
	unsigned int i, failed = 0, skipped = 0, total = SELFTEST_CASES;

	pr_info("KTAP version 1\n");
	pr_info("1..1\n");
	pr_info("    KTAP version 1\n");
	pr_info("    # Subtest: " SELFTEST_SUITE "\n");
	pr_info("    1..%u\n", total);
	for (i = 0; i < total; i++) {
		struct selftest_report report = { };

		selftest_run_case(&report, &selftest_cases[i]);
		failed += report.failed;
		skipped += !!report.skipped;
		if (report.skipped)
			pr_info("    ok %u %s # SKIP %s\n", i + 1,
				selftest_cases[i].name, report.skipped);
		else
			pr_info("    %sok %u %s\n", report.failed ? "not " : "",
				i + 1, selftest_cases[i].name);
	}
	pr_info("# Totals: pass:%u fail:%u skip:%u total:%u\n",
		total - failed - skipped, failed, skipped, total);
	pr_info("%sok 1 " SELFTEST_SUITE "\n", failed ? "not " : "");
}
