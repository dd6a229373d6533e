# SPDX-License-Identifier: GPL-2.0-only
"""Print pykit/spec/data/cases.tsv."""

from tests.spec.cases.base import as_table

print(as_table(), end="")
