# SPDX-License-Identifier: GPL-2.0-only
"""Cells of a matrix go to other processes, and their faults with them."""

from __future__ import annotations

import pickle

from pykit.device import FAULTS
from pykit.matrix.execute.runnable import runnable
from pykit.matrix.plan.select import select


def test_faults_are_the_same_in_another_process() -> None:
    for fault in FAULTS.values():
        assert pickle.loads(pickle.dumps(fault)) is fault


def test_cells_of_all_faults_can_be_sent() -> None:
    for cell in select(["reactions"]):
        pickle.dumps(runnable(cell))
