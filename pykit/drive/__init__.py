# SPDX-License-Identifier: GPL-2.0-only
"""Drive a device without a guest: a virtio driver in Python, its cases, and what they showed."""

from pykit.drive.cases import Case, Tables, expand, read_tables
from pykit.drive.conforming import Deviation
from pykit.drive.every import DrivenOne, EveryResult, drive_every
from pykit.drive.fuzz import FoundRow, FuzzResult, fuzz
from pykit.drive.kinds import Kind, kind_of
from pykit.drive.lives import DrivenDevice
from pykit.drive.named import chosen_target, drive_peer
from pykit.drive.outcome import CaseOutcome
from pykit.drive.reports import write_reports
from pykit.drive.rows import AnyCase, TableRow
from pykit.drive.run import DriveResult, Target, drive, driven
from pykit.drive.runner import CaseResult
from pykit.drive.session import Session

__all__ = [
    "AnyCase",
    "Case",
    "CaseOutcome",
    "CaseResult",
    "Deviation",
    "DriveResult",
    "DrivenDevice",
    "DrivenOne",
    "EveryResult",
    "FoundRow",
    "FuzzResult",
    "Kind",
    "Session",
    "TableRow",
    "Tables",
    "Target",
    "chosen_target",
    "drive",
    "drive_every",
    "drive_peer",
    "driven",
    "expand",
    "fuzz",
    "kind_of",
    "read_tables",
    "write_reports",
]
