# SPDX-License-Identifier: GPL-2.0-only
"""Be a device: a vhost-user back-end in Python, correct unless it is given a fault."""

from pykit.device.blk import ServedDisk
from pykit.device.catalog import CLAUSES, DRIVEN, FAULTS, MARKED, OF_DISKS, DrivenBy, broken_by
from pykit.device.faults import DeviceFault
from pykit.device.net import ServedNet
from pykit.device.script import load_script
from pykit.device.served import Served
from pykit.device.server import serve

#: Device types that can be served.
TYPES = ("blk", "net")

__all__ = [
    "CLAUSES",
    "DRIVEN",
    "FAULTS",
    "MARKED",
    "OF_DISKS",
    "TYPES",
    "DeviceFault",
    "DrivenBy",
    "Served",
    "ServedDisk",
    "ServedNet",
    "broken_by",
    "load_script",
    "serve",
]  # fmt: skip
