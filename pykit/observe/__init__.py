# SPDX-License-Identifier: GPL-2.0-only
"""Observe a guest from outside: the access tracer, the ring watcher, and what each cannot see."""

from pykit.observe.asking import ask_all, ask_devices, ask_interrupts, device_id
from pykit.observe.mapped import read_mapped, read_reported
from pykit.observe.storage import Storage, look_at_storage
from pykit.observe.tap import tapped, through_taps

__all__ = [
    "Storage",
    "ask_all",
    "ask_devices",
    "ask_interrupts",
    "device_id",
    "look_at_storage",
    "read_mapped",
    "read_reported",
    "tapped",
    "through_taps",
]
