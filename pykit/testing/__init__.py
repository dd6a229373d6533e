# SPDX-License-Identifier: GPL-2.0-only
"""Tests against live guests, by pytest: see plugin.py and docs/testing.md."""

from pykit.testing.live import Disk, LiveGuest

__all__ = ["Disk", "LiveGuest"]
