# SPDX-License-Identifier: GPL-2.0-only
"""Matrices: many runs from one plan, each of them a `pykit run` of its own."""

from pykit.matrix.kernels import KERNELS, run_kernels
from pykit.matrix.plan import Cell, chosen, plan_kernels
from pykit.matrix.results import Matrix, Result, reasons, table

__all__ = [
    "KERNELS",
    "Cell",
    "Matrix",
    "Result",
    "chosen",
    "plan_kernels",
    "reasons",
    "run_kernels",
    "table",
]
