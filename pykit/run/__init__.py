# SPDX-License-Identifier: GPL-2.0-only
"""Run a scenario in a guest, or watch a guest of the user's, and leave a capture."""

from pykit.run import outside, own
from pykit.run.attachment import attach, monitored
from pykit.run.session import require_free, run_scenario

__all__ = ["attach", "monitored", "outside", "own", "require_free", "run_scenario"]
