# SPDX-License-Identifier: GPL-2.0-only
"""Drive a device without a guest: a virtio driver in Python, its cases, and what they showed."""

from pykit.drive.cases import Case, CaseRow, expand, read_rows
from pykit.drive.conforming import Deviation
from pykit.drive.emulated import kind_of as emulated_kind
from pykit.drive.every import DrivenOne, EveryResult, drive_every
from pykit.drive.outcome import CaseOutcome
from pykit.drive.run import DriveResult, Target, drive
from pykit.drive.session import CaseResult

__all__ = [
    "Case",
    "CaseOutcome",
    "CaseResult",
    "CaseRow",
    "Deviation",
    "DriveResult",
    "DrivenOne",
    "EveryResult",
    "Target",
    "drive",
    "drive_every",
    "emulated_kind",
    "expand",
    "read_rows",
]
