# SPDX-License-Identifier: GPL-2.0-only
"""Compare two matrices or runs, and merge the shards of one matrix."""
