# SPDX-License-Identifier: GPL-2.0-only
"""Families of scenarios: expanded, run, recorded."""

from pykit.families.planfile import PlanFile, Planned, plan_hash
from pykit.families.record import Record, RuleResult, read_journal

__all__ = ["PlanFile", "Planned", "Record", "RuleResult", "plan_hash", "read_journal"]
