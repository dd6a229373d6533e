# SPDX-License-Identifier: GPL-2.0-only
"""Be a device: a vhost-user back-end in Python, correct unless it is given a fault."""

from pykit.device.blk import ServedDisk
from pykit.device.catalog import CLAUSES, DRIVEN, FAULTS, DrivenBy
from pykit.device.faults import DeviceFault
from pykit.device.script import load_script
from pykit.device.server import serve

__all__ = [
    "CLAUSES",
    "DRIVEN",
    "FAULTS",
    "DeviceFault",
    "DrivenBy",
    "ServedDisk",
    "load_script",
    "serve",
]  # fmt: skip
