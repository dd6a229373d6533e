# SPDX-License-Identifier: GPL-2.0-only
"""Observe a guest from outside: the access tracer, the ring watcher, and what each cannot see."""

from pykit.observe.tap import tapped, through_taps

__all__ = ["tapped", "through_taps"]
