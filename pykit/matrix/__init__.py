# SPDX-License-Identifier: GPL-2.0-only
"""Matrices: many runs from one plan, of which a single run is the smallest."""

from pykit.matrix.plan.planfile import PlanFile, PlannedCell, plan_hash
from pykit.matrix.record import CellRecord, RuleResult, read_journal

__all__ = ["CellRecord", "PlanFile", "PlannedCell", "RuleResult", "plan_hash", "read_journal"]
