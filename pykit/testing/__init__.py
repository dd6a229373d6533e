# SPDX-License-Identifier: GPL-2.0-only
"""Test against live guests with pytest: see plugin.py and docs/testing.md."""

from pykit.testing.live import Disk, LiveGuest

__all__ = ["Disk", "LiveGuest"]
