# SPDX-License-Identifier: GPL-2.0-only
"""Matrices: many runs from one plan, each of them a `pykit run` of its own."""

from pykit.matrix.plan import KERNELS, Cell, Plan, plan_kernels, plan_loopback
from pykit.matrix.results import Matrix, Result, reasons, table
from pykit.matrix.run import run_plan

__all__ = [
    "KERNELS",
    "Cell",
    "Matrix",
    "Plan",
    "Result",
    "plan_kernels",
    "plan_loopback",
    "reasons",
    "run_plan",
    "table",
]
