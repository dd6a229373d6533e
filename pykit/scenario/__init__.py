# SPDX-License-Identifier: GPL-2.0-only
"""Read and check scenarios: which device, modules and programs, and what is done with them."""

from pykit.scenario.axes import on_transport, served_by, under_driver, with_ring
from pykit.scenario.model import Observer, Scenario, Trouble
from pykit.scenario.reader import load_scenario

__all__ = [
    "Observer",
    "Scenario",
    "Trouble",
    "load_scenario",
    "on_transport",
    "served_by",
    "under_driver",
    "with_ring",
]
