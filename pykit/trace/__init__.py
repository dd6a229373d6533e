# SPDX-License-Identifier: GPL-2.0-only
"""Decode captures: ``load`` reads a capture directory into one typed table, ``load_log``
a QEMU log from elsewhere."""

from pykit.trace.capture import (
    CapturedDevice,
    CapturedOutcome,
    CapturedStep,
    CaptureInfo,
    QmpAnswer,
    changed_files,
)
from pykit.trace.decode import load, load_log
from pykit.trace.errors import CaptureError, DamageError
from pykit.trace.events import Events

__all__ = [
    "CaptureError",
    "CaptureInfo",
    "CapturedDevice",
    "CapturedOutcome",
    "CapturedStep",
    "DamageError",
    "Events",
    "QmpAnswer",
    "changed_files",
    "load",
    "load_log",
]
