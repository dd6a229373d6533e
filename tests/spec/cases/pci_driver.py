# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/pci_driver.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.survey import register, surveyed, transitional


@case("PY-DR-01", clean=surveyed)
@case("PY-DR-02", clean=transitional)
def nobody_takes_it(log: Log) -> None:
    """QEMU resets the device, and no driver ever begins with it."""
    register(log, 0x14)["value"] = 0
    log.drop([event for event in log.events if event["source"] == "driver"])
    log.drop([e for e in log.of("dev_status") if e["status"]])
