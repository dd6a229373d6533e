# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/flushes.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.trace import CapturedStep
from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.machine import run


def flushed() -> Log:
    """Return a log of a disk whose user flushed it."""
    log = run()
    line = "blkio: 200 requests, 8 at a time, all bytes right; 3 flushes\n"
    log.steps.append(CapturedStep("io", 0, 1.0, line))
    return log


@case("BI-DR-01", clean=flushed)
def flushes_are_dropped(log: Log) -> None:
    """The driver acknowledged FLUSH, and its user's flushes end without a request."""
    for event in log.of("blk_start", "blk_done", type=bits.T_FLUSH):
        event["type"] = bits.T_IN
