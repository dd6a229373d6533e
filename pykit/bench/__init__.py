# SPDX-License-Identifier: GPL-2.0-only
"""Measurements. Every speed is a ratio to a named peer, taken in the same run."""

from pykit.bench.driver import Driver, driver
from pykit.bench.startup import Startup, startup

__all__ = ["Driver", "Startup", "driver", "startup"]
