# SPDX-License-Identifier: GPL-2.0-only
"""Measurements, each speed a ratio to a named peer in the same run; and the soak."""

from pykit.bench.decode import Decode, decode
from pykit.bench.drive import DriveRates, drive_rates
from pykit.bench.driver import Driver, driver
from pykit.bench.every import ALL_PARTS, EveryBench, every
from pykit.bench.io import IoPaths, io_paths
from pykit.bench.matrix import MatrixRate, matrix
from pykit.bench.observers import Observers, observers
from pykit.bench.soak import PARTS, Soak, soak
from pykit.bench.startup import Startup, startup
from pykit.bench.vhost_user import VhostUserRates, vhost_user_rates

__all__ = [
    "ALL_PARTS",
    "PARTS",
    "Decode",
    "DriveRates",
    "Driver",
    "EveryBench",
    "IoPaths",
    "MatrixRate",
    "Observers",
    "Soak",
    "Startup",
    "VhostUserRates",
    "decode",
    "drive_rates",
    "driver",
    "every",
    "io_paths",
    "matrix",
    "observers",
    "soak",
    "startup",
    "vhost_user_rates",
]
