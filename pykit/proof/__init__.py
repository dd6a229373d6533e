# SPDX-License-Identifier: GPL-2.0-only
"""Runs without a guest in which a deliberate fault makes the rules fail that name it.

The faults are those of `pykit device`, those that are made in the registers of QEMU's devices or in
what these return, and the rows of cases/ by which our driver breaks a rule. Each run leaves a
capture, which is judged as any other.
"""

from pykit.proof.faults import DrivenFault, driven_faults
from pykit.proof.run import run_fault, run_faults

__all__ = ["DrivenFault", "driven_faults", "run_fault", "run_faults"]
