# SPDX-License-Identifier: GPL-2.0-only
"""Boot a guest, run a scenario in it, and leave a capture."""

from pykit.boot import outside, own
from pykit.boot.axes import on_transport, under_driver, with_ring
from pykit.boot.outcome import EXIT_CODES, Kind, Outcome
from pykit.boot.runners import bare_vng, runner
from pykit.boot.scenario import Observer, Scenario, load_scenario
from pykit.boot.session import require_free, run

__all__ = [
    "EXIT_CODES",
    "Kind",
    "Observer",
    "Outcome",
    "Scenario",
    "bare_vng",
    "load_scenario",
    "on_transport",
    "outside",
    "own",
    "require_free",
    "run",
    "runner",
    "under_driver",
    "with_ring",
]
