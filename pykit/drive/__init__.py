# SPDX-License-Identifier: GPL-2.0-only
"""Drive a device without a guest: a virtio driver in Python, its cases, and what they showed."""

from pykit.drive.cases import Tables, expand, read_tables
from pykit.drive.conforming import Deviation
from pykit.drive.emulated import kind_of as emulated_kind
from pykit.drive.every import DrivenOne, EveryResult, drive_every
from pykit.drive.kinds import Kind, kind_of
from pykit.drive.outcome import CaseOutcome
from pykit.drive.rows import AnyCase, TableRow
from pykit.drive.run import DriveResult, Target, drive
from pykit.drive.runner import CaseResult

__all__ = [
    "AnyCase",
    "CaseOutcome",
    "CaseResult",
    "Deviation",
    "DriveResult",
    "DrivenOne",
    "EveryResult",
    "Kind",
    "TableRow",
    "Tables",
    "Target",
    "drive",
    "drive_every",
    "emulated_kind",
    "expand",
    "kind_of",
    "read_tables",
]
