# SPDX-License-Identifier: GPL-2.0-only
"""Captures to events: ``load`` decodes a capture directory into one typed table, ``load_log``
a log of QEMU's from elsewhere."""

from pykit.trace.capture import CaptureInfo, Device, Outcome, QmpAnswer, Step
from pykit.trace.decode import load, load_log
from pykit.trace.errors import CaptureError, DamageError
from pykit.trace.events import Events

__all__ = [
    "CaptureError",
    "CaptureInfo",
    "DamageError",
    "Device",
    "Events",
    "Outcome",
    "QmpAnswer",
    "Step",
    "load",
    "load_log",
]
