# SPDX-License-Identifier: GPL-2.0-only
"""Matrices: many runs from one plan, each of them a `pykit run` of its own."""

from pykit.matrix.conformance import as_markdown, exit_code, run_conformance
from pykit.matrix.plan import KERNELS, Cell, Plan, plan_kernels, plan_loopback
from pykit.matrix.results import Matrix, Result, reasons, table
from pykit.matrix.run import run_plan

__all__ = [
    "KERNELS",
    "Cell",
    "Matrix",
    "Plan",
    "Result",
    "as_markdown",
    "exit_code",
    "plan_kernels",
    "plan_loopback",
    "reasons",
    "run_conformance",
    "run_plan",
    "table",
]
