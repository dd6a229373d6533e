# SPDX-License-Identifier: GPL-2.0-only
"""Stand between a vhost-user front-end and its back-end, and write down what goes by."""

from pykit.tap.faults import FAULTS, Injection, TapFault
from pykit.tap.run import Tap, TapResult

__all__ = ["FAULTS", "Injection", "Tap", "TapFault", "TapResult"]
